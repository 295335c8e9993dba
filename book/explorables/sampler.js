// Chapter 9: a trained network draws points in this page, step by step, from a seed.

import { bestDenoiser, census, drawData, paths, slicedDistance } from "./clouds.js";
import { button, choice, format, slider } from "./core.js";
import { element } from "./elements.js";
import { halves, mlp } from "./mlp.js";
import { curve, note, plot } from "./plots.js";
import { alphaBar, linearBeta } from "./schedules.js";
import { strided } from "./time.js";
import { liveSentence, question, say, symbol, tell } from "./words.js";

const WORDS = {
  plane: "points in the plane",
  first: "first coordinate",
  second: "second coordinate",
  step: "step of the run",
  place: "{at} of {n}, t = {t}",
  run: "Run",
  stop: "Stop",
  newNoise: "New noise",
  number: "number of steps",
  who: "Who predicts the noise",
  network: "the network",
  exact: "the exact denoiser",
  variance: "Variance of a step",
  beta_tilde: "beta tilde, of the posterior",
  beta: "beta, of the forward step",
  zero: "zero: no fresh noise",
  counts:
    "After step {at} of {n}, at $t$ = {t}: each cluster holds {least} to {most} of the {points} points, {strays} lie far from all; the distance to the data is {distance} (of the data itself, drawn again: {floor}).",
  countsAndOne:
    "After step {at} of {n}, at $t$ = {t}: each cluster holds {least} to {most} of the {points} points, 1 lies far from all; the distance to the data is {distance} (of the data itself, drawn again: {floor}).",
  question:
    "From 200 steps downward: do the eight counts become uneven first, or do points stay between the clusters? And is the network to blame for it, or the number of steps?",
};

const POINTS = 320; // 40 for each of the eight clusters
const TRUTH = 1000; // the seed of the points that stand for the data
const STRIDES = [1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 100, 200];

// --------------------------------------------------------------------------------------- the figure

const PREDICTIONS = ["network", "exact"];
const VARIANCES = ["beta_tilde", "beta", "zero"];

/** Build the explorable; data: { T, beta_1, beta_T, means, width, hidden, weights }. */
export function sampler(stage, { T, beta_1, beta_T, means, width, hidden, weights }) {
  const alpha_bar = alphaBar(linearBeta(T, beta_1, beta_T));
  const model = {
    T,
    alpha_bar,
    means,
    width,
    truth: drawData(means, width, POINTS, TRUTH, true),
    predict: { network: mlp(halves(weights), hidden), exact: bestDenoiser(means, width, alpha_bar) },
  };
  const draws = [1, 2, 3, 4].map((i) => drawData(means, width, POINTS, TRUTH + i));
  model.floor = draws.reduce((sum, draw) => sum + slicedDistance(draw, model.truth) / 4, 0);
  const state = { n: 50, predict: "network", variance: "beta_tilde", seed: 1, at: 50, path: [] };
  const rewalk = ["n", "predict", "variance", "seed"];
  const change = (news) => {
    Object.assign(state, news);
    if (!state.path.length || rewalk.some((name) => name in news)) takeSteps(model, state, news);
    parts.forEach((part) => part.draw());
  };
  const parts = [view, steering, settings, report].map((part) => part(model, state, change));
  const side = element("div", { class: "ex-side" }, parts[1].node, parts[2].node);
  stage.append(element("div", { class: "ex-sampler" }, parts[0].node, side), parts[3].node);
  change({});
}

function takeSteps(model, state, news) {
  const { T, alpha_bar, predict } = model;
  state.times = strided(T, state.n);
  state.path = paths({ ...state, alpha_bar, predict: predict[state.predict], count: POINTS });
  if (!("at" in news)) state.at = state.n; // a new setting shows its samples
}

/** The plane: the clusters as rings, the points, the paths of a few, and the count at each center. */
function view({ means, width }, state) {
  const area = plot({
    name: WORDS.plane,
    x: { range: [-3, 3], label: WORDS.first },
    y: { range: [-3, 3], label: WORDS.second },
    square: true,
  });
  for (const [x, y] of means) curve(area, "data", circle(x, y, 2 * width));
  const trails = dots(area, "ex-trails", trail);
  const cloud = dots(area, "ex-cloud", dot);
  const notes = means.map(([x, y]) => {
    const node = element("span");
    note(area, "muted count", [x * 1.45, y * 1.45], node);
    return node;
  });
  const draw = () => {
    const points = state.path[state.at];
    trails(state.path.slice(0, state.at + 1));
    cloud(points);
    const { counts } = census(points, means, width);
    notes.forEach((node, k) => (node.textContent = counts[k]));
  };
  return { node: area.node, draw };
}

function circle(x, y, radius) {
  const corner = (_, k) => [x + radius * Math.cos((k * Math.PI) / 16), y + radius * Math.sin((k * Math.PI) / 16)];
  return Array.from({ length: 33 }, corner);
}

/** One path for many marks. Returns what draws it anew. */
function dots(area, look, describe) {
  const path = element("path", { class: look, "aria-hidden": "true" });
  area.svg.append(path);
  return area.layer((value) => path.setAttribute("d", describe(area, value)), new Float64Array(0));
}

function dot(area, points) {
  let d = "";
  for (let i = 0; i < points.length; i += 2) d += `M${onPlot(area, points, i)}h0`;
  return d;
}

/** The ways of the first five points so far. */
function trail(area, frames) {
  let d = "";
  for (let i = 0; i < 10 && frames.length > 1; i += 2) {
    d += `M${Array.from(frames, (points) => onPlot(area, points, i)).join("L")}`;
  }
  return d;
}

function onPlot(area, points, i) {
  return `${area.toX(points[i]).toFixed(1)} ${area.toY(points[i + 1]).toFixed(1)}`;
}

/** Run, and a slider over the steps of this run. */
function steering(model, state, change) {
  let timer = null;
  const stop = () => {
    clearTimeout(timer);
    timer = null;
  };
  const advance = () => {
    // At most 60 pictures a run, so that 200 steps take no longer to watch than 50.
    const at = Math.min(state.n, state.at + Math.ceil(state.n / 60));
    timer = null;
    change({ at });
    if (at < state.n) timer = setTimeout(advance, 50);
  };
  const start = () => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!still) timer = setTimeout(advance, 300);
    change({ at: still ? state.n : 0 });
  };
  const run = button("", () => (timer ? change(stop() ?? {}) : start()));
  const onInput = (at) => {
    stop();
    change({ at });
  };
  const steps = slider({ label: WORDS.step, range: [0, 1], step: 1, onInput });
  const input = steps.node.querySelector("input");
  const again = button(WORDS.newNoise, () => {
    stop();
    change({ seed: state.seed + 1 });
  });
  const draw = () => {
    input.max = state.n;
    const t = state.times[state.at];
    steps.set(state.at, tell(WORDS.place, { at: state.at, n: state.n, t }));
    run.textContent = timer ? WORDS.stop : WORDS.run;
  };
  const row = element("div", { class: "ex-buttons" }, run, again);
  return { node: element("div", {}, row, steps.node), draw };
}

/** How many steps, which variance, and who predicts. */
function settings(model, state, change) {
  const pick = (i) => change({ n: STRIDES[i] });
  const last = STRIDES.length - 1;
  const number = slider({ label: WORDS.number, range: [0, last], step: 1, onInput: pick });
  const who = choice({
    options: PREDICTIONS.map((name) => ({ name: WORDS[name], face: WORDS[name] })),
    onChoose: (i) => change({ predict: PREDICTIONS[i] }),
  });
  const faces = { beta_tilde: symbol("β̃", "t"), beta: symbol("β", "t"), zero: "0" };
  const noise = choice({
    options: VARIANCES.map((name) => ({ name: WORDS[name], face: faces[name] })),
    onChoose: (i) => change({ variance: VARIANCES[i] }),
  });
  const draw = () => {
    number.set(STRIDES.indexOf(state.n), `${state.n}`);
    who.set(PREDICTIONS.indexOf(state.predict), WORDS.who);
    noise.set(VARIANCES.indexOf(state.variance), WORDS.variance);
  };
  const group = ({ node }) => element("div", { class: "ex-group" }, node);
  return { node: element("div", {}, number.node, group(noise), group(who)), draw };
}

/** The sentence and the question. */
function report({ means, width, truth, floor }, state) {
  const sentence = liveSentence();
  const draw = () => {
    const { at, n, path, times } = state;
    const { counts, strays } = census(path[at], means, width);
    const holes = { at, n, t: times[at], points: POINTS, floor: format(floor) };
    const range = { least: Math.min(...counts), most: Math.max(...counts) };
    Object.assign(holes, range, { distance: format(slicedDistance(path[at], truth)) });
    sentence.show(
      strays === 1 ? say(WORDS.countsAndOne, holes) : say(WORDS.counts, { ...holes, strays }),
    );
  };
  return { node: element("div", { class: "ex-words" }, sentence.node, question(WORDS.question)), draw };
}
