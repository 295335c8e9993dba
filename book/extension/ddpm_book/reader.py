"""Read chapters in Jupytext's percent format, and know the files of this repository that they use.

jupyter-cache decides by a notebook's code and by the metadata of its code cells whether it must run
again; it knows nothing of the library that the code imports. So the reader writes a digest of all
that a chapter uses into its first code cell: the modules of ddpm_lib that it imports, directly or
through others, the data files and explorables that any of these name, the pinned dependencies, and
the version of Python. A change in one of them is then a change of the chapter; a change in anything
else is not.
"""

import ast
import hashlib
import re
import sys
from functools import cache
from pathlib import Path

import jupytext
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[3]
DIGEST = "depends_on"  # key in the metadata of the first code cell
FOLDED = {"claim": "check", "figure": "code"}  # tag: what its cell's code is called
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

# A string that may name a file: "course.mplstyle", or "forward" for book/explorables/forward.js.
FILE_NAME = re.compile(r"[\w-]+(\.\w+)?")


def read_percent(text: str) -> NotebookNode:
    """The notebook that a percent script holds, ready for MyST-NB and jupyter-cache."""
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata.setdefault("kernelspec", KERNEL)  # without it the theme shows no buttons
    notebook.metadata["source_map"] = _source_map(text, len(notebook.cells))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code[:1]:
        cell.metadata[DIGEST] = digest(text)
    for cell in code:
        _fold(cell)
    return notebook


def _fold(cell: NotebookNode) -> None:
    """Fold the code of a claim or figure on the page, where its result is what readers look for."""
    tags = cell.metadata.get("tags", [])
    for tag, noun in FOLDED.items():
        if tag in tags:
            tags.append("hide-input")
            show, hide = f"Show the {noun}", f"Hide the {noun}"
            prompts = {"code_prompt_show": show, "code_prompt_hide": hide}
            cell.metadata.setdefault("mystnb", {}).update(prompts)


def _source_map(text: str, cells: int) -> list[int]:
    """The 0-based line of each cell's marker, so that warnings name real lines."""
    lines = [i for i, line in enumerate(text.splitlines()) if re.match(r"# %%( |$)", line)]
    if len(lines) != cells:
        raise ValueError(
            f"found {len(lines)} cell markers but {cells} cells: "
            "put all text below a '# %%' or '# %% [markdown]' line"
        )
    return lines


@cache  # one answer for the whole build, even if somebody saves a file meanwhile
def digest(text: str) -> str:
    """A digest of everything in the repository, besides its own text, that a chapter's run uses."""
    sha = hashlib.sha256(f"{sys.version_info.major}.{sys.version_info.minor}".encode())
    for path in [ROOT / "constraints.txt", *sorted(dependencies(text))]:
        sha.update(path.relative_to(ROOT).as_posix().encode())
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


def dependencies(text: str) -> set[Path]:
    """The files of ddpm_lib and book/explorables that this source uses, directly or not."""
    found: set[Path] = set()
    new = _files_used(text)
    while new:
        path = new.pop()
        found.add(path)
        source = path.read_text(encoding="utf-8") if path.suffix in {".py", ".js"} else ""
        new |= (_files_used(source) if path.suffix == ".py" else _scripts_used(source)) - found
    return found


def _files_used(source: str) -> set[Path]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()  # running the chapter will report it, with its line
    candidates: list[Path] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                candidates += _module_files(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:  # a name may be a module: `from ddpm_lib import data`
                candidates += _module_files(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Constant) and FILE_NAME.fullmatch(str(node.value)):
            candidates += [
                ROOT / "ddpm_lib" / str(node.value),
                ROOT / "book/explorables" / str(node.value),
                ROOT / "book/explorables" / f"{node.value}.js",
                ROOT / "book/explorables" / f"{node.value}.css",
            ]
    return {path for path in candidates if path.is_file()}


def _scripts_used(source: str) -> set[Path]:
    """The modules beside it that an explorable imports, and their styles."""
    names = re.findall(r'^import .* from "\./(\w+)\.js";$', source, flags=re.M)
    files = {
        ROOT / "book/explorables" / f"{name}{end}" for name in names for end in (".js", ".css")
    }
    return {path for path in files if path.is_file()}


def _module_files(name: str) -> list[Path]:
    """Where `import name` may find its code; importing a.b.c runs a and a.b too."""
    parts = name.split(".")
    if parts[0] != "ddpm_lib":
        return []
    prefixes = [ROOT.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    return [file for p in prefixes for file in (p.with_suffix(".py"), p / "__init__.py")]
