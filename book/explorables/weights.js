// Chapter 7: the weights of the three squared errors in the bound, over t, on a logarithmic axis.

import { choice, format, slider } from "./core.js";
import { element } from "./elements.js";
import { alignWithPlot, curve, draggable, note, plot, point } from "./plots.js";
import { powerOfTen } from "./powers.js";
import { alphaBar, cosineBeta, linearBeta, posterior, snr } from "./schedules.js";
import { liveSentence, outOf, question, say } from "./words.js";

const WORDS = {
  schedule: "Schedule",
  linear: "linear schedule",
  linearFace: "linear",
  cosine: "cosine schedule",
  cosineFace: "cosine",
  variance: "Variance of the model’s steps",
  small: "variance beta tilde",
  smallFace: "$σ_t$² = $β̃_t$",
  beta: "variance beta",
  betaFace: "$σ_t$² = $β_t$",
  step: "step $t$",
  stepInPlot: "step t in the plot",
  plot: "the weights over t",
  up: "weight of the squared error",
  x_0: "$x̂_0$",
  eps: "$ε̂$",
  v: "$v̂$",
  simple: "$L_simple$, scaled",
  even: "SNR = 1",
  bound:
    "At $t$ = {t} of {T}, the bound weighs the squared error of $x̂_0$ by {x_0}, of $ε̂$ by {eps}, of $v̂$ by {v}.",
  ratio: "The first is {snr} times the second, the SNR.",
  same: "$L_simple$, scaled to the same total before $T$, weighs that of $ε̂$ by {simple}, just as much.",
  less: "$L_simple$, scaled to the same total before $T$, weighs that of $ε̂$ by {simple}, {times} times less.",
  more: "$L_simple$, scaled to the same total before $T$, weighs that of $ε̂$ by {simple}, {times} times as much.",
  question:
    "At which $t$ do the errors of $x̂_0$ and $ε̂$ weigh the same, in either schedule, and what is the SNR there? What does $L_simple$ do to the smallest $t$?",
};

const POWERS = [-7, 4]; // of ten, on the vertical axis

// ---------------------------------------------------------------------------------- the mathematics

/**
 * The weights of the squared errors of eps, x_0 and v, each [T+1], from t = 2 on (bound.eps_weight,
 * x_0_weight, v_weight); variance: 0 for beta_tilde, 1 for beta.
 */
export function weightTables(alpha_bar, variance) {
  const eps = alpha_bar.map((now, t) => {
    if (t < 2) return NaN; // t = 1 belongs to L_0
    const ratio = now / alpha_bar[t - 1];
    const beta = 1 - ratio;
    const sigma_squared = variance ? beta : posterior(now, alpha_bar[t - 1]).variance;
    return beta ** 2 / (2 * sigma_squared * ratio * (1 - now));
  });
  const ratios = snr(alpha_bar);
  return {
    eps,
    x_0: eps.map((weight, t) => weight * ratios[t]),
    v: eps.map((weight, t) => weight * alpha_bar[t]),
  };
}

/**
 * The level of L_simple with the same total weight on the error of eps, for t from 2 to T - 1: at T
 * the cosine schedule has nearly all of it.
 */
export function simpleLevel({ eps }) {
  const counted = eps.slice(2, -1);
  return counted.reduce((sum, weight) => sum + weight, 0) / counted.length;
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { T, beta_1, beta_T }, of the linear schedule. */
export function weights(stage, { T, beta_1, beta_T }) {
  const schedules = [linearBeta(T, beta_1, beta_T), cosineBeta(T)].map((beta) => {
    const alpha_bar = alphaBar(beta);
    const tables = [0, 1].map((variance) => {
      const table = weightTables(alpha_bar, variance);
      return { ...table, simple: simpleLevel(table) };
    });
    return { snr: snr(alpha_bar), tables };
  });
  const state = { t: 20, schedule: 0, variance: 0 };
  const now = () => {
    const { snr, tables } = schedules[state.schedule];
    return { snr, ...tables[state.variance] };
  };
  const change = (news) => {
    Object.assign(state, news);
    parts.forEach((part) => part.draw(now()));
  };
  const parts = [settings, chart, report].map((part) => part(T, state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** The schedule and the variance of the model's steps. */
function settings(T, state, change) {
  const ask = (key, options) =>
    choice({ options, onChoose: (chosen) => change({ [key]: chosen }) });
  const option = (name) => ({
    name: WORDS[name],
    face: element("span", {}, ...say(WORDS[`${name}Face`])),
  });
  const schedule = ask("schedule", [option("linear"), option("cosine")]);
  const variance = ask("variance", [option("small"), option("beta")]);
  const groups = [schedule, variance].map(({ node }) => element("div", {}, node));
  const draw = () => {
    schedule.set(state.schedule, WORDS.schedule);
    variance.set(state.variance, WORDS.variance);
  };
  return { node: element("div", { class: "ex-weight-settings" }, ...groups), draw };
}

/** The slider over t, the three curves, the level of L_simple, and a point on each at t. */
function chart(T, state, change) {
  const move = (t) => change({ t: Math.min(Math.max(Math.round(t), 2), T) });
  const range = [0, T];
  const time = slider({ label: WORDS.step, range, step: 1, onInput: move });
  alignWithPlot(time);
  const area = plot({
    name: WORDS.plot,
    x: { range, label: WORDS.step },
    y: { range: POWERS, parts: 6, write: powerOfTen, label: WORDS.up },
    height: 300,
  });
  const clip = (power) => Math.min(Math.max(power, POWERS[0]), POWERS[1]);
  const level = (weight) => clip(Math.log10(weight));
  const guide = curve(area, "guide", []);
  const meeting = curve(area, "mark", []);
  const simple = curve(area, "simple", []);
  const kinds = { x_0: "data", eps: "noise", v: "model" };
  const lines = Object.entries(kinds).map(([name, kind]) => [name, curve(area, kind, [])]);
  const names = {
    x_0: note(area, "data above", [0, 0], ...say(WORDS.x_0)),
    eps: note(area, "noise above", [0, 0], ...say(WORDS.eps)),
    v: note(area, "model above", [0, 0], ...say(WORDS.v)),
    simple: note(area, "muted above", [0, 0], ...say(WORDS.simple)),
    even: note(area, "muted above", [0, POWERS[0]], WORDS.even),
  };
  const dots = { x_0: point(area, "data", [2, 0]), v: point(area, "model", [2, 0]) };
  const marker = draggable(area, {
    kind: "noise",
    along: "x",
    step: 1,
    name: WORDS.stepInPlot,
    position: [2, 0],
    onMove: ([t]) => move(t),
  });
  const draw = (tables) => {
    const { t } = state;
    const text = outOf(t, T);
    for (const [name, show] of lines) {
      show(Array.from(tables[name].slice(2), (weight, i) => [i + 2, level(weight)]));
    }
    const flat = level(tables.simple);
    simple([
      [2, flat],
      [T, flat],
    ]);
    const even = tables.snr.findIndex((ratio) => ratio <= 1);
    meeting([
      [even, POWERS[0]],
      [even, level(tables.eps[even])],
    ]);
    const beside = (name, part) => {
      const at = Math.round(part * T);
      return [at, level(tables[name][at])];
    };
    names.x_0(beside("x_0", 0.06));
    names.eps(beside("eps", 0.72));
    names.v(beside("v", 0.86));
    names.simple([0.36 * T, flat]);
    names.even([even, POWERS[0]]);
    guide([
      [t, POWERS[0]],
      [t, POWERS[1]],
    ]);
    dots.x_0([t, level(tables.x_0[t])]);
    dots.v([t, level(tables.v[t])]);
    time.set(t, text);
    marker([t, level(tables.eps[t])], text);
  };
  return { node: element("div", {}, time.node, area.node), draw };
}

/** What the setting shows in sentences, and the question. */
function report(T, state) {
  const sentence = liveSentence();
  const draw = (tables) => sentence.show(...summary(tables, state, T));
  const node = element("div", { class: "ex-words ex-weight-words" });
  node.append(sentence.node, question(WORDS.question));
  return { node, draw };
}

function summary({ x_0, eps, v, simple, snr }, { t }, T) {
  return [
    say(WORDS.bound, { t, T, x_0: short(x_0[t]), eps: short(eps[t]), v: short(v[t]) }),
    say(WORDS.ratio, { snr: short(snr[t]) }),
    compared(simple, simple / eps[t]),
  ];
}

function compared(weight, ratio) {
  const simple = short(weight);
  if (Math.abs(ratio - 1) < 0.005) return say(WORDS.same, { simple });
  return ratio < 1
    ? say(WORDS.less, { simple, times: format(1 / ratio) })
    : say(WORDS.more, { simple, times: format(ratio) });
}

/** A small number with a power of ten: 0.000000412 cannot be read. */
function short(value) {
  if (value >= 1e-3) return format(value);
  const [digits, power] = value.toExponential(2).split("e");
  return `${digits}·${powerOfTen(Number(power))}`;
}
