"""Run the chapters that changed, all cores at once, before Sphinx reads them."""

import atexit
import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

from ddpm_book import running, store
from ddpm_book.reader import read_percent

logger = logging.getLogger(__name__)


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """The chapters whose page shows other outputs than their last run, or must be run again."""
    before = getattr(env, "ddpm_shown", {})
    return [doc for doc, text in _chapters(env).items() if before.get(doc) != store.stamp(text)]


def execute(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Run the chapters whose outputs are not known."""
    chapters = _chapters(env)
    todo = [doc for doc, text in chapters.items() if store.stamp(text) is None]
    todo.sort(key=lambda doc: -running.expected(chapters[doc]))
    if todo:
        logger.info("executing %d of %d chapters", len(todo), len(chapters))
    failures = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the work is in the kernels' processes
        runs = {pool.submit(running.run, chapters[doc]): doc for doc in todo}
        for run in as_completed(runs):
            path = Path(env.doc2path(runs[run], base=False))
            try:
                run.result()
                seconds = store.seconds(chapters[runs[run]])
                logger.info("executed %s in %.1f s", path, seconds)
            except running.Failed as failure:
                logger.error("%s", failure.traceback or failure, location=f"{path}:{failure.line}")
                failures.append(f"{path}:{failure.line}: {failure}")
    if failures:
        summary = "\n".join(["Chapters that failed to run:", *failures])
        # Jupyter Book prints a page of its own traceback; these lines should stand below it.
        atexit.register(print, summary, file=sys.stderr)
        raise ExtensionError(summary)
    env.ddpm_shown = {doc: store.stamp(text) for doc, text in chapters.items()}


def executed_notebook(app: Sphinx, doc: str) -> NotebookNode | None:
    """The notebook behind a page, with the outputs of its last run."""
    path = script(app.env, doc)
    return read_percent(path.read_text("utf-8")) if path else None


def script(env: BuildEnvironment, doc: str) -> Path | None:
    """The percent script behind a page, if it has one."""
    path = Path(env.doc2path(doc))
    return path if path.suffix == ".py" else None


def _chapters(env: BuildEnvironment) -> dict[str, str]:
    """The sources of all percent scripts, by their pages."""
    paths = {doc: script(env, doc) for doc in sorted(env.found_docs)}
    return {doc: path.read_text("utf-8") for doc, path in paths.items() if path}
