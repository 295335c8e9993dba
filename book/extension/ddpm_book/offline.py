"""The site asks no other host for anything, and its readers for no megabytes that do nothing."""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


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
