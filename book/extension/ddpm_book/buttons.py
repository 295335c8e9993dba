"""Each chapter's buttons: its notebook to download, and Colab where the repository is known.

The owner and name of the repository stand in no file, so a fork links to itself: they come from
GITHUB_REPOSITORY (set by GitHub Actions) or from the git remote. With neither, or with a remote
elsewhere, there is no Colab button: a button that leads nowhere is worse than none.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from ddpm_book.execution import script
from ddpm_book.words import say


def repository(folder: Path) -> str | None:
    """owner/name on GitHub, if known."""
    if from_environment := os.environ.get("GITHUB_REPOSITORY"):
        return from_environment
    command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
    try:
        remote = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        return None
    match = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(\.git)?$", remote)
    return match[1] if match else None


def forget_default_repository(app: Sphinx, config: Config) -> None:
    """Jupyter Book fills in its own repository where a book names none."""
    for option in ("repository_url", "launch_buttons"):
        config.html_theme_options.pop(option, None)


def offer_notebook(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let the theme show its button for the chapter's notebook."""
    if doctree is not None and script(app.env, page):
        context["ipynb_source"] = f"{page}.ipynb"


def offer_colab(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Colab opens notebooks from GitHub only: from the branch that the site is published to."""
    owner_name = repository(Path(app.srcdir))
    if context.get("ipynb_source") and owner_name:
        context["header_buttons"].insert(
            0,
            {
                "type": "link",
                "url": f"https://colab.research.google.com/github/{owner_name}/blob/gh-pages/_sources/{page}.ipynb",
                "text": "Colab",
                "tooltip": say("Open in Colab"),
                "icon": "_static/images/logo_colab.png",
                "label": "colab-button",
            },
        )
