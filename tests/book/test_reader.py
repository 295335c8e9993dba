"""The reader's lines and folds, and the key by which a chapter's outputs are found."""

import inspect
import shutil

import pytest

from ddpm_book import reader, store
from ddpm_book.percent import ROOT, code_lines, parse
from ddpm_book.printed import printed
from ddpm_book.runnable import dependencies, member
from ddpm_lib.course import scripts

TEXT = """\
# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Title

# %% tags=["claim"] mystnb={"figure": {"name": "fig", "caption": "What is seen."}}
x = 1

# %%
y = 2
"""


def test_cells_know_their_lines():
    notebook = reader.read_percent(TEXT)
    assert notebook.metadata["source_map"] == [6, 9, 12]
    assert code_lines(notebook) == [11, 14]
    assert notebook.metadata["kernelspec"]["name"] == "python3"


def test_claims_are_folded():
    cell = reader.read_percent(TEXT).cells[1]
    assert "hide-input" in cell.metadata["tags"]
    assert cell.metadata["mystnb"]["code_prompt_show"] == "Show the check"


def test_text_outside_of_cells_is_refused():
    with pytest.raises(ValueError, match="found 1 cell markers but 2 cells"):
        parse("x = 1\n\n# %%\ny = 2\n")


def test_outputs_come_back_and_follow_the_key(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FOLDER", tmp_path / "executed")
    assert store.stamp(TEXT) is None and store.outputs(TEXT) == [[], []]
    given = [[], [{"output_type": "stream", "name": "stdout", "text": "2"}]]
    store.save(TEXT, given, 3.5)
    assert store.outputs(TEXT) == given and store.seconds(TEXT) == 3.5
    assert reader.read_percent(TEXT).cells[2].outputs[0].text == "2"
    before = store.stamp(TEXT)
    store.save(TEXT, [[], []], 3.5)
    assert store.stamp(TEXT) not in (None, before)
    assert store.outputs(TEXT + "z = 3\n") == [[], []]


@pytest.mark.parametrize(
    "old, new, same",
    [
        ("# # Title", "# # Other title", True),
        ("What is seen.", "What is seen, and why.", True),
        ('tags=["claim"]', 'tags=["figure"]', True),
        ("x = 1", "x = 2", False),
        ("x = 1", "x = 1  # why", False),  # the page shows it, and nothing is lost
        ('tags=["claim"]', 'tags=["claim", "raises-exception"]', False),
    ],
)
def test_the_key_is_of_what_is_run(old, new, same):
    assert old in TEXT
    assert (store.key(TEXT) == store.key(TEXT.replace(old, new))) == same


def test_the_key_counts_pins_files_and_what_is_printed(tmp_path, monkeypatch):
    def key():
        store.key.cache_clear()
        return store.key(TEXT)

    (tmp_path / "constraints.txt").write_text("torch==1\n")
    monkeypatch.setattr(store, "ROOT", tmp_path)
    keys = [key()]
    (tmp_path / "constraints.txt").write_text("torch==2\n")
    keys.append(key())
    monkeypatch.setattr(store, "fingerprint", lambda files: "other")
    keys.append(key())
    monkeypatch.setattr(store, "printed", lambda source: ["other"])
    keys.append(key())
    assert len(set(keys)) == 4
    store.key.cache_clear()


@pytest.mark.parametrize(
    "importing, name",
    [
        ("from ddpm_lib import bound", "bound.kl"),
        ("from ddpm_lib.bound import kl as k", "k"),
        ("import ddpm_lib.bound", "ddpm_lib.bound.kl"),
        ("from ddpm_lib.evaluation import discretized", "discretized"),  # which imports it too
        ("from ddpm_lib.networks.unet import UNet", "UNet.forward"),
        ("from ddpm_lib.schedules import Schedule", "Schedule"),  # which is decorated
        ("from ddpm_lib.course.checks import clinic", "clinic"),
        ("from ddpm_lib import networks", "networks"),
    ],
)
def test_the_source_that_a_chapter_prints_is_found(importing, name):
    names = {}
    exec(importing, names)
    wanted = inspect.getsource(eval(name, names)).rstrip()
    found = [text.rstrip() for text in printed(f"{importing}\ninspect.getsource({name})")]
    assert found == [wanted]
    loop = f"for thing in ({name}, f):\n    print(getsource(thing))\ndef f(): 0\n"
    assert [text.rstrip() for text in printed(f"{importing}\n{loop}")] == [wanted]


def test_source_of_the_chapter_itself_and_of_others_is_not_the_librarys():
    assert printed("def f(): 0\ngetsource(f)") == []
    assert printed("from torch import nn\ngetsource(nn.Linear)") == [""]
    with pytest.raises(ValueError, match="getsource\\(g\\): cannot tell which source"):
        printed("g = f\ngetsource(g)")


def test_an_explorable_is_a_dependency_with_what_it_imports():
    text = '# %%\nfrom ddpm_lib.course.explore import explorable\nexplorable("receptive", {})\n'
    names = {member(path) for path in dependencies(text)}
    scripts = {name.split("/")[-1] for name in names if "explorables/" in name}
    assert scripts == {
        "arithmetic.js",
        "core.js",
        "elements.js",
        "words.js",
        "receptive.js",
        "receptive.css",
        "explorables.css",
    }
    assert "ddpm_lib/course/claims.py" in names and "ddpm_lib/course/live.py" not in names


def test_a_changed_explorable_changes_the_keys_of_its_chapters_only(tmp_path, monkeypatch):
    folder = tmp_path / "explorables"
    shutil.copytree(scripts.folder(), folder)
    monkeypatch.setattr(scripts, "FOLDERS", (folder,))
    names = ("11_unet", "12_blocks", "14_sampling")
    chapters = {name: (ROOT / f"chapters/{name}.py").read_text("utf-8") for name in names}

    def keys():
        store.key.cache_clear()
        return {name: store.key(text) for name, text in chapters.items()}

    before = keys()
    for module, users in (("arithmetic", {"11_unet"}), ("convolution", {"14_sampling"})):
        with (folder / f"{module}.js").open("a") as file:
            file.write("// changed\n")
        after = keys()
        assert {name for name in chapters if after[name] != before[name]} == users
        before = after
    store.key.cache_clear()
