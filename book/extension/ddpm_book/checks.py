"""What a page must not have: pictures without words, and widgets that need a kernel."""

import html
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from ddpm_book.claims import cells
from ddpm_book.execution import executed_notebook

logger = logging.getLogger(__name__)

WIDGET = "application/vnd.jupyter.widget-view+json"
STILL_ALT = re.compile(r'(<div class="ex-still"><img [^>]*\balt=")[^"]*')
IMG_WITHOUT_ALT = re.compile(r"<img(?![^>]*\balt=[\"'][^\"']*\w)[^>]*>", re.IGNORECASE)


def describe_explorables(app: Sphinx, document: nodes.document) -> None:
    """Give the stills of interactive figures the alternative text of their cells' headers.

    Their captions need no step: MyST-NB sets those of all figures.
    """
    for cell in cells(document):
        header = cell["cell_metadata"].get("mystnb", {})
        alt = header.get("image", {}).get("alt", "").strip()
        figure = {"caption": "", "name": ""} | header.get("figure", {})
        needed = {"alternative text": alt, "caption": figure["caption"], "name": figure["name"]}
        missing = [what for what, text in needed.items() if not text.strip()]
        for raw in list(cell.findall(nodes.raw)):
            parts = STILL_ALT.split(raw.astext(), maxsplit=1)
            if len(parts) == 1:
                continue
            if missing:
                logger.warning(
                    "this interactive figure has no %s: say what it shows, in a cell header by "
                    '# %%%% mystnb={"image": {"alt": "..."}, "figure": {"name": "fig-...", '
                    '"caption": "..."}}',
                    missing[0],
                    location=_location(cell),
                )
                continue
            before, still, after = parts
            raw[:] = [nodes.Text(f"{before}{still}{html.escape(alt)}{after}")]


def alt_texts(app: Sphinx, document: nodes.document) -> None:
    for image in document.findall(nodes.image):
        alt = image.get("alt", "").strip()
        if not alt or alt in image["uri"]:
            logger.warning(
                "this picture has no alternative text: say what it shows, in a cell header by "
                '# %% mystnb={"image": {"alt": "..."}}',
                location=_location(image),
            )
    for raw in document.findall(nodes.raw):
        if raw.get("format") == "html" and IMG_WITHOUT_ALT.search(raw.astext()):
            logger.warning(
                "this HTML has an <img> without alternative text", location=_location(raw)
            )


def bare_widgets(app: Sphinx, document: nodes.document) -> None:
    notebook = executed_notebook(app, app.env.docname)
    if notebook is None:
        return
    for cell in cells(document):
        for output in notebook["cells"][cell["cell_index"]].get("outputs", []):
            data = output.get("data", {})
            if WIDGET in data and "text/html" not in data:  # a panel has both
                logger.warning(
                    "this cell shows a widget, which is dead without a kernel: "
                    "use an explorable, or a panel of ddpm_lib.course.panels",
                    location=_location(cell),
                )


def _location(node: nodes.Node) -> str:
    """The file and line of a node, or of the nearest cell or paragraph around it."""
    while node.parent is not None and not node.line:
        node = node.parent
    return f"{node.source or node.document['source']}:{node.line or 1}"
