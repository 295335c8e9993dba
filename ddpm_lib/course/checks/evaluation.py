"""Checks for the exercises of chapter 16, evaluation."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge


def on_a_line(distance: Any) -> None:
    """Exercise: FD of mean 0, standard deviation 1 and mean 1, variance 4."""
    judge(
        distance,
        2.0,
        {
            "4 is the variance. The standard deviation is 2.": 1 + 3.0**2,
            "Standard deviations are subtracted, and squared: here the variances were.": 1 + 3.0,
            "That is the part of the widths alone: the means differ too. Or the other way round.": (
                1.0
            ),
            "FD is a squared length already: take no root.": 2**0.5,
            "Independent x and y would cost that. The cheapest plan moves them together.": 6.0,
        },
        "One for the means, one for the widths.",
    )


def floor(distance: Any) -> None:
    """Exercise: the first-order FD of two samples of N(0, I), d = 64, N = M = 800."""
    judge(
        distance,
        2.76,
        {
            "That is for 100 pictures. The exercise asks for 800 first.": 22.08,
            "That is the part of the means alone.": 0.16,
            "The pairs are missing: covariances between features deviate too.": 0.24,
            "Both sets are finite: 1/N + 1/M.": 1.38,
            "Each pair counts once, i < j.": 5.28,
            "A pair adds λλ/(λ + λ) = 1/2.": 2 / 800 * (96 + 2016),
            "A perfect model has FD 0 only with infinitely many pictures.": 0.0,
        },
        "A perfect model gets 2.76, and 22 with a hundred pictures.",
        rtol=0.01,
    )


def limit(distance: Any) -> None:
    """Exercise: FD 20 at N = 500 and 14 at N = 1000, extrapolated."""
    judge(
        distance,
        8.0,
        {
            "That is the wrong way round: more pictures go further down.": 26.0,
            "That is the mean of the two: the bias is still in it.": 17.0,
            "That is the bias at 1000, not what is left without it.": 6.0,
            "The bias at 1000 is half of that at 500, so their difference is the bias at 1000: "
            "subtract it once more.": 14.0,
        },
        "Six of the 14 were bias.",
    )


def diagonal(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise: FD of independent features.  function(p (N, d), q (M, d)) -> ()"""
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    q = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    q = q * torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64) + 0.4
    means = (p.mean(0) - q.mean(0)).square().sum()
    widths = p.std(0) - q.std(0)
    biased = p.std(0, correction=0) - q.std(0, correction=0)
    judge(
        function(p, q),
        means + widths.square().sum(),
        {
            "The means are right. Subtract standard deviations, not variances.": (
                means + (p.var(0) - q.var(0)).square().sum()
            ),
            "The widths are right, and the means are missing.": widths.square().sum(),
            "The means are right, and the widths are missing.": means,
            "FD is a squared length: take no root.": (means + widths.square().sum()).sqrt(),
            "Sum over the features, do not average.": (means + widths.square().sum()) / 3,
            "Use the unbiased variance, with N − 1.": means + biased.square().sum(),
            "The widths' differences must be squared before they are added.": (
                means + widths.abs().sum()
            ),
        },
        "Feature by feature.",
    )


def gray(share: Any) -> None:
    """Exercise: SNR(T) = 0.05, 16x16 pixels, v = 1/4, rho = 0.3: the share of the mean lost."""
    factor = 0.25 * (1 + 255 * 0.3)
    judge(
        share,
        factor * 0.05 / (1 + factor * 0.05),
        {
            "That is what is kept.": 1 / (1 + factor * 0.05),
            "That is for a single pixel. The mean of 256 has a larger S.": 0.0125 / 1.0125,
            "That is S. The share is S / (1 + S).": factor * 0.05,
            "The variance of a pixel, v = 1/4, belongs into S.": (
                4 * factor * 0.05 / (1 + 4 * factor * 0.05)
            ),
            "That is for ρ = 1, all pixels the same.": (64 * 0.05 / (1 + 64 * 0.05)),
        },
        "Half of the color is lost where a pixel loses one percent.",
        rtol=0.02,
    )
