// Chapter 11: the layers of a UNet, the size of each, and the pixels that reach one pixel of its output.

import { CONV, chain, reach, reachBySkip, sizesOf, taps } from "./arithmetic.js";
import { choice, picture, slider } from "./core.js";
import { element } from "./elements.js";
import { liveSentence, outOf, question, say, tell } from "./words.js";

const WORDS = {
  size: "Size of the picture",
  levels: "Levels below the first",
  downward: "Kernel on the way down",
  upward: "Kernel on the way up",
  down3: "convolution 3 wide",
  down3Face: "3 wide",
  down4: "convolution 4 wide",
  down4Face: "4 wide",
  up4: "transposed, 4 wide",
  up4Face: "4",
  up3: "transposed, 3 wide",
  up3Face: "3",
  up3padded: "transposed, 3 wide, output padding 1",
  up3paddedFace: "3 + 1",
  upNearest: "nearest, then a convolution 3 wide",
  upNearestFace: "nearest",
  column: "output pixel: column",
  row: "output pixel: row",
  // The layers, as arithmetic.js names them.
  picture: "picture",
  conv: "3 wide",
  down: "↓ stride 2",
  transposed: "↑ transposed",
  nearest: "↑ nearest",
  skip: "+ skip, 3 wide",
  out: "3 wide: out",
  reaches: "which pixels of the picture reach the output pixel",
  hears: "what the output pixel hears of the picture",
  noTaps: "no upward layer, no taps to count",
  taps: "number of taps at each pixel",
  tapsCaption: "taps of the last upward layer, 0 to {most}",
  turns: "{turns} → {size}",
  all: "all",
  square: "{rows} × {columns}",
  clash:
    "{turns}, and the skip that waits there has {clash}. {size} and {clash} pixels cannot be joined: with these settings the network does not run.",
  heard:
    "{turns}. The output pixel in row {row}, column {column} hears from {heard} of the {size} × {size} pixels.",
  heardBySkip:
    "{turns}. The output pixel in row {row}, column {column} hears from {heard} of the {size} × {size} pixels, and {bySkip} through the upper skip alone.",
  even: "The upward layer has {taps} taps at every inner pixel.",
  uneven: "The upward layer has {taps} taps at a pixel: a checkerboard.",
  and: "{taps}, {more}",
  or: "{taps} or {more}",
  question:
    "Begin with no levels and add one after the other, at size 28. When does a pixel in the middle hear from the whole picture? Then take the size 30: what is in the way?",
};

const SIZES = [8, 28, 30, 32];
const LEVELS = [0, 1, 2, 3];
const DOWN = [
  { key: "down3", layer: { kind: "conv", kernel: 3, stride: 2, padding: 1 } },
  { key: "down4", layer: { kind: "conv", kernel: 4, stride: 2, padding: 1 } },
];
const transposed = (kernel, padding, extra) => ({ kind: "transposed", kernel, stride: 2, padding, extra });
const UP = [
  { key: "up4", layer: transposed(4, 1, 0) },
  { key: "up3", layer: transposed(3, 1, 0) },
  { key: "up3padded", layer: transposed(3, 1, 1) },
  { key: "upNearest", layer: { ...CONV, kind: "nearest", stride: 2 } },
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
  const k = layers.slice(0, sizes.length - 1).findLastIndex(({ layer }) => layer.kind !== "conv");
  return k < 0 ? null : taps(sizes[k], layers[k].layer);
}

/** The choices, and the sliders of the output pixel. */
function settings(state, change) {
  const group = (title, options, onChoose) => {
    const one = choice({ options, onChoose });
    return { node: element("div", { class: "ex-group" }, one.node), set: (i) => one.set(i, title) };
  };
  const named = (all) => all.map(({ key }) => ({ name: WORDS[key], face: WORDS[`${key}Face`] }));
  const plain = (values) => values.map((value) => ({ name: `${value}`, face: `${value}` }));
  const groups = [
    [group(WORDS.size, plain(SIZES), (i) => change({ size: SIZES[i] })), () => SIZES.indexOf(state.size)],
    [group(WORDS.levels, plain(LEVELS), (i) => change({ levels: LEVELS[i] })), () => state.levels],
    [group(WORDS.downward, named(DOWN), (i) => change({ down: i })), () => state.down],
    [group(WORDS.upward, named(UP), (i) => change({ up: i })), () => state.up],
  ];
  const choices = element("div", { class: "ex-receptive-choices" }, ...groups.map(([{ node }]) => node));
  const sliders = element("div", { class: "ex-pair" });
  const node = element("div", {}, choices, sliders);
  let made = 0; // the range of the sliders, made anew for another size
  let column, row;
  const make = (last) => {
    const one = (key) => {
      const onInput = (value) => change({ [key]: value - 1 });
      return slider({ label: WORDS[key], range: [1, last], step: 1, onInput });
    };
    [column, row] = [one("column"), one("row")];
    sliders.replaceChildren(column.node, row.node);
    made = last;
  };
  const draw = ({ sizes }) => {
    const last = sizes.at(-1);
    groups.forEach(([{ set }, chosen]) => set(chosen()));
    if (made !== last) make(last);
    column.set(state.column + 1, outOf(state.column + 1, last));
    row.set(state.row + 1, outOf(state.row + 1, last));
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
    const label = WORDS[k === 0 ? "picture" : layers[k - 1].key];
    const number = element("text", { x: 2, y: 14 }, `${sizes[k]}`);
    const size = element("svg", { width: 30, height: 18, class: "ex-size" }, number);
    return { svg, parts: [element("span", {}, label), svg, size] };
  };
  let shown = ""; // the layers of the strips that stand there: while they stay, only the cells change
  let made = [];
  const draw = (seen) => {
    const key = seen.sizes.join() + seen.layers.map(({ key }) => key).join();
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
    seen.draw(values, WORDS.reaches);
    left.replaceChildren(seen.node, caption(WORDS.hears));
    if (!counts) {
      right.replaceChildren(caption(WORDS.noTaps));
      return;
    }
    const most = Math.max(...counts) ** 2;
    const pattern = picture({ rows: counts.length, columns: counts.length, range: [0, most] });
    pattern.draw(counts.flatMap((a) => counts.map((b) => a * b)), WORDS.taps);
    right.replaceChildren(pattern.node, caption(tell(WORDS.tapsCaption, { most })));
  };
  return { node: element("div", { class: "ex-squares" }, left, right), draw };
}

/** The sentences on the setting, and the question. */
function explain(state) {
  const sentence = liveSentence();
  const draw = (seen) => {
    const { sizes, clash, counts } = seen;
    const changed = sizes.filter((size, k) => k === 0 || size !== sizes[k - 1]);
    const turns = changed.reduce((turns, size) => tell(WORDS.turns, { turns, size }));
    if (clash !== null) sentence.show(say(WORDS.clash, { turns, clash, size: sizes.at(-1) }));
    else sentence.show(heardBy(state, seen, turns), ...evenness(counts));
  };
  const node = element("div", { class: "ex-words ex-receptive-words" });
  node.append(sentence.node, question(WORDS.question));
  return { node, draw };
}

/** From how many pixels the output pixel hears. */
function heardBy({ row, column }, { sizes, along, across, bySkip, bySkipAlong }, turns) {
  const [size] = sizes;
  const whole = ({ length }) => (length === size ? WORDS.all : length);
  const heard = tell(WORDS.square, { rows: whole(along[0]), columns: whole(across[0]) });
  const holes = { turns, row: row + 1, column: column + 1, heard, size };
  if (!bySkip) return say(WORDS.heard, holes);
  const square = tell(WORDS.square, { rows: bySkipAlong[0].length, columns: bySkip[0].length });
  return say(WORDS.heardBySkip, { ...holes, bySkip: square });
}

/** What the taps of an upward layer say, away from the border. */
function evenness(counts) {
  if (!counts) return [];
  const middle = counts.slice(2, -2);
  const kinds = [...new Set(middle.flatMap((a) => middle.map((b) => a * b)))].sort((a, b) => a - b);
  if (kinds.length === 1) return [say(WORDS.even, { taps: kinds[0] })];
  const join = (taps, more, i) => tell(i < kinds.length - 1 ? WORDS.and : WORDS.or, { taps, more });
  return [say(WORDS.uneven, { taps: kinds.reduce(join) })];
}
