// Chapter 13: the loss in each bin of t while a network trains, beside what it can be compared with.

import { alignWithPlot, choice, curve, element, format, liveSentence, note, plot, slider, symbol } from "./core.js";
import { powerOfTen } from "./powers.js";

const LOSS_POWERS = [-3.5, 0.5]; // of ten, on the vertical axis
const RATIO_POWERS = [-0.5, 3];
const SETTLED = 1.1; // times the loss at the end
const LAST = 3; // rows whose mean is the end

// ---------------------------------------------------------------------------------- the mathematics

/** The mean of the last rows, for each bin: one row alone is noisy. */
export function ending(losses) {
  const last = losses.slice(-LAST);
  return last[0].map((_, i) => last.reduce((sum, row) => sum + row[i], 0) / last.length);
}

/** Which bins are within a tenth of where they end. */
export function settled(row, end) {
  return row.map((loss, i) => loss <= SETTLED * end[i]);
}

/** The mean over all bins, which are equally wide. */
export function overall(row) {
  return row.reduce((sum, loss) => sum + loss, 0) / row.length;
}

/** Runs of bins as ranges of t, [[first, last], ...]. */
export function ranges(chosen, T) {
  const found = [];
  const edge = (i) => Math.round((i * T) / chosen.length);
  chosen.forEach((yes, i) => {
    if (!yes) return;
    if (i > 0 && chosen[i - 1]) found.at(-1)[1] = edge(i + 1);
    else found.push([edge(i) + 1, edge(i + 1)]);
  });
  return found;
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { T, steps, losses, linear, memorizer }, rows of equal bins of t. */
export function training(stage, data) {
  const state = { row: Math.min(2, data.steps.length - 1), view: 0 };
  const change = (news) => {
    Object.assign(state, news);
    parts.forEach((part) => part.draw());
  };
  const parts = [controls, charts, report].map((part) => part(data, state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** The training step, and what is drawn. */
function controls({ steps }, state, change) {
  const time = slider({
    label: ["training step"],
    range: [0, steps.length - 1],
    step: 1,
    onInput: (row) => change({ row }),
  });
  alignWithPlot(time);
  const names = ["the loss", "over the linear denoiser’s"];
  const view = choice({
    options: names.map((name) => ({ name, face: name })),
    onChoose: (chosen) => change({ view: chosen }),
  });
  const draw = () => {
    const text = `${steps[state.row]} of ${steps.at(-1)}`;
    time.set(state.row, text);
    view.set(state.view, "Shown");
  };
  const node = element("div", { class: "ex-training ex-group" }, element("div", {}, view.node), time.node);
  return { node, draw };
}

/** Two plots, of which one is shown: the loss, and its ratio to the linear denoiser's. */
function charts(data, state) {
  const loss = chart(data, {
    name: "the loss over t",
    powers: LOSS_POWERS,
    label: "loss per pixel",
    value: (x) => x,
    names: [
      ["data above", 12, data.linear, "linear denoiser"],
      ["muted below", 7, data.memorizer, "memorizer, seen"],
    ],
  });
  const ratio = chart(data, {
    name: "the loss over that of the linear denoiser, over t",
    powers: RATIO_POWERS,
    label: "times the linear denoiser’s loss",
    value: (x, i) => x / data.linear[i],
    names: [["data above", 1, data.linear, "linear denoiser"]],
  });
  const views = [loss, ratio];
  const draw = () => {
    views.forEach((view, i) => (view.node.hidden = i !== state.view));
    views.forEach((view) => view.draw(data.losses[state.row]));
  };
  return { node: element("div", {}, loss.node, ratio.node), draw };
}

function chart({ T, losses, linear, memorizer }, { name, powers, label, value, names }) {
  const area = plot({
    name,
    x: { range: [0, T], label: ["step ", symbol("t")] },
    y: { range: powers, parts: 4, write: powerOfTen, label: [label] },
    height: 290,
  });
  const center = (i) => ((i + 0.5) * T) / linear.length;
  const height = (x, i) => Math.log10(value(x, i));
  const inside = ([, power]) => power >= powers[0] && power <= powers[1];
  const places = (row) => row.map((x, i) => [center(i), x > 0 ? height(x, i) : -Infinity]);
  const line = (row) => places(row).filter(inside);
  curve(area, "data ex-dashed", line(linear));
  curve(area, "mark", line(memorizer));
  curve(area, "guide", line(ending(losses)));
  const now = curve(area, "model", []);
  names.forEach(([look, i, row, words]) => note(area, look, [center(i), height(row[i], i)], words));
  const draw = (row) => now(line(row));
  return { node: area.node, draw };
}

/** What the step shows in a sentence, and the question. */
function report({ T, steps, losses, linear }, state) {
  const sentence = liveSentence();
  const question = element("p", { class: "ex-question" });
  question.append("Which ", symbol("t"), " are learned first, and which still improve at the end? ");
  question.append("Where does the network do worse than a straight line, even then?");
  const end = ending(losses);
  const draw = () => {
    const row = losses[state.row];
    const done = settled(row, end);
    const worse = ranges(row.map((loss, i) => loss > linear[i]), T);
    const parts = [`After ${steps[state.row]} steps the mean loss is ${format(overall(row))}. `];
    parts.push(`Of ${row.length} bins, ${done.filter(Boolean).length} are within a tenth of where `);
    parts.push(`they end${where(ranges(done, T))}. Worse than the linear denoiser: `);
    parts.push(`${worse.length ? list(worse) : "none"}.`);
    sentence.say(...parts);
  };
  return { node: element("div", { class: "ex-words ex-training-words" }, sentence.node, question), draw };
}

const list = (all) => all.map(([first, last]) => `${first} to ${last}`).join(", ");
const where = (all) => (all.length ? ` (t = ${list(all)})` : "");
