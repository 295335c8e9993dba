"""Reference outputs of chapters: the printed numbers that prose may quote, kept as text.

A cell tagged nbval-check-output is compared with the section of tests/references/<chapter>.txt
that bears its first line of code. `make references` runs this file: it runs the chapters whose
outputs are not known, writes the sections anew and shows what changed.
"""

import difflib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nbformat import NotebookNode

from ddpm_book import running, store
from ddpm_book.percent import tags
from ddpm_book.reader import read_percent

TAG = "nbval-check-output"
ROOT = Path(__file__).resolve().parents[1]
REFERENCES = ROOT / "tests" / "references"


def checked_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The cells whose output is compared, by their first line of code."""
    cells: dict[str, NotebookNode] = {}
    for cell in notebook.cells:
        if TAG in tags(cell):
            name = cell.source.splitlines()[0]
            if name in cells:
                raise ValueError(f"two checked cells begin with {name!r}: tell them apart")
            cells[name] = cell
    return cells


def read_references(chapter: str) -> dict[str, str]:
    """The reference texts of a chapter, by the first line of their cells' code."""
    path = REFERENCES / f"{chapter}.txt"
    text = path.read_text("utf-8") if path.exists() else ""
    sections = (section.partition("\n") for section in text.split("\n>>> ")[1:])
    return {name: output.rstrip("\n") + "\n" for name, _, output in sections}


def printed_by(path: Path) -> str:
    """What a chapter's checked cells print, as the text of a file; runs it if that is not known."""
    text = path.read_text("utf-8")
    if store.stamp(text) is None:
        running.run(text)
    sections = [f"What the checked cells of {path.name} print. Renew with: make references\n"]
    for name, cell in checked_cells(read_percent(text)).items():
        texts = [output.text for output in cell.outputs if output.get("name") == "stdout"]
        sections.append(f"\n>>> {name}\n{''.join(texts)}")
    return "".join(sections)


def renew() -> None:
    """Write the references of all chapters and print the differences."""
    paths = sorted((ROOT / "chapters").glob("*.py"))
    REFERENCES.mkdir(exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, new in zip(paths, pool.map(printed_by, paths), strict=True):
            target = REFERENCES / f"{path.stem}.txt"
            old = target.read_text("utf-8") if target.exists() else ""
            lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(*lines, "before", target.name, n=1))
            partial = target.with_suffix(".partial")
            partial.write_text(new, "utf-8")
            partial.replace(target)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "book" / "extension"))
    renew()
