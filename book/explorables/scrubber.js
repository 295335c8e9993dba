// A live panel where no kernel runs: a slider over pictures that were drawn beforehand.

import { slider } from "./core.js";
import { element } from "./elements.js";
import { liveSentence, symbol, tell } from "./words.js";

const WORDS = { frame: "{alt}; {label} {value}" };

/** The parts of a sentence, with an index for what follows an underscore: x_0, as panels.py does. */
export function words(sentence) {
  const parts = sentence.split(/(?<![\p{L}\d])(\p{L})_(\p{L}|\d)(?![\p{L}\d])/u);
  return parts.flatMap((part, i) => (i % 3 === 0 ? [part] : i % 3 === 1 ? [[part, parts[i + 1]]] : []));
}

/** Build the explorable; data: { label, width, height, frames: [{ value, picture, sentence }] }. */
export function scrubber(stage, { label, width, height, frames }, alt) {
  // All of them are there from the start: a new `src` would leave a gap until it is decoded.
  const pictures = frames.map(({ value, picture }) =>
    element("img", { src: picture, alt: tell(WORDS.frame, { alt, label, value }), width, height }),
  );
  const sentence = liveSentence();
  const control = slider({
    label,
    range: [0, frames.length - 1],
    step: 1,
    onInput: show,
  });
  function show(now) {
    pictures.forEach((picture, i) => (picture.hidden = i !== now));
    control.set(now, frames[now].value);
    const parts = words(frames[now].sentence);
    sentence.show(parts.map((part) => (Array.isArray(part) ? symbol(...part) : part)));
  }
  const film = element("div", { class: "ex-film" }, ...pictures);
  stage.append(control.node, film, sentence.node);
  show(frames.length - 1);
}
