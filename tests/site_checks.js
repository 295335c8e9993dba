// What is wrong with the open document, as lists of sentences that name the element.
// site_checks.py evaluates this once on each page, then calls the functions at the end.
(() => {
  const root = document.documentElement;
  const all = (selector, node = document) => [...node.querySelectorAll(selector)];
  const naming = (problem, nodes) => nodes.map((node) => `${problem}: ${name(node)}`);

  function name(node) {
    if (node.nodeType === Node.TEXT_NODE) return `"${node.data.trim().slice(0, 120)}"`;
    const text = node.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
    return `${node.cloneNode(false).outerHTML.replace(/\s+/g, " ").slice(0, 200)} ${text}`;
  }

  const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const frame = () => new Promise((done) => requestAnimationFrame(done));

  /** Wait until the page has answered to a new width or color scheme, and nothing moves any more. */
  async function settle() {
    await frame(); // listeners have run before this one,
    await frame(); // and observers of sizes before this
    for (const animation of document.getAnimations()) {
      if (animation.effect.getComputedTiming().endTime < Infinity) animation.finish();
    }
  }

  // ---------------------------------------------------------------------------------- the content

  /** What neither width nor color scheme can change. Unfolds everything first, as readers will. */
  async function content() {
    await document.fonts.ready;
    all("details").forEach((details) => (details.open = true));
    all(".toggle-button[aria-expanded='false']").forEach((button) => button.click());
    await settle();
    // Two words are no proof of a description, but no hash and no bare file name has them.
    const described = ({ alt }) =>
      /\p{L}\S*\s+\S*\p{L}/u.test(alt) && !/\.(png|svg|jpg)\b/.test(alt);
    return [
      ...naming("mathematics is not set", all(".math").filter((x) => !x.querySelector(".katex"))),
      ...naming("KaTeX reports an error", all(".katex-error")),
      ...naming("markup is left in the text", markup()),
      ...naming("has no real alternative text", all("img").filter((image) => !described(image))),
      ...naming("an explorable that did not start", all(".explorable .ex-still")),
    ];
  }

  const NO_PROSE = "code, pre, script, style, noscript, textarea, .katex, .math";
  const MARKUP = /\$\$|\$\S[^$]*\$|\\[([a-z]|\{[\w:-]+\}`/i; // $$, $x$, \(, \alpha, {eq}`

  function markup() {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
      const text = texts.currentNode;
      if (MARKUP.test(text.data) && !text.parentElement.closest(NO_PROSE)) found.push(text);
    }
    return found;
  }

  // ------------------------------------------------------------------------------------ the layout

  /** What is wrong with the page at its present width, in this color scheme of the system. */
  async function layout(scheme) {
    await settle();
    const other = root.dataset.theme === scheme ? [] : [root];
    return [
      ...naming(`does not follow the system to ${scheme}`, other),
      ...naming(`scrolls sideways at ${innerWidth} px`, beyondTheEdge().slice(0, 3)),
    ];
  }

  // The theme lets the box around the article scroll, which would hide a page that is too wide.
  function beyondTheEdge() {
    const HANGING = 2; // pixels that nobody sees: KaTeX ends each index by that much beyond its box
    const scrolls = (node) => node.scrollWidth > node.clientWidth + HANGING;
    let box = all("h1").at(-1) ?? document.body; // before it, there is one for the printer
    while (box && !scrolls(box)) box = box.parentElement;
    if (!box) return [];
    const edge = box.getBoundingClientRect().left + box.clientLeft + box.clientWidth + HANGING;
    const contained = (node) => {
      for (let inner = node.parentElement; inner !== box; inner = inner.parentElement) {
        if (getComputedStyle(inner).overflowX !== "visible") return true;
      }
      return false;
    };
    const beyond = (node) => node.getBoundingClientRect().right > edge && !contained(node);
    const wide = all("*", box).filter(beyond);
    const holds = (node) => wide.some((other) => other !== node && node.contains(other));
    const inmost = wide.filter((node) => !holds(node));
    return inmost.length ? inmost : [box];
  }

  // --------------------------------------------------------------------------------- accessibility

  /**
   * A chapter has tens of thousands of elements, most of them tokens of code and parts of formulas,
   * and axe looks at each. So keep one token of each kind, and of a formula the boxes between which
   * its line may break: with the color of their sentence, and in em as letters may become smaller.
   */
  function simplify() {
    const seen = new Set();
    const repeated = all(".highlight span").filter((token) => {
      const place = token.closest(".cell_input, .cell_output, .admonition")?.className;
      const kind = `${token.className} ${token.getAttribute("style")} ${place}`;
      return seen.has(kind) || !seen.add(kind);
    });
    const boxes = all(".katex-html .katex-base").map((box) => {
      const { height, verticalAlign } = box.querySelector(".katex-strut").style;
      const em = box.getBoundingClientRect().width / parseFloat(getComputedStyle(box).fontSize);
      return [box, { width: `${em}em`, height, verticalAlign }];
    });
    repeated.forEach((token) => token.replaceWith(...token.childNodes));
    for (const [box, size] of boxes) {
      box.replaceChildren();
      Object.assign(box.style, size);
    }
    all(".katex-mathml").forEach((formula) => (formula.textContent = formula.textContent));
  }

  /** What axe finds by these tags of its rules, or by these rules. */
  async function accessibility({ type, values, allowed }) {
    await settle();
    markSamples();
    axe.configure({ rules: [{ id: "color-contrast", selector: "[data-sample]" }] });
    const options = { runOnly: { type, values }, resultTypes: ["violations"], elementRef: true };
    const { violations } = await axe.run(document, options);
    const may = (node, id) => allowed.some(([rule, where]) => rule === id && node.matches(where));
    return violations.flatMap(({ id, help, nodes }) =>
      nodes
        .filter(({ element }) => !may(element, id))
        .map(({ element, target, failureSummary }) => {
          const why = failureSummary.split("\n").slice(1).join(";").replace(/\s+/g, " ");
          return `axe ${id} (${help}): ${target}: ${name(element)}:${why}`;
        }),
    );
  }

  /**
   * Nine tenths of axe's time go into the contrast of text. It is the same for all text of one look
   * on the same grounds: so mark one of each, and everything that may lie on what is not around it.
   */
  function markSamples() {
    const grounds = new Map([[null, ""]]);
    const groundOf = (node) => {
      if (!grounds.has(node)) {
        const look = getComputedStyle(node);
        const { backgroundColor, backgroundImage, opacity, position } = look;
        const own = [backgroundColor, backgroundImage, opacity].join();
        const lies = /absolute|fixed/.test(position) || node instanceof SVGElement;
        const ground = lies ? `${own} ${grounds.size}` : own;
        const none = ground === "rgba(0, 0, 0, 0),none,1";
        grounds.set(node, groundOf(node.parentElement) + (none ? "" : `/${ground}`));
      }
      return grounds.get(node);
    };
    const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
    const hasText = (node) =>
      !node.matches("title, .katex-mathml") && // which nobody sees
      (node.matches("input, select, textarea") || [...node.childNodes].some(isText));
    const seen = new Set();
    for (const node of all("body, body *")) {
      const { color, fontSize, fontWeight, textShadow } = getComputedStyle(node);
      const kind = [node.localName, color, fontSize, fontWeight, textShadow, groundOf(node)].join();
      node.toggleAttribute("data-sample", hasText(node) && !seen.has(kind) && !!seen.add(kind));
    }
  }

  // ----------------------------------------------------------------------------------- the buttons

  /** Press them. An answer is a change in the document, a scroll, a moved focus, or a print. */
  async function deadButtons() {
    const dead = [];
    const seen = new Set(); // a button to copy code is like the next one
    let answered;
    window.print = () => (answered = true);
    const observer = new MutationObserver(() => (answered = true));
    const everything = { subtree: true, childList: true, attributes: true, characterData: true };
    observer.observe(document, everything);
    await settle();
    window.scrollTo(0, 500); // for the button that leads back to the top
    for (const button of all("button, summary")) {
      const kind = `${button.className} ${button.ariaLabel} ${button.textContent}`;
      if (button.disabled || seen.has(kind)) continue;
      if (!button.checkVisibility({ visibilityProperty: true })) continue;
      seen.add(kind);
      all("dialog[open]").forEach((dialog) => dialog.close());
      document.activeElement.blur();
      await until(() => !answered || (answered = false), 20); // the last one's answer is over
      answered = false;
      const place = scrollY;
      button.click();
      await until(() => answered || scrollY !== place || document.activeElement !== document.body);
      const still = !answered && scrollY === place && document.activeElement === document.body;
      if (still) dead.push(`does nothing: ${name(button)}`);
    }
    observer.disconnect();
    all("dialog[open]").forEach((dialog) => dialog.close());
    return dead;
  }

  async function until(done, tries = 100) {
    for (let i = 0; i < tries; i++) {
      await sleep(20);
      if (done()) return;
    }
  }

  window.siteChecks = { sleep, settle, content, layout, simplify, accessibility, deadButtons };
})();
