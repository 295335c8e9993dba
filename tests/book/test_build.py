"""`make book` on a small book: what it builds, what it runs again, and what it refuses."""

import json
import re
import subprocess

import pytest

FIRST, SECOND = "chapters/03_first.py", "chapters/05_second.py"


def executed(output: str) -> list[str]:
    return sorted(re.findall(r"executed (chapters/\w+\.py)", output))


def page(book, name):
    return (book.folder / "_build/html" / f"{name}.html").read_text("utf-8")


def test_numbers_come_from_file_names_and_claims_reach_page_and_ledger(built_book):
    first = page(built_book, "chapters/03_first")
    assert "(3.1)" in first and "(3.2)" in first
    line = re.search(r'<p class="claim" id="claim-1">(.*?)</p>', first, re.DOTALL)[1]
    text = re.sub(r"<[^>]+>", "", line)
    assert text == "✓ (3.2) |got − want| = 0 ≤ 4.4·10⁻¹³ · rejects: square; 0 / 0"
    ledger = page(built_book, "book/claims")
    assert "2 labeled equations, 1 of them definitions" in ledger
    assert 'href="../chapters/03_first.html#claim-1"' in ledger
    assert 'href="../chapters/03_first.html#equation-eq-double"' in ledger
    assert "square: 1" in ledger and "0 / 0: ∞" in ledger


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


def test_a_second_build_runs_nothing(book):
    result = book.build()
    assert result.returncode == 0, result.stdout
    assert executed(result.stdout) == []


def test_a_change_of_prose_runs_no_cell_and_reaches_the_page(book):
    book.edit(SECOND, "Nothing of the library here.", "Still nothing of it.")
    result = book.build()
    assert result.returncode == 0, result.stdout
    assert executed(result.stdout) == []
    assert "Still nothing of it." in page(book, "chapters/05_second")


def test_a_change_of_code_runs_that_chapter_only(book):
    book.edit(SECOND, 'print("second")', 'print("second, changed")')
    result = book.build()
    assert executed(result.stdout) == [SECOND], result.stdout
    assert "second, changed" in page(book, "chapters/05_second")


def test_a_library_module_that_no_chapter_imports_runs_nothing(book):
    book.edit("ddpm_lib/unused.py", "2.0", "3.0")
    assert executed(book.build().stdout) == []


def test_a_library_module_imported_through_another_runs_the_chapter(book):
    book.edit("ddpm_lib/deep.py", "ONE = 1.0", "ONE = 1")
    result = book.build()
    assert result.returncode == 0, result.stdout
    assert executed(result.stdout) == [FIRST]


def test_changed_pins_run_every_chapter(book):
    with (book.folder / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert executed(book.build().stdout) == [FIRST, SECOND]


def test_a_changed_claim_changes_the_ledger(book):
    book.edit(FIRST, '"square"', '"the square"')
    assert book.build().returncode == 0
    assert "the square: 1" in page(book, "book/claims")


WIDGET = "import ipywidgets\n\nipywidgets.IntSlider()\n"
PICTURE = (
    "from IPython.display import SVG\n\n"
    'SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\')\n'
)
HTML_PICTURE = "from IPython.display import HTML\n\nHTML('<img src=\"x.png\">')\n"
DEFECTS = {
    "failing cell": (
        SECOND, 'print("second")', "x = 1\n\n# %%\nx / 0",
        "x / 0", "ZeroDivisionError: division by zero",
    ),
    "syntax error": (SECOND, 'print("second")', "x = = 1", "x = = 1", "SyntaxError"),
    "failing claim": (
        FIRST, "want=2.0", "want=3.0", "from ddpm_lib import used", "eq:double fails",
    ),
    "claim that proves nothing": (
        FIRST, "used.ONE**2", "used.ONE * 2",
        "from ddpm_lib import used", "eq:double proves nothing: the wrong version “square”",
    ),
    "claim of no equation": (
        FIRST, 'claim("eq:double"', 'claim("eq:duoble"', "from ddpm_lib import used", "eq:duoble",
    ),
    "labeled equation without claim": (
        FIRST, "x = 1\n# $$ (def:x)", "x = 1\n# $$ (eq:x)",
        "# $$", "the equation eq:x has no claim",
    ),
    "broken reference to an equation": (
        FIRST, "{eq}`def:x`", "{eq}`def:y`", "{eq}`def:y`", "def:y",
    ),
    "broken link": (
        FIRST, "{eq}`def:x`", "[there](05_third.py)", "05_third.py", "05_third.py",
    ),
    "broken citation": (FIRST, "ho2020", "ho2002", "ho2002", "ho2002"),
    "picture without alternative text": (
        SECOND, 'print("second")', PICTURE,
        "from IPython.display import SVG", "no alternative text",
    ),
    "HTML picture without alternative text": (
        SECOND, 'print("second")', HTML_PICTURE,
        "from IPython.display import HTML", "<img> without alternative text",
    ),
    "explorable without alternative text": (
        SECOND, '"image": {"alt": "\\"3\\" & <b>"}', '"image": {}',
        "from IPython", "figure has no alternative text",
    ),
    "explorable without caption": (
        SECOND, ', "caption": "Any $t$."', "",
        "from IPython", "figure has no caption",
    ),
    "bare widget": (SECOND, 'print("second")', WIDGET, "import ipywidgets", "shows a widget"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_fails_the_build_and_is_named_with_file_and_line(book, defect):
    name, old, new, where, message = DEFECTS[defect]
    book.edit(name, old, new)
    result = book.build()
    assert result.returncode != 0
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


def test_a_defect_fails_the_next_build_too(book):
    """Sphinx reads unchanged pages from its environment, and would not warn again."""
    book.edit(FIRST, "{eq}`def:x`", "{eq}`def:y`")
    assert book.build().returncode != 0
    assert book.build().returncode != 0


def test_no_page_asks_another_host(built_book):
    for path in (built_book.folder / "_build/html").rglob("*.html"):
        html = path.read_text("utf-8")
        assert not re.search(r'<(script|link|img|iframe)[^>]+(src|href)="(https?:)?//', html), path


def test_the_page_of_a_removed_chapter_goes(book):
    book.edit("_toc.yml", ", {file: chapters/05_second}", "")
    assert book.build().returncode == 0
    assert not (book.folder / "_build/html/chapters/05_second.html").exists()
    assert (book.folder / "_build/html/search.html").exists()


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


def test_the_notebook_holds_the_library_and_numbers(built_book):
    path = built_book.folder / "_build/html/_sources/chapters/03_first.ipynb"
    cells = json.loads(path.read_text("utf-8"))["cells"]
    text = "".join(cells[0]["source"])
    assert "By Ho et al. (2020), see (3.2) and (3.1)." in text
    assert "\\tag{3.2}" in text
    setup = "".join(cells[1]["source"])
    assert '"eq:double": "3.2"' in setup and 'LIBRARY = "' in setup
