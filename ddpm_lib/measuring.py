"""How good a model is: each number beside what real examples have."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from ddpm_lib import bound, evaluation, recipes
from ddpm_lib.data import prepare
from ddpm_lib.diffusion import Prediction, Time
from ddpm_lib.evaluation import Features
from ddpm_lib.examples import Examples
from ddpm_lib.recipes import Model

COMPARED = 1000  # samples, if nobody says how many
TOGETHER = 250  # of them, drawn in one batch
ENOUGH = 40_000  # pictures, for a classifier that sees 128 in each of 300 steps
NO_FEATURES = (
    "no Fréchet distance, precision or recall: these pictures have no classes, from which a "
    "classifier could learn features. `ddpm evaluate RUN --inception FILE` measures in Inception's."
)


class Trio(NamedTuple):
    """Samples beside two sets of real examples, as many of each, so that they compare."""

    fake: Tensor
    real: Tensor
    other: Tensor  # real too: what a perfect model would be


def features(
    examples: Examples, device: torch.device, inception: str | Path | None = None
) -> Features | None:
    """What distances are measured in: Inception's features, or those of a classifier of the data.

    Points are their own features. Pictures without classes have none, unless Inception is at hand.
    """
    if examples.train.ndim == 2:
        return torch.nn.Identity()
    if inception is not None:
        return evaluation.inception(inception)
    if examples.labels is None:
        return None
    order = torch.randperm(len(examples.train), generator=torch.Generator().manual_seed(1))
    few = order[:ENOUGH].sort().values
    pictures, labels = prepare(examples.train[few]).to(device), examples.labels[few].to(device)
    return evaluation.train_classifier(pictures, labels).features


def draw(model: Model, examples: Examples, n: int) -> Trio:
    """n samples, or half as many as there are training examples."""
    n = min(n, len(examples.train) // 2)
    order = torch.randperm(len(examples.train), generator=torch.Generator().manual_seed(0))
    real, other = (prepare(examples.train[which]) for which in order[: 2 * n].split(n))
    drawn = []
    # With other seeds than the picture of the run: what was looked at is not what is measured.
    for seed, part in enumerate(real.split(TOGETHER), start=1000):
        *_, x = recipes.walk_with_bar(model, len(part), seed)
        drawn.append(x)
    return Trio(torch.cat(drawn).cpu(), real, other)


def extract(features: Features, found: Trio, device: torch.device) -> Trio:
    return Trio(*(evaluation.extract(features, x.to(device)) for x in found))


def distances(found: Trio) -> dict[str, float]:
    """The Fréchet distance of features (n, d), its bias, and that of two real sets."""
    fake, real, other = found
    distance = evaluation.frechet(real, fake)
    return {
        "frechet_distance": distance.value,
        "frechet_distance_bias": distance.bias,
        "frechet_distance_real": evaluation.frechet_distance(
            evaluation.moments(real), evaluation.moments(other)
        ),
        "compared": len(fake),
    }


def measure(
    model: Model, examples: Examples, n: int, features: Features | None
) -> Iterator[dict[str, float]]:
    """A model in every way there is here, one after another."""
    found = draw(model, examples, n)
    if features is not None:
        inside = extract(features, found, model.device)
        yield distances(inside)
        among, known = evaluation.precision_recall(inside.real, inside.fake)
        among_real, known_real = evaluation.precision_recall(inside.real, inside.other)
        yield {
            "precision": among,
            "precision_real": among_real,
            "recall": known,
            "recall_real": known_real,
        }
    train, test = (prepare(x) for x in (examples.train, examples.test))
    copies, news = (
        float(evaluation.nearest(x, train).distance.median()) / math.sqrt(x[0].numel())
        for x in (found.fake, test[:n])
    )
    yield {"nearest_training_example": copies, "nearest_training_example_of_test": news}
    with tqdm(total=model.schedule.T, desc="bits per dim", unit="step") as bar:

        def denoise(x_t: Tensor, t: Time) -> Prediction:
            bar.update()
            return model.denoise(x_t, t)

        bits = evaluation.bits_per_dim(
            model.schedule,
            denoise,
            test[:32].to(model.device),
            likelihood=bound.discretized if model.recipe.pictures else bound.normal_log_density,
            randn=partial(torch.randn, generator=torch.Generator().manual_seed(0)),
        )
    yield {"bits_per_dim": bits.value, "bits_per_dim_stderr": bits.stderr}
