"""Exercises of chapter 1, the Gaussian toolkit."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise
from ddpm_lib.course.checks.cases import always, given, normal, uniform

shrunk = Exercise(
    name="gaussians.shrunk",
    see="Adding independent normal numbers",
    right=0.25,
    wrong={
        "You added standard deviations: variances add.": 0.35,
        "That is the variance: take its root for the width.": 0.0625,
        "Half of the noise has a quarter of its variance: square the factor.": math.sqrt(
            0.09 / 2 + 0.04
        ),
        "The first noise is halved with everything else.": math.sqrt(0.09 + 0.04),
        "The second noise comes after the halving.": math.sqrt(0.09 + 0.04) / 2,
        "You took the root twice.": 0.5,
    },
    praise="0.25: a quarter of 0.09, plus 0.04, and the root of it.",
    rtol=1e-3,
)


def _product(
    mu_1: Any,
    var_1: Any,
    mu_2: Any,
    var_2: Any,
    *,
    weight: Callable[[Any], Any] = lambda var: 1 / var,
    spread: Callable[[Any, Any], Any] = lambda v, w: 1 / (1 / v + 1 / w),
) -> tuple[Any, Any]:
    w_1, w_2 = weight(var_1), weight(var_2)
    return (w_1 * mu_1 + w_2 * mu_2) / (w_1 + w_2), spread(var_1, var_2)


combine = Exercise(
    name="gaussians.combine",
    see="Multiplying two densities",
    right=_product,
    wrong={
        "The mean leans to the less certain source: weight by precision, not by variance.": {
            "weight": lambda var: var
        },
        "The mean is right. You returned the precision: the variance is its inverse.": {
            "spread": lambda v, w: 1 / v + 1 / w
        },
        "The mean is right. You returned the width: the exercise asks for the variance.": {
            "spread": lambda v, w: (1 / v + 1 / w) ** -0.5
        },
        "The mean is right. Variances add for a sum of numbers; here precisions add.": {
            "spread": lambda v, w: v + w
        },
        "The variance is right. The plain average forgets that one source is surer.": {
            "weight": lambda var: 1.0
        },
        "This is the sum of two numbers, not the product of two densities.": (
            lambda mu_1, var_1, mu_2, var_2: (mu_1 + mu_2, var_1 + var_2)
        ),
        "You weighted by 1 / σ. A precision is 1 / σ².": {"weight": lambda var: var**-0.5},
    },
    praise="Precisions add, and the surer source counts more.",
    cases=(
        given(*torch.tensor([0.2, 0.5, 1.0, 0.125], dtype=torch.float64)),
        lambda chance: tuple(uniform(chance, 0.1, 2, 4)),
    ),
)

looks = Exercise(
    name="gaussians.looks",
    see="Multiplying two densities",
    right=15,
    wrong={
        "That many looks give exactly 0.1, but you cannot look a fraction of a time.": (
            (100 - 1 / 0.09) * 0.16
        ),
        "After 14 looks the width is still 0.1007: round up, not down.": 14,
        "You forgot that something was known before the first look.": 16,
        "You took widths for variances: a precision is 1 / σ².": 3,
    },
    praise="15 looks. The width falls like one over the root of their number.",
)


def _kl(
    mean_q: Tensor,
    std_q: Tensor,
    mean_p: Tensor,
    std_p: Tensor,
    *,
    power: int = 2,
    half: float = 0.5,
    log: float = 1,
    one: float = 1,
    whole: Callable[[Tensor], Tensor] = lambda each: each.flatten(1).sum(1),
) -> Tensor:
    var_q, var_p = std_q**power, std_p**power
    square = (var_q + (mean_q - mean_p) ** 2) / var_p
    return whole(half * (log * (var_p / var_q).log() + square - one))


def _pictures(chance: torch.Generator) -> tuple[Any, ...]:
    shape = (3, 2, 4, 4)
    means, stds = (normal(chance, 2, *shape), uniform(chance, 0.5, 1.5, 2, *shape))
    return means[0], stds[0], means[1], stds[1]


picture_kl = Exercise(
    name="gaussians.picture_kl",
    see="How far apart are two distributions?",
    right=_kl,
    wrong={
        "q and p are swapped: the first argument is the one that draws.": (
            lambda mean_q, std_q, mean_p, std_p: _kl(mean_p, std_p, mean_q, std_q)
        ),
        "You took the standard deviations for variances: square them.": {"power": 1},
        "The mean over the pixels: the KL of a picture is the sum over them.": {
            "whole": lambda each: each.flatten(1).mean(1)
        },
        "One number for each picture: sum over the pixels, not over the batch.": {
            "whole": torch.sum
        },
        "That is one number for each pixel: sum them up for each picture.": {
            "whole": lambda each: each
        },
        "Twice too much: the half is missing.": {"half": 1},
        "The logarithm is missing.": {"log": 0},
        "The logarithm is that of standard deviations, but it was halved once more.": {"log": 0.5},
        "The logarithm is upside down: the variance of p is above.": {"log": -1},
        "The −1 is missing: the KL of equal distributions must be 0.": {"one": 0},
    },
    praise="One number for each picture, and zero if they agree.",
    cases=(always(_pictures), _pictures),
)


def _between(
    eps: Tensor,
    other: Tensor,
    share: float,
    *,
    angle: Callable[[float], float] = lambda share: share * math.pi / 2,
    power: int = 1,
) -> Tensor:
    return math.cos(angle(share)) ** power * eps + math.sin(angle(share)) ** power * other


between = Exercise(
    name="gaussians.between",
    see="Adding independent normal numbers",
    right=_between,
    wrong={
        "The straight line: its factors add to 1, but it is their squares that must.": (
            lambda eps, other, share: (1 - share) * eps + share * other
        ),
        "Share 0 is the first noise, share 1 the other: you go the other way.": (
            lambda eps, other, share: _between(other, eps, share)
        ),
        "This is standard normal noise at every share too. The exercise wants the angle: cos and "
        "sin of share · 90°.": (
            lambda eps, other, share: math.sqrt(1 - share) * eps + math.sqrt(share) * other
        ),
        "Share 1 must be 90°, that is π / 2: you took half a circle, or a whole one.": {
            "angle": lambda share: share * math.pi
        },
        "cos and sin of the share itself: it is a share of 90°, that is of π / 2.": {
            "angle": lambda share: share
        },
        "cos and sin want radians: 90° is π / 2.": {"angle": lambda share: share * 90},
        "You squared the factors. Their squares are shares of the variance.": {"power": 2},
    },
    praise="On the circle, every point is as long as a noise should be.",
    cases=(
        lambda chance: (*_noises(torch.Generator().manual_seed(0)), 0.3),
        lambda chance: (*_noises(chance), float(uniform(chance, 0.1, 0.9))),
    ),
)


def _noises(chance: torch.Generator) -> Tensor:
    return normal(chance, 2, 3, 2)
