// Chapter 7: the weights of the three squared errors in the bound, over t, on a logarithmic axis.

import { alignWithPlot, choice, curve, draggable, element, format, liveSentence, note, plot, point, slider, symbol } from "./core.js";
import { powerOfTen } from "./powers.js";
import { alphaBar, cosineBeta, linearBeta, posterior, snr } from "./schedules.js";

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
  const word = (name) => ({ name: `${name} schedule`, face: name });
  const letter = (name, letter) => {
    const face = element("span", {}, symbol("σ", "t"), "² = ", symbol(letter, "t"));
    return { name: `variance ${name}`, face };
  };
  const schedule = ask("schedule", [word("linear"), word("cosine")]);
  const variance = ask("variance", [letter("beta tilde", "β̃"), letter("beta", "β")]);
  const groups = [schedule, variance].map(({ node }) => element("div", {}, node));
  const draw = () => {
    schedule.set(state.schedule, "Schedule");
    variance.set(state.variance, "Variance of the model’s steps");
  };
  return { node: element("div", { class: "ex-weight-settings" }, ...groups), draw };
}

/** The slider over t, the three curves, the level of L_simple, and a point on each at t. */
function chart(T, state, change) {
  const move = (t) => change({ t: Math.min(Math.max(Math.round(t), 2), T) });
  const range = [0, T];
  const label = ["step ", symbol("t")];
  const time = slider({ label, range, step: 1, onInput: move });
  alignWithPlot(time);
  const area = plot({
    name: "the weights over t",
    x: { range, label: ["step ", symbol("t")] },
    y: { range: POWERS, parts: 6, write: powerOfTen, label: ["weight of the squared error"] },
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
    x_0: note(area, "data above", [0, 0], symbol("x̂", "0")),
    eps: note(area, "noise above", [0, 0], symbol("ε̂")),
    v: note(area, "model above", [0, 0], symbol("v̂")),
    simple: note(area, "muted above", [0, 0], symbol("L", "simple"), ", scaled"),
    even: note(area, "muted above", [0, POWERS[0]], "SNR = 1"),
  };
  const dots = { x_0: point(area, "data", [2, 0]), v: point(area, "model", [2, 0]) };
  const marker = draggable(area, {
    kind: "noise",
    along: "x",
    step: 1,
    name: "step t in the plot",
    position: [2, 0],
    onMove: ([t]) => move(t),
  });
  const draw = (tables) => {
    const { t } = state;
    const text = `${t} of ${T}`;
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

/** What the setting shows in a sentence, and the question. */
function report(T, state) {
  const sentence = liveSentence();
  const question = element("p", { class: "ex-question" });
  question.append("At which ", symbol("t"), " do the errors of ", symbol("x̂", "0"), " and ");
  question.append(symbol("ε̂"), " weigh the same, in either schedule, and what is the SNR there? ");
  question.append("What does ", symbol("L", "simple"), " do to the smallest ", symbol("t"), "?");
  const draw = (tables) => sentence.say(...summary(tables, state, T));
  return { node: element("div", { class: "ex-words ex-weight-words" }, sentence.node, question), draw };
}

function summary({ x_0, eps, v, simple, snr }, { t }, T) {
  const parts = ["At ", symbol("t"), ` = ${t} of ${T}, the bound weighs the squared error of `];
  parts.push(symbol("x̂", "0"), ` by ${short(x_0[t])}, of `, symbol("ε̂"), ` by ${short(eps[t])}, of `);
  parts.push(symbol("v̂"), ` by ${short(v[t])}. The first is ${short(snr[t])} times the second, `);
  parts.push("the SNR. ", symbol("L", "simple"), ", scaled to the same total before ", symbol("T"));
  parts.push(", weighs that of ", symbol("ε̂"), ` by ${short(simple)}, ${compared(simple / eps[t])}.`);
  return parts;
}

function compared(ratio) {
  if (Math.abs(ratio - 1) < 0.005) return "just as much";
  return ratio < 1 ? `${format(1 / ratio)} times less` : `${format(ratio)} times as much`;
}

/** A small number with a power of ten: 0.000000412 cannot be read. */
function short(value) {
  if (value >= 1e-3) return format(value);
  const [digits, power] = value.toExponential(2).split("e");
  return `${digits}·${powerOfTen(Number(power))}`;
}
