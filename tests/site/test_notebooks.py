"""The downloaded notebooks: nothing of MyST is left in them, and their code has been run."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest

from ddpm_book.runnable import EMPTY, runnable

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("SITE", ROOT / "_build/html"))
NOTEBOOKS = sorted(SITE.glob("_sources/chapters/*.ipynb"))

LEFT_OVER = re.compile(
    r"\{[a-z][\w:-]*\}`"  # a role
    r"|^\s*(:{3,}|`{3,})\s*\{"  # a directive
    r"|^\([\w:.-]+\)=$"  # a target
    r"|\$\$ *\([\w:.-]+\)"  # a label of an equation
    r"|\]\((?!https?://)[^)]*\)",  # a link to another page of the site
    re.MULTILINE,
)


def test_each_chapter_has_a_notebook():
    chapters = {path.stem for path in SITE.glob("chapters/*.html")}
    assert chapters and chapters == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_directive_is_left(path):
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            assert not LEFT_OVER.search(text), LEFT_OVER.search(text)[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_code_is_what_was_run(path):
    """`make notebooks` has run it; only what the built site alone knows may differ."""
    ran = runnable((ROOT / "chapters" / f"{path.stem}.py").read_text("utf-8"))
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    book = re.search(r"^BOOK = .*$", code[0].source, re.M)[0]
    code[0].source = code[0].source.replace(book, EMPTY)
    assert [(c.source, c.metadata) for c in code] == [(c.source, c.metadata) for c in ran.cells]
    known = json.loads(book.removeprefix("BOOK = "))
    assert all(re.fullmatch(r"\d+\.\d+", number) for number in known["numbers"].values())
    assert known["numbers"] and re.match(r"All cells took \d+ s on", known["runtime"])
