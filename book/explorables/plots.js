// Axes to put curves, points, words and heat maps on, and points to drag.

import { OWN_KEYS, between, canvas, clamp, format, fraction, paint, ramp } from "./core.js";
import { element, place } from "./elements.js";
import { say, tell } from "./words.js";

const HEAT_WORDS = {
  shades: "{name}; clear is {low}, full color is {high}",
};

const MARGIN = { top: 26, right: 14, bottom: 40, left: 34 };
const THUMB = 22; // the width of a slider's thumb, as in explorables.css

/**
 * Axes to put curves and points on, drawn anew at every width; x, y: { range, label }, its label a template.
 *
 * y may say into about how many parts its lines cut it, and how it writes a value: { parts, write }.
 * square: one unit is as long both ways.
 */
export function plot({ name, x, y, height = 230, square = false }) {
  const svg = element("svg", { role: "group", "aria-label": name, height });
  const node = element("div", { class: "ex-plot" }, svg);
  const layers = [];
  let width = 0; // unknown until the plot is on the page
  const inside = () => ({
    x: MARGIN.left,
    y: MARGIN.top,
    width: width - MARGIN.left - MARGIN.right,
    height: height - MARGIN.top - MARGIN.bottom,
  });
  const toX = (value) => inside().x + inside().width * fraction(value, x.range);
  const toY = (value) => inside().y + inside().height * (1 - fraction(value, y.range));
  const fromX = (left) => between((left - inside().x) / inside().width, x.range);
  const fromY = (top) => between(1 - (top - inside().y) / inside().height, y.range);
  // Keeps draw(value) up to date with the width; returns the function that changes the value.
  const layer = (draw, value) => {
    const show = () => width > 0 && draw(value);
    layers.push(show);
    show();
    return (next) => {
      value = next;
      show();
    };
  };
  const fitHeight = () => {
    const units = (y.range[1] - y.range[0]) / (x.range[1] - x.range[0]);
    height = MARGIN.top + MARGIN.bottom + Math.max(0, units * inside().width);
    svg.setAttribute("height", height);
  };
  const redraw = () => {
    width = node.clientWidth;
    if (square) fitHeight();
    layers.forEach((show) => show());
  };
  new ResizeObserver(redraw).observe(node);
  onThemeChange(redraw);
  const area = { node, svg, x, y, inside, toX, toY, fromX, fromY, layer };
  drawAxes(area);
  return area;
}

/** Call `redraw` when the page turns dark or light: on the site, in Colab, in JupyterLab. */
function onThemeChange(redraw) {
  const observer = new MutationObserver(redraw);
  const attributeFilter = ["data-theme", "theme", "data-jp-theme-light"];
  for (const node of [document.documentElement, document.body]) {
    observer.observe(node, { attributeFilter });
  }
}

function drawAxes(area) {
  const axes = element("g", { class: "ex-axes", "aria-hidden": "true" });
  area.svg.append(axes);
  area.layer(() => {
    const { x, y, width, height } = area.inside();
    const text = (at, value, write = format) => element("text", at, write(value));
    const lines = ticks(area.y.range, area.y.parts ?? 2).map((value) => {
      const level = area.toY(value);
      const line = element("line", { x1: x, x2: x + width, y1: level, y2: level });
      return [line, text({ x: x - 8, y: level + 4, "text-anchor": "end" }, value, area.y.write)];
    });
    const below = ticks(area.x.range, 4).map((value) =>
      text({ x: area.toX(value), y: y + height + 19, "text-anchor": "middle" }, value),
    );
    axes.replaceChildren(...lines.flat(), ...below);
  });
  note(area, "axis-y", [area.x.range[0], area.y.range[1]], ...say(area.y.label));
  note(area, "axis-x", [area.x.range[1], area.y.range[0]], ...say(area.x.label));
}

/** Round numbers that cut a range into about `count` parts. */
function ticks([low, high], count) {
  const power = 10 ** Math.floor(Math.log10((high - low) / count));
  const step = power * [1, 2, 2.5, 5, 10].find((round) => round * power * count >= high - low);
  const first = Math.ceil(low / step - 1e-9); // the ends count, also where 0.3 / 0.1 < 3
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Indent a slider so that its thumb stands exactly over the same value of a plot's x-axis. */
export function alignWithPlot({ node }) {
  node.style.paddingLeft = `${MARGIN.left - THUMB / 2}px`;
  node.style.paddingRight = `${MARGIN.right - THUMB / 2}px`;
}

/** A line through [[x, y], ...]; kind: "data", "noise", "model" or "guide". Returns what moves it. */
export function curve(area, kind, points) {
  const path = element("path", { class: `ex-curve ex-${kind}`, "aria-hidden": "true" });
  area.svg.append(path);
  return area.layer((now) => {
    const corners = now.map(([x, y]) => `${area.toX(x).toFixed(1)} ${area.toY(y).toFixed(1)}`);
    path.setAttribute("d", `M${corners.join("L")}`);
  }, points);
}

/** A dot at [x, y]. Returns what moves it. */
export function point(area, kind, position, parent = area.svg) {
  const dot = element("circle", { class: `ex-point ex-${kind}`, r: 5, "aria-hidden": "true" });
  parent.append(dot);
  return area.layer(([x, y]) => place(dot, { cx: area.toX(x), cy: area.toY(y) }), position);
}

/** Words to the right of [x, y]; look: color and height, such as "data above". Returns what moves them. */
export function note(area, look, position, ...content) {
  const node = element("div", { class: `ex-note ex-${look.replaceAll(" ", " ex-")}` }, ...content);
  area.node.append(node);
  return area.layer(([x, y]) => {
    node.style.left = `${area.toX(x)}px`;
    node.style.top = `${area.toY(y)}px`;
  }, position);
}

/**
 * A point to drag by mouse, finger or arrow keys, along "x" or "xy". Returns what moves it.
 * Along x the grip is the whole plot, or the "point" alone where a plot has several.
 */
export function draggable(area, { kind, along, grip: held = "plot", step, name, position, onMove }) {
  const free = along === "xy";
  const small = free || held === "point";
  const [min, max] = area.x.range;
  const grip = element(small ? "circle" : "rect", { class: "ex-grip" });
  const handle = element("g", { class: "ex-handle", tabindex: 0, ...OWN_KEYS }, grip);
  place(handle, { role: "slider", "aria-label": name, "aria-valuemin": min, "aria-valuemax": max });
  area.svg.append(handle);
  const movePoint = point(area, kind, position, handle);
  // Where the whole plot is the grip, the point comes to where you press.
  const moveGrip = area.layer(
    ([x, y]) => place(grip, small ? { cx: area.toX(x), cy: area.toY(y), r: 22 } : area.inside()),
    position,
  );
  const ask = (x, y) => onMove([clamp(x, [min, max]), free ? clamp(y, area.y.range) : position[1]]);
  followPointer(handle, area.svg, small, (left, top) => ask(area.fromX(left), area.fromY(top)));
  // A finger on the point does not scroll the page; in the plot, it scrolls when it goes up or down.
  // (touch-action belongs on the svg: Chromium ignores it on what is inside.)
  if (small) handle.addEventListener("touchstart", (event) => event.preventDefault());
  else area.svg.style.touchAction = "pan-y";
  followKeys(handle, (right, up) =>
    free
      ? ask(position[0] + right * step, position[1] + up * step)
      : ask(position[0] + (right + up) * step),
  );
  return (next, text) => {
    position = next;
    movePoint(next);
    moveGrip(next);
    place(handle, { "aria-valuenow": next[0], "aria-valuetext": text });
  };
}

function followPointer(handle, svg, small, moveTo) {
  let start = null; // where the pointer came down, while it is down
  const scrolls = ({ pointerType, clientX, clientY }) =>
    !small &&
    pointerType === "touch" &&
    Math.abs(clientY - start.clientY) > Math.abs(clientX - start.clientX);
  const follow = (event) => {
    if (!start || scrolls(event)) return;
    const { left, top } = svg.getBoundingClientRect();
    moveTo(event.clientX - left, event.clientY - top);
  };
  const press = (event) => {
    if (event.button !== 0) return;
    start = event;
    handle.setPointerCapture(event.pointerId);
    if (event.pointerType !== "touch") follow(event); // a finger may yet scroll: wait and see
  };
  const release = () => (start = null);
  place(handle, { pointerdown: press, pointermove: follow, pointercancel: release });
  place(handle, { pointerup: (event) => release(follow(event)) });
}

function followKeys(handle, moveBy) {
  const ways = {
    ArrowRight: [1, 0],
    ArrowLeft: [-1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
    PageUp: [0, 10],
    PageDown: [0, -10],
    Home: [-Infinity, 0],
    End: [Infinity, 0],
  };
  handle.addEventListener("keydown", (event) => {
    if (!(event.key in ways)) return;
    event.preventDefault(); // the page would scroll
    moveBy(...ways[event.key]);
  });
}

/** A grid of values as shades of one color, clear to full; row 0 is the lowest y. Returns what draws. */
export function heatMap(area, kind, { rows, columns, range, name }) {
  const node = canvas("ex-heat", rows, columns);
  const [low, high] = range.map(format);
  node.setAttribute("aria-label", tell(HEAT_WORDS.shades, { name, low, high }));
  const key = ramp(kind, range);
  area.node.prepend(node);
  area.node.append(key);
  const draw = (values) => {
    const { x, y, width, height } = area.inside();
    node.style.cssText = `left:${x}px;top:${y}px;width:${width}px;height:${height}px`;
    const ink = getComputedStyle(key.querySelector(".ex-ramp")).color.match(/\d+/g).map(Number);
    paint(node, (row, column) => {
      const value = values[(rows - 1 - row) * columns + column];
      return [...ink, 255 * clamp(fraction(value, range), [0, 1])];
    });
  };
  return area.layer(draw, new Float64Array(rows * columns));
}
