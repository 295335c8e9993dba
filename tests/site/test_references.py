"""The page shows the same numbers that nbval compares: a stale cache would show here."""

import os
from html import unescape
from pathlib import Path

import pytest
from chapter_references import REFERENCES, read_references

SITE = Path(os.environ.get("SITE", Path(__file__).resolve().parents[2] / "_build/html"))
CHAPTERS = sorted(path.stem for path in REFERENCES.glob("*.txt"))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_reference_stands_on_the_page(chapter):
    page = unescape((SITE / f"chapters/{chapter}.html").read_text("utf-8"))
    for name, text in read_references(chapter).items():
        assert text in page, f"the page of {chapter} does not show what the cell {name!r} printed"
