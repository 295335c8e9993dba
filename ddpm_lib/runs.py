"""Runs: folders that hold a checkpoint, pictures, and a JSON of settings and results.

`once` is for those who need a trained model and not a folder, such as the chapters of the course:
the first of them trains it, the others read it.
"""

import hashlib
import json
import math
import platform
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from ddpm_lib import (
    __version__,
    bound,
    checkpoints,
    downloads,
    evaluation,
    plotting,
    recipes,
    training,
)
from ddpm_lib.checkpoints import Checkpoint
from ddpm_lib.recipes import Examples, Model, Recipe
from ddpm_lib.training import LossesByTime, Record

CHECKPOINT = "checkpoint.safetensors"  # the name of the file in a run's folder
NOTED = 1000  # points of the loss curve
SAVED = 50  # of them for each checkpoint, and for each row of the losses by time
COMPARED = 1000  # samples for a Fréchet distance


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
    return recipes.from_json(checkpoint.about["recipe"]), checkpoint


def report(
    results: dict[str, float], command: str, recipe: Recipe, device: torch.device, file: Path
) -> None:
    """Print the results, and write them with all that is needed to get them again."""
    for name, value in results.items():
        print(f"{name.replace('_', ' '):35}{value:>10.4g}")
    facts = {
        "command": command,
        "results": results,
        "recipe": recipes.to_json(recipe),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "versions": {
            "ddpm_lib": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
    }
    checkpoints.replace(file, json.dumps(facts, indent=2).encode() + b"\n")
    print(file)


# Training


def train(
    recipe: Recipe,
    checkpoint: Checkpoint | None,
    examples: Examples,
    file: Path,
    device: torch.device,
) -> tuple[Model, dict[str, Any]]:
    """Take the steps that are left, and return the averaged network and what is worth telling."""
    settings = recipe.settings
    schedule, network, parameterization = recipes.build(recipe)
    run = training.Run(network.to(device), settings)
    about: dict[str, Any] = {"recipe": recipes.to_json(recipe), "losses": [], "losses_by_time": []}
    about |= {"seconds": 0.0, "cpu_seconds": 0.0}
    if checkpoint is not None:
        checkpoints.restore(run, checkpoint)
        about = checkpoint.about
    every = max(1, settings.steps // NOTED)
    by_time = LossesByTime(schedule.T, device)
    records = training.training_steps(
        run,
        schedule,
        parameterization,
        examples.train.to(device),
        prepare=recipes.prepare,
        loss=by_time.loss,
    )
    records = _noted(records, about, every, by_time)
    records = checkpoints.checkpointed(records, run, file, every=SAVED * every, about=about)
    with tqdm(records, recipe.name, settings.steps, initial=run.step, unit="step") as bar:
        for record in bar:
            if record.step % every == 0:
                speed = f"{record.images_per_second:.0f} images/s"
                bar.set_postfix_str(f"loss {recent(about['losses']):.4f}, {speed}", refresh=False)
    return recipes.trained(recipe, run.average.state_dict(), device), about


def _noted(
    records: Iterator[Record], about: dict[str, Any], every: int, by_time: LossesByTime
) -> Iterator[Record]:
    """The same records; `about` learns the mean loss of each `every` steps, and the time spent.

    Before a checkpoint is written, so that its curve goes to its step and a resumed run has it all.
    """
    total: float | Tensor = 0.0
    before = about["seconds"], about["cpu_seconds"]
    start = time.perf_counter(), time.process_time()
    for record in records:
        total = total + record.loss_on_device
        if record.step % every == 0:
            _ = record.loss  # raises where it is no number
            about["losses"].append([record.step, float(total) / every])
            total = 0.0
        if record.step % (SAVED * every) == 0:
            about["losses_by_time"].append([record.step, by_time.read()])
        about["seconds"] = before[0] + time.perf_counter() - start[0]
        about["cpu_seconds"] = before[1] + time.process_time() - start[1]
        yield record


def recent(losses: list[list[float]]) -> float:
    """The mean of the last twentieth of what was noted, since single batches differ a lot."""
    last = [loss for _, loss in losses[-max(1, len(losses) // 20) :]]
    return sum(last) / len(last)


def once(recipe: Recipe, device: torch.device | None = None) -> tuple[Model, dict[str, Any]]:
    """What `train` returns, from the user's cache if the same was trained before.

    The same is: this recipe, trained by this code on such a device. Who comes while another process
    trains it waits for that; what was interrupted goes on.
    """
    device = device or torch.device("cpu")
    file = (
        downloads.cache_folder()
        / "runs"
        / f"{recipe.name}-{_fingerprint(recipe, device)}.safetensors"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        checkpoint = checkpoints.load(file) if file.exists() else None
        return train(recipe, checkpoint, recipes.examples(recipe), file, device)


def _fingerprint(recipe: Recipe, device: torch.device) -> str:
    """Of all that decides what training gives, the data apart."""
    package = Path(__file__).parent
    files = [
        package / f"{name}.py" for name in ("schedules", "diffusion", "data", "recipes", "training")
    ]
    digest = hashlib.sha256(
        json.dumps([recipes.to_json(recipe), torch.__version__, device.type]).encode()
    )
    for path in sorted([*files, *package.glob("networks/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Pictures


def save_losses(losses: list[list[float]], file: Path) -> None:
    """The loss of every few steps, and means of fifty of them, which show the trend."""
    step, loss = torch.tensor(losses).T
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
    ax.plot(step, loss, color=plotting.GRAY, lw=0.5, alpha=0.5)
    if means := [part.mean(1) for part in torch.tensor(losses).T.split(50, dim=1)]:
        ax.plot(*torch.stack(means, 1), "-", color=plotting.MODEL)
    plotting.save(figure, file)


def save_picture(recipe: Recipe, walk: list[Tensor], file: Path) -> Path:
    """The samples at the end of a walk; of points, also the way that they went."""
    if recipe.pictures:
        figure = plotting.grid(walk[-1])
    else:
        figure = plotting.trajectories(torch.stack(walk), recipes.examples(recipe).train[:500])
    return plotting.save(figure, file)


def save_film(recipe: Recipe, walk: list[Tensor], file: Path) -> Path:
    """The walk from noise to samples."""
    frames = _short(walk)
    return plotting.gif(frames if recipe.pictures else [_density(x) for x in frames], file)


def _short(walk: list[Tensor]) -> list[Tensor]:
    """At most 60 evenly spaced frames, three seconds, of which the last is the last."""
    return walk[:: -math.ceil(len(walk) / 60)][::-1]


def _density(points: Tensor) -> Tensor:
    """How many points lie where, as a picture of [-3, 3]^2.  (N, 2) -> (1, 64, 64)"""
    counts, _ = torch.histogramdd(points.cpu().float(), [64, 64], range=[-3.0, 3.0, -3.0, 3.0])
    return 2 * (counts.mT.flip(0) / 4).clamp(max=1)[None] - 1  # white from four points on


# Measuring


class Comparison(NamedTuple):
    """Samples beside two sets of real examples, as many of each, so that they compare."""

    x: Tensor
    fake: Tensor  # features, (n, d)
    real: Tensor
    other: Tensor  # real too: what a perfect model would be
    distances: dict[str, float]


def compare(model: Model, examples: Examples, n: int) -> Comparison:
    """The Fréchet distance of n samples, or of half as many as there are training examples."""
    train = recipes.prepare(examples.train)
    n = min(n, len(train) // 2)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    sets = [train[which] for which in order[: 2 * n].split(n)]
    # With other seeds than the picture of the run: what was looked at is not what is measured.
    parts = enumerate(sets[0].split(250), start=1000)
    x = torch.cat([list(recipes.walk(model, len(part), seed))[-1] for seed, part in parts])
    if examples.labels is None:
        features: evaluation.Features = torch.nn.Identity()
    else:
        features = evaluation.train_classifier(
            train.to(model.device), examples.labels.to(model.device)
        ).features
    fake, real, other = (evaluation.extract(features, y.to(model.device)) for y in (x, *sets))
    distance = evaluation.frechet(real, fake)
    floor = evaluation.frechet_distance(*map(evaluation.moments, (real, other)))
    return Comparison(
        x,
        fake,
        real,
        other,
        {
            "frechet_distance": distance.value,
            "frechet_distance_bias": distance.bias,
            "frechet_distance_real": floor,
            "compared": n,
        },
    )


def measure(model: Model, examples: Examples, n: int) -> dict[str, float]:
    """A model in every way there is here, each beside what real examples have."""
    found = compare(model, examples, n)
    among, known = evaluation.precision_recall(found.real, found.fake)
    among_floor, known_floor = evaluation.precision_recall(found.real, found.other)
    train, test = (recipes.prepare(x) for x in (examples.train, examples.test))
    values = math.prod(model.recipe.shape)
    copies, news = (
        float(evaluation.nearest(x, train).distance.median()) / math.sqrt(values)
        for x in (found.x.cpu(), test[:n])
    )
    bits = evaluation.bits_per_dim(
        model.schedule,
        model.denoise,
        test[:32].to(model.device),
        likelihood=bound.discretized if model.recipe.pictures else bound.normal_log_density,
        randn=partial(torch.randn, generator=torch.Generator().manual_seed(0)),
    )
    return found.distances | {
        "precision": among,
        "precision_real": among_floor,
        "recall": known,
        "recall_real": known_floor,
        "nearest_training_example": copies,
        "nearest_training_example_of_test": news,
        "bits_per_dim": bits.value,
        "bits_per_dim_stderr": bits.stderr,
    }
