"""Reference outputs of chapters: the printed numbers that prose may quote, kept as text.

A cell tagged nbval-check-output is compared with the section of tests/references/<chapter>.txt
that bears its first line of code. `make references` runs this file: it writes the sections anew
and shows what changed.
"""

import difflib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
from nbclient import execute
from nbformat import NotebookNode

TAG = "nbval-check-output"
ROOT = Path(__file__).resolve().parents[1]
REFERENCES = ROOT / "tests" / "references"


def read_chapter(path: Path) -> NotebookNode:
    """The notebook in a percent script."""
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3"})
    return notebook


def checked_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The cells whose output is compared, by their first line of code."""
    cells: dict[str, NotebookNode] = {}
    for cell in notebook.cells:
        if TAG in cell.metadata.get("tags", []):
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


def run(path: Path) -> str:
    """Run a chapter; its references as the text of a file."""
    notebook = read_chapter(path)
    quiet = ["--IPKernelApp.log_level=ERROR"]
    execute(notebook, cwd=str(path.parent), timeout=600, extra_arguments=quiet)
    sections = [f"What the checked cells of {path.name} print. Renew with: make references\n"]
    for name, cell in checked_cells(notebook).items():
        texts = [output.text for output in cell.outputs if output.get("name") == "stdout"]
        sections.append(f"\n>>> {name}\n{''.join(texts)}")
    return "".join(sections)


def renew() -> None:
    """Run all chapters, write their references and print the differences."""
    os.environ["OMP_NUM_THREADS"] = "1"
    paths = sorted((ROOT / "chapters").glob("*.py"))
    REFERENCES.mkdir(exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, new in zip(paths, pool.map(run, paths), strict=True):
            target = REFERENCES / f"{path.stem}.txt"
            old = target.read_text("utf-8") if target.exists() else ""
            lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(*lines, "before", target.name, n=1))
            partial = target.with_suffix(".partial")
            partial.write_text(new, "utf-8")
            partial.replace(target)


if __name__ == "__main__":
    renew()
