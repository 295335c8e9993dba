"""The notebooks that the site offers: the code that was run, with the text in plain Markdown."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from ddpm_book import store
from ddpm_book.execution import script
from ddpm_book.numbers import number, references, resolve
from ddpm_book.percent import parse
from ddpm_book.plain import plain
from ddpm_book.runnable import EMPTY, runnable
from ddpm_book.words import say


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write the notebook of each chapter beside its source, where the theme's button finds it.

    All of them each time, since a notebook changes with the library, and its page does not.
    """
    if exception or app.builder.format != "html":
        return
    for page in sorted(app.env.found_docs):
        if script(app.env, page):
            target = Path(app.outdir, "_sources", f"{page}.ipynb")
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.write_text(export(app.env, page), encoding="utf-8")
            except ExtensionError as error:
                raise ExtensionError(f"{page}: {error.message}") from error


def export(env: BuildEnvironment, page: str) -> str:
    """The notebook of a chapter, as JSON."""
    text = Path(env.doc2path(page)).read_text("utf-8")
    cited: dict[str, None] = {}  # an ordered set
    plainly = partial(plain, resolve=partial(resolve, env, cited))
    notebook = runnable(text)
    setup, *code = notebook.cells
    cells: list[NotebookNode] = []
    for cell in parse(text).cells:
        if cell.cell_type == "markdown":
            cells.append(new_markdown_cell(plainly(cell.source)))
        else:
            cells.append(code.pop(0))
            if figure := cell.metadata.get("mystnb", {}).get("figure", {}):
                title = say("Figure {number}", number=number(env, "figure", figure["name"]))
                cells.append(new_markdown_cell(f"**{title}.** {plainly(figure['caption'])}"))
    cells = [cell for cell in cells if cell.source.strip()]
    if cited:
        cells.append(new_markdown_cell(f"## {say('References')}\n\n{references(cited)}"))
    book = f"BOOK = {json.dumps(_book(env, page, text), ensure_ascii=False)}"
    setup.source = setup.source.replace(EMPTY, book, 1)
    notebook.cells = [cells[0], setup, *cells[1:]]
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"  # the same notebook from the same chapter
    return nbformat.writes(notebook) + "\n"


def _book(env: BuildEnvironment, page: str, text: str) -> dict[str, Any]:
    """What only the built site knows of a chapter."""
    numbers = {
        label: number(env, "displaymath", f"equation-{label}")
        for label in env.ddpm_equations.get(page, {})
    }
    runtime = say(
        "All cells took {seconds} s on the {cores} CPU cores that built the site.",
        seconds=f"{store.seconds(text):.0f}",
        cores=str(os.cpu_count()),
    )
    return {"numbers": numbers, "runtime": runtime}
