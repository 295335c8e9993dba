// Chapter 3: design a schedule, and see where it ends and where its steps go.

import { button, choice, format, slider } from "./core.js";
import { element } from "./elements.js";
import { curve, note, plot } from "./plots.js";
import { alphaBar, cosineBeta, linearBeta, snr } from "./schedules.js";
import { liveSentence, question, say } from "./words.js";

const WORDS = {
  linear: "linear",
  cosine: "cosine",
  paper: "As in chapter 2",
  shape: "Shape of the schedule",
  steps: "steps $T$",
  first: "first $β_1$",
  last: "last $β_T$",
  across: "share of steps $t$/$T$",
  left: "alpha bar over the share of steps",
  leftUp: "$ᾱ_t$",
  right: "log-SNR over the share of steps",
  rightUp: "log SNR($t$)",
  yours: "your schedule",
  dotted: "dotted: chapter 2",
  tiny: "less than 0.000001",
  linearEnd:
    "{T} steps, linear from {first} to {last}: $x_T$ holds {left} times the picture, {bits} bits a pixel from pure noise.",
  cosineEnd: "{T} steps, cosine: $x_T$ holds {left} times the picture, {bits} bits a pixel from pure noise.",
  ends: "{clean} of the steps end with an SNR above 100, {noisy} with one below 0.01.",
  question:
    "With $T$ = 100, find a linear range that ends below 0.001 bits. What had to grow, and which steps pay for it?",
};

// Round numbers, so that the settings of the text can be met exactly.
const STEPS = [10, 20, 50, 100, 200, 300, 500, 1000, 2000, 4000];
const FIRST = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05];
const LAST = [
  0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3,
  0.4, 0.5, 0.7, 0.9,
];
const PAPER = { shape: "linear", T: 1000, beta_1: 1e-4, beta_T: 0.02 };
const SHAPES = ["linear", "cosine"];
const LOGS = [-20, 10]; // what the plot of the log-SNR shows
const MOST = 400; // points of a curve

// ---------------------------------------------------------------------------------- the mathematics

/** The betas of a setting, { shape, T, beta_1, beta_T }. */
export function designBeta({ shape, T, beta_1, beta_T }) {
  return shape === "cosine" ? cosineBeta(T) : linearBeta(T, beta_1, beta_T);
}

/** L_T of a value whose square is second_moment on average, in bits (bound.prior_term). */
export function priorBits(alpha_bar_T, second_moment) {
  return (alpha_bar_T * (second_moment - 1) - Math.log1p(-alpha_bar_T)) / (2 * Math.LN2);
}

/** How many of the steps 1..T end above SNR 100, and how many below 0.01. */
export function stepsAtTheEnds(ratios) {
  const steps = Array.from(ratios).slice(1);
  const count = (test) => steps.filter(test).length;
  return { clean: count((ratio) => ratio > 100), noisy: count((ratio) => ratio < 0.01) };
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { second_moment }, the mean square of the data's values. */
export function designer(stage, { second_moment }) {
  const state = { ...PAPER, T: 100 };
  const change = (news) => {
    Object.assign(state, news);
    const alpha_bar = alphaBar(designBeta(state));
    const now = { ...state, alpha_bar, snr: snr(alpha_bar) };
    now.bits = priorBits(alpha_bar.at(-1), second_moment);
    parts.forEach((part) => part.draw(now));
  };
  const parts = [shapes, controls, plots, verdict].map((part) => part(change));
  stage.append(element("div", { class: "ex-designer ex-group" }, ...parts.map((part) => part.node)));
  change({});
}

/** Linear or cosine, and the way back to the setting of chapter 2. */
function shapes(change) {
  const options = SHAPES.map((name) => ({ name: WORDS[name], face: WORDS[name] }));
  const shape = choice({ options, onChoose: (chosen) => change({ shape: SHAPES[chosen] }) });
  const paper = button(WORDS.paper, () => change(PAPER));
  const draw = (now) => shape.set(SHAPES.indexOf(now.shape), WORDS.shape);
  return { node: element("div", { class: "ex-row" }, shape.node, paper), draw };
}

/** Sliders over round numbers. The cosine has no betas to choose. */
function controls(change) {
  const over = (values, name, label) => {
    const onInput = (index) => change({ [name]: values[index] });
    const part = slider({ label, range: [0, values.length - 1], step: 1, onInput });
    const set = (value) => part.set(values.indexOf(value), format(value));
    return { node: part.node, set };
  };
  const steps = over(STEPS, "T", WORDS.steps);
  const first = over(FIRST, "beta_1", WORDS.first);
  const last = over(LAST, "beta_T", WORDS.last);
  const draw = ({ shape, T, beta_1, beta_T }) => {
    steps.set(T);
    first.set(beta_1);
    last.set(beta_T);
    for (const { node } of [first, last]) node.classList.toggle("ex-off", shape === "cosine");
  };
  const node = element("div", { class: "ex-designer-sliders" }, steps.node, first.node, last.node);
  return { node, draw };
}

/** alpha_bar and log-SNR over the share of the steps, with those of chapter 2 for comparison. */
function plots() {
  const axes = (name, range, label) =>
    plot({ name, x: { range: [0, 1], label: WORDS.across }, y: { range, label }, height: 220 });
  const left = axes(WORDS.left, [0, 1], WORDS.leftUp);
  const right = axes(WORDS.right, LOGS, WORDS.rightUp);
  const paper = tables(alphaBar(designBeta(PAPER)));
  curve(left, "mark", paper.shares);
  curve(right, "mark", paper.logs);
  const moves = [curve(left, "data", []), curve(right, "data", [])];
  // Up here the log-SNR has no curve.
  note(right, "data below", [0.4, 10], WORDS.yours);
  note(right, "muted below", [0.4, 6.5], WORDS.dotted);
  const draw = ({ alpha_bar }) => {
    const { shares, logs } = tables(alpha_bar);
    moves[0](shares);
    moves[1](logs);
  };
  return { node: element("div", { class: "ex-designer-plots" }, left.node, right.node), draw };
}

/** Points of both curves; the log-SNR kept inside its plot. */
function tables(alpha_bar) {
  const T = alpha_bar.length - 1;
  const stride = Math.max(1, Math.floor(T / MOST));
  const times = Array.from(alpha_bar.keys()).filter((t) => t % stride === 0 || t === 1 || t === T);
  const inside = (log) => Math.min(Math.max(log, LOGS[0]), LOGS[1]);
  const ratios = snr(alpha_bar);
  return {
    shares: times.map((t) => [t / T, alpha_bar[t]]),
    logs: times.slice(1).map((t) => [t / T, inside(Math.log(ratios[t]))]),
  };
}

/** A number, without a row of zeros when there is nothing left of it. */
const tiny = (value) => (value < 1e-6 ? WORDS.tiny : format(value));

/** Two sentences on where the schedule ends and where its steps go, and the question. */
function verdict() {
  const sentence = liveSentence();
  const draw = ({ shape, T, beta_1, beta_T, alpha_bar, snr: ratios, bits }) => {
    const end = { T, left: tiny(Math.sqrt(alpha_bar.at(-1))), bits: tiny(bits) };
    const range = { first: format(beta_1), last: format(beta_T) };
    sentence.show(
      shape === "cosine" ? say(WORDS.cosineEnd, end) : say(WORDS.linearEnd, { ...end, ...range }),
      say(WORDS.ends, stepsAtTheEnds(ratios)),
    );
  };
  return { node: element("div", { class: "ex-words" }, sentence.node, question(WORDS.question)), draw };
}
