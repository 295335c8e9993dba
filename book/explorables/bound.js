// Chapter 6: the stack of terms. Data whose entropy is known, the exact denoiser, any T.

import { choice, format, slider } from "./core.js";
import { element } from "./elements.js";
import { logDensity } from "./mixtures.js";
import { curve, note, plot } from "./plots.js";
import { alphaBar, cosineBeta, posterior } from "./schedules.js";
import { liveSentence, question, say, symbol } from "./words.js";

const WORDS = {
  data: "Data",
  variance: "Variance of the model's steps",
  beta: "beta",
  small: "beta tilde",
  best: "best",
  number: "number of steps $T$",
  plot: "the terms of the bound, added from the right to the left",
  across: "$t$ / $T$",
  up: "nats",
  entropy: "entropy of the data",
  steps: "steps",
  nearly0: "below 0.000001",
  sum: "With {T} steps on {data}: $L_T$ is {first}, the steps add {steps} and $L_0$ is {last}.",
  excess: "The sum is {total} nats, the entropy {entropy}: the excess is {excess}.",
  question:
    "Let $T$ grow. Which bars stay, which two trade with each other, and for which variance does the excess not go away?",
};

// ------------------------------------------------------------------------------------- mathematics

/** E[Var[x_0 | x_t]] for two equal Gaussians of this width at -m and m, by summation over x_t. */
export function openVariance(m, width, alpha_bar_t) {
  const s2 = 1 - alpha_bar_t;
  const v = alpha_bar_t * width * width + s2;
  const within = (width * width * s2) / v;
  if (m === 0) return within;
  // By symmetry x_t may come from the right Gaussian alone: x_t = a m + sqrt(v) z.
  const a = Math.sqrt(alpha_bar_t);
  let [sum, mass] = [0, 0];
  for (let z = -8; z <= 8; z += 0.05) {
    const density = Math.exp((-z * z) / 2);
    mass += density;
    sum += density / Math.cosh((a * m * (a * m + Math.sqrt(v) * z)) / v) ** 2;
  }
  return within + ((m * s2) / v) ** 2 * (sum / mass);
}

/** L_0 .. L_T averaged over data and noise, with the exact denoiser; variance: "beta", "small", "best". */
export function averageTerms({ m, width }, beta, variance) {
  const alpha_bar = alphaBar(beta);
  const T = beta.length - 1;
  const terms = new Float64Array(T + 1);
  for (let t = 1; t <= T; t++) {
    const { fromX0, variance: small } = posterior(alpha_bar[t], alpha_bar[t - 1]);
    const error = fromX0 ** 2 * openVariance(m, width, alpha_bar[t]);
    const choices = { beta: beta[t], small: t > 1 ? small : beta[1], best: small + error };
    const sigma2 = choices[variance];
    terms[t - 1] =
      t > 1
        ? ((small + error) / sigma2 - 1 - Math.log(small / sigma2)) / 2
        : (Math.log(2 * Math.PI * sigma2) + error / sigma2) / 2;
  }
  const last = alpha_bar[T];
  terms[T] = (last * (m * m + width * width) - last - Math.log(1 - last)) / 2;
  return terms;
}

/** The entropy of the data, by summation. */
export function entropy({ m, width }) {
  const variances = [width * width, width * width];
  const mixture = { weights: [0.5, 0.5], means: [[-m], [m]], variances };
  const [end, steps] = [m + 10 * width, 4000];
  const h = (2 * end) / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const log = logDensity(mixture, [-end + i * h]);
    sum -= Math.exp(log) * log * h;
  }
  return sum;
}

/** Bars { kind, from, to, low, high } from L_T at the right, by tenths of t/T, to L_0 at the left. */
export function bars(terms) {
  const T = terms.length - 1;
  const stack = [];
  let level = 0;
  const add = (kind, left, amount) => {
    stack.push({ kind, left, from: level, to: level + amount });
    level += amount;
  };
  add("noise", 1, terms[T]);
  for (let group = 9; group >= 0; group--) {
    let amount = 0;
    for (let t = 2; t <= T; t++) if (Math.ceil((t * 10) / T) - 1 === group) amount += terms[t - 1];
    add("model", group / 10, amount);
  }
  add("data", -0.1, terms[0]);
  return stack;
}

// --------------------------------------------------------------------------------------- the figure

const NATS = [0, 5];

/** Build the explorable; data: { T: [...], start, data: [{ name, m, width }] }. */
export function bound(stage, { T, start, data }) {
  const entropies = data.map(entropy);
  const known = new Map(); // terms by setting: a thousand integrals are not done twice
  const termsOf = ({ place, which, variance }) => {
    const key = [place, which, variance].join();
    const compute = () => averageTerms(data[which], cosineBeta(T[place]), variance);
    if (!known.has(key)) known.set(key, compute());
    return known.get(key);
  };
  const state = { place: T.indexOf(start), which: 1, variance: "beta" };
  const model = { T, data, entropies, termsOf };
  const change = (news) => {
    Object.assign(state, news);
    parts.forEach((part) => part.draw());
  };
  const parts = [boundControls, waterfall, boundWords].map((part) => part(model, state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** The data, the variance of the model's steps, and T. */
function boundControls({ T, data }, state, change) {
  const kinds = choice({
    options: data.map(({ name }) => ({ name, face: name })),
    onChoose: (which) => change({ which }),
  });
  const variances = ["beta", "small", "best"];
  const faces = { beta: symbol("β", "t"), small: symbol("β̃", "t"), best: WORDS.best };
  const widths = choice({
    options: variances.map((variance) => ({ name: WORDS[variance], face: faces[variance] })),
    onChoose: (i) => change({ variance: variances[i] }),
  });
  const number = slider({
    label: WORDS.number,
    range: [0, T.length - 1],
    step: 1,
    onInput: (place) => change({ place }),
  });
  const choices = element("div", { class: "ex-bound-choices" }, kinds.node, widths.node);
  const draw = () => {
    kinds.set(state.which, WORDS.data);
    widths.set(variances.indexOf(state.variance), WORDS.variance);
    number.set(state.place, `${T[state.place]}`);
  };
  return { node: element("div", {}, choices, number.node), draw };
}

/** The terms as a waterfall from T to 0, and the entropy as the line that they come down to. */
function waterfall({ entropies, termsOf }, state) {
  const area = plot({
    name: WORDS.plot,
    x: { range: [-0.1, 1.1], label: WORDS.across },
    y: { range: NATS, label: WORDS.up },
    height: 280,
  });
  const layer = element("g", { class: "ex-bound-bars", "aria-hidden": "true" });
  area.svg.append(layer);
  const drawBars = area.layer((stack) => {
    const rects = stack.map(({ kind, left, from, to }) => {
      const [x, right] = [area.toX(left + 0.01), area.toX(left + 0.09)];
      const [top, bottom] = [area.toY(Math.max(from, to)), area.toY(Math.min(from, to))];
      const size = { width: right - x, height: Math.max(bottom - top, 2) };
      return element("rect", { class: `ex-${kind}`, x, y: top, ...size });
    });
    layer.replaceChildren(...rects);
  }, []);
  const truth = curve(area, "truth", []);
  const truthNote = note(area, "muted above", [0.55, 0], WORDS.entropy);
  const last = note(area, "data above", [-0.1, 0], symbol("L", "0"));
  const steps = note(area, "model above", [0.1, 0], WORDS.steps);
  const first = note(area, "noise above", [1, 0], symbol("L", "T"));
  const draw = () => {
    const stack = bars(termsOf(state));
    const level = entropies[state.which];
    drawBars(stack);
    truth([
      [-0.1, level],
      [0.99, level], // not through the label of L_T
    ]);
    const climbed = stack.at(-1).from;
    truthNote([0.55, level]);
    last([-0.1, Math.max(climbed, stack.at(-1).to)]);
    steps([0.1, Math.max(stack.at(-2).from, level)]); // above the line, if near it
    first([1, stack[0].to]);
  };
  return { node: area.node, draw };
}

/** What cannot be negative, in words where only rounding is left of it. */
const above0 = (value) => (value < 1e-6 ? WORDS.nearly0 : format(value));

/** Two sentences with the numbers, and the question. */
function boundWords({ T, data, entropies, termsOf }, state) {
  const sentence = liveSentence();
  const draw = () => {
    const terms = termsOf(state);
    const total = terms.reduce((sum, term) => sum + term, 0);
    const [first, last] = [terms.at(-1), terms[0]];
    const entropy = entropies[state.which];
    const fixed = (value) => value.toFixed(3).replace("-", "−");
    const setting = { T: T[state.place], data: data[state.which].name };
    const parts = { first: above0(first), steps: fixed(total - last - first), last: fixed(last) };
    const sums = { total: fixed(total), entropy: fixed(entropy), excess: above0(total - entropy) };
    sentence.show(say(WORDS.sum, { ...setting, ...parts }), say(WORDS.excess, sums));
  };
  return { node: element("div", { class: "ex-words" }, sentence.node, question(WORDS.question)), draw };
}
