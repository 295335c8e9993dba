// Chapter 2: a digit and its x_t for any t. One picture equation, one plot of its two coefficients.

import { alignWithPlot, button, choice, curve, draggable, element, format, liveSentence, note, picture, plot, point, ramp, randn, random, root, slider, symbol, unpack } from "./core.js";

const GRAYS = [-2, 2]; // one range for x_t, x_0 and eps, so that the equation holds for the eye too

// -------------------------------------------------- the mathematics, in tables as in ddpm_lib: index t

/** Evenly spaced betas with beta[0] = 0 in front (schedules.linear). */
export function linearBeta(T, beta_1, beta_T) {
  const step = T > 1 ? (beta_T - beta_1) / (T - 1) : 0;
  return Float64Array.from({ length: T + 1 }, (_, t) => (t ? beta_1 + (t - 1) * step : 0));
}

/** The product of 1 - beta_1 .. 1 - beta_t. */
export function alphaBar(beta) {
  let product = 1;
  return beta.map((beta_t) => (product *= 1 - beta_t));
}

/** The signal-to-noise ratio; infinite at t = 0. */
export function snr(alpha_bar) {
  return alpha_bar.map((share) => share / (1 - share));
}

/** x_t from x_0 in one step (diffusion.noise). */
export function jump(x_0, eps, alpha_bar_t) {
  const [a, s] = [Math.sqrt(alpha_bar_t), Math.sqrt(1 - alpha_bar_t)];
  return x_0.map((value, i) => a * value + s * eps[i]);
}

// ------------------------------------------------------------------------------------------ the figure

/** Build the explorable; data: { T, beta_1, beta_T, digits }, the digits 0 to 9 in order. */
export function forward(stage, { T, beta_1, beta_T, digits }) {
  const alpha_bar = alphaBar(linearBeta(T, beta_1, beta_T));
  const model = { T, alpha_bar, snr: snr(alpha_bar), pictures: unpack(digits), shape: digits.shape };
  // mode: "open", "hidden" while you guess, "told" after that; readings: one for each guess
  const state = { t: Math.round(T / 4), digit: 3, seed: 1, mode: "open", guess: null, readings: [] };
  const change = (news) => {
    Object.assign(state, news);
    parts.forEach((part) => part.draw(state));
  };
  const parts = [chooser, equation, timeline, sentence].map((part) => part(model, state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}
