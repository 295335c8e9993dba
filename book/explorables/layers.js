// Chapter 12: what each layer of the trained UNet holds, for one noisy digit, and where a pixel looks.

import { button, choice, format, picture, ramp, slider, unpack } from "./core.js";
import { element } from "./elements.js";
import { liveSentence, outOf, question, say, tell } from "./words.js";

const WORDS = {
  // The layers, in the order of computation, which is also that of the tab key.
  x_t: "the input $x_t$",
  stem: "stem",
  down: "down",
  shrink: "shrink",
  block: "block",
  attention: "attention",
  grow: "grow",
  up: "up",
  eps: "the output $ε̂$",
  layer: "layer",
  skip: "skip →",
  digit: "digit {name}",
  choose: "Choose a digit",
  time: "noise level: step $t$",
  channels: "{layer}: {count} channels of {side}×{side}",
  oneChannel: "{layer}: 1 channel of {side}×{side}",
  someChannels: "{layer}: {count} of its {all} channels of {side}×{side}",
  channel: "channel {channel} of {layer}",
  pick: "Pick a pixel of the 4×4 level: to whom does it listen?",
  pixels: "pixel of the bottom level",
  weight: "weight {weight}",
  spot: "row {row}, column {column}",
  spotAndWeight: "{spot}, weight {weight}",
  input: "At $t$ = {t} of {T}, the digit decides {share} % of what varies in {layer}, and the noise the rest.",
  share:
    "At $t$ = {t} of {T}, the digit decides {share} % of what varies in {layer} (of $x_t$ itself: {input} %), and the noise the rest.",
  itself: "The picked pixel, {spot}, listens most to itself, with a weight of {weight}.",
  listens: "The picked pixel, {spot}, listens most to the one in {other}, with a weight of {weight}.",
  question:
    "Set $t$ to 450 and walk along the U. In which layer is the digit easiest to read, and where does the noise come back? Then raise $t$: which layers lose the digit last?",
};

const ARROWS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const MOST = 0.5; // a byte of 255 in the stored weights of the attention
const WHITE = 0.25; // and what is white in their picture: few are larger

// -------------------------------------------------------------------------------- what is computed

/** The maps of one digit at one time: for each channel its values, in the layer's own scale. */
export function channels({ maps, side, limit }, row) {
  const values = maps[row];
  const size = side * side;
  return Array.from({ length: values.length / size }, (_, c) =>
    values.subarray(c * size, (c + 1) * size).map((value) => limit * value),
  );
}

/** The weights with which pixel i listens to each pixel; they sum to 1 but for the rounding to bytes. */
export function listens(weights, i) {
  const side = Math.sqrt(weights.length);
  return weights.subarray(i * side, (i + 1) * side).map((value) => (MOST * (value + 1)) / 2);
}

/** The place of the largest value. */
export function largest(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

// --------------------------------------------------------------------------------------- the figure

/** Build the explorable; data: { T, times, digits, names, layers, shares, attention }. */
export function layers(stage, { T, times, digits, names, layers: packed, shares, attention }) {
  const model = {
    T,
    times,
    names,
    shares,
    digits: unpack(digits),
    layers: packed.map((layer) => ({ ...layer, maps: unpack(layer.maps) })),
    attention: unpack(attention),
  };
  const last = Math.floor(times.length / 2);
  const state = { digit: 0, time: last, layer: packed.findIndex(({ name }) => name === "grow"), pixel: 5 };
  const change = (news) => {
    Object.assign(state, news);
    parts.forEach((part) => part.draw());
  };
  const make = [faces, timeSlider, uShape, featureMaps, looks, sayings];
  const parts = make.map((part) => part(model, state, change));
  const [digit, time, u, maps, attends, said] = parts.map((part) => part.node);
  const left = element("div", { class: "ex-layers-side" }, u, attends);
  stage.append(digit, time, element("div", { class: "ex-layers" }, left, maps), said);
  change({});
}

const rowOf = ({ times }, { digit, time }) => digit * times.length + time;

/** The digits to choose from. */
function faces({ digits, names }, state, change) {
  const side = Math.sqrt(digits[0].length);
  const options = digits.map((x_0, i) => {
    const face = picture({ rows: side, columns: side, range: [-1, 1] });
    const name = tell(WORDS.digit, { name: names[i] });
    face.draw(x_0, name);
    return { name, face: face.node };
  });
  const row = choice({ options, onChoose: (digit) => change({ digit }) });
  return { node: element("div", { class: "ex-row" }, row.node), draw: () => row.set(state.digit, WORDS.choose) };
}

/** The slider over the stored times. */
function timeSlider({ T, times }, state, change) {
  const range = [0, times.length - 1];
  const time = slider({ label: WORDS.time, range, step: 1, onInput: (time) => change({ time }) });
  return { node: time.node, draw: () => time.set(state.time, outOf(times[state.time], T)) };
}

/** The layers as buttons along the U; arrow keys go along it. */
function uShape({ layers: all }, state, change) {
  const buttons = all.map(({ name }, i) => {
    const one = button("", () => change({ layer: i }), "ex-option");
    one.style.gridArea = name; // of the U that the stylesheet draws
    one.append(...say(WORDS[name]));
    return one;
  });
  const node = element("div", { class: "ex-layers-u", role: "group", "aria-label": WORDS.layer });
  node.append(...buttons, element("span", { class: "ex-layers-skip", "aria-hidden": "true" }, WORDS.skip));
  node.addEventListener("keydown", (event) => {
    const to = state.layer + (ARROWS[event.key] ?? 0);
    if (!(event.key in ARROWS) || !buttons[to]) return;
    event.preventDefault(); // the page would scroll
    change({ layer: to });
    buttons[to].focus();
  });
  const draw = () => buttons.forEach((one, i) => one.setAttribute("aria-pressed", i === state.layer));
  return { node, draw };
}

/** The channels of the chosen layer, as pictures. */
function featureMaps(model, state) {
  const title = element("p", { class: "ex-title" });
  const tiles = element("div", { class: "ex-layers-grid" });
  const key = element("p", {});
  const node = element("div", { class: "ex-layers-maps" }, title, tiles, key);
  let drawn = null;
  let pictures = [];
  const draw = () => {
    const layer = model.layers[state.layer];
    const maps = channels(layer, rowOf(model, state));
    const range = [-layer.limit, layer.limit];
    if (drawn !== layer) {
      drawn = layer;
      pictures = maps.map(() => picture({ rows: layer.side, columns: layer.side, range }));
      tiles.replaceChildren(...pictures.map((one) => one.node));
      tiles.classList.toggle("ex-single", maps.length === 1);
      title.replaceChildren(...heading(layer, maps.length));
      key.replaceChildren(ramp("gray", range));
    }
    pictures.forEach((one, c) => one.draw(maps[c], tell(WORDS.channel, { channel: c + 1, layer: layer.name })));
  };
  return { node, draw };
}

/** How many of the channels of a layer are shown, and how large they are. */
function heading({ name, channels: all, side }, count) {
  const layer = say(WORDS[name]);
  if (count < all) return say(WORDS.someChannels, { layer, count, all, side });
  return count === 1 ? say(WORDS.oneChannel, { layer, side }) : say(WORDS.channels, { layer, count, side });
}

/** The pixels of the bottom level: pick one, and see with which weights it listens to each of them. */
function looks(model, state, change) {
  const count = Math.sqrt(model.attention[0].length);
  const side = Math.sqrt(count);
  const spots = Array.from({ length: count }, (_, i) => {
    const face = picture({ rows: 1, columns: 1, range: [0, WHITE] });
    const node = button("", () => change({ pixel: i }), "ex-option");
    node.append(face.node);
    return { face, node };
  });
  const title = element("p", { class: "ex-title" }, WORDS.pick);
  const grid = element("div", { class: "ex-layers-pixels", role: "group", "aria-label": WORDS.pixels });
  grid.append(...spots.map(({ node }) => node));
  grid.addEventListener("keydown", (event) => {
    const ways = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: side, ArrowUp: -side };
    if (!(event.key in ways)) return;
    event.preventDefault();
    const to = state.pixel + ways[event.key];
    const leaves = Math.abs(ways[event.key]) === 1 && Math.floor(to / side) !== Math.floor(state.pixel / side);
    if (leaves || !spots[to]) return;
    change({ pixel: to });
    spots[to].node.focus();
  });
  const draw = () => {
    const weights = listens(model.attention[rowOf(model, state)], state.pixel);
    spots.forEach(({ face, node }, i) => {
      const weight = weights[i].toFixed(2);
      face.draw([weights[i]], tell(WORDS.weight, { weight }));
      node.setAttribute("aria-label", tell(WORDS.spotAndWeight, { spot: spot(i, side), weight }));
      node.setAttribute("aria-pressed", i === state.pixel);
    });
  };
  return { node: element("div", { class: "ex-looks" }, title, grid, ramp("gray", [0, WHITE])), draw };
}

const spot = (i, side) => tell(WORDS.spot, { row: Math.floor(i / side) + 1, column: (i % side) + 1 });

/** Two sentences on what the setting shows, and the question. */
function sayings(model, state) {
  const sentence = liveSentence();
  const draw = () => {
    const { T, times, layers: all, shares } = model;
    const { name } = all[state.layer];
    const share = (i) => Math.round(100 * shares[i][state.time]);
    const holes = { t: times[state.time], T, share: share(state.layer), layer: say(WORDS[name]) };
    sentence.show(
      name === "x_t" ? say(WORDS.input, holes) : say(WORDS.share, { ...holes, input: share(0) }),
      listening(listens(model.attention[rowOf(model, state)], state.pixel), state.pixel),
    );
  };
  const node = element("div", { class: "ex-words ex-layers-words" });
  node.append(sentence.node, question(WORDS.question));
  return { node, draw };
}

function listening(weights, pixel) {
  const side = Math.sqrt(weights.length);
  const best = largest(weights);
  const holes = { spot: spot(pixel, side), weight: format(Number(weights[best].toFixed(2))) };
  return best === pixel ? say(WORDS.itself, holes) : say(WORDS.listens, { ...holes, other: spot(best, side) });
}
