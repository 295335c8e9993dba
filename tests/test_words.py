"""Words that a translator can reach: whole paragraphs in Markdown, templates in explorables."""

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

SCRIPTS = sorted((ROOT / "book" / "explorables").glob("*.js"))
TABLE = re.compile(r"^const (\w*WORDS) = \{(.*?)\};$", re.MULTILINE | re.DOTALL)
STRING = r'"(?:[^"\\\n]|\\.)*"'
COMMENT = r"//[^\n]*|/\*.*?\*/"
LITERAL = re.compile(rf"{COMMENT}|({STRING}|`(?:[^`\\]|\\.)*`)", re.DOTALL)
HOLE = re.compile(r"\{(\w+)\}")
CALL = re.compile(r"\b(?:say|tell|question)\((\w*WORDS)\.(\w+)(?:, \{(.*?)\})?\)")
# What a literal of two words may be outside of the tables: looks, and what only a browser reads.
LOOK = re.compile(r"ex-\S*|data|noise|model|muted|product|above|below|count")
CODE = re.compile(r"\(prefers-|nothing for the hole |no hole |M l")


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


def tables(source: str) -> dict[str, dict[str, str]]:
    """The templates of a module, by table and key; those of a list are one, joined."""
    found = {}
    for name, body in TABLE.findall(source):
        entries = re.findall(rf"(\w+):\s+({STRING}|\[[^]]*\])", re.sub(r"//[^\n]*", "", body))
        found[name] = dict(entries)
    return found


def without_brackets(code: str) -> str:
    """The outermost level of a list of arguments."""
    while (shorter := re.sub(r"[(\[{][^()\[\]{}]*[)\]}]", "", code)) != code:
        code = shorter
    return code


def assembled(source: str) -> Iterator[str]:
    """What has words outside of the tables: a sentence, or a part of one."""
    code = re.sub(r"\$\{[^{}]*\}", "", TABLE.sub("", source))
    for literal in LITERAL.findall(code):
        text = literal[1:-1]
        of_two = re.search(r"\s", text) and re.search(r"[a-z]", text)
        if of_two and not all(map(LOOK.fullmatch, text.split())) and not CODE.match(text):
            yield literal
    # And what is shown as it stands.
    shown = r'(?:label|name|face|aria-label"|textContent):? =? ?\[?(["`][^"`]*[a-z][^"`]*["`])'
    yield from re.findall(shown, code)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_what_an_explorable_says_is_a_template_in_its_table(path: Path) -> None:
    assert list(assembled(path.read_text("utf-8"))) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_templates_are_whole_filled_and_used(path: Path) -> None:
    source = path.read_text("utf-8")
    known = tables(source)
    for name, body in TABLE.findall(source):
        left = re.sub(rf"{COMMENT}|{STRING}", "", body)
        assert re.fullmatch(r"[\w:,\[\]\s]*", left), f"{name}: more than keys and strings: {left}"
        used = set(re.findall(rf"\b{name}\.(\w+)", source))
        assert f"{name}[" in source or set(known[name]) == used
        assert used <= set(known[name])
    for name, key, filled in CALL.findall(source):
        holes = set(HOLE.findall(known[name][key]))
        given = set(re.findall(r"(?:^|,) *(\w+)", without_brackets(filled)))
        assert given <= holes and ("..." in filled or holes <= given), f"{key}: {given}, {holes}"


@pytest.mark.parametrize(
    "line",
    [
        "sentence.show([`At ${t} of ${T} steps`]);",
        'sentence.show(["At step ", t]);',
        'const text = count + " steps";',
        "const text = `${count} step${count > 1 ? `s` : ``}`;",
        'plot({ name: "density" });',
        'slider({ label: ["density"] });',
        'node.textContent = "density";',
    ],
)
def test_a_sentence_from_parts_is_found(line: str) -> None:
    assert list(assembled(f'const WORDS = {{\n  a: "of two",\n}};\n{line}\n'))
