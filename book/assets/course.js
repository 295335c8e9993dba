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

// The search quotes pages as text, where a formula would stand twice, once for screen readers. What
// is a link to a heading it leaves out: so the other one becomes such a link, for it alone.
addEventListener("DOMContentLoaded", () => {
  const { htmlToText } = Search;
  Search.htmlToText = (html, anchor) =>
    htmlToText(html.replaceAll('class="katex-html"', 'class="headerlink"'), anchor);
});
