"""The code of a chapter as its reader gets it: what is run here, and what the site offers.

The first cell, Setup, carries the files of ddpm_lib that the chapter uses, and unpacks them where
no ddpm_lib is installed. It installs nothing: all else that a chapter imports is already in Colab.
What only the built site knows stands in one literal, BOOK, which is empty when the chapter is run.
"""

import base64
import io
import json
import re
import zipfile
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from ddpm_book.percent import KERNEL, code_cells, parse, tags
from ddpm_lib import sources
from ddpm_lib.course import scripts

EMPTY = "BOOK = {}"
SETUP = """\
#@title Setup: run this cell first { display-mode: "form" }
# Provides the part of ddpm_lib that this chapter uses, if none is installed. It installs nothing.
BOOK = {}
LIBRARY = "(library)"
NEEDS = (needs)


def setup():
    import base64, importlib.util, io, sys, tempfile, zipfile

    spec = importlib.util.find_spec("ddpm_lib")
    if spec is None or spec.origin is None:  # none, or a folder of that name without code
        folder = tempfile.mkdtemp(prefix="ddpm_lib-")
        zipfile.ZipFile(io.BytesIO(base64.b85decode(LIBRARY))).extractall(folder)
        sys.path.insert(0, folder)
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit("Install these, then run this cell again: " + " ".join(missing))

    import torch
    from ddpm_lib.course import claims

    claims.numbers.update(BOOK.get("numbers", {}))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"device: {device} · library: {claims.__file__.rsplit('/', 2)[0]}")
    if "runtime" in BOOK:
        print(BOOK["runtime"])


setup()
del BOOK, LIBRARY, NEEDS, setup"""

FORM = {"cellView": "form", "jupyter": {"source_hidden": True}}
FOLDED = {"figure", "solution"}  # the tags of cells whose code is folded in a notebook
KEPT = {"raises-exception"}  # the tags that change how a cell is run


def runnable(text: str) -> NotebookNode:
    """A notebook of the Setup cell and the chapter's code cells."""
    setup = new_code_cell(_setup(text), metadata=FORM)
    code = [_exported(cell) for cell in code_cells(parse(text))]
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return new_notebook(cells=[setup, *code], metadata=metadata)


def dependencies(text: str) -> set[Path]:
    """The files of ddpm_lib and the explorables that the chapter uses, Setup included."""
    return sources.used(
        text, "from ddpm_lib.course import claims", opened={"explorable": scripts.files}
    )


def _exported(cell: NotebookNode) -> NotebookNode:
    own = set(tags(cell))
    metadata = dict(FORM) if own & FOLDED else {}
    kept = {"tags": sorted(own & KEPT)} if own & KEPT else {}
    return new_code_cell(cell.source, metadata=metadata | kept)


def _setup(text: str) -> str:
    imports = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    needs = json.dumps(sorted(imports - {"ddpm_lib"}))
    return SETUP.replace("(needs)", needs).replace("(library)", archive(dependencies(text)))


def archive(files: set[Path]) -> str:
    """Files of the library as base85 of a zip; the same text from the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as unpacked:
        for name, path in sorted((member(path), path) for path in files):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            unpacked.writestr(info, path.read_bytes())
    return base64.b85encode(buffer.getvalue()).decode()


def member(path: Path) -> str:
    """Where a file lies in an installed package, explorables included."""
    if path.is_relative_to(sources.PACKAGE):
        return path.relative_to(sources.PACKAGE.parent).as_posix()
    return f"ddpm_lib/course/explorables/{path.name}"
