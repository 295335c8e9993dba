// The parts that explorables are made of: numbers, controls, pictures; what has axes is in plots.js.
//
// A part is made once and later told its new value, by the function that it is returned with. It
// keeps no other state: what is shown belongs to the explorable.
//
// ddpm_lib/course/explore.py joins an explorable and the modules that it imports into one classic
// script. So a module imports from "./module.js" only, in one line, exports functions and constants
// only, and has no name that another has.

import { element, place } from "./elements.js";
import { say, tell } from "./words.js";

const PICTURE_WORDS = {
  gray: "{name}; {low} is black, {high} is white",
};

// -------------------------------------------------------------------------------------- on the page

/** Put what `build(stage, data, alt)` makes in place of each still picture with this key, and its alt. */
export function mount(key, build, data) {
  // The key is no id, because a page may show the same output twice. The still goes last: should
  // `build` fail, it stays.
  for (const figure of document.querySelectorAll(`[data-explorable="${key}"]`)) {
    const still = figure.querySelector(".ex-still");
    if (!still) continue; // mounted already, by the script of an equal output
    const stage = element("div", { class: "ex-stage" });
    build(stage, data, still.querySelector("img").alt);
    still.replaceWith(stage);
  }
}

// ------------------------------------------------------------------------------------------ numbers

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32): the same in every language. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` standard normal numbers, two from each pair of uniform ones (Box & Muller 1958). */
export function randn(uniform, count) {
  const normal = new Float64Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    normal[i] = radius * Math.cos(angle);
    if (i + 1 < count) normal[i + 1] = radius * Math.sin(angle);
  }
  return normal;
}

/** The pictures in a packed uint8 tensor, as floats from -1 to 1 (as data.scale does). */
export function unpack({ shape, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const size = bytes.length / shape[0];
  return Array.from({ length: shape[0] }, (_, i) =>
    Float64Array.from(bytes.subarray(i * size, (i + 1) * size), (byte) => byte / 127.5 - 1),
  );
}

/** A number as the text writes it: at least three significant digits, and a real minus sign. */
export function format(value) {
  const digits = { useGrouping: false, maximumSignificantDigits: 3 };
  const text = Math.abs(value) < 1000 ? value.toLocaleString("en-US", digits) : value.toFixed(0);
  return text.replace("Infinity", "∞").replace("-", "−");
}

export const fraction = (value, [low, high]) => (value - low) / (high - low);
export const between = (part, [low, high]) => low + part * (high - low);
export const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);

// ----------------------------------------------------------------------------------------- controls

// On what has the focus: JupyterLab keeps its hands off arrow keys and Enter, which else go to cells.
export const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

/** A button. */
export function button(text, onClick, look = "ex-button") {
  return element("button", { type: "button", class: look, click: onClick, ...OWN_KEYS }, text);
}

/** A question over a row of buttons, of which one at most is pressed; options: [{ name, face }]. */
export function choice({ options, onChoose }) {
  const buttons = options.map(({ name, face }, i) =>
    place(button(face, () => onChoose(i), "ex-option"), { "aria-label": name }),
  );
  const title = element("p", { class: "ex-title" });
  const row = element("div", { class: "ex-options" }, ...buttons);
  const node = element("div", { class: "ex-choice", role: "group" }, title, row);
  const set = (chosen, question) => {
    title.textContent = question;
    node.setAttribute("aria-label", question);
    buttons.forEach((option, i) => option.setAttribute("aria-pressed", i === chosen));
  };
  return { node, set };
}

/** A native slider with its label, a template, and its value. */
export function slider({ label, range: [min, max], step, onInput }) {
  const input = element("input", { type: "range", min, max, step, ...OWN_KEYS });
  input.addEventListener("input", () => onInput(Number(input.value)));
  const shown = element("span", { class: "ex-value", "aria-hidden": "true" });
  const set = (value, text) => {
    input.value = value;
    input.setAttribute("aria-valuetext", text);
    shown.textContent = text;
  };
  const labeled = element("label", {}, element("span", {}, ...say(label)), input);
  return { node: element("div", { class: "ex-slider" }, labeled, shown), set };
}

// ----------------------------------------------------------------------------------------- pictures

/** A gray picture whose pixels stay squares; a value outside the range is black or white. */
export function picture({ rows, columns, range }) {
  const node = canvas("ex-picture", rows, columns);
  const [low, high] = range.map(format);
  const draw = (values, name) => {
    node.setAttribute("aria-label", tell(PICTURE_WORDS.gray, { name, low, high }));
    paint(node, (row, column) => {
      const gray = 255 * clamp(fraction(values[row * columns + column], range), [0, 1]);
      return [gray, gray, gray, 255];
    });
  };
  return { node, draw };
}

/** The range of a picture or heat map, drawn as a ramp from its lowest to its highest value. */
export function ramp(kind, [low, high]) {
  const shades = element("span", { class: `ex-ramp ex-${kind}` });
  return element("span", { class: "ex-key" }, format(low), shades, format(high));
}

export function canvas(kind, rows, columns) {
  return element("canvas", { class: kind, role: "img", width: columns, height: rows });
}

/** Fill a canvas from `color(row, column)`, which returns [red, green, blue, opacity], 0 to 255. */
export function paint(node, color) {
  const { width, height } = node;
  const context = node.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    pixels.data.set(color(Math.floor(i / width), i % width), 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}
