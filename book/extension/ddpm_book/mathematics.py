"""Mathematics is set when the book is built: a page shows its formulas without any script.

KaTeX sets them, as HTML with MathML inside for screen readers, in a V8 that Python brings along
(mini-racer: a tenth of what Node weighs). No package of Python carries KaTeX's style and fonts, so
its script lies beside this file and the rest in `book/assets/katex`, all from one release on npm.
"""

import atexit
import re
from functools import cache
from pathlib import Path

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.locale import _
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_name("katex.min.js")
# What LaTeX itself would not take is an error, but for letters as claims name them: ᾱ, σ², √β.
SET = r"""function set(tex, displayMode) {
  const strict = (code) => (code === "unicodeTextInMathMode" ? "ignore" : "error");
  const macros = { "√": "\\sqrt" };
  try {
    return [katex.renderToString(tex, { displayMode, strict, macros }), ""];
  } catch (error) {
    return ["", error.message];
  }
}"""
FORMULA = re.compile(r"\$(.+?)\$")
RAW = re.compile(r"[$_^√²³⁻Α-ωϕϵἀ-῾\u0300-\u036f]")  # a dollar, an index, a power, Greek, an accent
ANNOTATION = re.compile(r"<annotation .*?</annotation>", re.DOTALL)


class CannotBeSet(ValueError):
    """A formula that KaTeX refuses, with its reason."""


@cache
def html(tex: str, *, display: bool = False) -> str:
    """A formula as HTML."""
    formula, error = _katex().call("set", tex, display)
    if error:
        raise CannotBeSet(error)
    return ANNOTATION.sub("", formula)  # the source again, which nobody sees or hears


@cache
def _katex() -> MiniRacer:
    engine = MiniRacer()
    atexit.register(engine.close)  # or Python may wait for it forever when it ends
    engine.eval(SCRIPT.read_text("utf-8"))
    engine.eval(SET)
    return engine


def with_formulas(text: str) -> list[nodes.Node]:
    """A plain text in which $…$ are formulas, as nodes."""
    parts = FORMULA.split(text)
    return [nodes.math(part, part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts)]


def unset(text: str) -> bool:
    """Whether a plain text has mathematics outside of $…$, which a page would show as it is."""
    return bool(RAW.search(FORMULA.sub("", text)))


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    opening = translator.starttag(node, "span", "", CLASS="math notranslate nohighlight")
    translator.body.append(f"{opening}{_set(node)}</span>")
    raise nodes.SkipNode


def visit_display(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, _("Link to this equation"))
        translator.body.append("</span>")
    translator.body.append(f"{_set(node, display=True)}</div>\n")
    raise nodes.SkipNode


def _set(node: nodes.math | nodes.math_block, *, display: bool = False) -> str:
    try:
        return html(node.astext(), display=display)
    except CannotBeSet as error:
        logger.warning("this formula cannot be set: %s", error, location=node)
        return ""
