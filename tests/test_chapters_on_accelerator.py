"""The chapters with a budget, as they run where a GPU is: on the simulated accelerator."""

import re
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from ddpm_book import percent
from ddpm_lib import diffusion, downloads, runs, sampling, systems
from ddpm_lib.course import panels

SWITCH = """\
# The budget. With device = "cpu" it is the small one, everywhere.
device = "cuda" if torch.cuda.is_available() else "cpu"
"""
# In place of a GPU's: as few as the cells bear, since devices are tested here, and no results.
BUDGETS = {
    "10_time_embedding": "steps, seeds = 12, 2",
    "11_unet": 'dataset, width, short, long = "digits", 4, 12, 60',
    "12_blocks": "system, steps = SMALL_DIGITS, 12",
    "13_training": "recipe = SMALL_DIGITS",
    "14_sampling": "recipe = SMALL_DIGITS",
    "16_evaluation": "recipe, n = SMALL_DIGITS, 240",
}
CHAPTERS = Path(__file__).parents[1] / "chapters"


def cells(chapter):
    text = (CHAPTERS / f"{chapter}.py").read_text("utf-8")
    return [cell.source for cell in percent.code_cells(percent.parse(text))]


@pytest.mark.parametrize("chapter", BUDGETS)
def test_one_line_goes_back_to_the_small_budget(chapter):
    """The same line everywhere, and nothing else in the chapter asks for a GPU."""
    source = "\n".join(cells(chapter))
    assert source.count(SWITCH) == 1
    assert source.count("cuda") == SWITCH.count("cuda")
    _, _, rest = source.partition(SWITCH)
    names, _, _ = BUDGETS[chapter].partition(" =")
    assert re.match(rf"{names} = .*?\bif device != \"cpu\"", rest, re.DOTALL)


def with_budget(cell, budget):
    """The statement after the switch, and the device, replaced."""
    before, switch, rest = cell.partition(SWITCH)
    if not switch:
        return cell
    end = rest.index("\n\n") if "\n\n" in rest else len(rest)
    return f'{before}device = "gpu"\n{budget}{rest[end:]}'


def once(recipe, device=None, train=runs.once):
    """Trained for as many steps as give all that a chapter shows of a training."""
    few = replace(recipe, settings=replace(recipe.settings, steps=60))
    model, about = train(few, device)
    return model, about | {"losses": about["losses"] * 20}  # as many points as a whole training has


def counted(gpu, sample=sampling.sample):
    """`sample`, each step of which moves the clock."""

    def steps(walk):
        for x in walk:
            gpu.clock += 1
            yield x

    return lambda *args, **kwargs: steps(sample(*args, **kwargs))


def run(gpu, sources, scope):
    """Execute cells: no step waits, and nobody but the chapter itself gives the device a seed."""
    for i, source in enumerate(sources):
        gpu.waits.clear(), gpu.uploads.clear(), gpu.seeds.clear()
        start = gpu.clock
        # Without its `assert` statements: they are about results, and of whole trainings.
        exec(compile(source, f"cell {i}", "exec", optimize=1), scope)
        steps = gpu.clock - start
        for noted in (gpu.waits, gpu.uploads) if steps >= 10 else ():
            often = [line for line, times in noted.items() if 2 * len(set(times)) > steps]
            assert not often, f"{often} wait in most of {steps} steps of:\n{source}"
        others = [line for line in gpu.seeds if not line.startswith("cell")]
        assert not others, f"{others} give the device another seed in:\n{source}"


@pytest.fixture
def gpu():
    """The device; and what a chapter sets for all of Python is set back."""
    accelerator = pytest.importorskip("accelerator", exc_type=Exception)
    with accelerator.simulated(diffusion.send) as gpu, plt.rc_context():
        yield gpu
    torch.set_default_dtype(torch.float32)


TRAINING = """\
network = torch.nn.Linear(2, 2).to(device)
adam = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
x = torch.ones(4, 2, device=device)
for step in range(steps):
    loss = network(x).square().mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
"""


@pytest.mark.parametrize(
    ("mistake", "why"),
    [
        ("loss.item()", "wait in most"),
        ("x = torch.ones(4, 2).to(device)", "wait in most"),
        ("x + torch.ones(4, 2)", "on the CPU"),
        ("x.double()", "no float64"),
        ("reseed()", "another seed"),
    ],
)
def test_what_is_planted_in_a_cell_is_found(gpu, mistake, why):
    budget = with_budget(
        f"import torch\n{SWITCH}steps = 900 if device != 'cpu' else 90", "steps = 12"
    )
    scope = {"reseed": lambda: torch.manual_seed(0)}
    run(gpu, [budget, TRAINING + "    if step % 4 == 0:\n        loss.item()\n"], scope)
    with pytest.raises((RuntimeError, AssertionError), match=why):
        run(gpu, [budget, f"{TRAINING}    {mistake}\n"], scope)


@pytest.mark.weekly
@pytest.mark.parametrize("chapter", BUDGETS)
def test_a_chapter_runs_on_an_accelerator(gpu, chapter, monkeypatch, tmp_path):
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(runs, "SAVED", 5)
    monkeypatch.setattr(systems, "LOOK_EVERY", 3600)  # seconds, and here a step may take one
    monkeypatch.setattr(panels, "LOOK_EVERY", 3600)
    monkeypatch.setattr(runs, "once", once)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    for module in (sampling, systems, panels):
        monkeypatch.setattr(module, "sample", counted(gpu))
    sources = [with_budget(cell, BUDGETS[chapter]) for cell in cells(chapter)]
    run(gpu, sources, {"__name__": "__main__"})
