"""Exercises of chapter 10, the embedding of the time."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise, Mistake
from ddpm_lib.course.checks.cases import given, uniform

_OMEGA = torch.tensor([1.0, 0.01], dtype=torch.float64)
_SQUARE = 4 * (_OMEGA / 2).sin().square().sum()

neighbors = Exercise(
    name="time_embedding.neighbors",
    see="How similar are near and far times?",
    right=_SQUARE,
    wrong={
        "That is the distance: the question is for its square.": _SQUARE.sqrt(),
        "That is the inner product of the two. The squared distance is 2 n minus twice it.": (
            _OMEGA.cos().sum()
        ),
        "That is 2 (1 − cos) of the quick hand. The slow one moves too, if little.": (
            2 - 2 * _OMEGA[0].cos()
        ),
        "That is the squared speed, the sum of ω². A step of 1 is not small for ω = 1: take the "
        "chord, not the arc.": _OMEGA.square().sum(),
        "A term 2 sin²(ω/2) for each hand is half of it.": _SQUARE / 2,
    },
    praise="Nearly all of it is the quick hand's.",
    rtol=2e-3,
)

slowest = Exercise(
    name="time_embedding.slowest",
    see="Many clock hands",
    right=1000 / math.pi,
    wrong={
        "Then it turns all around, and 0 and 1000 look the same to it.": 1000 / (2 * math.pi),
        "Then it turns a quarter.": 2000 / math.pi,
        "An angle of 1 is no half turn: that is π.": 1000,
        "The slowest frequency is 1/Λ: you have its inverse.": math.pi / 1000,
    },
    praise="Up to there the hand's cosine falls all the way, so no two times look the same to it.",
    rtol=2e-3,
)

ByHand = Callable[[Tensor, int], Tensor]  # of the hands 0..n-1 and n


def _embed(
    t: Tensor,
    d: int,
    *,
    turn: float = 2 * math.pi,
    period: ByHand = lambda j, n: 4 * 1000 ** (j / (n - 1)),
) -> Tensor:
    angles = t[:, None] * turn / period(torch.arange(d // 2, dtype=torch.float64), d // 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _products(vectors: Any) -> Tensor:
    """All inner products: the same for any order of the entries, which the next layer may weigh."""
    if not isinstance(vectors, Tensor) or vectors.ndim != 2:
        raise Mistake("The answer is a tensor of shape (B, d), got {got!r}.", got=vectors)
    return vectors.double() @ vectors.double().T


embed = Exercise(
    name="time_embedding.embed",
    see="Many clock hands",
    right=_embed,
    wrong={
        "A period of P steps is a frequency of 2π/P: you have 1/P.": {"turn": 1},
        "You used the period as the frequency.": {
            "turn": 1,
            "period": lambda j, n: 1 / (4 * 1000 ** (j / (n - 1))),
        },
        "The factor from one period to the next is the (n − 1)-th root of 1000, so that the last "
        "is 4000.": {"period": lambda j, n: 4 * 1000 ** (j / n)},
        "The periods grow by equal steps in yours. They should grow by equal factors.": {
            "period": lambda j, n: 4 + 3996 * j / (n - 1)
        },
    },
    praise="Quick hands for near times, slow ones for far times.",
    cases=(
        given(torch.tensor([0.0, 1.0, 7.0, 400.0], dtype=torch.float64), 12),
        lambda chance: (uniform(chance, 0, 50, 5), 8),
    ),
    rtol=1e-5,
    view=_products,
)

lost = Exercise(
    name="time_embedding.lost",
    see="Where to put it: in every block",
    right=48,
    wrong={
        "That is how many are lost: one for each group.": 16,
        "A group has a mean, and that is lost. Its four channels keep three of their shifts.": 64,
        "Four channels make a group, and one combination of them is lost, not all.": 0,
    },
    praise="With 64 groups it would be none.",
)
