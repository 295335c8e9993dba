// Chapter 14: the course's own network draws digits in this page; two samplers may start from one noise.

import { button, choice, picture, ramp, slider } from "./core.js";
import { GRAYS, SIDE, mosaic, runner, seen, widthOf, work } from "./drawing.js";
import { element } from "./elements.js";
import { unet, unpackLayers } from "./network.js";
import { alphaBar, cosineBeta } from "./schedules.js";
import { difference, digitsOf, inWords, nameOf, status, values } from "./telling.js";
import { strided } from "./time.js";
import { liveSentence, question, say, symbol, tell } from "./words.js";

const WORDS = {
  title: "{run}: {setting}",
  notDrawn: "not drawn yet",
  progress: "steps of the run",
  key: "pixel {ramp} and beyond",
  step: "step of the run",
  place: "{at} of {n}, t = {t}",
  run: "Run",
  stop: "Stop",
  newNoise: "New noise",
  fork: "Fork",
  noFork: "No fork",
  shown: "Shown",
  xt: "x t",
  x0: "predicted x 0",
  whose: "Settings of",
  ofA: "of A",
  ofB: "of B",
  number: "number of steps",
  sampler: "Sampler",
  eta: "$η$, fresh noise",
  variance: "Variance of a step",
  beta_tilde: "beta tilde, of the posterior",
  beta: "beta, of the forward step",
  zero: "zero: no fresh noise",
  clip: "Kept in [−1, 1]",
  keptX0: "the predicted x 0",
  nothing: "nothing",
  keptXt: "x t",
  count: "How many",
  more: "More settings",
  question:
    "Fork the run and change one setting of B at a time. From the same noise, which settings draw other digits than A, which the same ones less cleanly, and which none at all?",
};

const MANY = 16; // digits, four by four
const STRIDES = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];
const SAMPLERS = ["ddim", "ddpm"];
const VARIANCES = ["beta_tilde", "beta", "zero"];
const CLIPS = ["x_0", "none", "x_t"];
const FIRST = { sampler: "ddim", n: 20, eta: 0, variance: "beta_tilde", clip: "x_0" };

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { T, weights }, of pictures of 8 by 8 and the cosine schedule. */
export function digits(stage, { T, weights }) {
  const layers = unpackLayers(weights);
  const model = {
    T,
    alpha_bar: alphaBar(cosineBeta(T)),
    strides: STRIDES.filter((n) => n <= T),
    predict: (x_t, t) => unet(layers, { data: x_t, side: SIDE, channels: 1 }, t).data,
  };
  const state = {
    seed: 1,
    count: MANY,
    at: FIRST.n,
    shown: "x_t",
    follow: false, // whether the newest step of a run is looked at
    forked: false,
    editing: 0, // whose settings the controls change
    settings: [{ ...FIRST }, { ...FIRST, sampler: "ddpm" }],
    frames: [], // of each run, so far
    keys: [], // what they are of
    running: false,
  };
  const show = () => {
    if (state.follow && state.running) state.at = Math.max(0, (state.frames[0]?.length ?? 0) - 1);
    if (state.follow && !state.running) state.at = state.settings[0].n;
    parts.forEach((part) => part.draw());
  };
  const run = runner(model, state, show);
  const change = (news) => {
    Object.assign(state, news);
    show();
  };
  /** With a new setting, or the same again: to be watched, unless motion is unwelcome. */
  const begin = (news) => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    Object.assign(state, news ?? {}, { follow: !still });
    state.at = still ? state.settings[0].n : 0;
    run.start(!news);
    show();
  };
  const set = (news) => {
    const settings = state.settings.map((own, k) => (k === state.editing ? { ...own, ...news } : own));
    begin({ settings });
  };
  const act = { change, begin, set, stop: run.stop };
  const parts = [view, steering, controls, report].map((part) => part(model, state, act));
  const side = element("div", { class: "ex-side" }, parts[1].node, parts[2].node);
  stage.append(element("div", { class: "ex-digits" }, parts[0].node, side), parts[3].node);
  show();
  whenSeen(stage, () => state.frames.length || run.start().then(show));
}

/** Call once, when the figure comes near the window: a network at work is for those who look. */
function whenSeen(node, callback) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      callback();
    },
    { rootMargin: "300px" },
  );
  observer.observe(node);
}

/** The pictures of A, those of B beside them if there is a fork, and how far the runs are. */
function view(model, state) {
  const node = element("div", { class: "ex-views" });
  const canvases = {}; // by the number of pictures
  const places = [0, 1].map((k) => {
    const title = element("p", { class: "ex-title" });
    const frame = element("div");
    const place = element("div", {}, title, frame);
    const show = () => {
      const found = seen(state, k);
      place.hidden = k > 0 && !state.forked;
      title.hidden = !state.forked;
      title.textContent = tell(WORDS.title, { run: "AB"[k], setting: inWords(state.settings[k]) });
      const width = widthOf(state.count);
      const shape = { rows: width, columns: width, range: GRAYS };
      const canvas = (canvases[`${k} ${state.count}`] ??= picture(shape));
      frame.replaceChildren(canvas.node);
      if (found) canvas.draw(mosaic(found[state.shown], state.count), nameOf(state, k, found));
      else if (!canvas.node.hasAttribute("aria-label")) canvas.draw(mosaic([], state.count), WORDS.notDrawn);
    };
    return { node: place, show };
  });
  const progress = element("progress", { "aria-label": WORDS.progress });
  const key = element("p", {}, ...say(WORDS.key, { ramp: ramp("gray", GRAYS) }));
  const row = element("div", { class: "ex-fork" }, ...places.map((place) => place.node));
  node.append(row, progress, key);
  const draw = () => {
    places.forEach((place) => place.show());
    node.parentElement?.classList.toggle("ex-forked", state.forked);
    const [done, all] = work(state);
    progress.max = all;
    progress.value = done;
    progress.classList.toggle("ex-off", !state.running);
  };
  return { node, draw };
}

/** Run, and a slider over the steps of the run. */
function steering({ alpha_bar }, state, { change, begin, stop }) {
  const run = button("", () => (state.running ? change(stop() ?? { follow: false }) : begin()));
  const again = button(WORDS.newNoise, () => begin({ seed: state.seed + 1 }));
  const fork = button("", () => begin({ forked: !state.forked, editing: state.forked ? 0 : 1 }));
  const onInput = (at) => change({ at, follow: false });
  const steps = slider({ label: WORDS.step, range: [0, 1], step: 1, onInput });
  const input = steps.node.querySelector("input");
  const shown = choice({
    options: [
      { name: WORDS.xt, face: symbol("x", "t") },
      { name: WORDS.x0, face: symbol("x̂", "0") },
    ],
    onChoose: (i) => change({ shown: ["x_t", "x_0"][i] }),
  });
  const draw = () => {
    const { n } = state.settings[0];
    input.max = n;
    const t = strided(alpha_bar.length - 1, n)[state.at];
    steps.set(state.at, tell(WORDS.place, { at: state.at, n, t }));
    run.textContent = state.running ? WORDS.stop : WORDS.run;
    fork.textContent = state.forked ? WORDS.noFork : WORDS.fork;
    shown.set(["x_t", "x_0"].indexOf(state.shown), WORDS.shown);
  };
  const row = element("div", { class: "ex-buttons" }, run, again, fork);
  return { node: element("div", {}, row, steps.node, element("div", { class: "ex-group" }, shown.node)), draw };
}

/** How many steps and which sampler; folded: its noise, the clipping, how many digits. */
function controls({ strides }, state, { change, begin, set }) {
  const whose = choice({
    options: [
      { name: WORDS.ofA, face: "A" },
      { name: WORDS.ofB, face: "B" },
    ],
    onChoose: (i) => change({ editing: i }),
  });
  const pick = (i) => set({ n: strides[i] });
  const number = slider({ label: WORDS.number, range: [0, strides.length - 1], step: 1, onInput: pick });
  const sampler = choice({
    options: [
      { name: "DDIM", face: "DDIM" },
      { name: "DDPM", face: "DDPM" },
    ],
    onChoose: (i) => set({ sampler: SAMPLERS[i] }),
  });
  const eta = slider({
    label: WORDS.eta,
    range: [0, 1],
    step: 0.1,
    onInput: (value) => set({ eta: value }),
  });
  const faces = { beta_tilde: symbol("β̃", "t"), beta: symbol("β", "t"), zero: "0" };
  const variance = choice({
    options: VARIANCES.map((name) => ({ name: WORDS[name], face: faces[name] })),
    onChoose: (i) => set({ variance: VARIANCES[i] }),
  });
  const clip = choice({
    options: [
      { name: WORDS.keptX0, face: symbol("x̂", "0") },
      { name: WORDS.nothing, face: WORDS.nothing },
      { name: WORDS.keptXt, face: symbol("x", "t") },
    ],
    onChoose: (i) => set({ clip: CLIPS[i] }),
  });
  const count = choice({
    options: [MANY, 1].map(digitsOf).map((name) => ({ name, face: name })),
    onChoose: (i) => begin({ count: [MANY, 1][i] }),
  });
  const group = ({ node }) => element("div", { class: "ex-group" }, node);
  const [ofWhom, noise] = [group(whose), group(variance)];
  const fold = element("summary", {}, WORDS.more);
  const more = element("details", {}, fold, eta.node, noise, group(clip), group(count));
  const draw = () => {
    const own = state.settings[state.editing];
    ofWhom.hidden = !state.forked;
    whose.set(state.editing, WORDS.whose);
    number.set(strides.indexOf(own.n), `${own.n}`);
    sampler.set(SAMPLERS.indexOf(own.sampler), WORDS.sampler);
    eta.node.hidden = own.sampler !== "ddim";
    eta.set(own.eta, `${own.eta}`);
    noise.hidden = own.sampler !== "ddpm";
    variance.set(VARIANCES.indexOf(own.variance), WORDS.variance);
    clip.set(CLIPS.indexOf(own.clip), WORDS.clip);
    count.set([MANY, 1].indexOf(state.count), WORDS.count);
  };
  return { node: element("div", {}, ofWhom, number.node, group(sampler), more), draw };
}

/** The sentences and the question. */
function report(model, state) {
  const sentence = liveSentence();
  const draw = () => sentence.show(status(state), ...values(state), ...difference(state));
  return { node: element("div", { class: "ex-words" }, sentence.node, question(WORDS.question)), draw };
}
