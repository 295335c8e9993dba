"""Words that a translator can reach: whole paragraphs, each in one line of its source."""

import re
from collections.abc import Iterator
from pathlib import Path

import jupytext
import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

ROOT = Path(__file__).resolve().parents[1]
PROSE = [*ROOT.glob("chapters/*.py"), *ROOT.glob("book/*.md"), *ROOT.glob("*.md")]
MARKDOWN = MarkdownIt().enable("table").use(colon_fence_plugin)
MARKDOWN.use(dollarmath_plugin, allow_labels=True)
OPTIONS = re.compile(r"\A(:[\w-]+:.*\n)*")


def broken(markdown: str) -> Iterator[str]:
    """The paragraphs of more than one line, those in lists and directives too.

    Displayed formulas and code have their own lines, and so have the options of a directive.
    """
    for token in MARKDOWN.parse(markdown):
        if token.type == "inline" and "\n" in token.content:
            yield token.content
        elif token.info.startswith("{"):
            yield from broken(OPTIONS.sub("", token.content))


@pytest.mark.parametrize("path", sorted(PROSE), ids=lambda path: path.name)
def test_a_paragraph_is_one_line(path: Path) -> None:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        cells = jupytext.reads(text, fmt="py:percent").cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert list(broken(text)) == []


def test_broken_paragraphs_are_found_wherever_they_stand() -> None:
    fine = "One line.\n\n$$\nx\n= 1\n$$ (eq:x)\n\n- One.\n- Two.\n\n```\na\nb\n```\n\n|a|\n|-|\n|b|"
    inner = ":::{exercise} Title\n:label: ex\n:class: c\nOne line.\n\nFirst\nsecond.\n:::"
    assert list(broken(fine)) == []
    assert list(broken(f"{fine}\n\n- Third\n  fourth.\n\n> Fifth\n> sixth.\n\n{inner}")) == [
        "Third\nfourth.",
        "Fifth\nsixth.",
        "First\nsecond.",
    ]
