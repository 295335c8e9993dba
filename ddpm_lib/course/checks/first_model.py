"""Exercises of chapter 9, a first model."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise
from ddpm_lib.course.checks.cases import always, given, normal, single, whole
from ddpm_lib.schedules import linear

_schedule = linear(200, 5e-4, 0.1)
_beta, _alpha_bar = _schedule.beta, _schedule.alpha_bar

ratio_of_errors = Exercise(
    name="first_model.ratio_of_errors",
    see="Is my loss right?",
    right=2.0,
    wrong={
        "That is the ratio of the two losses: the floor is no error of the network.": (
            0.224 / 0.215
        ),
        "That is the ratio of the mean squared errors. Take the root.": 4.0,
        "The floor is a mean square: subtract it before you take roots.": (
            (sqrt(0.224) - sqrt(0.212)) / (sqrt(0.215) - sqrt(0.212))
        ),
        "You took the root of the losses, floor included.": sqrt(0.224 / 0.215),
        "That is the better network over the worse: the other way round.": 0.5,
    },
    praise="Twice as large, and the losses differ by four percent.",
    rtol=0.003,
)


def _x_0_hat(x_t: Tensor, eps: Tensor, t: int) -> Tensor:
    return (x_t - (1 - _alpha_bar[t]).sqrt() * eps) / _alpha_bar[t].sqrt()


def _stride(
    x_t: Tensor,
    eps: Tensor,
    z: Tensor,
    t: int,
    u: int,
    *,
    to: Callable[[int, int], int] = lambda t, u: u,
    width: Callable[[Tensor, Tensor], Any] = lambda var, beta: var.sqrt(),
) -> Tensor:
    before, now = _alpha_bar[to(t, u)], _alpha_bar[t]
    beta = 1 - now / before
    mean = before.sqrt() * beta * _x_0_hat(x_t, eps, t) + (1 - beta).sqrt() * (1 - before) * x_t
    return mean / (1 - now) + width((1 - before) / (1 - now) * beta, beta) * z


def _anew(x_t: Tensor, eps: Tensor, z: Tensor, t: int, u: int) -> Tensor:
    return _alpha_bar[u].sqrt() * _x_0_hat(x_t, eps, t) + (1 - _alpha_bar[u]).sqrt() * z


def _seen(chance: torch.Generator) -> tuple[Any, ...]:
    u = whole(chance, 20, 80)
    return *normal(chance, 3, 3, 2), u + whole(chance, 20, 100), u


stride = Exercise(
    name="first_model.stride",
    see="Algorithm 2: sampling",
    right=_stride,
    wrong={
        "This is the single step to t − 1. From t to u there are more of them: beta is "
        "1 − alpha_bar_t / alpha_bar_u.": {"to": lambda t, u: t - 1},
        "The mean is right. Multiply z by the standard deviation, not by the variance.": {
            "width": lambda var, beta: var
        },
        "The mean is right, but z is missing.": {"width": lambda var, beta: 0},
        "The mean is right. This is the variance of the forward stride, beta; the posterior's has "
        "the factor (1 − alpha_bar_u) / (1 − alpha_bar_t).": {
            "width": lambda var, beta: beta.sqrt()
        },
        "This noises x_0_hat anew, by the jump to u: it forgets x_t, where the posterior stays "
        "close to it.": _anew,
    },
    praise="Right from t to u. And at u = 0 it returns x_0_hat, without noise.",
    cases=(always(_seen), lambda chance: (*_seen(chance)[:3], 120, 0), _seen, single(_seen)),
)

collapsed = Exercise(
    name="first_model.collapsed",
    see="Algorithm 2: sampling",
    right=_alpha_bar[-1].sqrt(),
    wrong={
        "That is the variance: take the root.": _alpha_bar[-1],
        "It would be 1 if the noise were put in. And sqrt(1 − alpha_bar_T) is the noise in x_T, "
        "not what is left of it.": 1.0,
        "Nearly, but no factor is zero: multiply the 200 of them.": 0.0,
        "The factors multiply over all 200 steps. This is the last one alone.": (
            (1 - _beta[-1]).sqrt()
        ),
    },
    praise="Every sample is almost the mean of the data.",
    rtol=0.02,
)

other_target = Exercise(
    name="first_model.other_target",
    see="Where tutorials go wrong",
    right=lambda t: (_beta[t] / (1 - _alpha_bar[t])).sqrt(),
    wrong={
        "That is the square: the two coefficients of line 2 are roots.": (
            lambda t: _beta[t] / (1 - _alpha_bar[t])
        ),
        "The other way round: sqrt(1 − alpha_t) times your factor is the right coefficient.": (
            lambda t: ((1 - _alpha_bar[t]) / _beta[t]).sqrt()
        ),
        "This is the coefficient of line 2 itself. Divide it by sqrt(1 − alpha_t).": (
            lambda t: _beta[t] / (1 - _alpha_bar[t]).sqrt()
        ),
    },
    praise="The expectation of the noise of step t: the line is right for another network.",
    cases=(
        given(torch.tensor([1, 2, 50, 200])),
        lambda chance: (torch.randint(1, 201, (5,), generator=chance),),
    ),
)
