// Chapter 10: how similar the embedding of one time is to those of all others.

import { alignWithPlot, choice, curve, draggable, element, format, liveSentence, note, plot, slider, symbol } from "./core.js";

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
      { name: "paired frequencies", face: "paired" },
      { name: "the published slip", face: "published slip" },
    ],
    onChoose: (i) => change({ paired: i === 0 }),
  });
  const dim = slider({
    label: ["numbers ", symbol("d")],
    range: [4, 128],
    step: 4,
    onInput: (dim) => change({ dim }),
  });
  const longest = slider({
    label: ["slowest hand ", symbol("Λ")],
    range: [0, LONGEST.length - 1],
    step: 1,
    onInput: (i) => change({ longest: LONGEST[i] }),
  });
  const draw = () => {
    pairs.set(state.paired ? 0 : 1, "Sine and cosine");
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
  const time = slider({ label: ["time ", symbol("t")], range: [0, T], step: 1, onInput: move });
  alignWithPlot(time);
  const area = plot({
    name: "similarity with the embeddings of all times",
    x: { range: [0, T], label: ["time ", symbol("u")] },
    y: { range: [-0.5, 1.25], parts: 3, label: ["similarity"] },
    height: 260,
  });
  const guide = curve(area, "guide", []);
  const line = curve(area, "model", []);
  const name = note(area, "model above", [0, 0], "of ", symbol("t"), " with all ", symbol("u"));
  const marker = draggable(area, {
    kind: "noise",
    along: "x",
    step: 1,
    name: "time t in the plot",
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

/** The sentence and the question. */
function report(state) {
  const sentence = liveSentence();
  const question = element("p", { class: "ex-question" });
  question.append("Which ", symbol("Λ"), " tells 0 from 1000, and keeps 0 and 20 more alike than 0 and 1000? ");
  question.append("And for which choice does it matter where ", symbol("t"), " lies?");
  const draw = () => {
    const { t } = state;
    const near = Math.min(t + 1, T) === t ? t - 1 : t + 1;
    const far = t < T / 2 ? T : 0;
    const like = (u) => format(Number(similarity(t, u, state).toFixed(3)));
    const [least, most] = lengths(state).map((length) => length.toFixed(1));
    const size = least === most ? `is ${least} for every time` : `goes from ${least} to ${most}`;
    sentence.say(
      "The similarity of ",
      symbol("t"),
      ` = ${t} is ${like(near)} with ${near}, and ${like(far)} with ${far}. `,
      `The squared length of the embedding ${size}.`,
    );
  };
  return { node: element("div", { class: "ex-words" }, sentence.node, question), draw };
}
