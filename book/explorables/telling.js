// What the figure of chapter 14 says of its samplers, their settings and their pictures.

import { format } from "./core.js";
import { distance, seen, work } from "./drawing.js";
import { say, tell } from "./words.js";

const SAID_WORDS = {
  // A setting of a sampler, as a list.
  ddim: "DDIM, η = {eta}",
  ddpm: "DDPM, σ² = {squared}",
  steps: "{n} steps, {sampler}",
  oneStep: "1 step, {sampler}",
  clipNone: "{setting}, no clipping",
  clipXt: "{setting}, x_t clipped",
  // What a picture is called.
  digits: "{count} digits",
  oneDigit: "one digit",
  digitsOf: "{count} digits of {run}",
  oneDigitOf: "one digit of {run}",
  nameOfXt: "{digits}, x_t at t = {t}",
  nameOfX0: "{digits}, predicted x_0 at t = {t}",
  // Sentences.
  done: "Step {at} of {n}: {digits} from seed {seed}, {setting}.",
  under: "Step {at} of {n}: {digits} from seed {seed}, {setting}; {done} of {all} network calls are done.",
  valuesOfXt: "The values of $x_t$ lie between {low} and {high}.",
  valuesOfX0: "The values of $x̂_0$ lie between {low} and {high}.",
  apart: "B, with {setting}, is {apart} away from A (the root of the mean squared difference of a pixel).",
};

/** A setting of a sampler. */
export function inWords({ sampler: name, n, eta, variance, clip }) {
  const squared = { beta_tilde: "β̃", beta: "β", zero: "0" }[variance];
  const sampler = name === "ddim" ? tell(SAID_WORDS.ddim, { eta }) : tell(SAID_WORDS.ddpm, { squared });
  const setting = n === 1 ? tell(SAID_WORDS.oneStep, { sampler }) : tell(SAID_WORDS.steps, { n, sampler });
  if (clip === "x_0") return setting;
  return tell(clip === "none" ? SAID_WORDS.clipNone : SAID_WORDS.clipXt, { setting });
}

/** How many digits. */
export const digitsOf = (count) => (count === 1 ? SAID_WORDS.oneDigit : tell(SAID_WORDS.digits, { count }));

/** What the pictures of run k are called. */
export function nameOf({ count, shown, forked }, k, { t }) {
  const run = "AB"[k];
  const ofRun = () => (count === 1 ? tell(SAID_WORDS.oneDigitOf, { run }) : tell(SAID_WORDS.digitsOf, { count, run }));
  const digits = forked ? ofRun() : digitsOf(count);
  return tell(shown === "x_0" ? SAID_WORDS.nameOfX0 : SAID_WORDS.nameOfXt, { digits, t });
}

/** How far the runs are. */
export function status(state) {
  const { settings, at, count, seed } = state;
  const [done, all] = work(state);
  const setting = inWords(settings[0]);
  const holes = { at, n: settings[0].n, digits: digitsOf(count), seed, setting };
  if (!state.running && done === all) return say(SAID_WORDS.done, holes);
  return say(SAID_WORDS.under, { ...holes, done, all });
}

/** The range of what is shown of A, once there is something. */
export function values(state) {
  const found = seen(state, 0);
  if (!found) return [];
  const [low, high] = [Math.min, Math.max].map((end) => found[state.shown].reduce((a, b) => end(a, b)));
  const values = state.shown === "x_0" ? SAID_WORDS.valuesOfX0 : SAID_WORDS.valuesOfXt;
  return [say(values, { low: twoDigits(low), high: twoDigits(high) })];
}

/** How far B is from A, if there is a fork. */
export function difference(state) {
  const [a, b] = [0, 1].map((k) => state.forked && seen(state, k));
  if (!a || !b) return [];
  const apart = twoDigits(distance(a[state.shown], b[state.shown]));
  return [say(SAID_WORDS.apart, { setting: inWords(state.settings[1]), apart })];
}

function twoDigits(value) {
  return format(Number(value.toFixed(2)));
}
