"""Read a chapter for its page: with the outputs of its last run, and with some code folded."""

from nbformat import NotebookNode

from ddpm_book import store
from ddpm_book.percent import code_cells, parse, tags
from ddpm_book.words import say

FOLDED = {"claim": "check", "figure": "code"}  # tag: what its cell's code is called


def read_percent(text: str) -> NotebookNode:
    """The notebook that a percent script holds, as MyST-NB shows it."""
    notebook = parse(text)
    for cell, outputs in zip(code_cells(notebook), store.outputs(text), strict=True):
        cell.outputs = outputs
        _fold(cell)
    return notebook


def _fold(cell: NotebookNode) -> None:
    """Fold the code of a claim or figure on the page, where its result is what readers look for."""
    for tag, noun in FOLDED.items():
        if tag in tags(cell):
            tags(cell).append("hide-input")
            show, hide = say("Show the {noun}", noun=noun), say("Hide the {noun}", noun=noun)
            prompts = {"code_prompt_show": show, "code_prompt_hide": hide}
            cell.metadata.setdefault("mystnb", {}).update(prompts)
