"""nbval on percent chapters: it passes, and it fails when a reference or a number changes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = """\
# %% [markdown]
# # A chapter

# %%
x = 2

# %% tags=["nbval-check-output"]
print(f"x squared is {x**2}")

# %%
print("nobody compares this")
"""
REFERENCE = """\
What the checked cells of 01_small.py print. Renew with: make references

>>> print(f"x squared is {x**2}")
x squared is 4
"""


@pytest.fixture
def small(tmp_path):
    for name in ("conftest.py", "tests/chapter_references.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    files = {
        "pytest.ini": "[pytest]\npythonpath = tests\n",
        "chapters/01_small.py": CHAPTER,
        "tests/references/01_small.txt": REFERENCE,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def edit(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def nbval(folder):
    command = [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "-p", "no:xdist", "chapters"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_passes_as_it_stands(small):
    result = nbval(small)
    assert result.returncode == 0 and "3 passed" in result.stdout, result.stdout


def test_fails_when_a_reference_changes(small):
    edit(small / "tests/references/01_small.txt", "is 4", "is 5")
    result = nbval(small)
    assert result.returncode == 1 and "1 failed, 2 passed" in result.stdout, result.stdout


def test_fails_when_a_number_of_the_chapter_changes(small):
    edit(small / "chapters/01_small.py", "x = 2", "x = 3")
    result = nbval(small)
    assert result.returncode == 1 and "1 failed, 2 passed" in result.stdout, result.stdout


def test_an_unchecked_output_may_change(small):
    edit(small / "chapters/01_small.py", "nobody compares", "and nobody compares")
    assert nbval(small).returncode == 0


def test_fails_when_a_cell_raises(small):
    edit(small / "chapters/01_small.py", "x = 2", "x = 2 / 0")
    assert nbval(small).returncode == 1


def test_a_reference_without_cell_is_an_error(small):
    edit(small / "tests/references/01_small.txt", ">>> print", ">>> other")
    result = nbval(small)
    assert result.returncode == 2 and "make references" in result.stdout, result.stdout


def test_a_cell_without_reference_is_an_error(small):
    (small / "tests/references/01_small.txt").unlink()
    result = nbval(small)
    assert result.returncode == 2 and "make references" in result.stdout, result.stdout


def test_references_are_renewed_and_the_difference_is_shown(small):
    edit(small / "chapters/01_small.py", "x = 2", "x = 3")
    command = [sys.executable, "tests/chapter_references.py"]
    result = subprocess.run(command, cwd=small, capture_output=True, text=True, check=True)
    assert "-x squared is 4\n+x squared is 9\n" in result.stdout
    assert nbval(small).returncode == 0
