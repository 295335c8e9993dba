// Chapter 4: what x_0 and x_t say about x_u in between, and what they say together.

import { button, format, slider } from "./core.js";
import { element } from "./elements.js";
import { curve, draggable, note, plot, point } from "./plots.js";
import { alphaBar, linearBeta, posterior, snr } from "./schedules.js";
import { liveSentence, question, say, tell } from "./words.js";

const WORDS = {
  plot: "prior, likelihood and posterior",
  across: "$x_u$",
  up: "density, posterior's peak = 1",
  x_0: " $x_0$", // beside the point that it names
  x_t: " $x_t$",
  prior: "prior, from $x_0$",
  likelihood: "likelihood, of $x_t$",
  posterior: "posterior",
  now: "seen at $t$",
  back: "look back to $u$",
  oneStep: "One step: $u$ = $t$ − 1",
  says: "{mean} ± {std}",
  all: "From $t$ = {t} back to $u$ = {u}: $x_0$ says {prior}, $x_t$ says {likelihood}, together they say {together}.",
  equal: "Both pull equally; the SNR is {earlier} at $u$ and {later} at $t$.",
  pulls: "$x_0$ pulls with {start} %, $x_t$ with {end} %; the SNR is {earlier} at $u$ and {later} at $t$.",
  question:
    "For $t$ = 500, at which $u$ do $x_0$ and $x_t$ pull equally, and how do the two signal-to-noise ratios (SNR) compare there? After one step, how much does $x_0$ still matter?",
};

const AXIS = [-3, 3];
const REACH = 2.5; // of the handles, so that their names stay on the plot
const LANES = { x_0: -0.13, x_t: -0.32 }; // below the curves, one for each handle

// -------------------------------------------------------------------------------------- mathematics

/** Prior and likelihood of x_u and their product, each { mean, variance }; how strongly x_0 pulls. */
export function witnesses(x_0, x_t, alpha_bar_t, alpha_bar_u) {
  const kept = alpha_bar_t / alpha_bar_u;
  const { fromX0, fromXt, variance } = posterior(alpha_bar_t, alpha_bar_u);
  return {
    prior: { mean: Math.sqrt(alpha_bar_u) * x_0, variance: 1 - alpha_bar_u },
    likelihood: { mean: x_t / Math.sqrt(kept), variance: (1 - kept) / kept },
    together: { mean: fromX0 * x_0 + fromXt * x_t, variance },
    pull: (1 - kept) / (1 - alpha_bar_t),
  };
}

/** A normal density on the axis, as [[x, y], ...], in units of the peak that has variance `unit`. */
export function bell({ mean, variance }, unit, [low, high] = AXIS) {
  const std = Math.sqrt(variance);
  const evenly = Array.from({ length: 121 }, (_, i) => low + ((high - low) * i) / 120);
  const around = Array.from({ length: 101 }, (_, i) => mean + (std * (i - 50)) / 10);
  const corners = [...evenly, ...around].filter((x) => x >= low && x <= high);
  const height = (x) => Math.sqrt(unit / variance) * Math.exp(-((x - mean) ** 2) / variance / 2);
  return corners.sort((one, other) => one - other).map((x) => [x, height(x)]);
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { T, beta_1, beta_T } and what is shown first, { t, u, x_0, x_t }. */
export function bayes(stage, { T, beta_1, beta_T, ...start }) {
  const alpha_bar = alphaBar(linearBeta(T, beta_1, beta_T));
  const model = { T, alpha_bar, snr: snr(alpha_bar) };
  const state = { ...start };
  const change = (news) => {
    Object.assign(state, news);
    if ("t" in news) state.u = Math.min(state.u, state.t - 1);
    if ("u" in news) state.t = Math.max(state.t, state.u + 1);
    const { t, u, x_0, x_t } = state;
    const said = witnesses(x_0, x_t, alpha_bar[t], alpha_bar[u]);
    parts.forEach((part) => part.draw(said));
  };
  const parts = [densities, times, words].map((part) => part(model, state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** The three densities over x_u, and x_0 and x_t to drag below them. */
function densities(model, state, change) {
  const area = plot({
    name: WORDS.plot,
    x: { range: AXIS, label: WORDS.across },
    y: { range: [-0.45, 1.05], label: WORDS.up },
    height: 320,
  });
  const middle = curve(area, "mark", []);
  const prior = curve(area, "data", []);
  const likelihood = curve(area, "noise", []);
  const product = curve(area, "together", []);
  const peak = point(area, "together", [0, 1]);
  const handle = (name, kind) => {
    const at = (value) => [value, LANES[name]];
    const onMove = ([x]) => change({ [name]: Math.min(Math.max(x, -REACH), REACH) });
    const look = { kind, along: "x", grip: "point", step: 0.05, position: at(state[name]), onMove };
    const move = draggable(area, { ...look, name });
    const label = note(area, kind, at(state[name]), ...say(WORDS[name]));
    return () => {
      move(at(state[name]), format(state[name]));
      label([state[name] + 0.04, LANES[name]]);
    };
  };
  const handles = [handle("x_0", "data"), handle("x_t", "noise")];
  const key = (kind, template) => {
    const sample = element("line", { class: `ex-curve ex-${kind}`, x1: 0, x2: 34, y1: 4, y2: 4 });
    const icon = element("svg", { "aria-hidden": "true", viewBox: "0 0 34 8" }, sample);
    return element("span", { class: "ex-key" }, icon, element("span", {}, ...say(template)));
  };
  const keys = element("div", { class: "ex-keys" });
  keys.append(key("data", WORDS.prior), key("noise", WORDS.likelihood), key("together", WORDS.posterior));
  const draw = ({ together, ...apart }) => {
    const unit = together.variance;
    prior(bell(apart.prior, unit));
    likelihood(bell(apart.likelihood, unit));
    product(bell(together, unit));
    peak([together.mean, 1]);
    middle([
      [together.mean, 0],
      [together.mean, 1],
    ]);
    handles.forEach((place) => place());
  };
  return { node: element("div", { class: "ex-witnesses" }, area.node, keys), draw };
}

/** The sliders of the two times, and the button that makes them neighbors. */
function times({ T }, state, change) {
  const now = slider({
    label: WORDS.now,
    range: [2, T],
    step: 1,
    onInput: (t) => change({ t }),
  });
  const back = slider({
    label: WORDS.back,
    range: [1, T - 1],
    step: 1,
    onInput: (u) => change({ u }),
  });
  const step = button("", () => change({ u: state.t - 1 }));
  step.append(...say(WORDS.oneStep));
  const draw = () => {
    now.set(state.t, `${state.t}`);
    back.set(state.u, `${state.u}`);
  };
  return { node: element("div", {}, now.node, back.node, step), draw };
}

/** Two sentences on who says what, and the question. */
function words(model, state) {
  const sentence = liveSentence();
  const draw = (said) => sentence.show(...verdict(model, state, said));
  return { node: element("div", { class: "ex-words" }, sentence.node, question(WORDS.question)), draw };
}

function verdict({ snr }, { t, u }, { prior, likelihood, together, pull }) {
  const says = ({ mean, variance }) =>
    tell(WORDS.says, { mean: format(mean), std: format(Math.sqrt(variance)) });
  const said = { prior: says(prior), likelihood: says(likelihood), together: says(together) };
  const share = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
  const percent = 100 * pull;
  const ratios = { earlier: format(snr[u]), later: format(snr[t]) };
  return [
    say(WORDS.all, { t, u, ...said }),
    Math.abs(percent - 50) < 0.5
      ? say(WORDS.equal, ratios)
      : say(WORDS.pulls, { start: share(percent), end: share(100 - percent), ...ratios }),
  ];
}
