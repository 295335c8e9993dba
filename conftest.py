"""What all tests share: one torch thread a process, and nbval for percent chapters.

The workers of pytest-xdist share the cores, and with one thread each the numbers repeat. nbval
knows only .ipynb, so `pytest --nbval-lax chapters` collects the percent scripts here.
"""

import os
from pathlib import Path
from unittest import mock

import nbformat
import nbval.plugin
import pytest
import torch
from chapter_references import checked_cells, read_chapter, read_references

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the kernels


class PercentFile(nbval.plugin.IPyNbFile):
    """A chapter in percent format, with the references of its checked cells as their outputs."""

    def collect(self):
        notebook = _with_references(self.path)
        with mock.patch.object(nbval.plugin.nbformat, "read", lambda *args, **kwargs: notebook):
            return list(super().collect())


def pytest_collect_file(file_path: Path, parent: pytest.Collector):
    if not (parent.config.option.nbval or parent.config.option.nbval_lax):
        return None
    is_chapter = file_path.suffix == ".py" and file_path.parent.name == "chapters"
    return PercentFile.from_parent(parent, path=file_path) if is_chapter else None


def _with_references(path: Path) -> nbformat.NotebookNode:
    notebook, references = read_chapter(path), read_references(path.stem)
    cells = checked_cells(notebook)
    if unmatched := cells.keys() ^ references.keys():
        raise pytest.Collector.CollectError(
            f"{path.name}: cells and references do not match, run `make references`: "
            + "; ".join(sorted(unmatched))
        )
    for name, cell in cells.items():
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=references[name])]
        cell.execution_count = 1  # nbval compares no cell that was never run
    return notebook
