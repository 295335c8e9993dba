"""Checks for the exercises of chapter 1, the Gaussian toolkit."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.bound import kl
from ddpm_lib.course.checks import judge
from ddpm_lib.diffusion import Gaussian


def shrunk(width: Any) -> None:
    """Exercise: noise of width 0.3, halved, then noise of width 0.2."""
    judge(
        width,
        0.25,
        {
            "You added standard deviations: variances add.": 0.35,
            "That is the variance: take its root for the width.": 0.0625,
            "Half of the noise has a quarter of its variance: square the factor.": math.sqrt(
                0.09 / 2 + 0.04
            ),
            "The first noise is halved with everything else.": math.sqrt(0.09 + 0.04),
            "The second noise comes after the halving.": math.sqrt(0.09 + 0.04) / 2,
            "You took the root twice.": 0.5,
        },
        "0.25: a quarter of 0.09, plus 0.04, and the root of it.",
        rtol=1e-3,
    )


def combine(function: Callable[[Any, Any, Any, Any], Any]) -> None:
    """Exercise: the normalized product of two densities.  -> its mean and its variance"""
    mu_1, var_1, mu_2, var_2 = (_number(x) for x in (0.2, 0.5, 1.0, 0.125))
    answer = function(mu_1, var_1, mu_2, var_2)
    if answer is not ...:
        answer = torch.stack([torch.as_tensor(x, dtype=torch.float64) for x in answer])

    def result(mean: Any, var: Any) -> Tensor:
        return torch.tensor([float(mean), float(var)], dtype=torch.float64)

    var = 1 / (1 / var_1 + 1 / var_2)
    mean = var * (mu_1 / var_1 + mu_2 / var_2)
    by_variance = (var_1 * mu_1 + var_2 * mu_2) / (var_1 + var_2)
    judge(
        answer,
        result(mean, var),
        {
            "The mean leans to the less certain source: weight by precision, not by variance.": (
                result(by_variance, var)
            ),
            "The mean is right. You returned the precision: the variance is its inverse.": (
                result(mean, 1 / var)
            ),
            "The mean is right. You returned the width: the exercise asks for the variance.": (
                result(mean, var.sqrt())
            ),
            "The mean is right. Variances add for a sum of numbers; here precisions add.": (
                result(mean, var_1 + var_2)
            ),
            "The variance is right. The plain average forgets that one source is surer.": (
                result((mu_1 + mu_2) / 2, var)
            ),
            "This is the sum of two numbers, not the product of two densities.": (
                result(mu_1 + mu_2, var_1 + var_2)
            ),
            "You weighted by 1 / σ. A precision is 1 / σ².": result(
                (mu_1 / var_1.sqrt() + mu_2 / var_2.sqrt()) / (var_1**-0.5 + var_2**-0.5),
                var,
            ),
        },
        "Precisions add, and the surer source counts more.",
    )


def looks(number: Any) -> None:
    """Exercise: after how many looks of noise 0.4 is a pixel of width 0.3 known to 0.1?"""
    exact = (100 - 1 / 0.09) * 0.16
    judge(
        number,
        15,
        {
            "That many looks give exactly 0.1, but you cannot look a fraction of a time.": exact,
            "After 14 looks the width is still 0.1007: round up, not down.": 14,
            "You forgot that something was known before the first look.": 16,
            "You took widths for variances: a precision is 1 / σ².": 3,
        },
        "15 looks. The width falls like one over the root of their number.",
    )


def picture_kl(function: Callable[[Tensor, Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise: KL of whole pictures from means and standard deviations.  -> (B,)"""
    chance = torch.Generator().manual_seed(0)
    mean_q, mean_p = torch.randn((2, 3, 1, 4, 4), generator=chance, dtype=torch.float64)
    std_q, std_p = 0.5 + torch.rand((2, 3, 1, 4, 4), generator=chance, dtype=torch.float64)

    def pixels(power: float = 2) -> Tensor:
        return kl(Gaussian(mean_q, std_q**power), Gaussian(mean_p, std_p**power))

    def whole(values: Tensor) -> Tensor:
        return values.flatten(1).sum(1)

    swapped = kl(Gaussian(mean_p, std_p**2), Gaussian(mean_q, std_q**2))
    log = (std_p / std_q).log()
    judge(
        function(mean_q, std_q, mean_p, std_p),
        whole(pixels()),
        {
            "q and p are swapped: the first argument is the one that draws.": whole(swapped),
            "You took the standard deviations for variances: square them.": whole(pixels(1)),
            "The mean over the pixels: the KL of a picture is the sum over them.": (
                pixels().flatten(1).mean(1)
            ),
            "One number for each picture: sum over the pixels, not over the batch.": (
                pixels().sum()
            ),
            "That is one number for each pixel: sum them up for each picture.": pixels(),
            "Twice too much: the half is missing.": 2 * whole(pixels()),
            "The logarithm is missing.": whole(pixels() - log),
            "The logarithm is that of standard deviations, but it was halved once more.": (
                whole(pixels() - log / 2)
            ),
            "The logarithm is upside down: the variance of p is above.": whole(pixels() - 2 * log),
            "The −1 is missing: the KL of equal distributions must be 0.": whole(pixels() + 0.5),
        },
        "One number for each picture, and zero if they agree.",
    )


def between(function: Callable[[Tensor, Tensor, float], Any]) -> None:
    """Exercise: a noise on the way from one noise to another.  function(eps, other, share)"""
    eps = torch.tensor([[0.3, -1.2], [0.8, 0.1]], dtype=torch.float64)
    other = torch.tensor([[1.1, 0.4], [-0.6, 2.0]], dtype=torch.float64)
    share = 0.3

    def mix(first: float, second: float) -> Tensor:
        return first * eps + second * other

    cos, sin = math.cos(share * math.pi / 2), math.sin(share * math.pi / 2)
    judge(
        function(eps, other, share),
        mix(cos, sin),
        {
            "The straight line: its factors add to 1, but it is their squares that must.": (
                mix(1 - share, share)
            ),
            "Share 0 is the first noise, share 1 the other: you go the other way.": mix(sin, cos),
            "This is standard normal noise at every share too. The exercise wants the angle: "
            "cos and sin of share · 90°.": mix(math.sqrt(1 - share), math.sqrt(share)),
            "Share 1 must be 90°, that is π / 2: you took half a circle, or a whole one.": (
                mix(math.cos(share * math.pi), math.sin(share * math.pi))
            ),
            "cos and sin of the share itself: it is a share of 90°, that is of π / 2.": (
                mix(math.cos(share), math.sin(share))
            ),
            "cos and sin want radians: 90° is π / 2.": (
                mix(math.cos(share * 90), math.sin(share * 90))
            ),
            "You squared the factors. Their squares are shares of the variance.": (
                mix(cos**2, sin**2)
            ),
        },
        "On the circle, every point is as long as a noise should be.",
    )


def _number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
