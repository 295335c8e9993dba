"""A bare page around an explorable, and what the tests of explorables do with it."""

from pathlib import Path

import numpy as np

EXPLORABLES = Path(__file__).parents[1] / "book" / "explorables"
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
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


def violations(page):
    from axe_core_python.base import AXE_SCRIPT

    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("(options) => axe.run(document, options)", AXE)["violations"]
    return [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found]


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
