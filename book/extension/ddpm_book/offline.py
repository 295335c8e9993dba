"""The site asks no other host for anything: MathJax is its own, and there is no widget manager."""

import importlib.util
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

# Of the package's 24 MB, what a page of this book can ask for: its entry point, the parts that the
# entry point loads, and the TeX extensions and fonts that these load when an equation needs them.
MATHJAX = [
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex",
    "output/chtml.js",
    "output/chtml",
    "a11y",
]


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Put MathJax into the site, once."""
    target = Path(app.outdir, "_static", "mathjax")
    if exception or app.builder.format != "html" or target.exists():
        return
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    if package is None or package.origin is None:
        raise RuntimeError("MathJax is missing: install the extra, pip install -e '.[book]'")
    source = Path(package.origin).parent / "static" / "mathjax"
    partial = target.with_name("mathjax.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name in MATHJAX:
        part = source / name
        if part.is_dir():
            shutil.copytree(part, partial / name)
        else:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(part, partial / name)
    partial.rename(target)


def drop_second_icons(app: Sphinx, exception: Exception | None) -> None:
    """Empty the theme's 1.5 MB of icons as a script: its style sheet draws the same from a font."""
    script = Path(app.outdir, "_static", "scripts", "fontawesome.js")
    if script.exists():
        script.write_text("")


def drop_widget_manager(app: Sphinx, env: BuildEnvironment) -> None:
    """MyST-NB asks a CDN for the widget manager on every page that has a widget's state."""
    for data in getattr(env, "nb_metadata", {}).values():
        for key in [key for key in data.get("js_files", {}) if key.startswith("ipywidgets_")]:
            del data["js_files"][key]
