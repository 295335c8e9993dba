// Chapter 1: two Gaussians on one axis, their product, and where their two divergences come from.

import { format, slider } from "./core.js";
import { element } from "./elements.js";
import { curve, draggable, note, plot } from "./plots.js";
import { liveSentence, question, say, symbol, tell } from "./words.js";

const WORDS = {
  normal: "mean {mean}, width {std}",
  plot: "two densities and their product",
  across: "$x$",
  up: "density",
  product: "product",
  peakOfq: "peak of q",
  peakOfp: "peak of p",
  qmean: "mean of $q$",
  qstd: "width of $q$",
  pmean: "mean of $p$",
  pstd: "width of $p$",
  klqp: "KL($q$ ‖ $p$) = {nats} nats",
  klpq: "KL($p$ ‖ $q$) = {nats} nats",
  integrands: "what each x adds to the divergences",
  adds: "what each $x$ adds",
  have: "$q$ has {q}; $p$ has {p}; the product has {both}, narrower than both.",
  agree: "The two divergences agree.",
  aheadLarger: "Of the two divergences KL($q$ ‖ $p$) is larger, {ratio} times the other.",
  backLarger: "Of the two divergences KL($p$ ‖ $q$) is larger, {ratio} times the other.",
  question:
    "Put the two means together, and make the divergences as unequal as you can. Which is the larger one, and what does it punish? When do the two agree?",
};

const MEANS = [-3, 3];
const WIDTHS = [0.4, 2.5];
const AXIS = [-5, 5];
const HEIGHTS = [0, 1.5]; // the narrowest product of two widths of 0.4 is 1.41 high
const ADDS = [-0.5, 2]; // what one x adds to a divergence; higher curves are cut off
const POINTS = Array.from({ length: 401 }, (_, i) => AXIS[0] + (i / 400) * (AXIS[1] - AXIS[0]));

// ---------------------------------------------------------------------------------- the mathematics

/** The height of a normal density at its mean. */
export function peak({ std }) {
  return 1 / (Math.sqrt(2 * Math.PI) * std);
}

/** log N(x; mean, std^2) (bound.normal_log_density). */
export function logNormal({ mean, std }, x) {
  return -(((x - mean) / std) ** 2 + Math.log(2 * Math.PI * std * std)) / 2;
}

/** The product of two normal densities, scaled to area 1: precisions add. */
export function productOf(q, p) {
  const [precise_q, precise_p] = [q.std ** -2, p.std ** -2];
  const precision = precise_q + precise_p;
  return {
    mean: (q.mean * precise_q + p.mean * precise_p) / precision,
    std: precision ** -0.5,
  };
}

/** KL(q || p) in nats (bound.kl). */
export function divergence(q, p) {
  const ratio = (q.std / p.std) ** 2;
  return (((q.mean - p.mean) / p.std) ** 2 + ratio - 1 - Math.log(ratio)) / 2;
}

/** What x adds to KL(q || p): q(x) (log q(x) - log p(x)). */
export function adds(q, p, x) {
  const log_q = logNormal(q, x);
  return Math.exp(log_q) * (log_q - logNormal(p, x));
}

// --------------------------------------------------------------------------------------- the figure

const clip = (value, [low, high]) => Math.min(Math.max(value, low), high);
const round = (value) => Math.round(value * 100) / 100;
const inWords = ({ mean, std }) => tell(WORDS.normal, { mean: format(mean), std: format(std) });

/** Build the explorable; data: { q, p }, each { mean, std }. */
export function gaussians(stage, { q, p }) {
  const state = { q, p };
  const change = (name, news) => {
    const { mean, std } = { ...state[name], ...news };
    state[name] = { mean: round(clip(mean, MEANS)), std: round(clip(std, WIDTHS)) };
    parts.forEach((part) => part.draw());
  };
  const parts = [densities, controls, integrands, sentence].map((part) => part(state, change));
  stage.append(...parts.map((part) => part.node));
  change("q", {});
}

/** q and p, to drag by their peaks, and their product. */
function densities(state, change) {
  const area = plot({
    name: WORDS.plot,
    x: { range: AXIS, label: WORDS.across },
    y: { range: HEIGHTS, label: WORDS.up },
  });
  const lines = [
    curve(area, "data", []),
    curve(area, "model ex-dashed", []),
    curve(area, "product ex-dotted", []),
  ];
  const names = [
    note(area, "data above", [0, 0], symbol("q")),
    note(area, "model above", [0, 0], symbol("p")),
    note(area, "muted above", [0, 0], WORDS.product),
  ];
  const handle = (name, kind) =>
    draggable(area, {
      kind,
      along: "xy",
      step: 0.1,
      name: WORDS[`peakOf${name}`],
      position: [state[name].mean, peak(state[name])],
      onMove: ([mean, height]) => change(name, { mean, std: peak({ std: Math.max(height, 0.01) }) }),
    });
  const handles = { q: handle("q", "data"), p: handle("p", "model") };
  const draw = () => {
    const { q, p } = state;
    [q, p, productOf(q, p)].forEach((normal, i) => {
      lines[i](POINTS.map((x) => [x, Math.exp(logNormal(normal, x))]));
      names[i]([normal.mean, peak(normal)]);
    });
    for (const name of ["q", "p"]) {
      handles[name]([state[name].mean, peak(state[name])], inWords(state[name]));
    }
  };
  return { node: area.node, draw };
}

/** Mean and width of both, as sliders. */
function controls(state, change) {
  const make = (name, key, range) => ({
    name,
    key,
    part: slider({
      label: WORDS[name + key],
      range,
      step: 0.05,
      onInput: (value) => change(name, { [key]: value }),
    }),
  });
  const all = ["q", "p"].flatMap((name) => [
    make(name, "mean", MEANS),
    make(name, "std", WIDTHS),
  ]);
  const node = element("div", { class: "ex-pairs" }, ...all.map(({ part }) => part.node));
  const draw = () =>
    all.forEach(({ name, key, part }) => part.set(state[name][key], format(state[name][key])));
  return { node, draw };
}

/** Both divergences as numbers, and below them what each x adds to them. */
function integrands(state) {
  const [fromQ, fromP] = [element("b"), element("b")];
  const kl = (kind, template, nats) =>
    element("p", { class: `ex-kl ex-${kind}` }, ...say(template, { nats }));
  const area = plot({
    name: WORDS.integrands,
    x: { range: AXIS, label: WORDS.across },
    y: { range: ADDS, label: WORDS.adds },
    height: 200,
  });
  const zero = curve(area, "guide", []);
  const lines = [curve(area, "data", []), curve(area, "model ex-dashed", [])];
  const numbers = element("div", { class: "ex-pairs" });
  numbers.append(kl("data", WORDS.klqp, fromQ), kl("model", WORDS.klpq, fromP));
  const node = element("div", {}, numbers, area.node);
  const draw = () => {
    const { q, p } = state;
    zero(AXIS.map((x) => [x, 0]));
    lines[0](POINTS.map((x) => [x, clip(adds(q, p, x), ADDS)]));
    lines[1](POINTS.map((x) => [x, clip(adds(p, q, x), ADDS)]));
    fromQ.textContent = format(divergence(q, p));
    fromP.textContent = format(divergence(p, q));
  };
  return { node, draw };
}

/** Sentences on what the setting shows, and the question. */
function sentence(state) {
  const live = liveSentence();
  const draw = () => {
    const { q, p } = state;
    const both = { q: inWords(q), p: inWords(p), both: inWords(productOf(q, p)) };
    live.show(say(WORDS.have, both), comparison(divergence(q, p), divergence(p, q)));
  };
  return { node: element("div", { class: "ex-words" }, live.node, question(WORDS.question)), draw };
}

function comparison(ahead, back) {
  if (Math.abs(ahead - back) < 1e-9) return say(WORDS.agree);
  const ratio = format(Math.max(ahead, back) / Math.min(ahead, back));
  return say(ahead > back ? WORDS.aheadLarger : WORDS.backLarger, { ratio });
}
