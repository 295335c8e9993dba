// Chapter 2: a digit and its x_t for any t. One picture equation, one plot of its two coefficients.

import { button, choice, format, picture, ramp, randn, random, slider, unpack } from "./core.js";
import { element } from "./elements.js";
import { alignWithPlot, curve, draggable, note, plot, point } from "./plots.js";
import { alphaBar, jump, linearBeta, snr } from "./schedules.js";
import { liveSentence, outOf, question, root, say, tell } from "./words.js";

const WORDS = {
  digit: "digit {digit}",
  open: "Hide the digit",
  hidden: "Reveal it",
  told: "Hide another",
  ask: "Which digit is it?",
  choose: "Choose a digit",
  newNoise: "New noise",
  noisyDigit: "noisy digit $x_t$",
  start: "digit $x_0$",
  noise: "noise $ε$",
  kept: "$ᾱ_t$",
  added: "1 − $ᾱ_t$",
  nameOfXt: "x_t, digit and noise at t = {t}",
  nameOfX0: "x_0, the digit {digit}",
  hiddenX0: "x_0, hidden",
  nameOfNoise: "epsilon, the noise",
  hiddenNoise: "epsilon, hidden",
  step: "step $t$",
  stepInPlot: "step t in the plot",
  plot: "the two coefficients over t",
  up: "coefficient",
  digitCurve: "digit {root}",
  noiseCurve: "noise {root}",
  even: "SNR = 1",
  question:
    "Up to which $t$ can you still read the digit, and what is the signal-to-noise ratio (SNR) there? Hide it, and go left from pure noise.",
  clean: "At $t$ = {t} of {T}, there is no noise yet: this is the digit itself.",
  mixed:
    "At $t$ = {t} of {T}, $x_t$ is {a} times the digit plus {s} times the noise; the signal-to-noise ratio is {snr}.",
  goLeft: "Go left until you can read it, then answer above.",
  reveal: "It is a {digit}.",
  right: "It is a {digit}, and you read it at $t$ = {t}, where the signal-to-noise ratio is {snr}.",
  wrong:
    "It is a {digit}, and you took it for a {guess} at $t$ = {t}, where the signal-to-noise ratio is {snr}.",
  filledDot: "The filled dot on the axis marks it.",
  hollowDot: "The hollow dot on the axis marks it.",
  tally: "So far you have read {right} of {all}, the noisiest at $t$ = {t}.",
  none: "So far you have read 0 of {all}.",
};

// From black to white, the same for x_t, x_0 and eps, so that the equation holds for the eye too.
const GRAYS = [-1.5, 1.5];

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { T, beta_1, beta_T, digits }, the digits 0 to 9 in order. */
export function forward(stage, { T, beta_1, beta_T, digits }) {
  const alpha_bar = alphaBar(linearBeta(T, beta_1, beta_T));
  const pictures = unpack(digits);
  const side = Math.sqrt(pictures[0].length);
  const model = {
    T,
    alpha_bar,
    snr: snr(alpha_bar),
    a: alpha_bar.map(Math.sqrt),
    s: alpha_bar.map((share) => Math.sqrt(1 - share)),
    pictures,
    size: { rows: side, columns: side, range: GRAYS },
  };
  // mode: "open", or "hidden" while you guess, or "told"; readings: { t, right } for each guess
  const state = { mode: "open", t: Math.floor(T / 4), digit: 3, seed: 1, guess: null, readings: [] };
  const change = (news) => {
    Object.assign(state, news);
    parts.forEach((part) => part.draw());
  };
  const parts = [chooser, equation, timeline, words].map((part) => part(model, state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** The ten digits, to choose from or to answer with, and the button that starts and ends a guess. */
function chooser({ T, pictures, size }, state, change) {
  const options = pictures.map((x_0, digit) => {
    const face = picture(size);
    const name = tell(WORDS.digit, { digit });
    face.draw(x_0, name);
    return { name, face: face.node };
  });
  const answer = (guess) => {
    const reading = { t: state.t, right: guess === state.digit };
    change({ mode: "told", guess, readings: [...state.readings, reading] });
  };
  const hide = () => {
    // The one draw without a seed: after the page is loaded again it must be another digit.
    const digit = Math.floor(Math.random() * pictures.length);
    change({ mode: "hidden", t: T, digit, seed: state.seed + 1, guess: null });
  };
  const hidden = () => state.mode === "hidden";
  const onChoose = (digit) => (hidden() ? answer(digit) : change({ mode: "open", digit }));
  const row = choice({ options, onChoose });
  const secret = button("", () => (hidden() ? change({ mode: "told" }) : hide()));
  const draw = () => {
    row.set(hidden() ? null : state.digit, hidden() ? WORDS.ask : WORDS.choose);
    secret.textContent = WORDS[state.mode];
  };
  return { node: element("div", { class: "ex-row" }, row.node, secret), draw };
}

/** x_t = a x_0 + s eps, in pictures. */
function equation({ alpha_bar, a, s, pictures, size }, state, change) {
  const [x_t, x_0, eps] = [picture(size), picture(size), picture(size)];
  const [digitFactor, noiseFactor] = [element("b"), element("b")];
  const newNoise = button(WORDS.newNoise, () => change({ mode: "open", seed: state.seed + 1 }));
  const sign = (text) => element("span", { class: "ex-sign" }, text);
  const factor = (kind, number, formula) =>
    element("span", { class: `ex-factor ex-${kind}` }, number, root(...say(formula)));
  const tile = (look, { node }, title, ...more) =>
    element("div", { class: `ex-tile ${look}` }, node, element("p", {}, ...say(title)), ...more);
  const node = element("div", { class: "ex-equation" });
  node.append(
    tile("", x_t, WORDS.noisyDigit, ramp("gray", GRAYS)),
    sign("="),
    factor("data", digitFactor, WORDS.kept),
    tile("ex-secret", x_0, WORDS.start),
    sign("+"),
    factor("noise", noiseFactor, WORDS.added),
    tile("ex-secret", eps, WORDS.noise, newNoise),
  );
  const draw = () => {
    const { t } = state;
    const hidden = state.mode === "hidden";
    const digit = pictures[state.digit];
    const noise = randn(random(state.seed), digit.length);
    digitFactor.textContent = a[t].toFixed(2);
    noiseFactor.textContent = s[t].toFixed(2);
    x_t.draw(jump(digit, noise, alpha_bar[t]), tell(WORDS.nameOfXt, { t }));
    x_0.draw(digit, hidden ? WORDS.hiddenX0 : tell(WORDS.nameOfX0, { digit: state.digit }));
    eps.draw(noise, hidden ? WORDS.hiddenNoise : WORDS.nameOfNoise);
    node.classList.toggle("ex-hidden", hidden);
    newNoise.disabled = hidden; // a second draw would be a second look at the same digit
  };
  return { node, draw };
}

/** The slider over t, and below it the two coefficients with the same t to drag. */
function timeline({ T, a, s }, state, change) {
  const mode = () => (state.mode === "hidden" ? "hidden" : "open"); // what was told is old now
  const move = (t) => change({ t: Math.round(t), mode: mode() });
  const time = slider({ label: WORDS.step, range: [0, T], step: 1, onInput: move });
  alignWithPlot(time);
  const area = plot({
    name: WORDS.plot,
    x: { range: [0, T], label: WORDS.step },
    y: { range: [0, 1], label: WORDS.up },
  });
  drawCoefficients(area, a, s);
  const guide = curve(area, "guide", []);
  const noiseDot = point(area, "noise", [0, s[0]]);
  const marker = draggable(area, {
    kind: "data",
    along: "x",
    step: 1,
    name: WORDS.stepInPlot,
    position: [0, a[0]],
    onMove: ([t]) => move(t),
  });
  let drawn = 0;
  const draw = () => {
    const { t, readings } = state;
    const text = outOf(t, T);
    time.set(t, text);
    marker([t, a[t]], text);
    noiseDot([t, s[t]]);
    guide([
      [t, 0],
      [t, 1],
    ]);
    for (; drawn < readings.length; drawn++) {
      const { t, right } = readings[drawn];
      point(area, right ? "right" : "wrong", [t, 0]);
    }
  };
  return { node: element("div", {}, time.node, area.node), draw };
}

/** Both curves with their names, and the place where they cross. */
function drawCoefficients(area, a, s) {
  const points = (table) => Array.from(table, (value, t) => [t, value]);
  curve(area, "data", points(a));
  curve(area, "noise", points(s));
  const low = points(a).find(([, value]) => value < 0.35) ?? points(a).at(-1);
  const high = points(s).find(([, value]) => value > 0.8) ?? points(s).at(-1);
  note(area, "data above", low, ...say(WORDS.digitCurve, { root: root(...say(WORDS.kept)) }));
  note(area, "noise below", high, ...say(WORDS.noiseCurve, { root: root(...say(WORDS.added)) }));
  const even = a.findIndex((value, t) => value <= s[t]);
  if (even < 0) return; // too little noise for that
  curve(area, "mark", [
    [even, 0],
    [even, a[even]],
  ]);
  note(area, "muted above", [even, 0], WORDS.even);
}

/** Sentences on what the setting shows, and the question. */
function words(model, state) {
  const sentence = liveSentence();
  const draw = () => sentence.show(...(state.mode === "told" ? verdict : setting)(model, state));
  return { node: element("div", { class: "ex-words" }, sentence.node, question(WORDS.question)), draw };
}

function setting({ T, a, s, snr }, { t, mode }) {
  if (t === 0) return [say(WORDS.clean, { t, T })];
  const mixed = say(WORDS.mixed, { t, T, a: a[t].toFixed(2), s: s[t].toFixed(2), snr: format(snr[t]) });
  return mode === "hidden" ? [mixed, say(WORDS.goLeft)] : [mixed];
}

function verdict({ snr }, { t, digit, guess, readings }) {
  if (guess === null) return [say(WORDS.reveal, { digit })];
  const found = { digit, t, snr: format(snr[t]) };
  const answer = guess === digit ? say(WORDS.right, found) : say(WORDS.wrong, { ...found, guess });
  return [answer, readings.length > 1 ? tally(readings) : say(guess === digit ? WORDS.filledDot : WORDS.hollowDot)];
}

function tally(readings) {
  const right = readings.filter((reading) => reading.right).map((reading) => reading.t);
  const all = readings.length;
  return right.length
    ? say(WORDS.tally, { right: right.length, all, t: Math.max(...right) })
    : say(WORDS.none, { all });
}
