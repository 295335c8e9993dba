"""Checks for the exercises of chapter 10, the embedding of the time."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Mistake, judge


def neighbors(value: Any) -> None:
    """Exercise: |e(t + 1) - e(t)|^2 for d = 4 and the frequencies 1 and 1/100."""
    frequencies = torch.tensor([1.0, 0.01], dtype=torch.float64)
    right = 4 * (frequencies / 2).sin().square().sum()
    judge(
        value,
        right,
        {
            "That is the distance: the question is for its square.": right.sqrt(),
            "That is the inner product of the two. The squared distance is 2 n minus twice it.": (
                frequencies.cos().sum()
            ),
            "That is 2 (1 − cos) of the quick hand. The slow one moves too, if little.": (
                2 - 2 * frequencies[0].cos()
            ),
            "That is the squared speed, the sum of ω². A step of 1 is not small for ω = 1: take "
            "the chord, not the arc.": frequencies.square().sum(),
            "A term 2 sin²(ω/2) for each hand is half of it.": right / 2,
        },
        "Nearly all of it is the quick hand's.",
        rtol=2e-3,
    )


def slowest(value: Any) -> None:
    """Exercise: the Λ for which the slowest hand turns exactly half around in T = 1000 steps."""
    judge(
        value,
        1000 / math.pi,
        {
            "Then it turns all around, and 0 and 1000 look the same to it.": 1000 / (2 * math.pi),
            "Then it turns a quarter.": 2000 / math.pi,
            "An angle of 1 is no half turn: that is π.": 1000,
            "The slowest frequency is 1/Λ: you have its inverse.": math.pi / 1000,
        },
        "Up to there the hand's cosine falls all the way, so no two times look the same to it.",
        rtol=2e-3,
    )


def embed(function: Callable[[Tensor, int], Tensor]) -> None:
    """Exercise: the embedding with periods from 4 to `longest` steps.  function(t, d) -> (B, d)"""
    t, d, n = torch.tensor([0.0, 1.0, 7.0, 400.0], dtype=torch.float64), 12, 6

    def of(omega: Tensor) -> Tensor:
        angles = t[:, None] * omega
        return _products(torch.cat([angles.sin(), angles.cos()], dim=1))

    j = torch.arange(n, dtype=torch.float64)
    periods = 4 * 1000 ** (j / (n - 1))
    answer = function(t, d)
    judge(
        answer if answer is ... else _products(answer),
        of(2 * math.pi / periods),
        {
            "A period of P steps is a frequency of 2π/P: you have 1/P.": of(1 / periods),
            "You used the period as the frequency.": of(periods),
            "The factor from one period to the next is the (n − 1)-th root of 1000, so that the "
            "last is 4000.": of(2 * math.pi / (4 * 1000 ** (j / n))),
            "The periods grow by equal steps in yours. They should grow by equal factors.": (
                of(2 * math.pi / torch.linspace(4, 4000, n, dtype=torch.float64))
            ),
        },
        "Quick hands for near times, slow ones for far times.",
        rtol=1e-5,
    )


def _products(vectors: Any) -> Any:
    """All inner products: the same for any order of the entries, which the next layer may weigh."""
    if not isinstance(vectors, Tensor) or vectors.ndim != 2:
        raise Mistake(f"The answer is a tensor of shape (B, d), got {vectors!r}.")
    return vectors.double() @ vectors.double().T


def lost(value: Any) -> None:
    """Exercise: how many of the 64 shifts of a block survive GroupNorm with 16 groups."""
    judge(
        value,
        48,
        {
            "That is how many are lost: one for each group.": 16,
            "A group has a mean, and that is lost. Its four channels keep three of their shifts.": (
                64
            ),
            "Four channels make a group, and one combination of them is lost, not all.": 0,
        },
        "With 64 groups it would be none.",
    )
