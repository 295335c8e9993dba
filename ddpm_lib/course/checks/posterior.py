"""Exercises of chapter 4, the posterior q(x_{t-1} | x_t, x_0)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise, judge
from ddpm_lib.course.checks.cases import always, normal, single, uniform, whole
from ddpm_lib.schedules import linear

_schedule = linear()
_beta, _alpha, _alpha_bar = _schedule.beta, _schedule.alpha, _schedule.alpha_bar

_OF_X_0, _OF_X_T = math.sqrt(0.5) * 0.2 / 0.6, math.sqrt(0.8) * 0.5 / 0.6  # the pencil's factors

pencil_mean = Exercise(
    name="posterior.pencil_mean",
    see="First way: completing the square",
    right=_OF_X_0 - 0.5 * _OF_X_T,
    wrong={
        "The factor of x_0 has the root of alpha_bar, that of x_t the root of alpha.": (
            0.5 * 0.2 / 0.6 - 0.5 * 0.8 * 0.5 / 0.6
        ),
        "You exchanged x_0 and x_t, or their factors.": _OF_X_T - 0.5 * _OF_X_0,
        "You divided by 1 − alpha_bar of t − 1: below stands that of t.": (
            (_OF_X_0 - 0.5 * _OF_X_T) * 0.6 / 0.5
        ),
        "The weights are right, but x_t proposes x_t / sqrt(alpha_t), not x_t.": (
            _OF_X_0 - 0.5 * 0.8 * 0.5 / 0.6
        ),
        "The weights are right, but x_0 proposes sqrt(alpha_bar) x_0, not x_0.": (
            0.2 / 0.6 - 0.5 * _OF_X_T
        ),
    },
    praise="The mean is right. x_t pulls with two thirds, and x_0 with one third.",
    rtol=0.01,
)

pencil_variance = Exercise(
    name="posterior.pencil_variance",
    see="First way: completing the square",
    right=1 / 6,
    wrong={
        "That is beta, the variance of the step forward: x_0 has told nothing yet.": 0.2,
        "That is beta / alpha, what x_t alone says. Or the fraction has the bars without 1 −.": (
            0.25
        ),
        "That is the root of it: a standard deviation.": math.sqrt(1 / 6),
        "The fraction is upside down: a posterior is narrower than beta, not wider.": 0.24,
        "That is the precision. The variance is its reciprocal.": 6,
        "The variances do not add, the precisions do.": 0.25 + 0.5,
    },
    praise="The variance is right: 1/6, below both 0.25 and 0.5.",
    rtol=0.01,
)


def pencil(mu: Any, var: Any) -> None:
    judge(pencil_mean, mu)
    judge(pencil_variance, var)


hardly = Exercise(
    name="posterior.hardly",
    see="Two witnesses",
    right=11,
    wrong={
        "That is where the pull is exactly 10 %: count whole steps.": (
            math.log(0.9) / math.log(0.99)
        ),
        "After 10 steps the pull is still 10.5 %: round up, not down.": 10,
        "You asked when alpha_bar is 0.1. The pull is beta / (1 − alpha_bar).": 230,
        "You asked when x_t pulls with 10 % or more. Take 1 − g_t.": 2,
    },
    praise="Eleven steps: about as many as the pull has in its denominator, 1 / 0.1.",
    rtol=0.005,
)

At = Callable[[int], Any]  # of a time
Between = Callable[[int, int], Tensor]  # of the times t and u


def _undo(
    x_t: Tensor,
    t: int,
    eps_t: Tensor,
    *,
    amount: At = lambda t: _beta[t].sqrt(),
    divisor: At = lambda t: _alpha[t].sqrt(),
) -> Tensor:
    return (x_t - amount(t) * eps_t) / divisor(t)


def _noised(chance: torch.Generator) -> tuple[Any, ...]:
    return normal(chance, 3, 2), whole(chance, 20, 400), normal(chance, 3, 2)


undo = Exercise(
    name="posterior.undo",
    see="In terms of the noise",
    right=_undo,
    wrong={
        "This is right for all the noise in x_t. Here the network tells that of the step.": {
            "amount": lambda t: _beta[t] / (1 - _alpha_bar[t]).sqrt()
        },
        "The step added its noise with the root of beta.": {"amount": lambda t: _beta[t]},
        "You subtracted the noise and forgot to undo the shrinking: divide by sqrt(alpha).": (
            {"divisor": lambda t: 1.0}
        ),
        "Divide by sqrt(alpha_t), not by alpha_t.": {"divisor": lambda t: _alpha[t]},
        "You multiplied by sqrt(alpha_t); the step back divides by it.": {
            "divisor": lambda t: _alpha[t] ** -0.5
        },
    },
    praise="One step, undone. The published formula is right for this network.",
    cases=(always(_noised), _noised, single(_noised)),
)


def _bridge(
    x_0: Tensor,
    x_t: Tensor,
    t: int,
    u: int,
    eps: Tensor,
    *,
    since: Between = lambda t, u: _alpha_bar[t] / _alpha_bar[u],
    there: Between = lambda t, u: _alpha_bar[u],
    width: Callable[[Tensor, Tensor], Any] = lambda var, stride: var.sqrt(),
) -> Tensor:
    before, now, stride = there(t, u), _alpha_bar[t], 1 - since(t, u)
    mean = before.sqrt() * stride * x_0 + (1 - stride).sqrt() * (1 - before) * x_t
    return mean / (1 - now) + width((1 - before) / (1 - now) * stride, stride) * eps


def _ends(chance: torch.Generator) -> tuple[Any, ...]:
    x_0, x_t, eps = normal(chance, 3, 3, 2)
    u = whole(chance, 50, 150)
    return x_0, x_t, u + whole(chance, 50, 250), u, eps


bridge = Exercise(
    name="posterior.bridge",
    see="Any earlier time",
    right=_bridge,
    wrong={
        "This is the single step from t to t − 1: put alpha_bar_t / alpha_bar_u for alpha_t.": (
            {"since": lambda t, u: _alpha[t], "there": lambda t, u: _alpha_bar[t - 1]}
        ),
        "alpha_t belongs to one step; here there are more: alpha_bar_t / alpha_bar_u.": {
            "since": lambda t, u: _alpha[t]
        },
        "Take the square root of the variance before you multiply the noise by it.": {
            "width": lambda var, stride: var
        },
        "This draws from q(x_u | x_0). It does not know x_t.": (
            lambda x_0, x_t, t, u, eps: (
                _alpha_bar[u].sqrt() * x_0 + (1 - _alpha_bar[u]).sqrt() * eps
            )
        ),
        "This is the mean; add the noise.": {"width": lambda var, stride: 0},
        "The mean is right. The noise is that of the steps from u to t, without the factor "
        "(1 − alpha_bar_u) / (1 − alpha_bar_t).": {"width": lambda var, stride: stride.sqrt()},
    },
    praise="Any place on the way, in one draw.",
    cases=(always(_ends), _ends, single(_ends)),
)


def _of(v: float, t: int) -> Tensor:
    """The variance of x_t, of data with variance v."""
    return _alpha_bar[t] * v + 1 - _alpha_bar[t]


unknown = Exercise(
    name="posterior.unknown",
    see="Third way: conditioning a joint Gaussian",
    right=lambda v, t: _of(v, t - 1) * _beta[t] / _of(v, t),
    wrong={
        "This is beta_tilde: x_0 is not known here.": lambda v, t: _schedule.beta_tilde[t],
        "This is beta: right for v = 1 only.": lambda v, t: _beta[t],
        "This is the variance of x_{t-1} before x_t is seen.": lambda v, t: _of(v, t - 1),
        "beta times the variance of x_t over that of x_{t-1}: upside down.": (
            lambda v, t: _of(v, t) * _beta[t] / _of(v, t - 1)
        ),
        "The covariance is sqrt(alpha_t) times the variance of x_{t-1}: the root is missing, or a "
        "square.": lambda v, t: _of(v, t - 1) - (_alpha[t] * _of(v, t - 1)) ** 2 / _of(v, t),
        "The variance of x_t is alpha_bar_t v + 1 − alpha_bar_t, not 1.": (
            lambda v, t: _of(v, t - 1) - _alpha[t] * _of(v, t - 1) ** 2
        ),
    },
    praise="beta_tilde for v = 0, beta for v = 1, and in between for data in between.",
    cases=(
        lambda chance: (0.25, 10),
        lambda chance: (float(uniform(chance, 0.1, 0.8)), whole(chance, 5, 200)),
    ),
)
