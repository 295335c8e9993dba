"""What all tests share: one torch thread a process, and nbval for percent chapters.

The workers of pytest-xdist share the cores, and with one thread each the numbers repeat. nbval
knows only .ipynb, so `pytest --nbval-lax chapters` collects the percent scripts here. It runs them
by the book's own runner, as notebooks alone in an empty folder, and the book shows what that gave.
"""

import os
from collections import defaultdict
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path

import nbformat
import nbval.plugin
import pytest
import torch
from chapter_references import checked_cells, read_references

from ddpm_book import running
from ddpm_book.percent import code_cells, code_lines, parse
from ddpm_book.runnable import runnable

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for what the tests start


class Chapter(nbval.plugin.IPyNbFile):
    """A chapter in percent format, with the references of its checked cells as their outputs."""

    def collect(self):
        self.text = self.path.read_text("utf-8")
        self.passed, self.over = 0, ""  # cells so far; why no other can be run
        cells = _with_references(self.path, self.text)
        for index, (line, cell) in enumerate(cells):
            options = defaultdict(bool, nbval.plugin.find_metadata_tags(cell.metadata))
            yield Cell.from_parent(
                self, name=f"line {line}", cell_num=index, cell=cell, options=options
            )
        yield Whole.from_parent(self, name="as a whole", cells=len(cells))

    def setup(self):
        self.setup_sanitize_files()
        self.exits = ExitStack()
        self.run = self.exits.enter_context(running.running(self.text))

    def teardown(self):
        self.exits.close()


class Cell(nbval.plugin.IPyNbCell):
    """A cell, run by the book's runner and compared by nbval."""

    def setup(self):
        if self.parent.over:
            pytest.skip(self.parent.over)

    def runtest(self):
        try:
            outputs = self.parent.run.cell(self.cell_num)
        except running.Failed as failure:
            self.parent.over = failure.why if failure.over else ""
            self.raise_cell_error(failure.why, failure.traceback)
        if self.options["check"]:
            got = nbval.plugin.coalesce_streams(deepcopy(outputs))
            if not self.compare_outputs(got, self.cell.outputs):
                self.raise_cell_error("Cell outputs differ", "\n".join(self.comparison_traceback))
        self.parent.passed += 1

    def reportinfo(self):
        return self.path, None, f"{self.path.name}, {self.name}"


class Whole(pytest.Item):
    """What only a whole run shows. If that is as it should be too, the page shows this run."""

    def __init__(self, *, cells, **kwargs):
        super().__init__(**kwargs)
        self.cells = cells

    def runtest(self):
        if self.parent.passed < self.cells:
            pytest.skip("not every cell was run and passed")
        problems = self.parent.run.problems()
        assert not problems, "; ".join(problems)
        self.parent.run.keep()

    def reportinfo(self):
        return self.path, None, f"{self.path.name}, {self.name}"


class NoModule(pytest.Collector):
    """In place of the test module that pytest makes of a chapter named on its command line."""

    def collect(self):
        return []


def pytest_collect_file(file_path: Path, parent: pytest.Collector):
    if not (parent.config.option.nbval or parent.config.option.nbval_lax):
        return None
    return Chapter.from_parent(parent, path=file_path) if _is_chapter(file_path) else None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    return NoModule.from_parent(parent, name="") if _is_chapter(module_path) else None


def _is_chapter(path: Path) -> bool:
    return path.suffix == ".py" and path.parent.name == "chapters"


def pytest_collection_modifyitems(items: list[pytest.Item]):
    """Begin with the chapters that take longest, so that all workers end together."""
    chapters = {item.parent for item in items if isinstance(item, Cell)}
    seconds = {chapter: running.expected(chapter.text) for chapter in chapters}
    items.sort(key=lambda item: -seconds.get(item.parent, 0))


def _with_references(path: Path, text: str) -> list[tuple[int, nbformat.NotebookNode]]:
    """The cells that are run, Setup first, with the lines in which their code begins."""
    notebook, references = parse(text), read_references(path.stem)
    checked = checked_cells(notebook)
    if unmatched := checked.keys() ^ references.keys():
        raise pytest.Collector.CollectError(
            f"{path.name}: cells and references do not match, run `make references`: "
            + "; ".join(sorted(unmatched))
        )
    for name, cell in checked.items():
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=references[name])]
    cells = [runnable(text).cells[0], *code_cells(notebook)]
    return list(zip([1, *code_lines(notebook)], cells, strict=True))
