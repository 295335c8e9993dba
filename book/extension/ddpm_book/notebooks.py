"""A chapter as a notebook that runs by itself, in plain Markdown that Jupyter and Colab show.

Its first cell, folded, carries the library that the chapter was built with and unpacks it where no
ddpm_lib is installed. It installs nothing: all else that a chapter imports is already in Colab.
Directives, roles and equation labels exist only on the site, so each is rewritten to what a plain
notebook can show. One that has no plain form stops the build: a reader would see raw markup.
"""

import base64
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
from docutils.nodes import make_id
from nbformat.v4 import new_code_cell, new_markdown_cell
from pybtex.database import Entry, parse_file
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from ddpm_book.reader import KERNEL, ROOT, read_percent

SETUP = """\
#@title Setup: run this cell first {{ display-mode: "form" }}
# Provides the ddpm_lib that this chapter was built with, if none is installed. It installs nothing.
import base64, importlib.util, io, sys, tempfile, zipfile

LIBRARY = "{library}"
spec = importlib.util.find_spec("ddpm_lib")
if spec is None or spec.origin is None:  # none, or a folder of that name without code
    folder = tempfile.mkdtemp(prefix="ddpm_lib-")
    zipfile.ZipFile(io.BytesIO(base64.b85decode(LIBRARY))).extractall(folder)
    sys.path.insert(0, folder)
missing = [name for name in {imports} if importlib.util.find_spec(name) is None]
if missing:
    raise SystemExit("Install these, then run this cell again: " + " ".join(missing))

import torch
from ddpm_lib.course import claims

claims.numbers.update({numbers})
device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
print(f"device: {{device}} · library: {{claims.__file__.rsplit('/', 2)[0]}}")
print("{runtime}")"""

FENCE = re.compile(r"(?P<fence>:{3,}|`{3,})\{(?P<name>[\w-]+)\} *(?P<title>.*)$")
EQUATION = re.compile(r"^(\$\$(?:(?!\$\$).)+?)\s*\$\$ *\(([\w:.-]+)\)", re.DOTALL | re.MULTILINE)
TARGET = re.compile(r"^\([\w:.-]+\)=\n", re.MULTILINE)
ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
INTERNAL_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|mailto:)[^)]*\)")


def export(app: Sphinx, page: str) -> str:
    """The notebook of a chapter, as JSON."""
    env = app.env
    text = Path(env.doc2path(page)).read_text("utf-8")
    notebook = read_percent(text)
    cited: dict[str, None] = {}  # an ordered set
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            source = plain(
                cell.source, lambda role, target: _resolve(env, page, cited, role, target)
            )
            if source.strip():
                cells.append(new_markdown_cell(source))
        else:
            folded = {"figure", "solution"} & set(cell.metadata.get("tags", []))
            metadata = {"cellView": "form", "jupyter": {"source_hidden": True}} if folded else {}
            cells.append(new_code_cell(cell.source, metadata=metadata))
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            if figure:
                number = _number(env, "figure", figure["name"])
                caption = plain(
                    figure["caption"], lambda role, target: _resolve(env, page, cited, role, target)
                )
                cells.append(new_markdown_cell(f"**Figure {number}.** {caption}"))
    if cited:
        entries = "\n".join(f"- {_reference(_bibliography()[key])}" for key in cited)
        cells.append(new_markdown_cell(f"## References\n\n{entries}"))
    cells.insert(1, _setup_cell(env, page, notebook))
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"  # the same notebook from the same chapter
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata)) + "\n"


def plain(source: str, resolve: Callable[[str, str], str]) -> str:
    """MyST Markdown as plain Markdown.  resolve: (role, target) -> text"""
    lines, result = TARGET.sub("", source).splitlines(), []
    code = False  # inside a fenced block that is shown as it stands
    prose: list[str] = []

    def flush() -> None:
        if any(prose):
            result.extend([*_plain_prose("\n".join(prose), resolve).strip().splitlines(), ""])
        prose.clear()

    while lines:
        line = lines.pop(0)
        fence = FENCE.match(line)
        if fence and not code:
            flush()
            end = next(i for i, other in enumerate(lines) if other.strip() == fence["fence"])
            body, lines = lines[:end], lines[end + 1 :]
            if fence["name"] == "solution-start":  # goes on to the end of the cell, and is folded
                body, lines = lines, []
            result += _plain_directive(fence["name"], fence["title"], body, resolve).splitlines()
        elif line.startswith("```"):
            flush()  # nothing, at the end of the block
            code = not code
            result.append(line)
        else:
            (result if code else prose).append(line)
    flush()
    return "\n".join(result)


def _plain_prose(text: str, resolve: Callable[[str, str], str]) -> str:
    text = EQUATION.sub(lambda m: f"{m[1]}\n\\tag{{{resolve('number', m[2])}}}\n$$", text)
    text = ROLE.sub(lambda m: resolve(m[1], m[2]), text)
    return INTERNAL_LINK.sub(r"\1", text)


def _plain_directive(
    name: str, title: str, body: list[str], resolve: Callable[[str, str], str]
) -> str:
    options = {}
    while body and (match := re.match(r":([\w-]+): *(.*)$", body[0])):
        options[match[1]] = match[2]
        body = body[1:]
    text = plain("\n".join(body), resolve).strip()
    if name in ("note", "tip", "warning", "important", "hint", "admonition"):
        title = _plain_prose(title, resolve) or name.capitalize()
        return (
            _folded(title, text) if "dropdown" in options.get("class", "") else _quoted(title, text)
        )
    if name == "dropdown":
        return _folded(title, text)
    if name == "exercise":
        number = resolve("exercise", options["label"])
        return _quoted(f"Exercise {number}" + (f" ({title})" if title else ""), text)
    if name in ("solution", "solution-start"):
        return _folded(f"Solution to exercise {resolve('exercise', title)}", text)
    if name == "solution-end":
        return ""
    raise ExtensionError(
        f"the directive {{{name}}} has no plain form for a notebook: see ddpm_book/notebooks.py"
    )


def _quoted(title: str, text: str) -> str:
    return (
        "\n".join(f"> {line}".rstrip() for line in [f"**{title}.**", "", *text.splitlines()]) + "\n"
    )


def _folded(title: str, text: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>\n"


def _resolve(
    env: BuildEnvironment, page: str, cited: dict[str, None], role: str, target: str
) -> str:
    """What the site shows for a role, as text."""
    if role == "number":
        return _number(env, "displaymath", f"equation-{target}")
    if role == "eq":
        return f"({_number(env, 'displaymath', f'equation-{target}')})"
    if role == "exercise":
        return _number(env, "exercise", target)
    if role == "numref":
        kind = "exercise" if target in env.sphinx_exercise_registry else "figure"
        return f"{kind.capitalize()} {_number(env, kind, target)}"
    if role.startswith("cite"):
        keys = [key.strip() for key in target.split(",")]
        cited.update(dict.fromkeys(keys))
        entries = [_bibliography()[key] for key in keys]
        if role == "cite:t":
            return ", ".join(f"{_authors(e)} ({e.fields['year']})" for e in entries)
        return "(" + "; ".join(f"{_authors(e)}, {e.fields['year']}" for e in entries) + ")"
    raise ExtensionError(
        f"{page}: the role {{{role}}} has no plain form for a notebook: see ddpm_book/notebooks.py"
    )


def _number(env: BuildEnvironment, kind: str, label: str) -> str:
    for numbers in env.toc_fignumbers.values():
        if found := numbers.get(kind, {}).get(make_id(label)):
            return ".".join(map(str, found))
    raise ExtensionError(f"no {kind} is labeled {label}")


@cache
def _bibliography() -> dict[str, Entry]:
    return dict(parse_file(ROOT / "book/references.bib").entries)


def _authors(entry: Entry) -> str:
    names = [" ".join(person.last_names) for person in entry.persons["author"]]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."


def _reference(entry: Entry) -> str:
    fields = entry.fields
    title = fields["title"].replace("{", "").replace("}", "")
    venue = fields.get("journal") or fields.get("booktitle") or fields.get("publisher", "")
    return f"{_authors(entry)} ({fields['year']}). {title}. {venue}. {fields.get('url', '')}"


def _setup_cell(
    env: BuildEnvironment, page: str, notebook: nbformat.NotebookNode
) -> nbformat.NotebookNode:
    numbers = {
        label: _number(env, "displaymath", f"equation-{label}")
        for label in env.ddpm_equations.get(page, {})
    }
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    imports = set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE))
    seconds = (env.nb_metadata[page].get("exec_data") or {}).get("runtime")
    cores = f"the {os.cpu_count()} CPU cores that built the site"
    source = SETUP.format(
        library=library(),
        imports=json.dumps(sorted(imports - {"ddpm_lib"})),
        numbers=json.dumps(numbers),
        runtime=f"All cells took {seconds:.0f} s on {cores}." if seconds else "",
    )
    return new_code_cell(source, metadata={"cellView": "form", "jupyter": {"source_hidden": True}})


@cache
def library() -> str:
    """ddpm_lib with its explorables, as base85 of a zip; the same text from the same files."""
    buffer = io.BytesIO()
    folders = {
        ROOT / "ddpm_lib": "ddpm_lib",
        ROOT / "book/explorables": "ddpm_lib/course/explorables",
    }
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for folder, name in folders.items():
            for path in sorted(folder.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    member = zipfile.ZipInfo(f"{name}/{path.relative_to(folder).as_posix()}")
                    member.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(member, path.read_bytes())
    return base64.b85encode(buffer.getvalue()).decode()
