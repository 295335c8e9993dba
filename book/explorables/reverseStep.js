// Chapter 5: the true kernel of a step back from t to u, and the Gaussian nearest to it.

import { format, slider } from "./core.js";
import { element } from "./elements.js";
import { logDensity, mixtureMean, noised, reverse } from "./mixtures.js";
import { curve, draggable, plot } from "./plots.js";
import { alphaBar, linearBeta } from "./schedules.js";
import { liveSentence, outOf, question, say, tell } from "./words.js";

const WORDS = {
  from: "from step $t$",
  to: "back to step $u$",
  oneBack: "{u} (one step)",
  back: "{u} ({steps} steps)",
  plot: "the true kernel and the best Gaussian",
  across: "pixel",
  up: "density, scaled",
  pixel: "the noisy pixel x_t",
  place: "x_t = {x}",
  kernel: "true kernel of $x_u$",
  best: "best Gaussian",
  seen: "distribution of $x_t$, the dot",
  tiny: "less than 0.001",
  fine:
    "From $x_t$ = {x} at step {t} back to step {u}: $β$ = {beta}, the right hump has the weight {right}, the kurtosis is {kurtosis} (a Gaussian has 3), and the best Gaussian is off by {gap} nats.",
  wrong:
    "From $x_t$ = {x} at step {t} back to step {u}: $β$ = {beta}, the right hump has the weight {right}, the kurtosis is {kurtosis} (a Gaussian has 3), and the best Gaussian is off by {gap} nats, visibly wrong.",
  question:
    "How far back may the step go until the Gaussian is visibly wrong, by more than {visible} nats? And for which $x_t$ is it worst? Try $t$ = 600, then $t$ = 100.",
};

const RANGE = [-3, 3];
const TOP = 1.15; // room above the curves, whose highest point is 1
const SEEN = 0.3; // the height of q(x_t), which has a scale of its own
const VISIBLE = 0.1; // nats

/** Mean, variance and kurtosis of a mixture of one number. */
export function moments(mixture) {
  const [mean] = mixtureMean(mixture);
  const { weights, means, variances } = mixture;
  const sum = (term) => weights.reduce((total, weight, k) => total + weight * term(k), 0);
  const apart = (k) => (means[k][0] - mean) ** 2;
  const variance = sum((k) => variances[k] + apart(k));
  const fourth = sum((k) => 3 * variances[k] ** 2 + 6 * variances[k] * apart(k) + apart(k) ** 2);
  return { mean, variance, kurtosis: fourth / variance ** 2 };
}

/** KL to the Gaussian of the same mean and variance, in nats, by a sum over 801 points. */
export function gap(mixture) {
  const { mean, variance } = moments(mixture);
  const [std, step] = [Math.sqrt(variance), 0.025];
  let sum = 0;
  for (let z = -10; z < 10 + step / 2; z += step) {
    const log = logDensity(mixture, [mean + std * z]) + Math.log(std); // of the density of z
    sum += Math.exp(log) * (log + (z * z + Math.log(2 * Math.PI)) / 2);
  }
  return sum * step;
}

/** Build the explorable; data: { T, beta_1, beta_T, mixture }, of one number. */
export function reverseStep(stage, { T, beta_1, beta_T, mixture }) {
  const model = { T, alpha_bar: alphaBar(linearBeta(T, beta_1, beta_T)), mixture };
  const state = { t: 600, u: 100, x: 0 };
  const change = (news) => {
    Object.assign(state, news);
    const [at_t, at_u] = [model.alpha_bar[state.t], model.alpha_bar[state.u]];
    const kernel = reverse(mixture, [state.x], at_t, at_u);
    const now = { ...state, beta: 1 - at_t / at_u, seen: noised(mixture, at_t), kernel };
    Object.assign(now, moments(kernel), { gap: Math.max(gap(kernel), 0) }); // no −1e-17
    parts.forEach((part) => part.draw(now));
  };
  const parts = [times, kernels, sayings].map((part) => part(model, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** Two sliders: where the step starts, and how far back it goes. */
function times({ T }, change) {
  let now;
  const from = slider({
    label: WORDS.from,
    range: [1, T],
    step: 1,
    onInput: (t) => change({ t, u: Math.min(now.u, t - 1) }),
  });
  const to = slider({
    label: WORDS.to,
    range: [0, T - 1],
    step: 1,
    onInput: (u) => change({ u: Math.min(u, now.t - 1) }), // u is earlier than t
  });
  const draw = (next) => {
    now = next;
    const { t, u } = now;
    from.set(t, outOf(t, T));
    to.set(u, t - u === 1 ? tell(WORDS.oneBack, { u }) : tell(WORDS.back, { u, steps: t - u }));
  };
  return { node: element("div", { class: "ex-pair" }, from.node, to.node), draw };
}

/** The kernel, its best Gaussian, and q(x_t) with the x_t to drag. */
function kernels(_, change) {
  const area = plot({
    name: WORDS.plot,
    x: { range: RANGE, label: WORDS.across },
    y: { range: [0, TOP], label: WORDS.up },
    height: 270,
  });
  const seen = curve(area, "seen", []);
  const truth = curve(area, "data", []);
  const best = curve(area, "best", []);
  const marker = draggable(area, {
    kind: "noise",
    along: "x",
    step: 0.05,
    name: WORDS.pixel,
    position: [0, 0],
    onMove: ([x]) => change({ x: Math.round(x * 100) / 100 }),
  });
  const line = (look, name) =>
    element("span", { class: `ex-line ex-${look}` }, element("i", {}), ...say(name));
  const legend = element(
    "p",
    { class: "ex-legend" },
    line("data", WORDS.kernel),
    line("best", WORDS.best),
    line("seen", WORDS.seen),
  );
  const draw = ({ kernel, mean, variance, seen: q_t, x }) => {
    const gaussian = { weights: [1], means: [[mean]], variances: [variance] };
    const shape = (mixture) => outline(mixture).map((at) => [at, Math.exp(logDensity(mixture, [at]))]);
    const scaled = (points, scale) => points.map(([at, height]) => [at, height * scale]);
    const highest = (...curves) => Math.max(...curves.flat().map(([, height]) => height));
    const [one, two, three] = [kernel, gaussian, q_t].map(shape);
    truth(scaled(one, 1 / highest(one, two)));
    best(scaled(two, 1 / highest(one, two)));
    seen(scaled(three, SEEN / highest(three)));
    const height = (Math.exp(logDensity(q_t, [x])) * SEEN) / highest(three);
    marker([x, height], tell(WORDS.place, { x: format(x) }));
  };
  return { node: element("div", {}, area.node, legend), draw };
}

/** Where to draw a mixture: many points where its Gaussians are, however narrow. */
function outline({ means, variances }) {
  const places = means.flatMap(([mean], k) =>
    Array.from({ length: 121 }, (_, i) => mean + Math.sqrt(variances[k]) * (i / 12 - 5)),
  );
  const inside = places.filter((at) => at > RANGE[0] && at < RANGE[1]);
  return [RANGE[0], ...inside.sort((a, b) => a - b), RANGE[1]];
}

/** What is shown, and the question. */
function sayings() {
  const sentence = liveSentence();
  const draw = ({ t, u, x, beta, kernel, kurtosis, gap }) => {
    const off = { right: kernel.weights.at(-1).toFixed(2), kurtosis: kurtosis.toFixed(2) };
    off.gap = gap < 0.001 ? WORDS.tiny : format(gap);
    const said = gap > VISIBLE ? WORDS.wrong : WORDS.fine;
    sentence.show(say(said, { x: format(x), t, u, beta: format(beta), ...off }));
  };
  const asked = question(WORDS.question, { visible: VISIBLE });
  return { node: element("div", { class: "ex-words" }, sentence.node, asked), draw };
}
