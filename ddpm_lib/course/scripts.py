"""Where the interactive figures lie, and which files make one: its module with its imports, styles.

What all share is in explorables.css, and what a module alone needs in a .css of its name.
"""

import re
from pathlib import Path

FOLDERS = (
    Path(__file__).parent / "explorables",  # in an installed package
    Path(__file__).parents[2] / "book" / "explorables",  # in the repository
)
IMPORT = r'^import \{[^}\n]*\} from "\./(\w+)\.js";\n'


def folder() -> Path:
    """Where the files of the explorables are."""
    for place in FOLDERS:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        "the files of the explorables are neither in "
        + " nor in ".join(str(place) for place in FOLDERS)
        + ": install ddpm_lib from its wheel, or from a whole clone of the repository"
    )


def files(name: str) -> list[Path]:
    """The modules that make an explorable, each before its first use, then the styles; or nothing.

    Nothing where there is no such module: who draws the figure reports that.
    """
    place = folder()
    if not (place / f"{name}.js").is_file():
        return []
    modules = _with_imports(place, name)
    styles = (place / f"{stem}.css" for stem in ["explorables", *modules])
    return [
        *(place / f"{stem}.js" for stem in modules),
        *(path for path in styles if path.is_file()),
    ]


def _with_imports(place: Path, name: str) -> list[str]:
    """The modules that a module imports, directly or not, before their first use; then itself."""
    source = (place / f"{name}.js").read_text(encoding="utf-8")
    needed: dict[str, None] = {}
    for module in re.findall(IMPORT, source, flags=re.M):
        needed |= dict.fromkeys(_with_imports(place, module))
    return [*needed, name]
