// Chapter 10: how similar the embedding of one time is to those of all others.

import { choice, format, slider } from "./core.js";
import { element } from "./elements.js";
import { alignWithPlot, curve, draggable, note, plot } from "./plots.js";
import { liveSentence, question, say } from "./words.js";

const WORDS = {
  pairs: "Sine and cosine",
  paired: "paired frequencies",
  pairedFace: "paired",
  slip: "the published slip",
  slipFace: "published slip",
  numbers: "numbers $d$",
  longest: "slowest hand $Λ$",
  time: "time $t$",
  timeInPlot: "time t in the plot",
  plot: "similarity with the embeddings of all times",
  across: "time $u$",
  up: "similarity",
  curve: "of $t$ with all $u$",
  likeness: "The similarity of $t$ = {t} is {near} with {neighbor}, and {far} with {end}.",
  length: "The squared length of the embedding is {length} for every time.",
  lengths: "The squared length of the embedding goes from {least} to {most}.",
  question:
    "Which $Λ$ tells 0 from 1000, and keeps 0 and 20 more alike than 0 and 1000? And for which choice does it matter where $t$ lies?",
};

const T = 1000;
const LONGEST = [10, 100, 1000, 10000, 100000]; // the slowest hand turns by 1 / of these a step
const STEP = 4; // of u, between corners of the curve

// ---------------------------------------------------------------------------------- the mathematics

/** The embedding of t (networks.embedding.Sinusoidal), or with the published slip in its frequencies. */
export function embed(t, dim, longest, paired) {
  if (paired) {
    const angle = (_, j) => t * longest ** (-j / (dim / 2 - 1));
    const angles = Array.from({ length: dim / 2 }, angle);
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  }
  return Array.from({ length: dim }, (_, i) => {
    const angle = t * longest ** ((-2 * i) / dim);
    return i % 2 ? Math.cos(angle) : Math.sin(angle);
  });
}

const inner = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);

/** The inner product of the embeddings of two times, over its value for equal times if paired, dim / 2. */
export function similarity(t, u, { dim, longest, paired }) {
  const [at, other] = [t, u].map((time) => embed(time, dim, longest, paired));
  return inner(at, other) / (dim / 2);
}

/** The shortest and the longest of all embeddings, squared. */
export function lengths({ dim, longest, paired }) {
  const all = Array.from({ length: T + 1 }, (_, t) => similarity(t, t, { dim, longest, paired }) * (dim / 2));
  return [Math.min(...all), Math.max(...all)];
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; it needs no data. */
export function embedding(stage) {
  const state = { t: 500, dim: 64, longest: 10000, paired: true };
  const change = (news) => {
    Object.assign(state, news);
    parts.forEach((part) => part.draw());
  };
  const parts = [settings, chart, report].map((part) => part(state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** Which frequencies, how many numbers, and how slow the slowest hand is. */
function settings(state, change) {
  const pairs = choice({
    options: [
      { name: WORDS.paired, face: WORDS.pairedFace },
      { name: WORDS.slip, face: WORDS.slipFace },
    ],
    onChoose: (i) => change({ paired: i === 0 }),
  });
  const dim = slider({
    label: WORDS.numbers,
    range: [4, 128],
    step: 4,
    onInput: (dim) => change({ dim }),
  });
  const longest = slider({
    label: WORDS.longest,
    range: [0, LONGEST.length - 1],
    step: 1,
    onInput: (i) => change({ longest: LONGEST[i] }),
  });
  const draw = () => {
    pairs.set(state.paired ? 0 : 1, WORDS.pairs);
    dim.set(state.dim, `${state.dim}`);
    longest.set(LONGEST.indexOf(state.longest), `${state.longest}`);
  };
  const group = element("div", { class: "ex-group" }, pairs.node);
  const sliders = element("div", { class: "ex-pair" }, dim.node, longest.node);
  return { node: element("div", {}, group, sliders), draw };
}

/** The similarity over u, and t to be moved. */
function chart(state, change) {
  const move = (t) => change({ t: Math.min(Math.max(Math.round(t), 0), T) });
  const time = slider({ label: WORDS.time, range: [0, T], step: 1, onInput: move });
  alignWithPlot(time);
  const area = plot({
    name: WORDS.plot,
    x: { range: [0, T], label: WORDS.across },
    y: { range: [-0.5, 1.25], parts: 3, label: WORDS.up },
    height: 260,
  });
  const guide = curve(area, "guide", []);
  const line = curve(area, "model", []);
  const name = note(area, "model above", [0, 0], ...say(WORDS.curve));
  const marker = draggable(area, {
    kind: "noise",
    along: "x",
    step: 1,
    name: WORDS.timeInPlot,
    position: [0, 0],
    onMove: ([t]) => move(t),
  });
  const draw = () => {
    const { t } = state;
    const at = embed(t, state.dim, state.longest, state.paired);
    const half = state.dim / 2;
    const level = (u) => inner(at, embed(u, state.dim, state.longest, state.paired)) / half;
    // Every few times, and each one beside t, where the curve is steepest.
    const all = Array.from({ length: T + 1 }, (_, u) => u);
    const corners = all.filter((u) => u % STEP === 0 || Math.abs(u - t) < 16);
    line(corners.map((u) => [u, level(u)]));
    guide([
      [t, -0.5],
      [t, level(t)],
    ]);
    name([t < T / 2 ? 600 : 60, 1.02]);
    time.set(t, `${t}`);
    marker([t, level(t)], `${t}`);
  };
  return { node: element("div", { class: "ex-similarity" }, time.node, area.node), draw };
}

/** Two sentences and the question. */
function report(state) {
  const sentence = liveSentence();
  const draw = () => {
    const { t } = state;
    const neighbor = Math.min(t + 1, T) === t ? t - 1 : t + 1;
    const end = t < T / 2 ? T : 0;
    const like = (u) => format(Number(similarity(t, u, state).toFixed(3)));
    const [least, most] = lengths(state).map((length) => length.toFixed(1));
    sentence.show(
      say(WORDS.likeness, { t, near: like(neighbor), neighbor, far: like(end), end }),
      least === most ? say(WORDS.length, { length: least }) : say(WORDS.lengths, { least, most }),
    );
  };
  return { node: element("div", { class: "ex-words" }, sentence.node, question(WORDS.question)), draw };
}
