// The parts that every explorable is made of: an element builder, a plot with curves and points to
// drag, pictures and heat maps, controls, a spoken sentence, and random numbers with a seed.
//
// A part is drawn once and then told its new value: `plot`, `picture`, ... return what to put in the
// page together with a function that changes it. They keep no other state; the explorable owns that.
//
// ddpm_lib/explore.py joins this file and one explorable into a single classic script. Therefore a
// module imports only from "./core.js", in one line, and exports only functions and constants.

// ---------------------------------------------------------------------------- elements and mounting

const SVG_TAGS = new Set(["svg", "g", "path", "line", "circle", "rect", "text"]);

/** An HTML or SVG element; an attribute whose value is a function listens to the event of its name. */
export function element(tag, attributes = {}, ...children) {
  const node = SVG_TAGS.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Replace the still picture of every figure with this key by what `build(stage, data)` puts on stage. */
export function mount(key, build, data) {
  // A page can show the same output twice, and a notebook runs a cell again: an attribute, unlike an
  // id, may repeat. The still goes last, so that it stays should `build` fail.
  for (const figure of document.querySelectorAll(`[data-explorable="${key}"]`)) {
    const still = figure.querySelector(".ex-still");
    if (!still) continue;
    const stage = element("div", { class: "ex-stage" });
    build(stage, data);
    still.replaceWith(stage);
  }
}

// ------------------------------------------------------------------------------------------ numbers

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32): the same in any language. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` standard normal numbers, two from each pair of uniform ones (Box and Muller 1958). */
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

/** The pictures of a uint8 tensor that Python has packed, as floats from -1 to 1 (data.scale). */
export function unpack({ shape, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const size = bytes.length / shape[0];
  return Array.from({ length: shape[0] }, (_, i) =>
    Float64Array.from(bytes.subarray(i * size, (i + 1) * size), (byte) => byte / 127.5 - 1),
  );
}

/** A number as the text writes it: three significant digits, all of them from 100 on, a real minus. */
export function format(value) {
  const options = { useGrouping: false, maximumSignificantDigits: 3 };
  const rounded = Math.abs(value) >= 100 ? Math.round(value) : value;
  if (rounded === Math.round(value)) delete options.maximumSignificantDigits;
  return rounded.toLocaleString("en-US", options).replace("-", "−");
}

// --------------------------------------------------------------------------------------- typography

/** A symbol of the page, such as x_t, in italics with its index. */
export function symbol(name, index = "") {
  const node = element("span", { class: "ex-symbol" }, element("i", {}, name));
  if (index) node.append(element("sub", {}, index));
  return node;
}

/** A square root over its content. */
export function root(...content) {
  return element("span", { class: "ex-root" }, "√", element("span", {}, ...content));
}

/** A sentence that follows the controls: at once for the eye, and for the ear when they rest. */
export function liveSentence() {
  // A live region that changed with each pixel of a drag would be read out forever.
  const seen = element("p", { "aria-hidden": "true" });
  const heard = element("p", { class: "ex-unseen", "aria-live": "polite" });
  let rest;
  const say = (...parts) => {
    seen.replaceChildren(...parts);
    clearTimeout(rest);
    rest = setTimeout(() => (heard.textContent = seen.textContent), 500);
  };
  return { node: element("div", { class: "ex-sentence" }, seen, heard), say };
}

// ----------------------------------------------------------------------------------------- controls

/** A button. */
export function button(text, onClick) {
  return element("button", { type: "button", class: "ex-button", click: onClick }, text);
}

/** A row of buttons of which at most one is pressed; options: [{ name, face }]. */
export function choice({ legend, options, onChoose }) {
  const buttons = options.map(({ name, face }, i) =>
    element(
      "button",
      { type: "button", class: "ex-option", "aria-label": name, click: () => onChoose(i) },
      face,
    ),
  );
  const title = element("legend", {}, legend);
  const row = element("div", { class: "ex-options" }, ...buttons);
  const set = (chosen, text) => {
    title.textContent = text;
    buttons.forEach((node, i) => node.setAttribute("aria-pressed", i === chosen));
  };
  return { node: element("fieldset", { class: "ex-choice" }, title, row), set };
}

/** A native slider under its label and its value. */
export function slider({ label, min, max, step = 1, onInput }) {
  const input = element("input", {
    type: "range",
    min,
    max,
    step,
    input: () => onInput(Number(input.value)),
  });
  const value = element("span", { class: "ex-value", "aria-hidden": "true" });
  const name = element("label", { class: "ex-slider" }, element("span", {}, ...label), input);
  const set = (number, text) => {
    input.value = number;
    input.setAttribute("aria-valuetext", text);
    value.textContent = text;
  };
  return { node: element("div", { class: "ex-control" }, name, value), set };
}

// ------------------------------------------------------------------------------------------ plots

const MARGIN = { top: 26, right: 14, bottom: 40, left: 34 };

/** Axes with room for curves and points; x, y: { range, label }. Redrawn whenever its width changes. */
export function plot({ x, y, height = 230, name }) {
  const svg = element("svg", { role: "group", "aria-label": name, height });
  const node = element("div", { class: "ex-plot" }, svg);
  const layers = [];
  const inside = () => ({
    left: MARGIN.left,
    top: MARGIN.top,
    width: area.width - MARGIN.left - MARGIN.right,
    height: height - MARGIN.top - MARGIN.bottom,
  });
  const area = {
    node,
    svg,
    x,
    y,
    width: 0,
    inside,
    toX: (value) => inside().left + inside().width * fraction(value, x.range),
    toY: (value) => inside().top + inside().height * (1 - fraction(value, y.range)),
    fromX: (pixel) => between(x.range, (pixel - inside().left) / inside().width),
    fromY: (pixel) => between(y.range, 1 - (pixel - inside().top) / inside().height),
    /** Keep `draw(value)` up to date; returns the function that changes the value. */
    layer(draw, value) {
      const show = () => area.width > 0 && draw(value);
      layers.push(show);
      show();
      return (next) => {
        value = next;
        show();
      };
    },
  };
  drawAxes(area);
  new ResizeObserver(([entry]) => {
    area.width = entry.contentRect.width;
    svg.setAttribute("width", area.width);
    layers.forEach((show) => show());
  }).observe(node);
  return area;
}

/** A line through [[x, y], ...]; kind: data, noise, model or guide. Returns the function that moves it. */
export function curve(area, kind, points) {
  const path = element("path", { class: `ex-curve ex-${kind}`, "aria-hidden": "true" });
  area.svg.append(path);
  return area.layer((now) => {
    const steps = now.map(([x, y]) => `${area.toX(x).toFixed(1)} ${area.toY(y).toFixed(1)}`);
    path.setAttribute("d", `M${steps.join("L")}`);
  }, points);
}

/** A dot at [x, y]. Returns the function that moves it. */
export function point(area, kind, position, parent = area.svg) {
  const dot = element("circle", { class: `ex-point ex-${kind}`, "aria-hidden": "true" });
  parent.append(dot);
  return area.layer(([x, y]) => {
    dot.setAttribute("cx", area.toX(x));
    dot.setAttribute("cy", area.toY(y));
  }, position);
}

/** Words in the plot, beside [x, y]; side: "above left", "below right", ... Not for the keyboard. */
export function note(area, side, position, ...content) {
  const node = element("div", { class: `ex-note ex-${side.replace(" ", " ex-")}` }, ...content);
  area.node.append(node);
  return area.layer(([x, y]) => {
    node.style.left = `${area.toX(x)}px`;
    node.style.top = `${area.toY(y)}px`;
  }, position);
}

/** A point to drag with mouse, finger or arrow keys; along: "x" or "xy". `onMove([x, y])` decides. */
export function draggable(area, { kind, along, step, name, onMove }) {
  // Along x the whole plot is the handle: wherever you press, the point comes.
  const grip = element(along === "x" ? "rect" : "circle", { class: "ex-grip", r: 22 });
  const knob = element("g", { class: `ex-handle ex-along-${along}`, tabindex: 0, role: "slider" }, grip);
  area.svg.append(knob);
  const movePoint = point(area, kind, [0, 0], knob);
  let position;
  const moveBy = ([dx, dy]) =>
    onMove([
      clamp(position[0] + dx * step, area.x.range),
      along === "x" ? position[1] : clamp(position[1] + dy * step, area.y.range),
    ]);
  listenToPointer(area, knob, (at) => onMove([at[0], along === "x" ? position[1] : at[1]]));
  knob.addEventListener("keydown", (event) => {
    const way = KEYS[event.key];
    if (!way) return;
    event.preventDefault(); // the page would scroll
    moveBy(way);
  });
  const moveGrip = area.layer(([x, y]) => placeGrip(area, grip, [x, y]), [0, 0]);
  return (next, text) => {
    position = next;
    movePoint(next);
    moveGrip(next);
    describe(knob, { name, text, now: next[0], range: area.x.range });
  };
}

/** Values on a grid as shades of one color, from clear to full; the first row is the lowest y. */
export function heatMap(area, kind, { rows, columns, range, name }) {
  const canvas = element("canvas", { width: columns, height: rows, class: "ex-heat", role: "img" });
  canvas.setAttribute("aria-label", `${name}, from ${range.map(format).join(" to ")}`);
  area.node.prepend(canvas);
  const key = element("span", { class: `ex-ramp ex-${kind}` });
  area.node.append(element("p", { class: "ex-key" }, format(range[0]), key, format(range[1])));
  const set = area.layer((values) => {
    const { left, top, width, height } = area.inside();
    Object.assign(canvas.style, { left: `${left}px`, top: `${top}px` });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const ink = getComputedStyle(key).color.match(/\d+/g).map(Number);
    paint(canvas, (row, column) => {
      const value = values[(rows - 1 - row) * columns + column];
      return [...ink.slice(0, 3), 255 * clamp(fraction(value, range), [0, 1])];
    });
  }, new Float64Array(rows * columns));
  return set;
}

// --------------------------------------------------------------------------------------- pictures

/** A gray picture whose pixels stay squares; values outside the range are black or white. */
export function picture({ rows, columns, range }) {
  const canvas = element("canvas", { width: columns, height: rows, class: "ex-picture", role: "img" });
  const draw = (values, name) => {
    canvas.setAttribute("aria-label", `${name}, gray from ${range.map(format).join(" to ")}`);
    paint(canvas, (row, column) => {
      const gray = 255 * clamp(fraction(values[row * columns + column], range), [0, 1]);
      return [gray, gray, gray, 255];
    });
  };
  return { node: canvas, draw };
}

/** What black and white mean in a picture. */
export function grayKey([low, high]) {
  const ramp = element("span", { class: "ex-ramp ex-gray" });
  return element("p", { class: "ex-key" }, format(low), ramp, format(high));
}
