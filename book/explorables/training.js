// Chapter 13: the loss in each bin of t while a network trains, beside what it can be compared with.

import { choice, format, slider } from "./core.js";
import { element } from "./elements.js";
import { alignWithPlot, curve, note, plot } from "./plots.js";
import { powerOfTen } from "./powers.js";
import { liveSentence, outOf, question, say, tell } from "./words.js";

const WORDS = {
  step: "training step",
  shown: "Shown",
  loss: "the loss",
  ratio: "over the linear denoiser’s",
  lossPlot: "the loss over t",
  lossUp: "loss per pixel",
  ratioPlot: "the loss over that of the linear denoiser, over t",
  ratioUp: "times the linear denoiser’s loss",
  across: "step $t$",
  linear: "linear denoiser",
  memorizer: "memorizer, seen",
  range: "{first} to {last}",
  and: "{ranges}, {range}",
  mean: "After {step} steps the mean loss is {loss}.",
  settled: "Of {bins} bins, {count} are within a tenth of where they end (t = {ranges}).",
  unsettled: "Of {bins} bins, 0 are within a tenth of where they end.",
  worse: "Worse than the linear denoiser: {ranges}.",
  nowhereWorse: "Worse than the linear denoiser: none.",
  question:
    "Which $t$ are learned first, and which still improve at the end? Where does the network do worse than a straight line, even then?",
};

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
    label: WORDS.step,
    range: [0, steps.length - 1],
    step: 1,
    onInput: (row) => change({ row }),
  });
  alignWithPlot(time);
  const names = [WORDS.loss, WORDS.ratio];
  const view = choice({
    options: names.map((name) => ({ name, face: name })),
    onChoose: (chosen) => change({ view: chosen }),
  });
  const draw = () => {
    time.set(state.row, outOf(steps[state.row], steps.at(-1)));
    view.set(state.view, WORDS.shown);
  };
  const node = element("div", { class: "ex-training ex-group" }, element("div", {}, view.node), time.node);
  return { node, draw };
}

/** Two plots, of which one is shown: the loss, and its ratio to the linear denoiser's. */
function charts(data, state) {
  const loss = chart(data, {
    name: WORDS.lossPlot,
    powers: LOSS_POWERS,
    label: WORDS.lossUp,
    value: (x) => x,
    names: [
      ["data above", 12, data.linear, WORDS.linear],
      ["muted below", 7, data.memorizer, WORDS.memorizer],
    ],
  });
  const ratio = chart(data, {
    name: WORDS.ratioPlot,
    powers: RATIO_POWERS,
    label: WORDS.ratioUp,
    value: (x, i) => x / data.linear[i],
    names: [["data above", 1, data.linear, WORDS.linear]],
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
    x: { range: [0, T], label: WORDS.across },
    y: { range: powers, parts: 4, write: powerOfTen, label },
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

/** What the step shows in sentences, and the question. */
function report({ T, steps, losses, linear }, state) {
  const sentence = liveSentence();
  const end = ending(losses);
  const draw = () => {
    const row = losses[state.row];
    const done = settled(row, end);
    const count = done.filter(Boolean).length;
    const bins = row.length;
    const worse = ranges(row.map((loss, i) => loss > linear[i]), T);
    sentence.show(
      say(WORDS.mean, { step: steps[state.row], loss: format(overall(row)) }),
      count
        ? say(WORDS.settled, { bins, count, ranges: list(ranges(done, T)) })
        : say(WORDS.unsettled, { bins }),
      worse.length ? say(WORDS.worse, { ranges: list(worse) }) : say(WORDS.nowhereWorse),
    );
  };
  const node = element("div", { class: "ex-words ex-training-words" });
  node.append(sentence.node, question(WORDS.question));
  return { node, draw };
}

/** Ranges in a row, as the language separates them. */
function list(all) {
  const each = all.map(([first, last]) => tell(WORDS.range, { first, last }));
  return each.reduce((ranges, range) => tell(WORDS.and, { ranges, range }));
}
