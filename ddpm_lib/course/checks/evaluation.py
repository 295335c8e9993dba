"""Exercises of chapter 16, evaluation."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise
from ddpm_lib.course.checks.cases import always, normal

on_a_line = Exercise(
    name="evaluation.on_a_line",
    see="On a line",
    right=2.0,
    wrong={
        "4 is the variance. The standard deviation is 2.": 1 + 3.0**2,
        "Standard deviations are subtracted, and squared: here the variances were.": 1 + 3.0,
        "That is the part of the widths alone: the means differ too. Or the other way round.": 1.0,
        "FD is a squared length already: take no root.": 2**0.5,
        "Independent x and y would cost that. The cheapest plan moves them together.": 6.0,
    },
    praise="One for the means, one for the widths.",
)

floor = Exercise(
    name="evaluation.floor",
    see="The same distribution is not at distance zero",
    right=2.76,
    wrong={
        "That is for 100 pictures. The exercise asks for 800 first.": 22.08,
        "That is the part of the means alone.": 0.16,
        "The pairs are missing: covariances between features deviate too.": 0.24,
        "Both sets are finite: 1/N + 1/M.": 1.38,
        "Each pair counts once, i < j, and adds λλ/(λ + λ) = 1/2.": 5.28,
        "A perfect model has FD 0 only with infinitely many pictures.": 0.0,
    },
    praise="A perfect model gets 2.76, and 22 with a hundred pictures.",
    rtol=0.01,
)

limit = Exercise(
    name="evaluation.limit",
    see="Taking the bias off",
    right=8.0,
    wrong={
        "That is the wrong way round: more pictures go further down.": 26.0,
        "That is the mean of the two: the bias is still in it.": 17.0,
        "That is the bias at 1000, not what is left without it.": 6.0,
        "The bias at 1000 is half of that at 500, so their difference is the bias at 1000: "
        "subtract it once more.": 14.0,
    },
    praise="Six of the 14 were bias.",
)


def _diagonal(
    p: Tensor,
    q: Tensor,
    *,
    means: float = 1,
    widths: float = 1,
    of: Callable[[Tensor], Tensor] = lambda x: x.std(0),
    size: Callable[[Tensor], Tensor] = torch.square,
) -> Tensor:
    by_means = (p.mean(0) - q.mean(0)).square().sum()
    return means * by_means + widths * size(of(p) - of(q)).sum()


def _features(chance: torch.Generator) -> tuple[Any, ...]:
    scale = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    return normal(chance, 40, 3), normal(chance, 50, 3) * scale + 0.4


diagonal = Exercise(
    name="evaluation.diagonal",
    see="In space: how large can the cross covariance be?",
    right=_diagonal,
    wrong={
        "The means are right. Subtract standard deviations, not variances.": {
            "of": lambda x: x.var(0)
        },
        "The widths are right, and the means are missing.": {"means": 0},
        "The means are right, and the widths are missing.": {"widths": 0},
        "FD is a squared length: take no root.": lambda p, q: _diagonal(p, q).sqrt(),
        "Sum over the features, do not average.": lambda p, q: _diagonal(p, q) / p.shape[1],
        "Use the unbiased variance, with N − 1.": {"of": lambda x: x.std(0, correction=0)},
        "The widths' differences must be squared before they are added.": {"size": torch.abs},
    },
    praise="Feature by feature.",
    cases=(always(_features), _features),
)

_S = 0.25 * (1 + 255 * 0.3) * 0.05

gray = Exercise(
    name="evaluation.gray",
    see="The color cast",
    right=_S / (1 + _S),
    wrong={
        "That is what is kept.": 1 / (1 + _S),
        "That is for a single pixel. The mean of 256 has a larger S.": 0.0125 / 1.0125,
        "That is S. The share is S / (1 + S).": _S,
        "The variance of a pixel, v = 1/4, belongs into S.": 4 * _S / (1 + 4 * _S),
        "That is for ρ = 1, all pixels the same.": 64 * 0.05 / (1 + 64 * 0.05),
    },
    praise="Half of the color is lost where a pixel loses one percent.",
    rtol=0.02,
)
