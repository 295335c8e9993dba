"""A bare page around an explorable, and what the tests of explorables do with it."""

from pathlib import Path

import numpy as np

EXPLORABLES = Path(__file__).parents[1] / "book" / "explorables"
DARK = ['<html data-theme="dark"', '<html theme="dark"', '<body data-jp-theme-light="false"']


def document(body, theme="", background="#fff", color="#222"):
    """A bare page, dark if `theme` is one of DARK."""
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bare</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <style>body {{ font: 16px sans-serif; background: {background}; color: {color} }}</style></head>
    <body><main><h1>Bare</h1>{body}</main></body></html>"""
    return page.replace(theme.split()[0] if theme else "", theme, 1)


def show(page, html, **look):
    page.set_content(document(html, **look))
    page.wait_for_function("document.querySelector('.ex-axes text')")  # laid out
    return page


# What of the explorables is beyond their edges, or too small for a finger, at the present width.
MISFITS = """() => {
  const root = document.documentElement;
  const found = root.scrollWidth > innerWidth ? ["the page scrolls sideways"] : [];
  const name = (node) =>
    `${node.localName}.${node.getAttribute("class")} ${node.textContent}`.slice(0, 90);
  const beyond = (box, edge) => box.left < edge.left - 1 || box.right > edge.right + 1;
  const small = (box) => Math.min(box.width, box.height) < 43.9; // 44, but for rounding
  const BOXES = "button, input, select, summary, canvas, .ex-note";
  const TARGETS = "button, input, select, summary, .ex-grip";
  for (const stage of document.querySelectorAll(".ex-stage")) {
    const edge = stage.getBoundingClientRect();
    for (const node of stage.querySelectorAll(`${BOXES}, ${TARGETS}`)) {
      const box = node.getBoundingClientRect();
      if (!box.width) continue; // not shown
      if (node.matches(BOXES) && beyond(box, edge)) found.push(`beyond the edge: ${name(node)}`);
      if (node.matches(TARGETS) && small(box)) found.push(`too small to touch: ${name(node)}`);
    }
  }
  return found.map((problem) => `${innerWidth} px: ${problem}`);
}"""


def misfits(page, widths=(1280, 360, 320)):
    """What of an open explorable finds no room on screens of these widths."""
    problems = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        problems += page.evaluate(MISFITS)
    return problems


def problems_on_screens(page, **widths):
    """And what axe finds at the last of them, in light and dark."""
    import site_checks

    problems = misfits(page, **widths)
    page.evaluate(site_checks.SCRIPT)
    problems += site_checks.accessibility_problems(page, site_checks.ALL)
    page.evaluate(
        """() => {
          document.documentElement.dataset.theme = "dark";
          document.body.style = "background: #121212; color: #ced6dd";
        }"""
    )
    dark = site_checks.accessibility_problems(page, site_checks.OF_COLOR)
    return problems + [f"dark: {problem}" for problem in dark]


def swipe(page, start, end):
    """Put a finger down, move it, lift it."""
    session = page.context.new_cdp_session(page)
    for i in range(11):
        x, y = (a + (b - a) * i / 10 for a, b in zip(start, end, strict=True))
        kind = "touchMove" if i else "touchStart"
        points = [{"x": x, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def uniform(seed, count):
    """mulberry32, as in core.js: what a chapter writes to see the page's random numbers."""
    mask, numbers = 2**32 - 1, []
    for _ in range(count):
        seed = (seed + 0x6D2B79F5) & mask
        z = ((seed ^ seed >> 15) * (seed | 1)) & mask
        z ^= (z + (z ^ z >> 7) * (z | 61)) & mask
        numbers.append((z ^ z >> 14) / 2**32)
    return np.array(numbers)


def randn(seed, count):
    pairs = uniform(seed, count + count % 2).reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log(1 - pairs[:, 0])), 2 * np.pi * pairs[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:count]
