"""`make book` on a small book: what it builds, what it runs again, and what it refuses."""

import base64
import io
import json
import re
import subprocess
import sys
import zipfile

import pytest

from ddpm_book import mathematics

FIRST, SECOND = "chapters/03_first.py", "chapters/05_second.py"


def executed(output: str) -> list[str]:
    return sorted(re.findall(r"executed (chapters/\w+\.py)", output))


def page(book, name):
    return (book.folder / "_build/html" / f"{name}.html").read_text("utf-8")


def test_numbers_come_from_file_names_and_claims_reach_page_and_ledger(built_book):
    first = page(built_book, "chapters/03_first")
    assert "(3.1)" in first and "(3.2)" in first
    line = re.search(r'<p class="claim" id="claim-1">(.*?)</p>', first, re.DOTALL)[1]
    text = re.sub(r"<[^>]+>", "", line.replace(mathematics.html("0 / 0"), "0 / 0"))
    assert text == "✓ (3.2) |got − want| = 0 ≤ 4.4·10⁻¹³ · rejects: square; 0 / 0"
    ledger = page(built_book, "book/claims")
    assert "2 labeled equations, 1 of them definitions" in ledger
    assert 'href="../chapters/03_first.html#claim-1"' in ledger
    assert 'href="../chapters/03_first.html#equation-eq-double"' in ledger
    assert "square: 1" in ledger and mathematics.html("0 / 0") + "</span>: ∞" in ledger


def test_a_page_has_its_formulas_without_a_script(built_book):
    first, second = page(built_book, "chapters/03_first"), page(built_book, "chapters/05_second")
    numbered = re.search(
        r'<div class="math[^>]* id="equation-eq-double">(.*?)</div>', first, re.DOTALL
    )
    assert '<span class="eqno">(3.2)<a class="headerlink"' in numbered[1]
    assert mathematics.html("\nx + x = 2 x\n", display=True) in numbered[1]
    assert mathematics.html("t") in second  # in the caption of a figure
    shown = mathematics.html(r"\displaystyle \frac{1}{2}", display=True)  # by a cell
    assert shown in second
    assert not re.search("<script[^>]*(math|katex|tex2jax)", first + second, re.IGNORECASE)


def test_each_kernel_has_one_thread_so_that_numbers_repeat(built_book):
    assert "threads: 1" in page(built_book, "chapters/05_second")


def test_printed_sentences_may_wrap_and_columns_may_not(built_book):
    html = page(built_book, "chapters/05_second")
    classes = re.findall(r'class="output stream ([^"]*)"', html)
    wraps = [True, True, False, False, True]
    assert ["sentences" in those.split() for those in classes] == wraps, classes


def test_an_explorable_has_the_words_of_its_cells_header(built_book):
    html = page(built_book, "chapters/05_second")
    figure = re.search(r"<figure.*?</figure>", html, re.DOTALL)[0]
    assert '<img src="data:," alt="&quot;3&quot; &amp; &lt;b&gt;"></div>' in figure
    assert re.search(r"<figcaption>.*Any <span class=\"math.*</figcaption>", figure, re.DOTALL)


def test_what_changes_no_output_runs_nothing_and_reaches_the_page(book):
    book.edit(SECOND, "Nothing of the library here.", "Still nothing of it.")
    book.edit(SECOND, "Any $t$.", "For any time.")
    book.edit(SECOND, '\\"3\\" & <b>', "A three")
    book.edit("ddpm_lib/deep.py", "OFF", "# a comment\nOFF")
    book.edit("ddpm_lib/unused.py", "2.0", "3.0")
    book.edit("book/explorables/figure.js", "{}", "{ }")
    result = book.build()
    assert result.returncode == 0, result.stdout
    assert executed(result.stdout) == []
    html = page(book, "chapters/05_second")
    assert "Still nothing of it." in html and "For any time." in html
    assert 'alt="A three"' in html
    assert "# a comment" in carried(book, "chapters/03_first")["ddpm_lib/deep.py"]


def carried(book, chapter):
    """The files of the library that a chapter's notebook carries."""
    setup = notebook(book, chapter)[1]
    library = re.search(r'^LIBRARY = "(.*)"$', setup, re.M)[1]
    archive = zipfile.ZipFile(io.BytesIO(base64.b85decode(library)))
    return {name: archive.read(name).decode() for name in archive.namelist()}


def notebook(book, chapter):
    """The sources of a published notebook's cells."""
    path = book.folder / f"_build/html/_sources/{chapter}.ipynb"
    return ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"]]


def test_a_change_of_code_runs_that_chapter_only(book):
    book.edit(SECOND, 'print("second")', 'print("second, changed")')
    result = book.build()
    assert executed(result.stdout) == [SECOND], result.stdout
    assert "second, changed" in page(book, "chapters/05_second")


def test_a_change_of_a_module_runs_the_chapters_that_use_it_and_changes_their_claims(book):
    book.edit("ddpm_lib/deep.py", "OFF = 1.0", "OFF = 3.0")
    result = book.build()
    assert result.returncode == 0, result.stdout
    assert executed(result.stdout) == [FIRST]
    assert "square: 7" in page(book, "book/claims")


SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
EXPLORABLE = "HTML(f'<div class=\"explorable\">{still}</div>')"
# Each is a cell, put at the end of a chapter; the message must name its first line.
WARNED = {
    "claim of no equation": (
        FIRST, '# %%\nclaim("eq:duoble", got=1.0, want=1.0, rejects={"two": 2.0})', "eq:duoble",
    ),
    "labeled equation without claim": (
        FIRST, "# %% [markdown]\n# $$\n# y = 1\n# $$ (eq:y)", "the equation eq:y has no claim",
    ),
    "broken reference to an equation": (FIRST, "# %% [markdown]\n# See {eq}`def:y`.", "def:y"),
    "broken link": (FIRST, "# %% [markdown]\n# Go [there](05_third.py).", "05_third.py"),
    "broken citation": (FIRST, "# %% [markdown]\n# By {cite:t}`ho2002`.", "ho2002"),
    "picture without alternative text": (
        SECOND, f"# %%\nfrom IPython.display import SVG\n\nSVG('{SQUARE}')",
        "has no alternative text",
    ),
    "HTML picture without alternative text": (
        SECOND, "# %%\nfrom IPython.display import HTML\n\nHTML('<img src=\"x.png\">')",
        "<img> without alternative text",
    ),
    "bare widget": (
        SECOND, "# %%\nimport ipywidgets\n\nipywidgets.IntSlider()", "shows a widget",
    ),
    "explorable without alternative text": (
        SECOND, f'# %% mystnb={{"figure": {{"name": "fig-a", "caption": "It."}}}}\n{EXPLORABLE}',
        "figure has no alternative text",
    ),
    "explorable without caption": (
        SECOND, f'# %% mystnb={{"image": {{"alt": "It."}}}}\n{EXPLORABLE}', "figure has no caption",
    ),
    "undefined macro": (
        SECOND, "# %% [markdown]\n# As $\\foo$ says.",
        r"cannot be set: KaTeX parse error: Undefined control sequence: \foo",
    ),
    "claim whose mathematics is not set": (
        FIRST, '# %%\nclaim("eq:double", got=2.0, want=2.0, rejects={"x_0": 3.0})',
        "“x_0” has mathematics outside of $…$",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def warned(built_book, tmp_path_factory):
    """The small book with all of these, the lines where they stand, and what two builds say."""
    book = built_book.copy(tmp_path_factory.mktemp("warned"))
    lines = {}
    for defect, (name, cell, _) in WARNED.items():
        path = book.folder / name
        text = path.read_text("utf-8").rstrip("\n") + "\n\n"
        lines[defect] = f"{name}:{text.count(chr(10)) + 2}"
        path.write_text(f"{text}{cell}\n", "utf-8")
    return lines, [book.build(), book.build()]


@pytest.mark.parametrize("build", [0, 1], ids=["first", "next"])
@pytest.mark.parametrize("defect", WARNED)
def test_a_defect_fails_each_build_and_is_named_with_file_and_line(warned, defect, build):
    """The next build too: Sphinx reads unchanged pages from its environment, and would not warn."""
    lines, results = warned
    assert results[build].returncode != 0
    named = [line for line in results[build].stdout.splitlines() if lines[defect] in line]
    assert any(WARNED[defect][2] in line for line in named), results[build].stdout


# Chapters that do not run to their end: what changes, the line that is named, and the message.
FAILING = [
    {
        "failing claim": (
            FIRST, "want=2.0", "want=3.0", "from ddpm_lib import used", "eq:double fails",
        ),
        "failing cell": (
            SECOND, 'print("second")', "x = 1\n\n# %%\nx / 0",
            "x / 0", "ZeroDivisionError: division by zero",
        ),
    },
    {
        "claim that proves nothing": (
            FIRST, "used.OFF**2", "used.ONE * 2",
            "from ddpm_lib import used", "eq:double proves nothing: the wrong version “square”",
        ),
        "syntax error": (SECOND, 'print("second")', "x = = 1", "x = = 1", "SyntaxError"),
    },
]  # fmt: skip


@pytest.mark.parametrize("defects", FAILING, ids=" and ".join)
def test_chapters_that_fail_to_run_stop_the_build_and_are_all_named(book, defects):
    for name, old, new, _, _ in defects.values():
        book.edit(name, old, new)
    result = book.build()
    assert result.returncode != 0
    for name, _, _, where, message in defects.values():
        named = [line for line in result.stdout.splitlines() if book.line(name, where) in line]
        assert any(message in line for line in named), result.stdout


PANEL = """\
class Panel:
    def _repr_mimebundle_(self, **kwargs):
        widget = ipywidgets.IntSlider()._repr_mimebundle_()
        return widget | {"text/html": "<p>for a page</p>"}


import ipywidgets

Panel()
"""


def test_a_widget_with_a_page_of_its_own_is_shown_by_that(book):
    book.edit(SECOND, 'print("second")', PANEL)
    result = book.build()
    assert result.returncode == 0, result.stdout
    html = page(book, "chapters/05_second")
    assert "<p>for a page</p>" in html
    assert "widget-state" not in html and "widget-view" not in html
    assert "requirejs" not in html and "html-manager" not in html


def test_no_page_asks_another_host(built_book):
    for path in (built_book.folder / "_build/html").rglob("*.html"):
        html = path.read_text("utf-8")
        assert not re.search(r'<(script|link|img|iframe)[^>]+(src|href)="(https?:)?//', html), path


def test_the_page_of_a_removed_chapter_goes_and_another_edition_stays(book):
    site = book.folder / "_build/html"
    other = [site / "zh" / name for name in (".buildinfo", "index.html", "chapters/01_one.html")]
    stale = site / "old/page.html"
    for path in (*other, stale):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    book.edit("_toc.yml", ", {file: chapters/05_second}", "")
    assert book.build().returncode == 0
    assert not (site / "chapters/05_second.html").exists() and not stale.exists()
    assert (site / "search.html").exists() and all(path.exists() for path in other)


def test_buttons_follow_the_repository(book):
    assert "colab.research.google.com" not in page(book, "chapters/03_first")
    assert 'href="../_sources/chapters/03_first.ipynb"' in page(book, "chapters/03_first")
    for command in (["init", "-q"], ["remote", "add", "origin", "git@github.com:someone/fork.git"]):
        subprocess.run(["git", *command], cwd=book.folder, check=True)
    book.edit(FIRST, "# First", "# First, again")
    assert book.build().returncode == 0
    colab = "https://colab.research.google.com/github/someone/fork"
    url = f"{colab}/blob/gh-pages/_sources/chapters/03_first.ipynb"
    assert f'href="{url}"' in page(book, "chapters/03_first")


def test_the_notebook_runs_alone_with_what_it_carries_and_the_sites_numbers(built_book, tmp_path):
    cells = notebook(built_book, "chapters/03_first")
    assert "By Ho et al. (2020), see (3.2) and (3.1)." in cells[0]
    assert "\\tag{3.2}" in cells[0]
    files = carried(built_book, "chapters/03_first").keys()
    assert {"ddpm_lib/used.py", "ddpm_lib/deep.py", "ddpm_lib/course/claims.py"} <= files
    assert "ddpm_lib/unused.py" not in files
    command = [sys.executable, "-c", f"{WITHOUT_REPOSITORY}\n{cells[1]}\n{cells[2]}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    first, second, claim = result.stdout.splitlines()
    assert re.fullmatch(r"device: .* · library: .*/ddpm_lib", first)
    assert re.fullmatch(r"All cells took \d+ s on the \d+ CPU cores that built the site.", second)
    assert claim.startswith("✓ (3.2) · |got − want| = 0.0e+00")


WITHOUT_REPOSITORY = """
import os, sys
sys.path[:] = [p for p in sys.path if not os.path.isfile(os.path.join(p, "ddpm_lib/__init__.py"))]
"""
