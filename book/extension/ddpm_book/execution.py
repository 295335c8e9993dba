"""Run the chapters that changed, all cores at once, before MyST-NB reads them from the cache.

MyST-NB would run them one after the other. Each kernel gets one thread for its numerics: then the
chapters do not fight for the cores, and their numbers repeat from run to run.
"""

import atexit
import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

from ddpm_book.reader import digest, read_percent

logger = logging.getLogger(__name__)

QUIET = ["--IPKernelApp.log_level=ERROR"]  # kernels warn that a local socket is not encrypted


def one_thread_per_kernel(app: Sphinx) -> None:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    os.environ["TQDM_DISABLE"] = "1"  # on a page, a progress bar stands still


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """The chapters that use something that changed, though their own text did not."""
    before = getattr(env, "ddpm_digests", {})
    now = {
        doc: digest(path.read_text("utf-8")) for doc in env.found_docs if (path := script(env, doc))
    }
    env.ddpm_digests = now
    return [doc for doc in now if doc in before and before[doc] != now[doc]]


def execute(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Fill the cache with the chapters among `docnames` that it does not hold."""
    cache = _cache(app)
    todo = []
    for doc in docnames:
        if path := script(env, doc):
            notebook = read_percent(path.read_text("utf-8"))
            try:
                cache.match_cache_notebook(notebook)
            except KeyError:
                todo.append((path, notebook))
    if not todo:
        return
    logger.info("executing %d of %d chapters", len(todo), len(env.found_docs))
    # Who asks for more time first: the chapter that trains, before those that use what it trained.
    todo.sort(key=lambda chapter: -_timeout(app, chapter[1]))
    failures = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the work is in the kernels' processes
        running = {
            pool.submit(_run, path, notebook, _timeout(app, notebook)): (path, notebook)
            for path, notebook in todo
        }
        for future in as_completed(running):
            path, notebook = running[future]
            name, result = path.relative_to(app.srcdir), future.result()
            if result.err:
                logger.error("%s", result.exc_string, location=f"{name}:{_line(notebook)}")
                failures.append(f"{name}:{_line(notebook)}: {_what_failed(notebook, result)}")
                continue
            logger.info("executed %s in %.1f s", name, result.time)
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if failures:
        summary = "\n".join(["Chapters that failed to run:", *failures])
        # Jupyter Book prints a page of its own traceback; these lines should stand below it.
        atexit.register(print, summary, file=sys.stderr)
        raise ExtensionError(summary)


def executed_notebook(app: Sphinx, doc: str) -> NotebookNode | None:
    """The notebook behind a page, with its outputs from the cache."""
    path = script(app.env, doc)
    if path is None or app.config.nb_execution_mode == "off":
        return None
    return _cache(app).merge_match_into_notebook(read_percent(path.read_text("utf-8")))[1]


def _cache(app: Sphinx) -> JupyterCacheAbstract:
    return get_cache(
        app.config.nb_execution_cache_path or Path(app.outdir).parent / ".jupyter_cache"
    )


def script(env: BuildEnvironment, doc: str) -> Path | None:
    """The percent script behind a page, if it has one."""
    path = Path(env.doc2path(doc))
    return path if path.suffix == ".py" else None


def _timeout(app: Sphinx, notebook: NotebookNode) -> int:
    """Seconds for one cell: the chapter's own word, or the book's."""
    own = notebook.metadata.get("mystnb", {})
    return own.get("execution_timeout", app.config.nb_execution_timeout)


def _run(path: Path, notebook: NotebookNode, timeout: int) -> ExecutionResult:
    cwd = str(path.parent)
    try:
        return single_nb_execution(
            notebook, cwd=cwd, timeout=timeout, allow_errors=False, extra_arguments=QUIET
        )
    except DeadKernelError as error:
        return ExecutionResult(notebook, cwd, 0.0, error, "the kernel died: out of memory?")


def _failed_cell(notebook: NotebookNode) -> int:
    """The last cell that was started: the one that raised, ran out of time or killed its kernel."""
    started = [i for i, cell in enumerate(notebook.cells) if cell.get("execution_count")]
    return max(started, default=0)


def _line(notebook: NotebookNode) -> int:
    return notebook.metadata["source_map"][_failed_cell(notebook)] + 2


def _what_failed(notebook: NotebookNode, result: ExecutionResult) -> str:
    for output in notebook.cells[_failed_cell(notebook)].get("outputs", []):
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}"
    return f"{type(result.err).__name__}: {result.err}"
