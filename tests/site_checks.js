// What is wrong with the document that this function is evaluated in, as sentences that name the
// element. site_checks.py evaluates it, after axe, on every page.
async ({ scheme, tags, allowed }) => {
  const problems = [];
  const report = (problem, nodes) =>
    nodes.forEach((node) => problems.push(`${problem}: ${name(node)}`));
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  function name(node) {
    if (node.nodeType === Node.TEXT_NODE) return `"${node.data.trim().slice(0, 120)}"`;
    const text = node.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
    return `${node.cloneNode(false).outerHTML.replace(/\s+/g, " ").slice(0, 200)} ${text}`;
  }

  const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const ready = Promise.all([window.MathJax?.startup?.promise, document.fonts.ready]);
  await Promise.race([ready, sleep(20_000)]); // what is late by then is reported as missing

  // Readers will open whatever is folded.
  all("details").forEach((details) => (details.open = true));
  all(".toggle-button[aria-expanded='false']").forEach((button) => button.click());
  await sleep(50);

  // ---------------------------------------------------------------------------------- the content

  const root = document.documentElement;
  if (root.dataset.theme !== scheme) report(`does not follow the system to ${scheme}`, [root]);

  const unrendered = (node) => !node.querySelector("mjx-container");
  report("mathematics is not rendered", all(".math").filter(unrendered));
  report("MathJax reports an error", all("mjx-merror"));
  report("unknown TeX command", all("mjx-mtext[style*='color: red']")); // as MathJax shows it

  const NO_PROSE = "code, pre, script, style, noscript, textarea, mjx-container, .math";
  const MARKUP = /\$\$|\$\S[^$]*\$|\\[([a-z]|\{[\w:-]+\}`/i; // $$, $x$, \(, \alpha, {eq}`
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (MARKUP.test(text.data) && !text.parentElement.closest(NO_PROSE)) {
      report("markup is left in the text", [text]);
    }
  }

  // Two words are no proof of a description, but no hash and no bare file name has them.
  const described = ({ alt }) => /\p{L}\S*\s+\S*\p{L}/u.test(alt) && !/\.(png|svg|jpg)\b/.test(alt);
  report("has no real alternative text", all("img").filter((image) => !described(image)));

  report("an explorable that did not start", all(".explorable .ex-still"));

  // ------------------------------------------------------------------------------------ the layout

  // The theme lets the box around the article scroll, which would hide a page that is too wide.
  const scrolls = (node) => node.scrollWidth > node.clientWidth + 1;
  const contained = (node, box) => {
    for (let inner = node.parentElement; inner !== box; inner = inner.parentElement) {
      if (getComputedStyle(inner).overflowX !== "visible") return true;
    }
    return false;
  };
  let culprits = [];
  let box = all("h1").at(-1) ?? document.body; // before it, there is one for the printer
  for (; box && !culprits.length; box = box.parentElement) {
    if (!scrolls(box)) continue;
    const edge = box.getBoundingClientRect().left + box.clientLeft + box.clientWidth + 1;
    const beyond = (node) => node.getBoundingClientRect().right > edge && !contained(node, box);
    const wide = all("*", box).filter(beyond);
    culprits = wide.filter((node) => !wide.some((other) => other !== node && node.contains(other)));
    if (!culprits.length) culprits = [box];
  }
  report(`scrolls sideways at ${innerWidth} px`, culprits.slice(0, 3));

  // --------------------------------------------------------------------------------- accessibility

  if (!tags) return problems;
  simplify();
  const options = { runOnly: tags, resultTypes: ["violations"], elementRef: true };
  const { violations } = await axe.run(document, options);
  for (const { id, help, nodes } of violations) {
    for (const { element, target, failureSummary } of nodes) {
      if (allowed.some(([rule, selector]) => rule === id && element.matches(selector))) continue;
      const why = failureSummary.split("\n").slice(1).join(";").replace(/\s+/g, " ");
      problems.push(`axe ${id} (${help}): ${target}: ${name(element)}:${why}`);
    }
  }
  return problems;

  /**
   * axe takes half a minute for the colors of a chapter's thousands of small parts. But a token of
   * code has one color wherever it stands, and a formula that of its sentence: so keep one token of
   * each kind, and formulas as boxes of their size.
   */
  function simplify() {
    const seen = new Set();
    const repeated = all(".highlight span").filter((token) => {
      const place = token.closest(".cell_input, .cell_output, .admonition")?.className;
      const kind = `${getComputedStyle(token).color} ${token.className} ${place}`;
      return seen.has(kind) || !seen.add(kind);
    });
    const sizes = all("mjx-math").map((math) => [math, math.scrollWidth, math.scrollHeight]);
    repeated.forEach((token) => token.replaceWith(...token.childNodes));
    for (const [math, width, height] of sizes) {
      math.replaceChildren();
      math.style = `display: inline-block; width: ${width}px; height: ${height}px`;
    }
    all("mjx-assistive-mml").forEach((formula) => (formula.textContent = formula.textContent));
  }
}
