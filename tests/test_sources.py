"""Which files source uses, and whether they still mean the same."""

from pathlib import Path

import pytest

from ddpm_lib import sources
from ddpm_lib.sources import fingerprint, used

FILES = {
    "__init__.py": "",
    "direct.py": "from ddpm_lib.package import inner\n"
    "def look(): return open(Path(__file__).with_name('look.style'))\n",
    "package/__init__.py": "",
    "package/inner.py": "import torch\n",
    "other.py": "",
    "look.style": "",
}


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A ddpm_lib of a few small files."""
    package = tmp_path / "ddpm_lib"
    for name, text in FILES.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    monkeypatch.setattr(sources, "PACKAGE", package)
    return package


def names(library: Path, files: set[Path]) -> set[str]:
    return {path.relative_to(library).as_posix() for path in files}


@pytest.mark.parametrize(
    "line",
    [
        "import ddpm_lib.direct",
        "import ddpm_lib.direct as other",
        "from ddpm_lib import direct",
        "from ddpm_lib.direct import f",
    ],
)
def test_imports_are_followed_in_every_form(library, line):
    wanted = FILES.keys() - {"other.py"}
    assert names(library, used(f"def f():\n    {line}\n")) == wanted
    (library / "user.py").write_text(line)
    assert names(library, used(library / "user.py")) == wanted | {"user.py"}


def test_a_file_counts_where_a_call_opens_it_and_not_where_text_bears_its_name(library):
    assert names(library, used("x = 'look.style', 'other', 'direct'\n")) == set()
    picture = library / "picture.js"
    files = {"picture": [picture]}
    opened = {"draw": lambda name: files.get(name, [])}
    assert used("draw('picture', 3)\n", opened=opened) == {picture}
    assert used("a.draw('picture')\n", opened=opened) == {picture}
    for text in ("draw(picture)", "show('picture')", "draw('none')", "x = 'picture'"):
        assert used(text, opened=opened) == set()


def test_broken_code_is_left_to_whoever_runs_it(library):
    assert used("x = = 1") == set()


CODE = '"""What it is."""\nclass A:\n    """One."""\n    x: int = 1\n    "what x is"\n'


@pytest.mark.parametrize(
    "other, same",
    [
        ("# why\n\n" + CODE, True),
        (CODE.replace("What it is.", "Something else."), True),
        (CODE.replace("    x: int = 1", "    x: int = (\n        1  # once\n    )"), True),
        (CODE.replace('    "what x is"\n', ""), True),
        (CODE.replace("= 1", "= 2"), False),
        (CODE.replace("x:", "y:"), False),
        (CODE + 'X = """text"""\n', False),
    ],
)
def test_comments_docstrings_and_layout_mean_nothing(tmp_path, other, same):
    file = tmp_path / "file.py"
    file.write_text(CODE)
    before = fingerprint([file])
    file.write_text(other)
    assert (fingerprint([file]) == before) == same


def test_docstrings_count_where_they_are_read(tmp_path):
    file = tmp_path / "file.py"
    file.write_text(CODE + "print(A.__doc__)\n")
    before = fingerprint([file])
    file.write_text(CODE.replace("One.", "Two.") + "print(A.__doc__)\n")
    assert fingerprint([file]) != before


def test_the_fingerprint_counts_every_file_its_name_and_its_bytes(library, tmp_path):
    files = [library / "direct.py", library / "look.style"]
    before = fingerprint(files)
    assert fingerprint(files[::-1]) == before
    assert fingerprint(files[:1]) != before
    files[1].write_text("# changed")
    assert fingerprint(files) != before
    assert fingerprint([library / "package/__init__.py"]) != fingerprint([library / "__init__.py"])


def test_the_fingerprint_is_the_same_wherever_the_library_lies(library, tmp_path, monkeypatch):
    before = fingerprint(used("from ddpm_lib import direct"))
    library.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved").rename(tmp_path / "elsewhere/ddpm_lib")
    monkeypatch.setattr(sources, "PACKAGE", tmp_path / "elsewhere/ddpm_lib")
    assert fingerprint(used("from ddpm_lib import direct")) == before
