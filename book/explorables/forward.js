// Chapter 2: a digit and its x_t for any t. One picture equation, one plot of its two coefficients.

import { alignWithPlot, button, choice, curve, draggable, element, format, liveSentence, note, picture, plot, point, ramp, randn, random, root, slider, symbol, unpack } from "./core.js";
import { alphaBar, jump, linearBeta, snr } from "./schedules.js";

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
    face.draw(x_0, `digit ${digit}`);
    return { name: `digit ${digit}`, face: face.node };
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
  const names = { open: "Hide the digit", hidden: "Reveal it", told: "Hide another" };
  const secret = button("", () => (hidden() ? change({ mode: "told" }) : hide()));
  const draw = () => {
    row.set(hidden() ? null : state.digit, hidden() ? "Which digit is it?" : "Choose a digit");
    secret.textContent = names[state.mode];
  };
  return { node: element("div", { class: "ex-row" }, row.node, secret), draw };
}

/** x_t = a x_0 + s eps, in pictures. */
function equation({ alpha_bar, a, s, pictures, size }, state, change) {
  const [x_t, x_0, eps] = [picture(size), picture(size), picture(size)];
  const [digitFactor, noiseFactor] = [element("b"), element("b")];
  const newNoise = button("New noise", () => change({ mode: "open", seed: state.seed + 1 }));
  const sign = (text) => element("span", { class: "ex-sign" }, text);
  const factor = (kind, number, ...formula) =>
    element("span", { class: `ex-factor ex-${kind}` }, number, root(...formula));
  const tile = (look, { node }, title, ...more) =>
    element("div", { class: `ex-tile ${look}` }, node, element("p", {}, ...title), ...more);
  const node = element("div", { class: "ex-equation" });
  node.append(
    tile("", x_t, ["noisy digit ", symbol("x", "t")], ramp("gray", GRAYS)),
    sign("="),
    factor("data", digitFactor, symbol("ᾱ", "t")),
    tile("ex-secret", x_0, ["digit ", symbol("x", "0")]),
    sign("+"),
    factor("noise", noiseFactor, "1 − ", symbol("ᾱ", "t")),
    tile("ex-secret", eps, ["noise ", symbol("ε")], newNoise),
  );
  const draw = () => {
    const { t } = state;
    const hidden = state.mode === "hidden";
    const digit = pictures[state.digit];
    const noise = randn(random(state.seed), digit.length);
    digitFactor.textContent = a[t].toFixed(2);
    noiseFactor.textContent = s[t].toFixed(2);
    x_t.draw(jump(digit, noise, alpha_bar[t]), `x_t, digit and noise at t = ${t}`);
    x_0.draw(digit, hidden ? "x_0, hidden" : `x_0, the digit ${state.digit}`);
    eps.draw(noise, hidden ? "epsilon, hidden" : "epsilon, the noise");
    node.classList.toggle("ex-hidden", hidden);
    newNoise.disabled = hidden; // a second draw would be a second look at the same digit
  };
  return { node, draw };
}

/** The slider over t, and below it the two coefficients with the same t to drag. */
function timeline({ T, a, s }, state, change) {
  const mode = () => (state.mode === "hidden" ? "hidden" : "open"); // what was told is old now
  const move = (t) => change({ t: Math.round(t), mode: mode() });
  const time = slider({ label: ["step ", symbol("t")], range: [0, T], step: 1, onInput: move });
  alignWithPlot(time);
  const area = plot({
    name: "the two coefficients over t",
    x: { range: [0, T], label: ["step ", symbol("t")] },
    y: { range: [0, 1], label: ["coefficient"] },
  });
  drawCoefficients(area, a, s);
  const guide = curve(area, "guide", []);
  const noiseDot = point(area, "noise", [0, s[0]]);
  const marker = draggable(area, {
    kind: "data",
    along: "x",
    step: 1,
    name: "step t in the plot",
    position: [0, a[0]],
    onMove: ([t]) => move(t),
  });
  let drawn = 0;
  const draw = () => {
    const { t, readings } = state;
    const text = `${t} of ${T}`;
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
  note(area, "data above", low, "digit ", root(symbol("ᾱ", "t")));
  note(area, "noise below", high, "noise ", root("1 − ", symbol("ᾱ", "t")));
  const even = a.findIndex((value, t) => value <= s[t]);
  if (even < 0) return; // too little noise for that
  curve(area, "mark", [
    [even, 0],
    [even, a[even]],
  ]);
  note(area, "muted above", [even, 0], "SNR = 1");
}

/** The question, and a sentence on what the setting shows. */
function words(model, state) {
  const sentence = liveSentence();
  const question = element("p", { class: "ex-question" });
  question.append("Up to which ", symbol("t"), " can you still read the digit, and what is the ");
  question.append("signal-to-noise ratio (SNR) there? Hide it, and go left from pure noise.");
  const draw = () => sentence.say(...(state.mode === "told" ? verdict : setting)(model, state));
  return { node: element("div", { class: "ex-words" }, sentence.node, question), draw };
}

function setting({ T, a, s, snr }, { t, mode }) {
  const time = ["At ", symbol("t"), ` = ${t} of ${T}, `];
  if (t === 0) return [...time, "there is no noise yet: this is the digit itself."];
  const sum = ` is ${a[t].toFixed(2)} times the digit plus ${s[t].toFixed(2)} times the noise`;
  const next = mode === "hidden" ? " Go left until you can read it, then answer above." : "";
  const ratio = `; the signal-to-noise ratio is ${format(snr[t])}.${next}`;
  return [...time, symbol("x", "t"), sum, ratio];
}

function verdict({ snr }, { t, digit, guess, readings }) {
  if (guess === null) return [`It is a ${digit}.`];
  const right = readings.filter((reading) => reading.right).map((reading) => reading.t);
  const took = guess === digit ? "you read it" : `you took it for a ${guess}`;
  const tally = [` So far you have read ${right.length} of ${readings.length}`];
  if (right.length) tally.push(", the noisiest at ", symbol("t"), ` = ${Math.max(...right)}`);
  const dot = [` The ${guess === digit ? "filled" : "hollow"} dot on the axis marks it`];
  return [
    `It is a ${digit}, and ${took} at `,
    symbol("t"),
    ` = ${t}, where the signal-to-noise ratio is ${format(snr[t])}.`,
    ...(readings.length > 1 ? tally : dot),
    ".",
  ];
}
