// Chapter 16: the Fréchet distance of N pictures, its bias, and what is left at 1/N = 0.

import { format, randn, random, slider } from "./core.js";
import { element } from "./elements.js";
import { curve, plot } from "./plots.js";
import { liveSentence, question, say } from "./words.js";

const WORDS = {
  pictures: "pictures $N$",
  features: "features $d$",
  truth: "true distance",
  same: "same distribution, dots",
  other: "true distance apart, crosses",
  plot: "distance against one over the number of pictures",
  across: "1/$N$",
  up: "distance; all variances add up to 1",
  means:
    "With {N} pictures and {d} features, two samples of the same distribution are {same} ± {sameStd} apart; at a true distance of {truth} it is {other} ± {otherStd}.",
  limits: "Extended to 1/N = 0 the lines say {same} and {other}.",
  worse:
    "With {half} pictures the same distribution gets {distance}: it looks worse than the other one does with {N}.",
  better:
    "With {half} pictures the same distribution gets {distance}: it looks better than the other one does with {N}.",
  question:
    "Somebody reports the distance of a worse model with $N$ pictures, and somebody else that of a perfect one with half as many. With 16 features and a true distance of 0.05, from which $N$ on does the perfect model look better? And with 64 features?",
};

const SIZES = [150, 200, 300, 400, 600, 1000, 2000, 5000];
const FEATURES = [2, 4, 8, 16, 32, 64];
const TRUTHS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
const REPEATS = 12;
const ENDS = [0.0005, 0.001, 0.002, 0.005, 2 / SIZES[0]]; // of the axis of 1/N
const TOPS = [0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1]; // of the axis of distances

// ------------------------------------------------------------------------------------- mathematics

/** A draw of chi square with k >= 2 degrees of freedom (Marsaglia & Tsang 2000). */
export function chiSquare(uniform, k) {
  const d = k / 2 - 1 / 3;
  for (;;) {
    const [z] = randn(uniform, 1);
    const v = (1 + z / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - uniform()) < (z * z) / 2 + d * (1 - v + Math.log(v))) return 2 * d * v;
  }
}

/**
 * L, row by row, with L L^T the unbiased covariance of N draws of N(0, I/d) (Bartlett 1933).
 * So no picture is drawn: N chi-square numbers and the triangle below them are enough.
 */
export function covarianceFactor(uniform, d, N) {
  const scale = 1 / Math.sqrt(d * (N - 1));
  return Array.from({ length: d }, (_, i) => {
    const row = randn(uniform, d).map((z, j) => (j < i ? z * scale : 0));
    row[i] = Math.sqrt(chiSquare(uniform, N - 1 - i)) * scale;
    return row;
  });
}

/** The sum of the singular values of a matrix given by its columns (one-sided Jacobi). */
export function singularSum(columns) {
  const a = columns.map((column) => Float64Array.from(column));
  const dot = (x, y) => x.reduce((sum, value, k) => sum + value * y[k], 0);
  for (let sweep = 0, turned = true; turned && sweep < 30; sweep++) {
    turned = false;
    for (let p = 0; p < a.length; p++) {
      for (let q = p + 1; q < a.length; q++) {
        let [pp, qq, pq] = [0, 0, 0];
        for (let k = 0; k < a[p].length; k++) {
          pp += a[p][k] * a[p][k];
          qq += a[q][k] * a[q][k];
          pq += a[p][k] * a[q][k];
        }
        if (Math.abs(pq) <= 1e-7 * Math.sqrt(pp * qq)) continue; // its square is rounding
        turned = true;
        const zeta = (qq - pp) / (2 * pq);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        for (let k = 0; k < a[p].length; k++) {
          const [x, y] = [a[p][k], a[q][k]];
          a[p][k] = c * (x - t * y);
          a[q][k] = c * (t * x + y);
        }
      }
    }
  }
  return a.reduce((sum, column) => sum + Math.sqrt(dot(column, column)), 0);
}

/** tr(C_1 + C_2 - 2 (C_1^1/2 C_2 C_1^1/2)^1/2) of C_i = L_i L_i^T: by the singular values of L_1^T L_2. */
export function spreadDistance(L_1, L_2) {
  const trace = (L) => L.reduce((sum, row) => sum + row.reduce((part, x) => part + x * x, 0), 0);
  const columns = Array.from(L_2[0], (_, j) =>
    Array.from(L_1[0], (__, i) => L_1.reduce((sum, row, k) => sum + row[i] * L_2[k][j], 0)),
  );
  return trace(L_1) + trace(L_2) - 2 * singularSum(columns);
}

/** The first order of the expected distance of two samples of N(0, I/d): (2/N)(3/2 + (d - 1)/4). */
export function expectedBias(d, N) {
  return (2 / N) * (1.5 + (d - 1) / 4);
}

/** Distances of N pictures from N others, of the same distribution, and with the mean moved. */
export function evaluations({ d, N, truth, repeats = REPEATS }) {
  const uniform = random(1000 * d + N);
  const found = { same: [], other: [] };
  for (let i = 0; i < repeats; i++) {
    const spread = spreadDistance(covarianceFactor(uniform, d, N), covarianceFactor(uniform, d, N));
    const apart = randn(uniform, d).map((z) => z * Math.sqrt(2 / (N * d))); // of the two means
    const square = apart.reduce((sum, value) => sum + value * value, 0);
    found.same.push(spread + square);
    found.other.push(spread + square + 2 * Math.sqrt(truth) * apart[0] + truth);
  }
  return found;
}

/** Mean and standard deviation of a list. */
export function meanAndSpread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: Math.sqrt(square / (values.length - 1)) };
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { N, d, true_distance }, where it starts. */
export function frechet(stage, { N, d, true_distance }) {
  const known = new Map(); // what was drawn once is not drawn again
  const evaluated = (setting) => {
    const key = JSON.stringify(setting);
    if (!known.has(key)) known.set(key, evaluations(setting));
    return known.get(key);
  };
  const state = { N, d, truth: true_distance };
  const change = (news) => {
    Object.assign(state, news);
    const at = (size) => evaluated({ d: state.d, N: size, truth: state.truth });
    const now = { ...state, whole: at(state.N), half: at(state.N / 2) };
    for (const kind of ["same", "other"]) {
      const [whole, half] = [now.whole[kind], now.half[kind]].map(meanAndSpread);
      now[kind] = { ...whole, half: half.mean, limit: 2 * whole.mean - half.mean };
    }
    parts.forEach((part) => part.draw(now));
  };
  const parts = [frechetSliders, frechetPlot, frechetWords].map((part) => part(change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** How many pictures, how many features, and how far the two distributions really are apart. */
function frechetSliders(change) {
  const over = (values, name, label) => {
    const onInput = (place) => change({ [name]: values[place] });
    const part = slider({ label, range: [0, values.length - 1], step: 1, onInput });
    return { node: part.node, set: (value) => part.set(values.indexOf(value), format(value)) };
  };
  const pictures = over(SIZES, "N", WORDS.pictures);
  const features = over(FEATURES, "d", WORDS.features);
  const truths = over(TRUTHS, "truth", WORDS.truth);
  const nodes = [pictures, features, truths].map((part) => part.node);
  const draw = (now) => {
    pictures.set(now.N);
    features.set(now.d);
    truths.set(now.truth);
  };
  return { node: element("div", { class: "ex-pair" }, ...nodes), draw };
}

/** The end of an axis: as low as all that is shown allows. */
export function axisEnd(ends, values) {
  const highest = Math.max(...values);
  return ends.find((end) => end >= highest) ?? ends.at(-1);
}

/** Every evaluation over 1/N, and the lines to 1/N = 0, on axes that fit them. */
function frechetPlot() {
  const known = new Map(); // an axis keeps its range, so there is a plot for each pair
  const room = element("div", {});
  const line = (look, name) =>
    element("span", { class: `ex-line ex-${look}` }, element("i", {}), name);
  const legend = element(
    "p",
    { class: "ex-legend" },
    line("data", WORDS.same),
    line("dotted", WORDS.other),
  );
  const draw = (now) => {
    const shown = [now.whole, now.half].flatMap(({ same, other }) => [...same, ...other]);
    const [end, top] = [axisEnd(ENDS, [2 / now.N]), axisEnd(TOPS, shown)];
    const key = `${end} ${top}`;
    if (!known.has(key)) known.set(key, frechetAxes(end, top));
    const part = known.get(key);
    if (part.node.parentNode !== room) room.replaceChildren(part.node);
    part.draw(now);
  };
  return { node: element("div", {}, room, legend), draw };
}

/** The plot that goes to 1/N = `end` and to the distance `top`. */
function frechetAxes(end, top) {
  const area = plot({
    name: WORDS.plot,
    x: { range: [0, end], label: WORDS.across },
    y: { range: [0, top], label: WORDS.up, parts: 3 },
    height: 290,
  });
  const marks = element("g", { class: "ex-frechet-marks", "aria-hidden": "true" });
  const lines = { same: curve(area, "data", []), other: curve(area, "noise ex-dotted", []) };
  area.svg.append(marks);
  const drawMarks = area.layer(({ N, whole, half }) => {
    const mark = (kind, value, size) => {
      const shift = kind === "same" ? 4 : -4; // beside each other
      const [x, y] = [area.toX(1 / size) + shift, area.toY(value)];
      return kind === "same"
        ? element("circle", { class: "ex-point ex-data", cx: x, cy: y, r: 3 })
        : element("path", { class: "ex-cross", d: `M${x - 3} ${y - 3}l6 6m0 -6l-6 6` });
    };
    const all = [
      [whole, N],
      [half, N / 2],
    ].flatMap(([found, size]) =>
      ["same", "other"].flatMap((kind) => found[kind].map((value) => mark(kind, value, size))),
    );
    marks.replaceChildren(...all);
  }, { N: 1, whole: { same: [], other: [] }, half: { same: [], other: [] } });
  const draw = (now) => {
    drawMarks(now);
    for (const kind of ["same", "other"]) {
      lines[kind]([
        [0, Math.max(now[kind].limit, 0)],
        [2 / now.N, now[kind].half],
      ]);
    }
  };
  return { node: area.node, draw };
}

/** What is shown, and the question. */
function frechetWords() {
  const sentence = liveSentence();
  const draw = ({ N, d, truth, same, other }) => {
    const digits = (value) => Math.max(value, 0).toFixed(3);
    const stds = { sameStd: digits(same.std), otherStd: digits(other.std) };
    const looks = same.half > other.mean ? WORDS.worse : WORDS.better;
    sentence.show(
      say(WORDS.means, { N, d, truth, same: digits(same.mean), other: digits(other.mean), ...stds }),
      say(WORDS.limits, { same: digits(same.limit), other: digits(other.limit) }),
      say(looks, { half: N / 2, distance: digits(same.half), N }),
    );
  };
  const node = element("div", { class: "ex-words ex-frechet-words" });
  node.append(sentence.node, question(WORDS.question));
  return { node, draw };
}
