// Chapter 15: a ward of broken programs, their checks, and what rules a diagnosis out.

import { button, choice, format } from "./core.js";
import { element } from "./elements.js";
import { curve, note, plot } from "./plots.js";
import { liveSentence, question, symbol, tell } from "./words.js";

const WORDS = {
  patient: "Patient",
  patientNumber: "patient {number}",
  solvedFace: "{number} ✓",
  plot: "the loss during training",
  across: "step",
  up: "loss",
  predicting0: "predicting 0",
  sample: "sample {sample} of patient {number}",
  runCheck: "Run a check",
  good: "✓ {check}: {says} is {value}; healthy is {range}.",
  bad: "✗ {check}: {says} is {value}; healthy is {range}.",
  above: "above {low}",
  between: "{low} to {high}",
  nothing: "nothing rules “{name}” out.",
  ruledOut: "with “{name}”, {says} would be {there}, and here it is {here} (check “{check}”).",
  choose: "choose …",
  diagnosis: "Diagnosis",
  ask: "Is it?",
  chooseFirst: "Choose a diagnosis first.",
  right: "✓ Patient {number} has “{name}”. Repair: {repair}.",
  wrong: "✗ Patient {number}: {contradiction}",
  score: "Solved: {solved} of {all}. Checks run for these: {checks}. Wrong diagnoses: {wrong}.",
  oneRun: "Patient {number}: 1 check run, no diagnosis yet.",
  run: "Patient {number}: {run} checks run, no diagnosis yet.",
  question:
    "Which patient can you diagnose with a single check? For which do you need two? And how many does the healthy one take?",
};

const LOSSES = [0, 1.3];
const SIGHTS = 4; // samples of a patient

// ------------------------------------------------------------------------------------ the diagnosis

/** Whether an outcome lies in the healthy range of its check (ward.passes). */
export function passes({ healthy: [low, high] }, value) {
  return low - 1e-9 <= value && value <= high + 1e-9;
}

/** How far two outcomes of a check are apart; above 1 they have different causes (ward.distance). */
export function distance({ apart, log }, a, b) {
  const scale = (value) => (log ? Math.log10(Math.max(value, 1e-6)) : value);
  return Math.abs(scale(a) - scale(b)) / apart;
}

/** The index of the check that contradicts a diagnosis most, or -1 (ward.ruled_out). */
export function ruledOut(checks, here, there) {
  const distances = checks.map((check, i) => distance(check, here[i], there[i]));
  const most = Math.max(...distances);
  return most > 1 ? distances.indexOf(most) : -1;
}

/** Two digits, and zero for what is zero up to rounding (checks.clinic.write). */
export function twoDigits(value) {
  if (Math.abs(value) < 1e-3) return "0";
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
  return text.replace("-", "−");
}

/** The sentence that rules a diagnosis out (checks.clinic.contradiction). */
export function contradiction({ checks, bugs }, bug, answer) {
  const [here, there] = [bugs[bug].outcomes, bugs[answer].outcomes];
  const i = ruledOut(checks, here, there);
  const { name } = bugs[answer];
  if (i < 0) return tell(WORDS.nothing, { name });
  const values = { there: twoDigits(there[i]), here: twoDigits(here[i]) };
  return tell(WORDS.ruledOut, { name, says: checks[i].says, check: checks[i].name, ...values });
}

/** The words of a sentence, with x_0, ᾱ_t and their like set as symbols. */
function typeset(text) {
  return text.split(/((?:x|ᾱ|β̃)_[0tT2])/).map((part, i) => {
    if (i % 2 === 0) return part;
    const [name, index] = part.split("_");
    return symbol(name, index);
  });
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { checks, bugs, patients, frames }, as in the chapter. */
export function clinic(stage, data) {
  const records = data.patients.map(() => ({ run: [], wrong: 0, solved: false }));
  const state = { patient: 0, said: "" };
  const change = (news) => {
    Object.assign(state, news);
    parts.forEach((part) => part.draw());
  };
  const parts = [ward, sight, bench, verdict].map((part) => part(data, state, records, change));
  stage.append(element("div", { class: "ex-clinic" }, ...parts.map((part) => part.node)));
  change({});
}

/** The choice of a patient. */
function ward({ patients }, state, records, change) {
  const options = patients.map(({ number }) => ({
    name: tell(WORDS.patientNumber, { number }),
    face: `${number}`,
  }));
  const row = choice({ options, onChoose: (patient) => change({ patient, said: "" }) });
  const draw = () => {
    row.set(state.patient, WORDS.patient);
    row.node.querySelectorAll("button").forEach((one, i) => {
      const { number } = patients[i];
      one.textContent = records[i].solved ? tell(WORDS.solvedFace, { number }) : number;
    });
  };
  return { node: element("div", { class: "ex-group" }, row.node), draw };
}

/** The loss and a few samples. */
function sight({ patients, frames }, state) {
  const area = plot({
    name: WORDS.plot,
    x: { range: [0, 120], label: WORDS.across },
    y: { range: LOSSES, label: WORDS.up },
    height: 170,
  });
  const line = curve(area, "noise", []);
  const level = curve(area, "mark", [
    [0, 1],
    [120, 1],
  ]);
  note(area, "muted above", [70, 1], WORDS.predicting0);
  const pictures = Array.from({ length: SIGHTS }, () =>
    element("canvas", { class: "ex-ribbon", role: "img", width: 16, height: 2 }),
  );
  const bytes = Uint8Array.from(atob(frames.base64), (character) => character.charCodeAt(0));
  const draw = () => {
    const { losses, number } = patients[state.patient];
    const step = 120 / losses.length;
    line(losses.map((loss, i) => [(i + 0.5) * step, Math.min(loss, LOSSES[1])]));
    level([
      [0, 1],
      [120, 1],
    ]);
    pictures.forEach((picture, i) => {
      const start = (state.patient * SIGHTS + i) * 96;
      picture.setAttribute("aria-label", tell(WORDS.sample, { sample: i + 1, number }));
      ribbon(picture, bytes.subarray(start, start + 96));
    });
  };
  const samples = element("div", { class: "ex-ribbons" }, ...pictures);
  return { node: element("div", { class: "ex-sight" }, area.node, samples), draw };
}

/** Show an RGB picture of 2 x 16 pixels; bytes: [3, 2, 16] */
function ribbon(canvas, bytes) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(16, 2);
  for (let i = 0; i < 32; i++) {
    pixels.data.set([bytes[i], bytes[32 + i], bytes[64 + i], 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}

/** The checks that can be run, and the results of those that were. */
function bench({ checks, bugs, patients }, state, records, change) {
  const run = (i) => {
    const record = records[state.patient];
    if (!record.run.includes(i)) record.run.push(i);
    change({ said: told(i) });
  };
  const value = (i) => bugs[patients[state.patient].bug].outcomes[i];
  const told = (i) => {
    const check = checks[i];
    const [low, high] = check.healthy;
    const ends = { low: format(low), high: format(high) };
    const open = () => (high === 9 ? tell(WORDS.above, { low }) : tell(WORDS.between, ends));
    const range = low === high ? ends.low : open();
    const said = { check: check.name, says: check.says.replace(/,$/, ""), value: twoDigits(value(i)) };
    return tell(passes(check, value(i)) ? WORDS.good : WORDS.bad, { ...said, range });
  };
  const buttons = checks.map(({ name }, i) => button(name, () => run(i)));
  const results = element("ul", { class: "ex-results" });
  const draw = () => {
    const done = records[state.patient].run;
    buttons.forEach((one, i) => one.setAttribute("aria-pressed", done.includes(i)));
    results.replaceChildren(...done.map((i) => element("li", {}, ...typeset(told(i)))));
    results.hidden = done.length === 0;
  };
  const title = element("p", {}, WORDS.runCheck);
  const row = element("div", { class: "ex-buttons" }, ...buttons);
  return { node: element("div", { class: "ex-bench" }, title, row, results), draw };
}

/** The diagnosis, the answer to it, the score, and the question. */
function verdict(data, state, records, change) {
  const { bugs, patients } = data;
  const names = bugs.map(({ name }, i) => element("option", { value: i }, name));
  const none = element("option", { value: "" }, WORDS.choose);
  const list = element("select", { class: "ex-select", "data-lm-suppress-shortcuts": "true" }, none, ...names);
  let shown; // the patient that the list is about
  const answer = () => {
    const { bug, number } = patients[state.patient];
    if (list.value === "") return change({ said: WORDS.chooseFirst });
    const chosen = Number(list.value);
    const right = chosen === bug;
    if (right) records[state.patient].solved = true;
    else records[state.patient].wrong += 1; // it told the outcome of a check
    const said = right
      ? tell(WORDS.right, { number, name: bugs[bug].name, repair: bugs[bug].repair })
      : tell(WORDS.wrong, { number, contradiction: contradiction(data, bug, chosen) });
    change({ said });
  };
  const sentence = liveSentence();
  const draw = () => {
    const { number } = patients[state.patient];
    const solved = records.filter((record) => record.solved);
    const total = (count) => solved.reduce((sum, record) => sum + count(record), 0);
    const score = tell(WORDS.score, {
      solved: solved.length,
      all: patients.length,
      checks: total(({ run }) => run.length),
      wrong: total(({ wrong }) => wrong),
    });
    const run = records[state.patient].run.length;
    const first = () => (run === 1 ? tell(WORDS.oneRun, { number }) : tell(WORDS.run, { number, run }));
    if (shown !== state.patient) list.value = "";
    shown = state.patient;
    sentence.show(typeset(state.said || first()), typeset(score));
  };
  const label = element("label", {}, element("span", {}, WORDS.diagnosis), list);
  const form = element("div", { class: "ex-diagnosis" }, label, button(WORDS.ask, answer));
  const node = element("div", { class: "ex-words" }, form, sentence.node, question(WORDS.question));
  return { node, draw };
}
