"""Run a chapter as its reader would: its notebook alone, in an empty folder, no repository near.

The book, the tests of the notebooks and the renewal of references all run chapters here, so that
what is compared, what is shown and what is downloaded are one. Each kernel has one thread for its
numerics: then the chapters do not fight for the cores, and their numbers repeat from run to run.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from ddpm_book import store
from ddpm_book.percent import code_lines, parse
from ddpm_book.runnable import dependencies, member, runnable

SECONDS = 300  # for one cell, unless the chapter's header says otherwise
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TQDM_DISABLE": "1",  # on a page, a progress bar stands still
}

# Before the first cell: the repository goes off the path, and what is opened from now on is noted.
BEFORE = """
import importlib.util, os, sys
sys.path[:] = [p for p in sys.path if not os.path.isfile(os.path.join(p, "ddpm_lib/__init__.py"))]
found = importlib.util.find_spec("ddpm_lib")
if found is not None and found.origin:
    raise RuntimeError(f"{found.origin} would be used in place of the library in the notebook")
sys.ddpm_opened = set()
def note(event, arguments):
    if event == "open" and arguments[1] in ("r", "rb") and isinstance(arguments[0], str):
        sys.ddpm_opened.add(arguments[0])
sys.addaudithook(note)
"""
# After the last: which files of its library the notebook has imported, or opened to read data.
AFTER = """
import json, sys
from pathlib import Path
import ddpm_lib
root = Path(ddpm_lib.__file__).parent
imported = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
opened = {path for path in sys.ddpm_opened if not path.endswith((".py", ".pyc"))}
inside = [Path(path) for path in imported | opened if Path(path).is_relative_to(root)]
print(json.dumps([path.relative_to(root.parent).as_posix() for path in inside]))
"""


class Failed(Exception):
    """A cell did not end well: in which line of the chapter it begins, and why."""

    def __init__(self, line: int, why: str, traceback: str = "", over: bool = False) -> None:
        super().__init__(why)
        self.line, self.why, self.traceback = line, why, traceback
        self.over = over  # no other cell can be run


class Run(NamedTuple):
    """A chapter in a kernel, whose cells are run one by one."""

    text: str
    cells: list[NotebookNode]  # Setup first
    lines: list[int]  # in the chapter, of each cell; Setup has its first line
    client: NotebookClient
    folder: Path
    start: float

    def cell(self, index: int) -> list[NotebookNode]:
        """Run one cell, and return its outputs."""
        try:
            return self.client.execute_cell(self.cells[index], index).outputs
        except CellExecutionError as error:
            why = f"{error.ename}: {error.evalue}"
            raise Failed(self.lines[index], why, error.traceback) from error
        except CellTimeoutError as error:
            why = f"this cell took more than {self.client.timeout} s"
            raise Failed(self.lines[index], why, over=True) from error
        except DeadKernelError as error:
            why = "the kernel died: out of memory?"
            raise Failed(self.lines[index], why, over=True) from error

    def problems(self) -> list[str]:
        """After the last cell: what should not be, of the run as a whole."""
        used = set(json.loads(self.hidden(AFTER)))
        carried = {member(path) for path in dependencies(self.text)}
        unused = [f"it carries {name} and never uses it" for name in sorted(carried - used)]
        left = sorted(path.name for path in self.folder.iterdir())
        return unused + [f"it leaves {name} in its folder" for name in left]

    def keep(self) -> None:
        """After the last cell: keep the outputs for the page."""
        outputs = [cell.outputs for cell in self.cells[1:]]
        store.save(self.text, outputs, time.perf_counter() - self.start)

    def hidden(self, code: str) -> str:
        """Run code of ours, without a trace among the notebook's names; what it prints."""
        cell = new_code_cell(f"exec({code!r}, {{}})")
        self.client.execute_cell(cell, -1, store_history=False)
        return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


@contextmanager
def running(text: str) -> Iterator[Run]:
    """A kernel that is ready for the chapter's first cell."""
    notebook, lines = runnable(text), [1, *code_lines(parse(text))]
    cells = list(notebook.cells)
    notebook.cells.append(new_code_cell())  # the place of what is run without a trace
    with TemporaryDirectory(prefix="chapter-") as folder:
        client = NotebookClient(
            notebook,
            timeout=timeout(text),
            resources={"metadata": {"path": folder}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # a local socket is not encrypted
            record_timing=False,
            coalesce_streams=True,  # what is printed comes in pieces that differ from run to run
        )
        with client.setup_kernel(env=os.environ | ENVIRONMENT):
            run = Run(text, cells, lines, client, Path(folder), time.perf_counter())
            run.hidden(BEFORE)
            yield run


def run(text: str) -> None:
    """Run a whole chapter and keep its outputs; raises Failed."""
    with running(text) as chapter:
        for index in range(len(chapter.cells)):
            chapter.cell(index)
        chapter.keep()


def timeout(text: str) -> int:
    """Seconds for one cell: the chapter's own word, or the book's."""
    return parse(text).metadata.get("mystnb", {}).get("execution_timeout", SECONDS)


def expected(text: str) -> float:
    """Seconds that a chapter took when it was last run, or that it asks for: the longest begin."""
    return store.seconds(text) or timeout(text)
