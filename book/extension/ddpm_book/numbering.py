"""The number of a chapter is the one in its file's name: 02_forward starts with equation (2.1).

Sphinx counts the pages in the table of contents instead; then a chapter that is moved, or not yet
written, would renumber every equation that people have already cited.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles as Collector


def assign_section_numbers(collector: Collector, env: BuildEnvironment) -> list[str]:
    """Number as Jupyter Book does, then put the file's number in the first place."""
    before = env.toc_secnumbers
    _count_pages(collector, env)
    for doc, numbers in env.toc_secnumbers.items():
        match = re.search(r"/(\d+)_[^/]*$", doc)
        if not match:
            continue
        chapter = int(match[1])
        for anchor, number in numbers.items():
            numbers[anchor] = number and (chapter, *number[1:])
        for node in [env.titles[doc], *env.tocs[doc].findall(nodes.reference)]:
            if node.get("secnumber"):
                node["secnumber"] = [chapter, *node["secnumber"][1:]]
    return [doc for doc, numbers in env.toc_secnumbers.items() if numbers != before.get(doc)]


_count_pages = Collector.assign_section_numbers


def install(app: Sphinx, config: Config) -> None:
    Collector.assign_section_numbers = assign_section_numbers
