"""Chapters in Jupytext's percent format, as notebooks whose cells know their lines."""

import re
from pathlib import Path

import jupytext
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[3]
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def parse(text: str) -> NotebookNode:
    """The notebook that a percent script holds, without outputs."""
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata.setdefault("kernelspec", KERNEL)  # without it the theme shows no buttons
    notebook.metadata["source_map"] = _source_map(text, len(notebook.cells))
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_lines(notebook: NotebookNode) -> list[int]:
    """The 1-based line in which each code cell's first line of code stands."""
    lines = zip(notebook.metadata["source_map"], notebook.cells, strict=True)
    return [line + 2 for line, cell in lines if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _source_map(text: str, cells: int) -> list[int]:
    """The 0-based line of each cell's marker, so that warnings name real lines."""
    lines = [i for i, line in enumerate(text.splitlines()) if re.match(r"# %%( |$)", line)]
    if len(lines) != cells:
        raise ValueError(
            f"found {len(lines)} cell markers but {cells} cells: "
            "put all text below a '# %%' or '# %% [markdown]' line"
        )
    return lines
