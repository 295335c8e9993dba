// A formula that is wider than the page scrolls, and a keyboard scrolls only what it can focus.
const makeFocusable = () => {
  for (const box of document.querySelectorAll("div.math, mjx-container[display=true]")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", () => window.MathJax?.startup?.promise.then(makeFocusable));
addEventListener("resize", makeFocusable);
