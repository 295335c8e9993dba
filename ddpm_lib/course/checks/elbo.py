"""Exercises of chapter 6, the bound."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise
from ddpm_lib.course.checks.cases import given, normal, uniform

_LOG_2 = math.log(2)

bits = Exercise(
    name="elbo.bits",
    see="Pixels have levels",
    right=7986 / 3072 / _LOG_2,
    wrong={
        "That is in nats: a bit is log 2 = 0.693 nats, so divide by it.": 7986 / 3072,
        "You multiplied by log 2: a nat is more than a bit, so there are more bits.": (
            7986 / 3072 * _LOG_2
        ),
        "A color picture has three values for each pixel: d is 3072, not 1024.": (
            7986 / 1024 / _LOG_2
        ),
        "These are the bits of the whole picture: divide by its 3072 values.": 7986 / _LOG_2,
    },
    praise="3.75 bits for each of the 3072 values.",
    rtol=2e-3,
)

_STRETCH = math.log(127.5)

rescaled = Exercise(
    name="elbo.rescaled",
    see="Pixels have levels",
    right=(-1.9 + _STRETCH) / _LOG_2,
    wrong={
        "The change of scale is missing: each dimension is stretched by 127.5.": -1.9 / _LOG_2,
        "The sign: a stretched axis makes the density smaller and the cost larger.": (
            (-1.9 - _STRETCH) / _LOG_2
        ),
        "That is in nats: divide by log 2 at the end.": -1.9 + _STRETCH,
        "The interval from −1 to 1 has length 2: a unit of it becomes 127.5, not 255.": (
            (-1.9 + math.log(255)) / _LOG_2
        ),
        "You added nats to bits: convert −1.9 as well.": -1.9 + _STRETCH / _LOG_2,
    },
    praise="About 4.25 bits. A negative cost on one scale is a positive one on another.",
    rtol=2e-3,
)


def _prior_bits(
    x_0: Tensor,
    bar: Tensor,
    *,
    per: Callable[[Tensor], Tensor] = lambda each: each.flatten(1).mean(1),
    unit: float = _LOG_2,
    half: float = 0.5,
    power: int = 1,
) -> Tensor:
    return per(half * (bar**power * x_0**2 - bar - torch.log(1 - bar))) / unit


def _back(x_0: Tensor, bar: Tensor) -> Tensor:
    each = (bar * (x_0**2 + 1) / (1 - bar) + torch.log(1 - bar)) / 2
    return each.flatten(1).mean(1) / _LOG_2


def _sum(each: Tensor) -> Tensor:
    return each.flatten(1).sum(1)


_TWO = [[[[0.5, -1.0], [1.0, 0.0]]], [[[1.0, 1.0], [-1.0, -0.25]]]]

prior_bits = Exercise(
    name="elbo.prior_bits",
    see="Three kinds of terms",
    right=_prior_bits,
    wrong={
        "These are nats: divide by log 2.": {"unit": 1},
        "These are the bits of a picture: divide by the number of its values.": {"per": _sum},
        "These are nats for a picture: divide by log 2 and by the number of its values.": {
            "per": _sum,
            "unit": 1,
        },
        "One number for each picture, please: you averaged over the batch too.": {
            "per": torch.mean
        },
        "The half in front of the KL is missing.": {"half": 1},
        "The mean of q(x_T | x_0) is sqrt(alpha_bar_T) x_0: its square has one alpha_bar_T.": (
            {"power": 2}
        ),
        "This is the KL of N(0, 1) from q: in L_T, q stands first.": _back,
    },
    praise="L_T of each picture. Only the schedule can make it smaller.",
    cases=(
        given(*(torch.tensor(x, dtype=torch.float64) for x in (_TWO, 0.35))),
        lambda chance: (normal(chance, 2, 3, 2, 4), uniform(chance, 0.1, 0.5)),
    ),
)

_ENTROPY = (math.log(2 * math.pi) + 1) / 2

one_step = Exercise(
    name="elbo.one_step",
    see="Where log p is known",
    right=0.0,
    wrong={
        "That is the bound itself, which equals the entropy here. Take the difference.": _ENTROPY,
        "That is L_1, the prior term. L_0 is below the entropy by as much.": _LOG_2 / 2,
        "That is L_0 alone.": _ENTROPY - _LOG_2 / 2,
    },
    praise="Nothing at all: start and step of the model are exact.",
    rtol=2e-3,
)

_EULER = 0.5772156649015329

too_sure = Exercise(
    name="elbo.too_sure",
    see="Every term, for any T",
    right=_EULER / 2,
    wrong={
        "The KL has a half in front. Without it you found Euler's constant itself.": _EULER,
        "That is in bits; the question was in nats.": _EULER / 2 / _LOG_2,
        "The other way round: the true variance β stands first, the model's second.": (
            (1 - _EULER) / 2
        ),
    },
    praise="Half of Euler's constant, in each dimension, however many steps there are.",
    rtol=2e-3,
)
