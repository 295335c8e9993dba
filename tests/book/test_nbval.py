"""nbval on percent chapters: what it passes, what it refuses, and that the book shows its run."""

import re

SECOND, REFERENCE = "chapters/05_second.py", "tests/references/05_second.txt"
IN_PIECES = """\
import time

print(time.time_ns(), end="", flush=True)
time.sleep(0.5)
print("\\nin two pieces")"""


def test_it_passes_and_the_book_shows_that_run(book):
    book.edit(SECOND, 'print("t    loss")', IN_PIECES)
    result = book.nbval()
    assert result.returncode == 0 and "12 passed" in result.stdout, result.stdout
    (kept,) = _times(book, "_build/executed/*.outputs.json")
    result = book.build()
    assert result.returncode == 0 and "executed" not in result.stdout, result.stdout
    assert _times(book, "_build/html/chapters/05_second.html") == {kept}
    page = (book.folder / "_build/html/chapters/05_second.html").read_text("utf-8")
    assert f"{kept}\nin two pieces\n" in page
    # The page follows a later run of the same code too.
    assert book.nbval(SECOND).returncode == 0
    (later,) = _times(book, "_build/executed/*.outputs.json")
    assert later != kept
    result = book.build()
    assert result.returncode == 0 and "executed" not in result.stdout, result.stdout
    assert _times(book, "_build/html/chapters/05_second.html") == {later}


def _times(book, pattern):
    texts = (path.read_text("utf-8") for path in book.folder.glob(pattern))
    return set(re.findall(r"\b\d{19}\b", "".join(texts)))


def test_all_that_differs_is_found_and_not_kept(book):
    """A number, a cell that raises and what follows it, and a file that is left behind."""
    kept = set((book.folder / "_build/executed").iterdir())
    book.edit(SECOND, 'print("second")', 'x = 3\nprint("second")')
    book.edit(REFERENCE, ">>> print", ">>> x = 3\nfirst\n\n>>> print")
    book.edit(REFERENCE, '\n>>> print("second")\nsecond\n', "")
    book.edit(SECOND, 'print("t    loss")', "x / 0")
    book.edit(SECOND, 'print("It is so.', 'print(x, "It is so.')
    result = book.nbval(SECOND)
    assert result.returncode == 1, result.stdout
    failed = re.findall(r"^FAILED chapters/05_second.py::line (\d+)", result.stdout, re.M)
    wanted = [book.line(SECOND, text).split(":")[1] for text in ("x = 3", "x / 0")]
    assert failed == wanted, result.stdout
    assert "assert reference_output == test_output failed" in result.stdout
    assert "ZeroDivisionError: division by zero" in result.stdout
    assert "not every cell was run and passed" in result.stdout
    assert set((book.folder / "_build/executed").iterdir()) == kept


def test_what_only_a_reader_would_meet_is_found(book):
    """Alone in an empty folder: what is not carried, carried in vain, or left behind."""
    book.edit(SECOND, 'print("second")', 'print("second")\nopen("left.txt", "w").close()')
    book.edit(SECOND, 'print("t    loss")', "def never():\n    import ddpm_lib.unused")
    result = book.nbval(SECOND)
    assert "it leaves left.txt in its folder" in result.stdout, result.stdout
    assert "it carries ddpm_lib/unused.py and never uses it" in result.stdout
    book.edit(SECOND, "def never():\n    import ddpm_lib.unused", '__import__("ddpm_lib.deep")')
    result = book.nbval(SECOND)
    assert "No module named 'ddpm_lib.deep'" in result.stdout, result.stdout


def test_a_cell_that_hangs_or_dies_fails_and_ends_the_chapter(book):
    text = (book.folder / SECOND).read_text("utf-8")
    header = "# ---\n# jupyter:\n#   mystnb: {execution_timeout: 1}\n# ---\n\n"
    (book.folder / SECOND).write_text(header + text, "utf-8")
    book.edit(SECOND, 'print("t    loss")', "while True:\n    pass")
    result = book.nbval(SECOND)
    assert result.returncode == 1 and "took more than 1 s" in result.stdout, result.stdout
    assert "1 failed" in result.stdout and "skipped" in result.stdout
    book.edit(SECOND, "while True:\n    pass", "import os\n\nos._exit(1)")
    book.edit(SECOND, "timeout: 1}", "timeout: 300}")
    result = book.nbval(SECOND)
    assert result.returncode == 1 and "the kernel died" in result.stdout, result.stdout


def test_a_reference_without_cell_and_a_cell_without_reference_are_errors(book):
    book.edit(REFERENCE, ">>> print", ">>> other")
    result = book.nbval(SECOND)
    assert result.returncode == 2 and "make references" in result.stdout, result.stdout
    assert 'other("second"); print("second")' in result.stdout


def test_references_are_renewed_from_a_run_that_the_book_shows_too(book):
    book.edit(SECOND, 'print("second")', 'print("second") or print("third")')
    assert book.nbval(SECOND).returncode == 2  # the cell begins with another line
    result = book.references()
    assert result.returncode == 0, result.stdout
    assert '+>>> print("second") or print("third")' in result.stdout and "+third" in result.stdout
    result = book.build()
    assert result.returncode == 0 and "executed" not in result.stdout, result.stdout
