"""The site asks no other host for anything, and its readers for no megabytes that do nothing."""

from pathlib import Path

from sphinx.application import Sphinx


def drop_second_icons(app: Sphinx, exception: Exception | None) -> None:
    """Empty the theme's 1.5 MB of icons as a script: its style sheet draws the same from a font."""
    script = Path(app.outdir, "_static", "scripts", "fontawesome.js")
    if script.exists():
        script.write_text("")
