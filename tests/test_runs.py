"""A trained model for all who need the same one."""

import shutil
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from ddpm_lib import downloads, recipes, runs, training
from ddpm_lib.named.points import RING
from ddpm_lib.settings import Part, Settings

SMALL = replace(
    RING,
    network=Part("mlp", {"width": 8}),
    schedule=Part("cosine", {"T": 20}),
    settings=Settings(steps=12, batch=8),
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path)


@pytest.fixture
def steps(monkeypatch):
    """The steps that training took, in order."""
    taken = []
    train = training.training_steps

    def noted(*args, **kwargs):
        for record in train(*args, **kwargs):
            taken.append(record.step)
            yield record

    monkeypatch.setattr(training, "training_steps", noted)
    return taken


def weights(model):
    x_t = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    return model.denoise(x_t, 7).x_0


def test_the_first_call_trains_and_the_second_reads(steps):
    first, about = runs.once(SMALL)
    assert steps == [*range(1, 13)]
    second, again = runs.once(SMALL)
    assert steps == [*range(1, 13)] and again["losses"] == about["losses"]
    assert torch.equal(weights(first), weights(second))


def test_it_is_what_training_gives(tmp_path):
    model, about = runs.once(SMALL)
    examples = recipes.examples(SMALL)
    other, told = runs.train(SMALL, None, examples, tmp_path / "other.safetensors", CPU)
    assert torch.equal(weights(model), weights(other))
    assert about["losses"] == told["losses"] and about["losses_by_time"] == told["losses_by_time"]


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, settings=Settings(steps=12, batch=8, seed=1)),
        replace(SMALL, network=Part("mlp", {"width": 12})),
        replace(SMALL, parameterization=Part("eps")),
    ],
    ids=["seed", "network", "parameterization"],
)
def test_another_recipe_is_trained_for_itself(steps, other):
    runs.once(SMALL)
    model, _ = runs.once(other)
    assert len(steps) == 24 and model.recipe == other


def test_another_torch_trains_anew(steps, monkeypatch):
    runs.once(SMALL)
    monkeypatch.setattr(torch, "__version__", "99.0")
    runs.once(SMALL)
    assert len(steps) == 24


CHANGES = {
    "nothing": [],
    "a comment": [("training.py", "import math\n", "import math  # and more\n")],
    "a docstring": [("recipes.py", '"""From a recipe', '"""Again, from a recipe')],
    "one more recipe": [("named/points.py", "RING = ", "OTHER = ")],
    "a network in a module of its own": [
        ("networks/tiny.py", None, "networks/other.py"),
        (
            "recipes.py",
            "import MLP, tiny\n",
            "import MLP, tiny\nfrom ddpm_lib.networks import other\n",
        ),
        ("recipes.py", '"mlp": MLP}', '"mlp": MLP, "other": other.tiny}'),
    ],
    "another way to sample": [("sampling.py", "eta: float = 0.0", "eta: float = 1.0")],
    "the network": [("networks/tiny.py", "2.8 / inputs", "2.0 / inputs")],
    "the network's forward": [("networks/tiny.py", "dim=1))", "dim=1) * 1)")],
    "the schedule": [("schedules.py", "0.999", "0.99")],
    "the data's split": [("examples.py", "(20_000, 2_000)", "(19_000, 3_000)")],
    "the preparation": [("data.py", "else x\n", "else 2 * x\n")],
    "the loss": [("diffusion.py", ".square().reshape", ".abs().reshape")],
    "the training": [("training.py", "step + 9", "step + 8")],
    "the settings": [("settings.py", "warmup: int = 50", "warmup: int = 40")],
    "the first weights": [("recipes.py", "cpu_seed(recipe", "cpu_seed(1 + recipe")],
}
HARMLESS = [*CHANGES][:6]


def test_a_model_is_trained_again_when_something_that_makes_it_has_changed(tmp_path):
    """In copies of the package with one change each; torch is loaded once."""
    ignore = shutil.ignore_patterns("course", "__pycache__")
    for k, edits in enumerate(CHANGES.values()):
        copy = tmp_path / str(k) / "ddpm_lib"
        shutil.copytree(runs.sources.PACKAGE, copy, ignore=ignore)
        for name, old, new in edits:
            if old is None:
                shutil.copy(copy / name, copy / new)
                continue
            text = (copy / name).read_text("utf-8")
            assert old in text, (name, old)
            (copy / name).write_text(text.replace(old, new), "utf-8")
    code = """
import os, sys, numpy, torch, matplotlib.figure, safetensors.torch, filelock
for k in range(int(sys.argv[1])):
    if not os.fork():
        sys.path.insert(0, str(k))
        from ddpm_lib import recipes, runs, settings
        from ddpm_lib.settings import Part, Recipe, Settings
        recipe = Recipe("ring", (2,), Part("ring"), Part("mlp", {"width": 8}), Settings(steps=12))
        print(runs.fingerprint(recipe, recipes.examples(recipe), torch.device("cpu")), flush=True)
        os._exit(0)
    os.wait()
"""
    command = [sys.executable, "-c", code, str(len(CHANGES))]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    keys = dict(zip(CHANGES, printed.stdout.split(), strict=True))
    same = [name for name, key in keys.items() if key == keys["nothing"]]
    assert same == HARMLESS
    assert len(set(keys.values())) == len(CHANGES) - len(HARMLESS) + 1


def test_what_was_interrupted_goes_on(steps, monkeypatch):
    monkeypatch.setattr(runs, "SAVED", 4)
    whole, about = runs.once(replace(SMALL, name="whole"))
    steps.clear()
    rate = training.learning_rate

    def killed(settings, step):
        if step == 7 and 6 in steps and len(steps) == 6:
            raise KeyboardInterrupt
        return rate(settings, step)

    monkeypatch.setattr(training, "learning_rate", killed)
    with pytest.raises(KeyboardInterrupt):
        runs.once(SMALL)
    model, told = runs.once(SMALL)
    assert steps == [1, 2, 3, 4, 5, 6, *range(5, 13)]
    assert torch.equal(weights(model), weights(whole)) and told["losses"] == about["losses"]


def test_two_processes_train_it_once(tmp_path):
    code = f"""
import torch
from pathlib import Path
from ddpm_lib import downloads, runs, training
from test_runs import SMALL
downloads.cache_folder = lambda: Path({str(tmp_path)!r})
train = training.training_steps
def counted(*args, **kwargs):
    for record in train(*args, **kwargs):
        print("step", flush=True)
        yield record
training.training_steps = counted
runs.once(SMALL)
"""
    command = [sys.executable, "-c", code]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=downloads.Path(__file__).parent)
        for _ in range(2)
    ]
    printed = b"".join(process.communicate(timeout=120)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert printed.count(b"step") == SMALL.settings.steps


def test_a_run_tells_the_losses_by_time(monkeypatch):
    monkeypatch.setattr(runs, "SAVED", 6)
    _, about = runs.once(SMALL)
    assert [step for step, _ in about["losses_by_time"]] == [6, 12]
    assert all(len(row) == 20 for _, row in about["losses_by_time"])


def test_the_recent_loss_is_the_mean_of_the_last_twentieth():
    losses = [[step, float(step)] for step in range(1, 61)]
    assert runs.recent(losses) == pytest.approx((58 + 59 + 60) / 3)
    assert runs.recent(losses[:7]) == 7.0


def test_a_new_run_has_taken_no_time_yet(monkeypatch):
    """What it took is added up from zero: less than what passed here."""
    start = time.perf_counter()
    _, about = runs.once(SMALL)
    assert 0 < about["seconds"] < time.perf_counter() - start
