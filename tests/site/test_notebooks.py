"""The downloaded notebooks: nothing of MyST is left in them, and they run by themselves."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("SITE", ROOT / "_build/html"))
NOTEBOOKS = sorted(SITE.glob("_sources/chapters/*.ipynb"))

LEFT_OVER = re.compile(
    r"\{[a-z][\w:-]*\}`"  # a role
    r"|^\s*(:{3,}|`{3,})\s*\{"  # a directive
    r"|^\([\w:.-]+\)=$"  # a target
    r"|\$\$ *\([\w:.-]+\)"  # a label of an equation
    r"|\]\((?!https?://)[^)]*\)",  # a link to another page of the site
    re.MULTILINE,
)
# What stands for a machine without the repository: the editable installation is taken off the path.
FORGET = f"import sys\nsys.path[:] = [p for p in sys.path if p not in ('', {str(ROOT)!r})]"
WHENCE = "import ddpm_lib\nprint(ddpm_lib.__file__)"


def test_each_chapter_has_a_notebook():
    chapters = {path.stem for path in SITE.glob("chapters/*.html")}
    assert chapters and chapters == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_directive_is_left(path):
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            assert not LEFT_OVER.search(text), LEFT_OVER.search(text)[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_in_an_empty_folder_without_the_repository(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FORGET))
    notebook.cells.append(nbformat.v4.new_code_cell(WHENCE))
    quiet = ["--IPKernelApp.log_level=ERROR"]
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", extra_arguments=quiet)
    client.execute(cwd=str(tmp_path))
    origin = Path(notebook.cells[-1].outputs[0].text.strip())
    assert ROOT not in origin.parents and "ddpm_lib-" in str(origin)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    claims = [o for o in outputs if o.get("data", {}).get("text/plain", "").startswith("✓ (")]
    assert claims, "the claims of a downloaded notebook print their equations' numbers"
    assert list(tmp_path.iterdir()) == []
