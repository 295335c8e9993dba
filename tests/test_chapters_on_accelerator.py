"""The chapters with a budget, as they run where a GPU is: on the simulated accelerator."""

import re
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest
import torch
from torch.utils._python_dispatch import _disable_current_modes

from ddpm_lib import diffusion, recipes, runs, sampling
from ddpm_lib.course import panels

SWITCH = """\
# The budget. With device = "cpu" it is the small one, everywhere.
device = "cuda" if torch.cuda.is_available() else "cpu"
"""
# In place of a GPU's: as few as the cells bear, since devices are tested here, and no results.
BUDGETS = {
    "10_time_embedding": "steps, seeds = 12, 2",
    "11_unet": 'dataset, width, short, long = "digits", 4, 12, 60',
    "12_blocks": 'dataset, steps = "small_digits", 12',
    "13_training": 'name = "small_digits"',
    "14_sampling": 'recipe = "small_digits"',
    "16_evaluation": 'name, n = "small_digits", 240',
}
CHAPTERS = Path(__file__).parents[1] / "chapters"


def cells(chapter):
    notebook = jupytext.read(CHAPTERS / f"{chapter}.py", fmt="py:percent")
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


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
    """The model of the other tests, put on the device: it takes two minutes to train it here."""
    with _disable_current_modes():
        model, about = train(recipe)
    return recipes.trained(recipe, model.network.state_dict(), device or torch.device("cpu")), about


def counted(gpu, sample=sampling.sample):
    """`sample`, each step of which moves the clock."""

    def steps(walk):
        for x in walk:
            gpu.clock += 1
            yield x

    return lambda *args, **kwargs: steps(sample(*args, **kwargs))


@pytest.fixture
def as_found():
    """What a chapter sets for all of Python is set back."""
    with plt.rc_context():
        yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.weekly
@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("chapter", BUDGETS)
def test_a_chapter_runs_on_an_accelerator(chapter, monkeypatch):
    """No mixing of devices, no wait at most steps, and the library gives no device another seed."""
    accelerator = pytest.importorskip("accelerator", exc_type=Exception)
    monkeypatch.setattr(runs, "once", once)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    scope = {"__name__": "__main__"}
    with accelerator.simulated(diffusion.send) as gpu:
        for module in (sampling, recipes, panels):
            monkeypatch.setattr(module, "sample", counted(gpu))
        for i, cell in enumerate(cells(chapter)):
            gpu.waits.clear(), gpu.uploads.clear(), gpu.seeds.clear()
            start = gpu.clock
            source = with_budget(cell, BUDGETS[chapter])
            # Without its `assert` statements: they are about results, and of whole trainings.
            exec(compile(source, f"cell {i}", "exec", optimize=1), scope)
            steps = gpu.clock - start
            for noted in (gpu.waits, gpu.uploads) if steps >= 10 else ():
                often = [line for line, times in noted.items() if 2 * len(set(times)) > steps]
                assert not often, f"{often} wait in most of {steps} steps of:\n{cell}"
            assert all(line.startswith("cell") for line in gpu.seeds)
