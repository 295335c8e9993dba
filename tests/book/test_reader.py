"""The reader's lines, dependencies and digests."""

from pathlib import Path

import pytest

from ddpm_book import reader


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A ddpm_lib of five small files under a root of its own."""
    files = {
        "constraints.txt": "torch==1\n",
        "ddpm_lib/__init__.py": "",
        "ddpm_lib/direct.py": "from ddpm_lib.package import inner\nSTYLE = 'look.style'\n",
        "ddpm_lib/package/__init__.py": "",
        "ddpm_lib/package/inner.py": "import torch\n",
        "ddpm_lib/other.py": "",
        "ddpm_lib/look.style": "",
        "book/explorables/core.js": "",
        "book/explorables/figure.css": "",
        "book/explorables/tables.css": "",
        "book/explorables/figure.js": 'import { f } from "./tables.js";\n',
        "book/explorables/tables.js": '// "./none.js"\nimport { g } from "./core.js";\n',
        "book/explorables/unused.js": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(reader, "ROOT", tmp_path)
    reader.digest.cache_clear()
    yield tmp_path
    reader.digest.cache_clear()


def used(library: Path, text: str) -> set[str]:
    return {path.relative_to(library).as_posix() for path in reader.dependencies(text)}


@pytest.mark.parametrize(
    "line",
    ["import ddpm_lib.direct", "from ddpm_lib import direct", "from ddpm_lib.direct import f"],
)
def test_imports_are_followed_in_every_form(library, line):
    assert used(library, f"def f():\n    {line}\n") == {
        "ddpm_lib/__init__.py",
        "ddpm_lib/direct.py",
        "ddpm_lib/package/__init__.py",
        "ddpm_lib/package/inner.py",
        "ddpm_lib/look.style",
    }


def test_a_named_explorable_is_a_dependency_with_all_that_it_imports(library):
    assert used(library, "explorable('figure', {})\n") == {
        "book/explorables/figure.css",
        "book/explorables/figure.js",
        "book/explorables/tables.css",
        "book/explorables/tables.js",
        "book/explorables/core.js",
    }


def test_other_text_is_no_dependency(library):
    assert used(library, "import numpy\nx = 'no file', 'torch', '../secret', 3\n") == set()


def test_broken_code_is_left_for_the_kernel_to_report(library):
    assert used(library, "x = = 1") == set()


def test_the_digest_follows_what_is_used_and_nothing_else(library):
    text = "from ddpm_lib import direct\n"

    def digest_after(name: str) -> str:
        with (library / name).open("a") as file:
            file.write("# changed\n")
        reader.digest.cache_clear()
        return reader.digest(text)

    before = reader.digest(text)
    assert digest_after("ddpm_lib/other.py") == before
    assert digest_after("book/explorables/figure.js") == before
    inner = digest_after("ddpm_lib/package/inner.py")
    assert inner != before
    assert digest_after("constraints.txt") != inner


TEXT = """\
# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Title

# %% tags=["claim"]
x = 1

# %%
y = 2
"""


def test_cells_know_their_lines_and_only_the_first_holds_the_digest():
    notebook = reader.read_percent(TEXT)
    assert notebook.metadata["source_map"] == [6, 9, 12]
    assert [reader.DIGEST in cell.metadata for cell in notebook.cells] == [False, True, False]
    assert notebook.metadata["kernelspec"]["name"] == "python3"


def test_claims_are_folded():
    cell = reader.read_percent(TEXT).cells[1]
    assert "hide-input" in cell.metadata["tags"]
    assert cell.metadata["mystnb"]["code_prompt_show"] == "Show the check"


def test_text_outside_of_cells_is_refused():
    with pytest.raises(ValueError, match="found 1 cell markers but 2 cells"):
        reader.read_percent("x = 1\n\n# %%\ny = 2\n")
