"""What chapters gave when they were last run, found by a key of all that decides it.

That is: a chapter's code cells, the Setup cell, what the files that it uses mean, the source that
it prints, the pinned packages, and the version of Python. Prose, captions, alternative texts and
comments are not: they change no output, so they run nothing.
"""

import hashlib
import json
import os
import sys
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ddpm_book.percent import ROOT, code_cells, parse, tags
from ddpm_book.printed import printed
from ddpm_book.runnable import KEPT, SETUP, dependencies
from ddpm_lib.sources import fingerprint

FOLDER = ROOT / "_build" / "executed"


@cache  # one answer for the whole build, even if somebody saves a file meanwhile
def key(text: str) -> str:
    """A name for all that decides what the chapter with this source gives."""
    cells = code_cells(parse(text))
    facts = [
        [[cell.source, sorted(KEPT & set(tags(cell)))] for cell in cells],
        SETUP,
        fingerprint(dependencies(text)),
        printed("\n".join(cell.source for cell in cells)),
        (ROOT / "constraints.txt").read_text("utf-8"),
        sys.version_info[:2],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def save(text: str, outputs: list[list[NotebookNode]], seconds: float) -> None:
    """Keep what each code cell of a chapter gave, and how long all of them took."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in (("seconds", seconds), ("outputs", outputs)):
        file = _file(text, name)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(content), "utf-8")
        partial.replace(file)


def outputs(text: str) -> list[list[NotebookNode]]:
    """What each code cell of this chapter gave; nothing, if it was not run as it is now."""
    file = _file(text, "outputs")
    if not file.exists():
        return [[] for _ in code_cells(parse(text))]
    return nbformat.from_dict(json.loads(file.read_text("utf-8")))


def seconds(text: str) -> float | None:
    """How long that took."""
    file = _file(text, "seconds")
    return json.loads(file.read_text("utf-8")) if file.exists() else None


def stamp(text: str) -> str | None:
    """Changes whenever the outputs do; None where there are none."""
    file = _file(text, "outputs")
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None


def _file(text: str, name: str) -> Path:
    return FOLDER / f"{key(text)}.{name}.json"
