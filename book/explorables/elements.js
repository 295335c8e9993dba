// Elements of the page, which all parts of an explorable are made of.

const SVG_TAGS = new Set(["svg", "g", "path", "line", "circle", "rect", "text"]);

/** An HTML or SVG element; an attribute that is a function listens to the event of its name. */
export function element(tag, attributes = {}, ...children) {
  const node = SVG_TAGS.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  node.append(...children);
  return place(node, attributes);
}

export function place(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  return node;
}
