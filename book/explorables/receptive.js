// Chapter 11: the layers of a UNet, the size of each, and the pixels that reach one pixel of its output.

import { CONV, chain, reach, reachBySkip, sizesOf, taps } from "./arithmetic.js";
import { choice, element, liveSentence, picture, slider } from "./core.js";

const SIZES = [8, 28, 30, 32];
const LEVELS = [0, 1, 2, 3];
const DOWN = [
  { face: "3 wide", name: "convolution 3 wide", layer: { kind: "conv", kernel: 3, stride: 2, padding: 1 } },
  { face: "4 wide", name: "convolution 4 wide", layer: { kind: "conv", kernel: 4, stride: 2, padding: 1 } },
];
const transposed = (kernel, padding, extra) => ({ kind: "transposed", kernel, stride: 2, padding, extra });
const UP = [
  { face: "4", name: "transposed, 4 wide", layer: transposed(4, 1, 0) },
  { face: "3", name: "transposed, 3 wide", layer: transposed(3, 1, 0) },
  { face: "3 + 1", name: "transposed, 3 wide, output padding 1", layer: transposed(3, 1, 1) },
  { face: "nearest", name: "nearest, then a convolution 3 wide", layer: { ...CONV, kind: "nearest", stride: 2 } },
];

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { size, levels }, where it starts. */
export function receptive(stage, { size, levels }) {
  const state = { size, levels, down: 1, up: 0, row: size / 2, column: size / 2 };
  const change = (news) => {
    Object.assign(state, news);
    if (news.size) Object.assign(state, { row: news.size / 2, column: news.size / 2 });
    const layers = chain({ levels: state.levels, down: DOWN[state.down].layer, up: UP[state.up].layer });
    const { sizes, clash } = sizesOf(state.size, layers);
    const last = sizes.at(-1);
    state.row = Math.min(state.row, last - 1);
    state.column = Math.min(state.column, last - 1);
    const across = reach(sizes, layers, state.column);
    const along = reach(sizes, layers, state.row);
    const bySkip = reachBySkip(sizes, layers, state.column);
    const bySkipAlong = reachBySkip(sizes, layers, state.row);
    const seen = { layers, sizes, clash, across, along, bySkip, bySkipAlong, counts: upward(layers, sizes) };
    parts.forEach((part) => part.draw(seen));
  };
  const parts = [settings, strips, squares, explain].map((part) => part(state, change));
  stage.append(...parts.map((part) => part.node));
  change({});
}

/** The taps of the last upward layer that has been reached, and where its output stands in sizes. */
function upward(layers, sizes) {
  const k = layers.slice(0, sizes.length - 1).findLastIndex(({ label }) => label.startsWith("↑"));
  return k < 0 ? null : taps(sizes[k], layers[k].layer);
}

/** The choices, and the sliders of the output pixel. */
function settings(state, change) {
  const group = (question, options, onChoose) => {
    const one = choice({ options, onChoose });
    return { node: element("div", { class: "ex-group" }, one.node), set: (i) => one.set(i, question) };
  };
  const plain = (values) => values.map((value) => ({ name: `${value}`, face: `${value}` }));
  const groups = [
    [group("Size of the picture", plain(SIZES), (i) => change({ size: SIZES[i] })), () => SIZES.indexOf(state.size)],
    [group("Levels below the first", plain(LEVELS), (i) => change({ levels: LEVELS[i] })), () => state.levels],
    [group("Kernel on the way down", DOWN, (i) => change({ down: i })), () => state.down],
    [group("Kernel on the way up", UP, (i) => change({ up: i })), () => state.up],
  ];
  const choices = element("div", { class: "ex-receptive-choices" }, ...groups.map(([{ node }]) => node));
  const sliders = element("div", { class: "ex-pair" });
  const node = element("div", {}, choices, sliders);
  let made = 0; // the range of the sliders, made anew for another size
  let column, row;
  const make = (last) => {
    const one = (key) => {
      const onInput = (value) => change({ [key]: value - 1 });
      return slider({ label: [`output pixel: ${key}`], range: [1, last], step: 1, onInput });
    };
    [column, row] = [one("column"), one("row")];
    sliders.replaceChildren(column.node, row.node);
    made = last;
  };
  const draw = ({ sizes }) => {
    const last = sizes.at(-1);
    groups.forEach(([{ set }, chosen]) => set(chosen()));
    if (made !== last) make(last);
    column.set(state.column + 1, `${state.column + 1} of ${last}`);
    row.set(state.row + 1, `${state.row + 1} of ${last}`);
  };
  return { node, draw };
}

/** One strip of pixels for each layer: a cut through the picture along a row. */
function strips(state, change) {
  const node = element("div", { class: "ex-strips ex-axes" });
  const pick = (event) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const last = Number(event.currentTarget.getAttribute("data-size"));
    const place = Math.floor(((event.clientX - left) / width) * last);
    change({ column: Math.min(Math.max(place, 0), last - 1) });
  };
  const follow = (event) => {
    if (event.buttons) pick(event);
  };
  const cells = (k, { sizes, across, bySkip }) => {
    const reached = new Set(across[k]);
    const near = new Set(bySkip && k < 2 ? bySkip[k] : []);
    return Array.from({ length: sizes[k] }, (_, i) => {
      const look = near.has(i) ? "ex-near" : reached.has(i) ? "ex-reached" : "ex-cell";
      return element("rect", { x: i, y: 0, width: 1, height: 1, class: look });
    });
  };
  const strip = (k, { sizes, layers }) => {
    const out = k === sizes.length - 1;
    const svg = element("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.setAttribute("class", out ? "ex-strip ex-out" : "ex-strip");
    svg.setAttribute("viewBox", `0 0 ${sizes[k]} 1`);
    svg.setAttribute("data-size", sizes[k]);
    if (out) {
      svg.addEventListener("pointerdown", pick);
      svg.addEventListener("pointermove", follow);
    }
    const label = k === 0 ? "picture" : layers[k - 1].label;
    const number = element("text", { x: 2, y: 14 }, `${sizes[k]}`);
    const size = element("svg", { width: 30, height: 18, class: "ex-size" }, number);
    return { svg, parts: [element("span", {}, label), svg, size] };
  };
  let shown = ""; // the layers of the strips that stand there: while they stay, only the cells change
  let made = [];
  const draw = (seen) => {
    const key = seen.sizes.join() + seen.layers.map(({ label }) => label).join();
    if (key !== shown) {
      made = seen.sizes.map((_, k) => strip(k, seen));
      node.replaceChildren(...made.flatMap(({ parts }) => parts));
      shown = key;
    }
    made.forEach(({ svg }, k) => svg.replaceChildren(...cells(k, seen)));
  };
  return { node, draw };
}

/** The picture with the square that is heard, and the taps of the last upward layer. */
function squares() {
  const left = element("div", { class: "ex-square" });
  const right = element("div", { class: "ex-square" });
  const caption = (text) => element("p", { class: "ex-muted" }, text);
  const draw = ({ sizes, across, along, bySkip, bySkipAlong, counts }) => {
    const size = sizes[0];
    const shade = (i, far, near) => (near?.includes(i) ? 2 : far.includes(i) ? 1 : 0);
    const columns = Array.from({ length: size }, (_, i) => shade(i, across[0], bySkip?.[0]));
    const rows = Array.from({ length: size }, (_, i) => shade(i, along[0], bySkipAlong?.[0]));
    const values = rows.flatMap((row) => columns.map((column) => Math.min(row, column) / 2));
    const seen = picture({ rows: size, columns: size, range: [0, 1] });
    seen.draw(values, "which pixels of the picture reach the output pixel");
    left.replaceChildren(seen.node, caption("what the output pixel hears of the picture"));
    if (!counts) {
      right.replaceChildren(caption("no upward layer, no taps to count"));
      return;
    }
    const most = Math.max(...counts) ** 2;
    const pattern = picture({ rows: counts.length, columns: counts.length, range: [0, most] });
    pattern.draw(counts.flatMap((a) => counts.map((b) => a * b)), "number of taps at each pixel");
    right.replaceChildren(pattern.node, caption(`taps of the last upward layer, 0 to ${most}`));
  };
  return { node: element("div", { class: "ex-squares" }, left, right), draw };
}

/** The sentence on the setting, and the question. */
function explain(state) {
  const sentence = liveSentence();
  const question = element("p", { class: "ex-question" });
  question.append(
    "Begin with no levels and add one after the other, at size 28. When does a pixel in the middle hear " +
      "from the whole picture? Then take the size 30: what is in the way?",
  );
  const draw = ({ layers, sizes, clash, across, along, bySkip, bySkipAlong, counts }) => {
    const turns = sizes.filter((size, k) => k === 0 || size !== sizes[k - 1]).join(" → ");
    if (clash !== null) {
      sentence.say(
        `${turns}, and the skip that waits there has ${clash}. ${sizes.at(-1)} and ${clash} pixels cannot be joined: ` +
          "with these settings the network does not run.",
      );
      return;
    }
    const whole = (set, size) => (set.length === size ? "all" : `${set.length}`);
    const skip = bySkip ? `, and ${bySkipAlong[0].length} × ${bySkip[0].length} through the upper skip alone` : "";
    sentence.say(
      `${turns}. The output pixel in row ${state.row + 1}, column ${state.column + 1} hears from ` +
        `${whole(along[0], sizes[0])} × ${whole(across[0], sizes[0])} `,
      `of the ${sizes[0]} × ${sizes[0]} pixels${skip}. `,
      evenness(counts),
    );
  };
  return { node: element("div", { class: "ex-words ex-receptive-words" }, sentence.node, question), draw };
}

/** What the taps of an upward layer say, away from the border. */
export function evenness(counts) {
  if (!counts) return "";
  const middle = counts.slice(2, -2);
  const kinds = [...new Set(middle.flatMap((a) => middle.map((b) => a * b)))].sort((a, b) => a - b);
  if (kinds.length === 1) return `The upward layer has ${kinds[0]} taps at every inner pixel.`;
  return `The upward layer has ${kinds.join(", ").replace(/, (\d+)$/, " or $1")} taps at a pixel: a checkerboard.`;
}
