// Words: what a reader sees or hears is a template, a whole sentence or label with named holes.
//
// Each module has its templates in a table at its top, named ...WORDS, and nowhere else: an edition
// in another language puts its own in their places, by their keys, before a figure is mounted. So a
// table is read when a word is needed, and not before. A template writes a symbol as the text does,
// $x_t$, and has a variant where another number or case needs another sentence.

import { element } from "./elements.js";

const SHARED_WORDS = {
  of: "{now} of {all}",
};

/** The parts of a template, strings and nodes, its holes filled: say("At {t}, $x_t$", { t: 5 }). */
export function say(template, holes = {}) {
  const unused = new Set(Object.keys(holes));
  const parts = template.split(/(\$[^$]+\$|\{\w+\})/).flatMap((piece) => {
    if (piece.startsWith("$")) return symbol(...piece.slice(1, -1).split("_"));
    if (!piece.startsWith("{")) return piece;
    const name = piece.slice(1, -1);
    if (!(name in holes)) throw new Error(`nothing for the hole {${name}} of “${template}”`);
    unused.delete(name);
    return holes[name];
  });
  if (unused.size) throw new Error(`no hole {${[...unused].join("}, {")}} in “${template}”`);
  return parts;
}

/** A template without symbols, its holes filled, as one string: for names that are only heard. */
export function tell(template, holes) {
  return say(template, holes).join("");
}

/** Where a slider stands: 250 of 1000. */
export function outOf(now, all) {
  return tell(SHARED_WORDS.of, { now, all });
}

/** A symbol of the page with its index, such as x_t. */
export function symbol(name, index = "") {
  return element("span", { class: "ex-symbol" }, element("i", {}, name), element("sub", {}, index));
}

/** A square root over its content. */
export function root(...content) {
  return element("span", { class: "ex-root" }, "√", element("span", {}, ...content));
}

/** Sentences about the current setting: at once for the eye, and for the ear when it rests. */
export function liveSentence() {
  // A live region that changed with every pixel of a drag would be read out without end.
  const seen = element("p", { "aria-hidden": "true" });
  const heard = element("p", { class: "ex-unseen", "aria-live": "polite" });
  let rest;
  /** Each sentence as `say` returns it. */
  const show = (...sentences) => {
    const hear = () => (heard.textContent = seen.textContent);
    seen.replaceChildren(...sentences.flatMap((parts, i) => (i ? [" ", ...parts] : parts)));
    clearTimeout(rest);
    // What stands there before the figure is on the page is not read out, only found.
    if (heard.isConnected) rest = setTimeout(hear, 500);
    else hear();
  };
  return { node: element("div", { class: "ex-sentence" }, seen, heard), show };
}

/** The question that a figure asks. */
export function question(template, holes) {
  return element("p", { class: "ex-question" }, ...say(template, holes));
}
