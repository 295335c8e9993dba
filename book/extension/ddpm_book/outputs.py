"""What cells print: on a narrow screen sentences wrap, and what is aligned scrolls."""

from docutils import nodes
from sphinx.application import Sphinx


def mark_sentences(app: Sphinx, document: nodes.document) -> None:
    """Give printed text without columns and indentation a class of its own."""
    for output in document.findall(nodes.container):
        if output.get("nb_element") == "cell_code_output":
            for block in output.findall(nodes.literal_block):
                if not _aligned(block.astext()):
                    block["classes"].append("sentences")


def _aligned(text: str) -> bool:
    return any(line.startswith(" ") or "  " in line.rstrip() for line in text.splitlines())
