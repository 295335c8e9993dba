"""MyST Markdown as plain Markdown, and the code of a notebook."""

import pytest
from sphinx.errors import ExtensionError

from ddpm_book.plain import plain
from ddpm_book.runnable import FORM, archive, runnable
from ddpm_lib.sources import PACKAGE


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
        (  # the sentence after it stands by itself
            ":::{tip}\nBeware.\n:::\nAnd so on.\n:::{tip}\nOnce more.\n:::",
            "> **Tip.**\n>\n> Beware.\n\nAnd so on.\n\n> **Tip.**\n>\n> Once more.",
        ),
        ("```python\n{eq}`as it is`\n```", "```python\n{eq}`as it is`\n```"),
        ("see `{eq}` and $f[x](t)$", "see `{eq}` and $f[x](t)$"),
        ("- one {eq}`a`\n\n  $$\n  b\n  $$ (eq:b)", "- one (2.7)\n\n  $$\n  b\n  \\tag{2.7}\n  $$"),
        ("| a | b |\n|---|---|\n| {eq}`a` | [c](d.md) |", "| a | b |\n|---|---|\n| (2.7) | c |"),
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


@pytest.mark.parametrize("fence", ["- a\n\n  :::{note}\n  x\n  :::", "> ```{note}\n> x\n> ```"])
def test_a_directive_inside_a_list_or_quotation_stops_the_build(fence):
    with pytest.raises(ExtensionError, match=r"\{note\} stands inside a list or a quotation"):
        plain(fence, resolve)


def test_setup_comes_first_and_code_keeps_what_changes_its_run():
    cells = ['# %% tags=["figure"]\nx = 1', '# %% tags=["raises-exception", "claim"]\nx / 0']
    notebook = runnable("\n\n".join(cells) + "\n")
    setup, figure, failing = notebook.cells
    assert setup.metadata == FORM and "\nBOOK = {}\n" in setup.source
    assert figure.source == "x = 1" and figure.metadata == FORM
    assert failing.metadata == {"tags": ["raises-exception"]}


def test_the_same_files_give_the_same_text():
    files = {PACKAGE / "__init__.py", PACKAGE / "course.mplstyle"}
    assert archive(files) == archive(set(files))
    assert archive(files) != archive({PACKAGE / "__init__.py"})
