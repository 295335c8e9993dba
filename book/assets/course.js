// What is wider than the page scrolls, and a keyboard scrolls only what it can focus.
const WIDE = "div.math, .katex-display, div.cell_output pre";
const makeFocusable = () => {
  for (const box of document.querySelectorAll(WIDE)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", () => document.fonts.ready.then(makeFocusable));
addEventListener("resize", makeFocusable);
addEventListener("click", () => requestAnimationFrame(makeFocusable)); // it may have unfolded some
