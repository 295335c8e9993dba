"""A small book, built by the real extension and configuration, to plant defects in."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JUPYTER_BOOK = Path(sys.executable).with_name("jupyter-book")

TOC = """\
format: jb-book
root: book/intro
parts:
  - caption: Chapters
    numbered: 2
    chapters: [{file: chapters/03_first}, {file: chapters/05_second}]
  - caption: Reference
    chapters: [{file: book/claims}, {file: book/references}]
"""

FIRST = """\
# %% [markdown]
# # First
#
# By {cite:t}`ho2020`, see {eq}`eq:double` and {eq}`def:x`.
#
# $$
# x = 1
# $$ (def:x)
#
# $$
# x + x = 2 x
# $$ (eq:double)

# %%
from ddpm_lib import used
from ddpm_lib.course.claims import claim

rejects = {"square": used.OFF**2, "$0 / 0$": float("nan")}
claim("eq:double", got=used.ONE + used.ONE, want=2.0, rejects=rejects)
"""

SECOND = """\
# %% [markdown]
# # Second
#
# Nothing of the library here.

# %%
from IPython.display import Math

Math(r"\\frac{1}{2}")

# %% tags=["nbval-check-output"]
print("second")

# %%
import os

print("threads:", os.environ["OMP_NUM_THREADS"])

# %%
print("t    loss")

# %%
print("if t:\\n  t")

# %%
print("It is so.\\nOr not.")

# %% mystnb={"image": {"alt": "\\"3\\" & <b>"}, "figure": {"name": "fig-t", "caption": "Any $t$."}}
from IPython.display import HTML

still = '<div class="ex-still"><img src="data:," alt="an interactive figure"></div>'
HTML(f'<div class="explorable">{still}</div>')
"""

REFERENCE = """\
What the checked cells of 05_second.py print. Renew with: make references

>>> print("second")
second
"""


@dataclass(frozen=True)
class Book:
    """A folder with a book in it."""

    folder: Path

    def copy(self, folder: Path) -> "Book":
        """The same book, built already, in another folder."""
        shutil.copytree(self.folder, folder / "book", symlinks=True)
        return Book(folder / "book")

    def build(self) -> subprocess.CompletedProcess[str]:
        """Run what `make book` runs; stderr comes with stdout."""
        return self._run(JUPYTER_BOOK, "build", ".", "-n", "-W", "--keep-going")

    def nbval(self, chapters: str = "chapters") -> subprocess.CompletedProcess[str]:
        """Run what `make notebooks` runs, in one process."""
        command = "-m pytest -q -rsf --color=no --nbval-lax -p no:xdist -p no:cacheprovider"
        return self._run(sys.executable, *command.split(), chapters)

    def references(self) -> subprocess.CompletedProcess[str]:
        """Run what `make references` runs."""
        return self._run(sys.executable, "tests/chapter_references.py")

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        paths = (self.folder, self.folder / "book/extension")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # sources are edited within a second
        }
        environment.pop("GITHUB_REPOSITORY", None)
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands in a file once."""
        path = self.folder / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), "utf-8")

    def line(self, name: str, text: str) -> str:
        """file:line of a text, as messages name it."""
        lines = (self.folder / name).read_text("utf-8").splitlines()
        return f"{name}:{next(i for i, line in enumerate(lines, 1) if text in line)}"


@pytest.fixture(scope="session")
def built_book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """A small book of two chapters that builds without a warning."""
    folder = tmp_path_factory.mktemp("book")
    for name in ("book/extension", "book/assets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_config.yml", "constraints.txt", "conftest.py", "tests/chapter_references.py",
                 "book/references.bib", "book/claims.md", "book/references.md",
                 "ddpm_lib/__init__.py", "ddpm_lib/sources.py", "ddpm_lib/course/__init__.py",
                 "ddpm_lib/course/claims.py", "ddpm_lib/course/scripts.py"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    files = {
        "_toc.yml": TOC,
        "pytest.ini": "[pytest]\npythonpath = tests book/extension\n",
        "book/intro.md": "# A small book\n\nIts one page.\n",
        "chapters/03_first.py": FIRST,
        "chapters/05_second.py": SECOND,
        "ddpm_lib/used.py": "from ddpm_lib.deep import OFF, ONE\n",
        "ddpm_lib/deep.py": "ONE = 1.0\nOFF = 1.0\n",
        "ddpm_lib/unused.py": "TWO = 2.0\n",
        "book/explorables/figure.js": "export function figure() {}\n",
        "tests/references/05_second.txt": REFERENCE,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    book = Book(folder)
    result = book.build()
    assert result.returncode == 0, result.stdout
    return book


@pytest.fixture
def book(built_book: Book, tmp_path: Path) -> Book:
    """A copy of the small book, built already, for one test to change."""
    return built_book.copy(tmp_path)
