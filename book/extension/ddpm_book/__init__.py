"""The book's Sphinx extension: reads percent chapters, runs them, checks them, and exports them.

One module for each step; this file connects them to Sphinx's events, in the order in which they
happen. What runs chapters needs no Sphinx, and the tests run them by it as well: `percent`,
`runnable`, `store` and `running`.
"""

import hashlib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from ddpm_book import (
    buttons,
    checks,
    claims,
    execution,
    mathematics,
    notebooks,
    numbering,
    offline,
    outputs,
    pictures,
)
from ddpm_book.reader import read_percent

__all__ = ["read_percent", "setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("claims-ledger", claims.Ledger)
    app.add_node(claims.ledger)
    app.add_post_transform(claims.WriteLedger)

    inline, display = mathematics.visit_inline, mathematics.visit_display
    app.add_html_math_renderer("katex", (inline, None), (display, None))

    app.connect("config-inited", numbering.install)  # after every extension's own patches
    app.connect("config-inited", buttons.forget_default_repository)
    app.connect("builder-inited", claims.prepare)
    app.connect("env-get-outdated", execution.outdated)
    app.connect("env-before-read-docs", execution.execute)
    app.connect("env-purge-doc", claims.purge)
    app.connect("doctree-read", checks.describe_explorables)
    app.connect("doctree-read", checks.alt_texts)
    app.connect("doctree-read", checks.bare_widgets)
    app.connect("doctree-read", claims.collect)
    app.connect("doctree-read", outputs.mark_sentences)
    app.connect("env-check-consistency", claims.unclaimed)
    app.connect("env-get-updated", claims.ledgers_to_write)
    # The theme makes its header buttons at 501.
    app.connect("html-page-context", buttons.offer_notebook, priority=500)
    app.connect("html-page-context", buttons.offer_colab, priority=502)
    app.connect("build-finished", forget_if_warned)  # first, whatever fails after it
    app.connect("build-finished", notebooks.write)
    app.connect("build-finished", offline.drop_second_icons)
    app.connect("build-finished", pictures.reduce)
    app.connect("build-finished", remove_stale_pages)
    return {"version": "1", "env_version": _own_digest(), "parallel_read_safe": False}


def remove_stale_pages(app: Sphinx, exception: Exception | None) -> None:
    """Remove the pages of sources that are gone, or they would be published for ever."""
    if exception or app.builder.format != "html":
        return
    kept = {*app.env.found_docs, "index", "genindex", "search"}
    builds = Path(app.outdir).rglob(".buildinfo")  # this one, and editions in folders below
    editions = [file.parent for file in builds if file.parent != Path(app.outdir)]
    for path in Path(app.outdir).rglob("*.html"):
        name = path.relative_to(app.outdir).with_suffix("").as_posix()
        ours = not any(path.is_relative_to(edition) for edition in editions)
        if ours and name not in kept and not name.startswith("_static/"):
            path.unlink()


def forget_if_warned(app: Sphinx, exception: Exception | None) -> None:
    """Leave no environment behind a build with warnings: the next one would not repeat them."""
    if exception or app._warncount:
        Path(app.doctreedir, "environment.pickle").unlink(missing_ok=True)


def _own_digest() -> int:
    """Changes whenever the extension does, so that Sphinx reads all pages again."""
    sha = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sha.update(path.read_bytes())
    return int(sha.hexdigest()[:8], 16)
