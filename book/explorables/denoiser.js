// Chapter 8: a point of the plane, which data it may have come from, and the noise to take out of it.

import { format, slider } from "./core.js";
import { element } from "./elements.js";
import { denoise, logDensity, noised, shares } from "./mixtures.js";
import { alignWithPlot, curve, draggable, heatMap, note, plot } from "./plots.js";
import { alphaBar, linearBeta } from "./schedules.js";
import { liveSentence, outOf, question, say, symbol, tell } from "./words.js";

const WORDS = {
  plane: "the plane of x t",
  first: "first coordinate",
  second: "second coordinate",
  density: "density of x t, as a share of its highest value",
  point: "the point x t",
  pair: "{x}, {y}",
  step: "step $t$",
  stepInPlot: "step t in the plot",
  noise: "the predicted noise at this point over t",
  noiseUp: "predicted noise: → solid, ↑ dashed",
  // The eight directions, counterclockwise.
  headings: [
    "At $t$ = {t} of {T}, the arrow points to the right: the predicted noise is ({eps}).",
    "At $t$ = {t} of {T}, the arrow points to the upper right: the predicted noise is ({eps}).",
    "At $t$ = {t} of {T}, the arrow points to the top: the predicted noise is ({eps}).",
    "At $t$ = {t} of {T}, the arrow points to the upper left: the predicted noise is ({eps}).",
    "At $t$ = {t} of {T}, the arrow points to the left: the predicted noise is ({eps}).",
    "At $t$ = {t} of {T}, the arrow points to the lower left: the predicted noise is ({eps}).",
    "At $t$ = {t} of {T}, the arrow points to the bottom: the predicted noise is ({eps}).",
    "At $t$ = {t} of {T}, the arrow points to the lower right: the predicted noise is ({eps}).",
  ],
  guess:
    "The likeliest of the {points} points has a probability of {best}, as if {count} of them shared it, and the best guess of $x_0$ is ({x_0}).",
  question:
    "Leave the point where it is and go left from $t$ = {T}. When does the arrow turn away from the center, and what does it find there?",
};

const PLANE = { x: [-2, 2], y: [-1.5, 1.5] };
const CELLS = { rows: 45, columns: 60 };
const NOISE_RANGE = [-3, 3];

// -------------------------------------------------------------------------------- what is computed

/** Equally probable points as a mixture whose Gaussians have no width. */
export function pointMasses(points) {
  return { weights: points.map(() => 1 / points.length), means: points, variances: points.map(() => 0) };
}

/** All that is shown at x_t: each point's probability, how many share it, the best guesses, the arrow's tip a x_0. */
export function insight(mixture, x_t, alpha_bar_t) {
  const weights = shares(noised(mixture, alpha_bar_t), x_t);
  const entropy = weights.reduce((sum, w) => (w > 0 ? sum - w * Math.log(w) : sum), 0);
  const { x_0, eps } = denoise(mixture, x_t, alpha_bar_t);
  const tip = x_0.map((value) => Math.sqrt(alpha_bar_t) * value);
  return { weights, count: Math.exp(entropy), x_0, eps, tip };
}

/** The density of x_t over a grid of the plane, as a share of its highest value there; row 0 is the lowest y. */
export function landscape(mixture, alpha_bar_t, { x, y }, { rows, columns }) {
  const q_t = noised(mixture, alpha_bar_t);
  const center = ([low, high], i, count) => low + ((high - low) * (i + 0.5)) / count;
  const logs = Array.from({ length: rows * columns }, (_, i) =>
    logDensity(q_t, [center(x, i % columns, columns), center(y, Math.floor(i / columns), rows)]),
  );
  const top = Math.max(...logs);
  return logs.map((log) => Math.exp(log - top));
}

/** The nearest of eight directions, counterclockwise from the right. */
export function heading([right, up]) {
  return (Math.round((4 * Math.atan2(up, right)) / Math.PI) + 8) % 8;
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { T, beta_1, beta_T, points, start }, points and start in the plane. */
export function denoiser(stage, { T, beta_1, beta_T, points, start }) {
  const alpha_bar = alphaBar(linearBeta(T, beta_1, beta_T));
  const model = { T, alpha_bar, points, mixture: pointMasses(points) };
  const state = { t: Math.round(0.6 * T), x_t: start };
  const change = (news) => {
    Object.assign(state, news);
    const seen = insight(model.mixture, state.x_t, alpha_bar[state.t]);
    parts.forEach((part) => part.draw(seen));
  };
  const parts = [plane, timeline, words].map((part) => part(model, state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** The plane of x_t: shrunken data, the density, the point, the arrow. */
function plane({ alpha_bar, points, mixture }, state, change) {
  const area = plot({
    name: WORDS.plane,
    x: { range: PLANE.x, label: WORDS.first },
    y: { range: PLANE.y, parts: 3, label: WORDS.second },
    height: 366,
  });
  const density = heatMap(area, "muted", {
    ...CELLS,
    range: [0, 1],
    name: WORDS.density,
  });
  const dots = points.map(() => sizedDot(area));
  const handle = draggable(area, {
    kind: "noise",
    along: "xy",
    step: 0.05,
    name: WORDS.point,
    position: state.x_t,
    onMove: (x_t) => change({ x_t }),
  });
  const arrow = arrowBetween(area);
  const name = note(area, "noise below", state.x_t, symbol("x", "t"));
  const draw = ({ weights, tip }) => {
    const { t, x_t } = state;
    const a = Math.sqrt(alpha_bar[t]);
    density(landscape(mixture, alpha_bar[t], PLANE, CELLS));
    dots.forEach((dot, n) => dot([points[n].map((value) => a * value), weights[n]]));
    handle(x_t, pair(x_t.map(format)));
    arrow([x_t, tip]);
    name([Math.min(x_t[0], 1.75), x_t[1]]);
  };
  return { node: element("div", { class: "ex-plane" }, area.node), draw };
}

/** A dot whose area grows with a weight from 0 to 1. Returns what moves it: [place, weight]. */
function sizedDot(area) {
  const dot = element("circle", { class: "ex-point ex-data ex-spot", "aria-hidden": "true" });
  area.svg.append(dot);
  const draw = ([[x, y], weight]) => {
    dot.setAttribute("cx", area.toX(x));
    dot.setAttribute("cy", area.toY(y));
    dot.setAttribute("r", Math.sqrt(12 + 240 * weight));
  };
  return area.layer(draw, [[0, 0], 0]);
}

/** An arrow in the color of the model. Returns what moves it: [start, tip]. */
function arrowBetween(area) {
  const path = element("path", { class: "ex-curve ex-model ex-arrow", "aria-hidden": "true" });
  area.svg.append(path);
  const draw = ([start, tip]) => {
    const [x, y] = [area.toX(tip[0]), area.toY(tip[1])];
    const [dx, dy] = [x - area.toX(start[0]), y - area.toY(start[1])];
    const length = Math.hypot(dx, dy);
    const side = (turn) => {
      const angle = Math.atan2(dy, dx) + turn;
      const head = Math.min(12, length);
      return `${(x - head * Math.cos(angle)).toFixed(1)} ${(y - head * Math.sin(angle)).toFixed(1)}`;
    };
    const end = `${x.toFixed(1)} ${y.toFixed(1)}`;
    const shaft = `M${(x - dx).toFixed(1)} ${(y - dy).toFixed(1)}L${end}`;
    path.setAttribute("d", length < 1 ? "" : `${shaft}M${side(0.45)}L${end}L${side(-0.45)}`);
  };
  return area.layer(draw, [
    [0, 0],
    [0, 0],
  ]);
}

/** The slider over t, and the predicted noise at this point for every t. */
function timeline({ T, alpha_bar, mixture }, state, change) {
  const move = (t) => change({ t: Math.max(1, Math.round(t)) });
  const time = slider({ label: WORDS.step, range: [1, T], step: 1, onInput: move });
  alignWithPlot(time);
  const area = plot({
    name: WORDS.noise,
    x: { range: [1, T], label: WORDS.step },
    y: { range: NOISE_RANGE, parts: 3, label: WORDS.noiseUp },
    height: 190,
  });
  const [right, up] = ["model", "model ex-second"].map((kind) => curve(area, kind, []));
  const guide = curve(area, "guide", []);
  const marker = draggable(area, {
    kind: "model",
    along: "x",
    step: 1,
    name: WORDS.stepInPlot,
    position: [1, 0],
    onMove: ([t]) => move(t),
  });
  const inRange = ([, value]) => Math.abs(value) <= NOISE_RANGE[1];
  const draw = ({ eps }) => {
    const { t, x_t } = state;
    const times = Array.from({ length: Math.ceil(T / 5) }, (_, i) => Math.min(5 * i + 1, T));
    const noises = times.map((u) => [u, denoise(mixture, x_t, alpha_bar[u]).eps]);
    right(noises.map(([u, noise]) => [u, noise[0]]).filter(inRange));
    up(noises.map(([u, noise]) => [u, noise[1]]).filter(inRange));
    guide([
      [t, NOISE_RANGE[0]],
      [t, NOISE_RANGE[1]],
    ]);
    time.set(t, outOf(t, T));
    marker([t, Math.min(Math.max(eps[0], NOISE_RANGE[0]), NOISE_RANGE[1])], outOf(t, T));
  };
  return { node: element("div", {}, time.node, area.node), draw };
}

const pair = ([x, y]) => tell(WORDS.pair, { x, y });

/** Two sentences on what the setting shows, and the question. */
function words({ T, points }, state) {
  const sentence = liveSentence();
  const round = (value, digits) => format(Number(value.toFixed(digits)));
  const place = (values) => pair(values.map((value) => round(value, 2)));
  const draw = ({ weights, count, x_0, eps }) => {
    const heads = WORDS.headings[heading(eps.map((value) => -value))];
    const best = round(Math.max(...weights), 2);
    sentence.show(
      say(heads, { t: state.t, T, eps: place(eps) }),
      say(WORDS.guess, { points: points.length, best, count: round(count, 1), x_0: place(x_0) }),
    );
  };
  return { node: element("div", { class: "ex-words" }, sentence.node, question(WORDS.question, { T })), draw };
}
