"""What the site shows in place of a role, as text: for the notebooks."""

from functools import cache

from docutils.nodes import make_id
from pybtex.database import Entry, parse_file
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from ddpm_book.percent import ROOT
from ddpm_book.words import say


def resolve(env: BuildEnvironment, cited: dict[str, None], role: str, target: str) -> str:
    """The text of a role; `cited` is an ordered set, which learns the keys of what is cited."""
    if role == "number":
        return number(env, "displaymath", f"equation-{target}")
    if role == "eq":
        return f"({number(env, 'displaymath', f'equation-{target}')})"
    if role == "exercise":
        return number(env, "exercise", target)
    if role == "numref":
        if target in env.sphinx_exercise_registry:
            return say("Exercise {number}", number=number(env, "exercise", target))
        return say("Figure {number}", number=number(env, "figure", target))
    if role.startswith("cite"):
        keys = [key.strip() for key in target.split(",")]
        cited.update(dict.fromkeys(keys))
        entries = [_bibliography()[key] for key in keys]
        if role == "cite:t":
            return ", ".join(f"{_authors(e)} ({e.fields['year']})" for e in entries)
        return "(" + "; ".join(f"{_authors(e)}, {e.fields['year']}" for e in entries) + ")"
    raise ExtensionError(
        f"the role {{{role}}} has no plain form for a notebook: see ddpm_book/numbers.py"
    )


def number(env: BuildEnvironment, kind: str, label: str) -> str:
    """The number that a labeled thing has on the site, as "2.7"."""
    for numbers in env.toc_fignumbers.values():
        if found := numbers.get(kind, {}).get(make_id(label)):
            return ".".join(map(str, found))
    raise ExtensionError(f"no {kind} is labeled {label}")


def references(cited: dict[str, None]) -> str:
    """A list of what is cited, in Markdown."""
    return "\n".join(f"- {_reference(_bibliography()[key])}" for key in cited)


@cache
def _bibliography() -> dict[str, Entry]:
    return dict(parse_file(ROOT / "book/references.bib").entries)


def _authors(entry: Entry) -> str:
    names = [" ".join(person.last_names) for person in entry.persons["author"]]
    if len(names) > 2:
        return say("{first} et al.", first=names[0])
    return say("{first} and {second}", first=names[0], second=names[1]) if names[1:] else names[0]


def _reference(entry: Entry) -> str:
    fields = entry.fields
    title = fields["title"].replace("{", "").replace("}", "")
    venue = fields.get("journal") or fields.get("booktitle") or fields.get("publisher", "")
    return f"{_authors(entry)} ({fields['year']}). {title}. {venue}. {fields.get('url', '')}"
