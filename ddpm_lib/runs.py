"""Runs: folders that hold a checkpoint, pictures, and a JSON of settings and results.

`once` is for those who need a trained model and not a folder, such as the chapters of the course:
the first of them trains it, the others read it.
"""

import hashlib
import json
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from ddpm_lib import __version__, checkpoints, downloads, files, recipes, sources, training
from ddpm_lib.checkpoints import Checkpoint
from ddpm_lib.data import prepare
from ddpm_lib.devices import Devices, OneDevice
from ddpm_lib.examples import Examples
from ddpm_lib.recipes import Model
from ddpm_lib.settings import Recipe, from_json, to_json
from ddpm_lib.systems import with_bar
from ddpm_lib.training import LossesByTime, Record, Run

CHECKPOINT = "checkpoint.safetensors"  # the name of the file in a run's folder
POINTS = 1000  # of the loss curve
SAVED = 50  # of them for each checkpoint, and for each row of the losses by time


# A run's folder


def begin(folder: Path) -> None:
    """Make the folder of a new run, unless another one is there."""
    if (folder / CHECKPOINT).exists():
        raise ValueError(
            f"{folder / CHECKPOINT} is there already: --resume goes on with it, and --out names "
            "another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)  # fails now, where it cannot be written to


def load(folder: Path) -> tuple[Recipe, Checkpoint]:
    """What a run was to be, and how far it got."""
    file = folder / CHECKPOINT
    if not file.exists():
        raise ValueError(
            f"{folder} holds no {CHECKPOINT}: a run is a folder that `ddpm train` has made, such "
            "as runs/digits"
        )
    checkpoint = checkpoints.load(file)
    if not isinstance(checkpoint.about, dict) or "recipe" not in checkpoint.about:
        raise ValueError(f"{file} has no recipe: it was not written by `ddpm train`")
    return from_json(checkpoint.about["recipe"]), checkpoint


def report(
    results: dict[str, float], command: str, recipe: Recipe, device: torch.device, file: Path
) -> None:
    """Print the results, and write them with all that is needed to get them again."""
    for name, value in results.items():
        print(f"{name.replace('_', ' '):35}{value:>10.4g}")
    facts = {
        "command": command,
        "results": results,
        "recipe": to_json(recipe),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": {
            "ddpm_lib": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
    }
    print(files.replace(file, json.dumps(facts, indent=2).encode() + b"\n"))


# Training


def train(
    recipe: Recipe,
    checkpoint: Checkpoint | None,
    examples: Examples,
    file: Path,
    device: torch.device,
    *,
    devices: Devices | None = None,
) -> tuple[Model, dict[str, Any]]:
    """Take the steps that are left, and return the averaged network and what is worth telling.

    devices: an Accelerator, for several processes, of which the first writes the file
    """
    devices = devices or OneDevice()
    system = recipes.build(recipe)
    run = Run(system.network.to(device), recipe.settings)
    about: dict[str, Any] = {"recipe": to_json(recipe), "losses": [], "losses_by_time": []}
    about |= {"seconds": 0.0, "cpu_seconds": 0.0}
    if checkpoint is not None:
        checkpoints.restore(run, checkpoint)
        about = checkpoint.about
    every = max(1, recipe.settings.steps // POINTS)
    by_time = LossesByTime(system.schedule.T, device)
    records = training.training_steps(
        run,
        system.schedule,
        system.parameterization,
        examples.train.to(device),
        prepare=prepare,
        loss=by_time.loss,
        devices=devices,
    )
    records = _with_losses(
        records, about, by_time, devices, steps=recipe.settings.steps, every=every
    )
    if devices.process_index == 0:
        records = checkpoints.checkpointed(records, run, file, every=SAVED * every, about=about)
    for _ in with_bar(records, recipe.name, run):
        pass
    return recipes.trained(recipe, run.average.state_dict(), device), about


def _with_losses(
    records: Iterator[Record],
    about: dict[str, Any],
    by_time: LossesByTime,
    devices: Devices,
    *,
    steps: int,
    every: int,
) -> Iterator[Record]:
    """The same records; `about` learns the mean loss of each `every` steps, and the time spent.

    Before a checkpoint is written, so that its curve goes to its step and a resumed run has it all.
    """
    total: float | Tensor = 0.0
    waiting: list[Any] = []  # steps and sums: to look at one is to wait for the device
    before = about["seconds"], about["cpu_seconds"]
    start = time.perf_counter(), time.process_time()
    for record in records:
        total = total + record.loss_on_device
        if record.step % every == 0:
            waiting.append((record.step, total))
            total = 0.0
        if record.step % (SAVED * every) == 0 or record.step == steps:
            _ = record.loss  # raises where it is no number
            about["losses"].extend([step, float(loss) / every] for step, loss in waiting)
            waiting.clear()
        if record.step % (SAVED * every) == 0:
            by_time.sums = devices.reduce(by_time.sums, "sum")  # each process saw its part
            about["losses_by_time"].append([record.step, by_time.read()])
        about["seconds"] = before[0] + time.perf_counter() - start[0]
        about["cpu_seconds"] = before[1] + time.process_time() - start[1]
        yield record


def recent(losses: list[list[float]]) -> float:
    """The mean of the last twentieth of a loss curve, since single batches differ a lot."""
    last = [loss for _, loss in losses[-max(1, len(losses) // 20) :]]
    return sum(last) / len(last)


# Once for all


def once(recipe: Recipe, device: torch.device | None = None) -> tuple[Model, dict[str, Any]]:
    """What `train` returns, from the user's cache if the same was trained before.

    Two processes that need the same model do not train it twice: the second waits for the first.
    What was interrupted goes on.
    """
    device = device or torch.device("cpu")
    examples = recipes.examples(recipe)
    name = f"{recipe.name}-{fingerprint(recipe, examples, device)}.safetensors"
    file = downloads.cache_folder() / "runs" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        checkpoint = checkpoints.load(file) if file.exists() else None
        return train(recipe, checkpoint, examples, file, device)


def fingerprint(recipe: Recipe, examples: Examples, device: torch.device) -> str:
    """Of all that decides what training gives: what is built from the recipe, and what trains it.

    Data, schedule and first weights are taken as they come out, so that it does not matter which
    code made them; of training and of the network itself, only the code tells what they will do.
    """
    system = recipes.build(recipe)
    made = [type(part).__module__ for part in system.network.modules()]
    names = {training.__name__, system.parameterization.target.__module__, *made}
    modules = (sys.modules[name] for name in names if not name.startswith("torch."))
    code = sources.used(*(Path(module.__file__) for module in modules if module.__file__))
    values = to_json(replace(recipe, cpu_seconds=None))  # which is only told
    facts = [values, torch.__version__, device.type, sources.fingerprint(code)]
    digest = hashlib.sha256(json.dumps(facts).encode())
    weights = system.network.state_dict().values()
    few = examples.train[:100]  # enough to see how they are prepared
    for tensor in (*weights, system.schedule.beta, examples.train, prepare(few)):
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]
