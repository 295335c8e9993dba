"""MyST Markdown as plain Markdown, and the library inside a notebook."""

import base64
import io
import zipfile

import pytest
from sphinx.errors import ExtensionError

from ddpm_book.notebooks import library, plain


def resolve(role: str, target: str) -> str:
    return {"eq": "(2.7)", "number": "2.7", "exercise": "2.1"}.get(role, f"<{role} {target}>")


@pytest.mark.parametrize(
    "source, wanted",
    [
        ("see {eq}`eq:jump`, by {cite:t}`ho2020`", "see (2.7), by <cite:t ho2020>"),
        ("$$\nx = 1\n$$ (eq:one)", "$$\nx = 1\n\\tag{2.7}\n$$"),
        ("$$\na\n$$\n\nthen\n\n$$\nb\n$$ (eq:b)", "$$\na\n$$\n\nthen\n\n$$\nb\n\\tag{2.7}\n$$"),
        ("(label)=\n# Title", "# Title"),
        ("the [ledger](../book/claims.md)", "the ledger"),
        ("a [paper](https://example.org)", "a [paper](https://example.org)"),
        (":::{note}\nBeware.\n:::", "> **Note.**\n>\n> Beware."),
        (
            ":::{exercise} Two\n:label: ex-two\n\nDo {eq}`x`.\n:::",
            "> **Exercise 2.1 (Two).**\n>\n> Do (2.7).",
        ),
        (
            ":::{solution} ex-two\n:class: dropdown\n\nDone.\n:::",
            "<details>\n<summary>Solution to exercise 2.1</summary>\n\nDone.\n\n</details>",
        ),
        (
            ":::{admonition} Why $x$\n:class: dropdown\nSo.\n:::",
            "<details>\n<summary>Why $x$</summary>\n\nSo.\n\n</details>",
        ),
        ("::::{note}\n:::{tip}\nIn.\n:::\n::::", "> **Note.**\n>\n> > **Tip.**\n> >\n> > In."),
        ("```python\n{eq}`as it is`\n```", "```python\n{eq}`as it is`\n```"),
        (
            ":::{solution-start} ex-two\n:class: dropdown\n:::\n\nBecause {eq}`x`.",
            "<details>\n<summary>Solution to exercise 2.1</summary>\n\n"
            "Because (2.7).\n\n</details>",
        ),
        (":::{solution-end}\n:::", ""),
    ],
)
def test_plain(source, wanted):
    assert plain(source, resolve).strip() == wanted


def test_a_directive_without_plain_form_stops_the_build():
    with pytest.raises(ExtensionError, match=r"\{mermaid\} has no plain form"):
        plain("```{mermaid}\ngraph\n```", resolve)


def test_the_library_travels_whole_and_the_same_each_time():
    archive = zipfile.ZipFile(io.BytesIO(base64.b85decode(library())))
    names = archive.namelist()
    assert {"ddpm_lib/__init__.py", "ddpm_lib/course/claims.py", "ddpm_lib/course.mplstyle"} <= set(
        names
    )
    assert "ddpm_lib/course/explorables/core.js" in names
    assert not any("__pycache__" in name for name in names)
    first = library()
    library.cache_clear()
    assert library() == first
