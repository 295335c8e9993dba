"""Exercises of chapter 3, schedules."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise
from ddpm_lib.course.checks.cases import given, uniform, whole

two_hundred = Exercise(
    name="schedules.two_hundred",
    see="A sum in place of a product",
    right=0.1004,
    wrong={
        "You left out beta_1: the average of the first and the last beta counts.": 0.1005,
        "That is the average of the betas: the last is about twice as large.": 0.05025,
        "You scaled beta_T by 1000/200, but beta_1 stays as it is here.": 0.1,
        "The sum of the betas is T times (beta_1 + beta_T) / 2: the half is missing.": (
            10.05 / 200 - 1e-4
        ),
        "Fewer steps need larger betas: multiply by 5, do not divide.": 0.004,
    },
    praise="The sum is 200 (0.0001 + 0.1004) / 2 = 10.05.",
    rtol=1e-5,
)

_NATS = -math.log1p(-4.04e-5) / 2  # of one value of the picture
_BITS = _NATS / math.log(2)

whole_picture = Exercise(
    name="schedules.whole_picture",
    see="How far from pure noise",
    right=12288 * _BITS,
    wrong={
        "That is in nats: divide by log 2.": 12288 * _NATS,
        "That is one value's share: the picture has 12288 of them.": _BITS,
        "That is one value's share, and in nats.": _NATS,
        "There are three channels: 12288 values, not 4096.": 4096 * _BITS,
        "The divergence has a factor of one half.": 2 * 12288 * _BITS,
        "A bit is log 2 nats: divide by log 2, do not multiply.": 12288 * _NATS * math.log(2),
    },
    praise="About a third of a bit for the whole picture.",
    rtol=1e-2,
)


def _by_the_clock(
    T: int,
    first: float,
    last: float,
    *,
    points: int = 0,
    bars: Callable[[Tensor], Tensor] = torch.sigmoid,
    start: tuple[float, ...] = (1.0,),
    betas: Callable[[Tensor], Tensor] = lambda bars: 1 - bars[1:] / bars[:-1],
) -> Tensor:
    clock = torch.linspace(first, last, T + points, dtype=torch.float64)
    return betas(torch.cat([clock.new_tensor(start), bars(clock)]))


def _clock(chance: torch.Generator) -> tuple[Any, ...]:
    ends = uniform(chance, 2, 6, 2).tolist()
    return whole(chance, 4, 9), ends[0], -ends[1]


by_the_clock = Exercise(
    name="schedules.by_the_clock",
    see="The clock",
    right=_by_the_clock,
    wrong={
        "You returned alpha_bar. A beta is 1 less the ratio of two neighbors.": {
            "betas": lambda bars: bars[1:]
        },
        "These are the factors 1 − beta_t: subtract them from 1.": {
            "betas": lambda bars: bars[1:] / bars[:-1]
        },
        "Put alpha_bar_0 = 1 in front: the first step has a beta too.": {"start": ()},
        "sigmoid(−λ) is the noise, 1 − alpha_bar: leave out the minus.": {
            "bars": lambda clock: torch.sigmoid(-clock)
        },
        "The difference of two alpha_bars is not beta: divide it by the earlier one.": {
            "betas": lambda bars: bars[:-1] - bars[1:]
        },
        "alpha_bar is SNR / (1 + SNR), not the SNR itself.": {"bars": torch.exp},
        "The SNR is a ratio of variances: do not halve λ.": {
            "bars": lambda clock: torch.sigmoid(clock / 2)
        },
        "You divided the earlier alpha_bar by the later one.": {
            "betas": lambda bars: 1 - bars[:-1] / bars[1:]
        },
        "λ_1 is `first`: space T values, then put alpha_bar_0 = 1 in front.": {
            "points": 1,
            "start": (),
        },
    },
    praise="Any clock becomes a schedule in this way.",
    cases=(given(6, 5.0, -5.0), _clock),
)


_LOSS = 1 / 0.99 - 1

near_enough = Exercise(
    name="schedules.near_enough",
    see="What a wrong start costs",
    right=_LOSS / 0.25,
    wrong={
        "Nearly: 1 / (1 + V SNR) is to be 0.99, not 1 − V SNR.": 0.01 / 0.25,
        "V is missing: what counts is V times the SNR.": _LOSS,
        "V is missing, and 1 / (1 + V SNR) is to be 0.99, not 1 − V SNR.": 0.01,
        "0.25 is the variance already: do not take its root.": _LOSS / 0.5,
        "0.25 is the variance already: do not square it.": _LOSS / 0.0625,
        "That is alpha_bar_T. The SNR is alpha_bar / (1 − alpha_bar).": (
            _LOSS / 0.25 / (1 + _LOSS / 0.25)
        ),
        "You multiplied by V where you should divide.": _LOSS * 0.25,
    },
    praise="With V SNR(T) = 1/99 the mean is 0.495.",
    rtol=1e-3,
)
