"""Exercises of chapter 2, the forward process."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise, judge
from ddpm_lib.course.checks.cases import always, normal, single, whole
from ddpm_lib.schedules import linear

_schedule = linear()
_alpha, _alpha_bar = _schedule.alpha, _schedule.alpha_bar

halfway = Exercise(
    name="forward.halfway",
    see="How much picture is left?",
    right=69,
    wrong={
        "That is where alpha_bar = 1/2 falls between two steps: count whole steps.": (
            math.log(0.5) / math.log(0.99)
        ),
        "After 68 steps alpha_bar is still 0.505: round up, not down.": 68,
        "You asked when sqrt(alpha_bar) is 1/2. The SNR compares powers, not amplitudes.": 138,
        "You divided 1/2 by beta, but a step takes 1 % of what is left, not of the start.": 50,
        "You divided 1 by beta: alpha_bar is then 0.366, and the noise already leads.": 100,
    },
    praise="69 steps. In general log(1/2) / log(1 − beta), about 0.69 / beta.",
)

Between = Callable[[int, int], Tensor]  # of the times u and t


def _leap(
    x_u: Tensor,
    u: int,
    t: int,
    eps: Tensor,
    *,
    signal: Between = lambda u, t: _alpha_bar[t] / _alpha_bar[u],
    noise: Between = lambda u, t: 1 - _alpha_bar[t] / _alpha_bar[u],
    root: Callable[[Tensor], Tensor] = torch.sqrt,
) -> Tensor:
    return signal(u, t).sqrt() * x_u + root(noise(u, t)) * eps


def _start(chance: torch.Generator) -> tuple[Any, ...]:
    u = whole(chance, 20, 200)
    return normal(chance, 3, 2), u, u + whole(chance, 30, 300), normal(chance, 3, 2)


leap = Exercise(
    name="forward.leap",
    see="What the jump does not give",
    right=_leap,
    wrong={
        "This is the jump from x_0, but x_u already holds the noise of the steps up to u.": {
            "signal": lambda u, t: _alpha_bar[t],
            "noise": lambda u, t: 1 - _alpha_bar[t],
        },
        "This is one step, q(x_t | x_{t−1}), but there are more steps between u and t.": {
            "signal": lambda u, t: _alpha[t],
            "noise": lambda u, t: 1 - _alpha[t],
        },
        "The signal is right. The noise is not alpha_bar_u − alpha_bar_t: that is its variance "
        "with every factor since time 0 still in it.": {
            "noise": lambda u, t: _alpha_bar[u] - _alpha_bar[t]
        },
        "The signal is right. 1 − alpha_bar_t is the noise since time 0, not since u.": {
            "noise": lambda u, t: 1 - _alpha_bar[t]
        },
        "alpha_bar of t − u is the product of the first steps, not of those after u.": {
            "signal": lambda u, t: _alpha_bar[t - u],
            "noise": lambda u, t: 1 - _alpha_bar[t - u],
        },
        "Take the square root of the variance before you multiply the noise by it.": {
            "root": lambda variance: variance
        },
    },
    praise="One draw from any earlier time: u = 0 is the jump, u = t − 1 the single step.",
    cases=(always(_start), _start, single(_start)),
)

At = Callable[[int], Any]  # of a time


def _a(t: int) -> Tensor:
    return _alpha_bar[t].sqrt()


def _s(t: int) -> Tensor:
    return (1 - _alpha_bar[t]).sqrt()


def _one(t: int) -> float:
    return 1.0


def _recover(x_t: Tensor, t: int, eps: Tensor, *, amount: At = _s, divisor: At = _a) -> Tensor:
    return (x_t - amount(t) * eps) / divisor(t)


def _noised(chance: torch.Generator) -> tuple[Any, ...]:
    return normal(chance, 3, 2), whole(chance, 100, 500), normal(chance, 3, 2)


recover = Exercise(
    name="forward.recover",
    see="Any number of steps",
    right=_recover,
    wrong={
        "Subtracting the noise is half of it: divide by a, the signal was scaled down.": {
            "divisor": _one
        },
        "The noise enters x_t scaled by s, and the picture by a.": {
            "amount": _one,
            "divisor": _one,
        },
        "The noise enters x_t scaled by s: subtract s times eps, not eps.": {"amount": _one},
        "This is a published slip: 1 − alpha_t belongs to one step, and the division is by a, not "
        "by s.": {"amount": lambda t: 1 - _alpha[t], "divisor": _s},
        "Divide by a = sqrt(alpha_bar_t), not by s.": {"divisor": _s},
        "Divide by sqrt(alpha_bar_t), not by alpha_bar_t.": {"divisor": lambda t: _alpha_bar[t]},
    },
    praise="Exactly x_0. To know the noise is to know the picture.",
    cases=(always(_noised), _noised, single(_noised)),
)

amplified = Exercise(
    name="forward.amplified",
    see="How much picture is left?",
    right=0.01 * _s(1000) / _a(1000),
    wrong={
        "The noise enters with the factor s, but dividing by a makes it larger.": 0.01 * _s(1000),
        "That is a / s: the other way round.": 0.01 * _a(1000) / _s(1000),
        "That is s² / a², or s / a². The SNR compares variances, an error is an amplitude: s / a, "
        "with a = sqrt(alpha_bar).": 0.01 * (_s(1000) / _a(1000)) ** 2,
    },
    praise="More than three quarters of the way from black to white, for an error of one percent.",
    rtol=0.05,
)


def reading(thumbnails: Tensor) -> Exercise:
    """Which thumbnail became x_t.  (x_t, t, thumbnails) -> (N,)"""

    def draw(chance: torch.Generator) -> tuple[Any, ...]:
        pictures, t = thumbnails.double(), whole(chance, 350, 450)
        x_0 = pictures[torch.arange(200) % len(pictures)]
        return _a(t) * x_0 + _s(t) * normal(chance, *x_0.shape), t, pictures

    def nearest(x_t: Tensor, t: int, pictures: Tensor, *, factor: At = _a) -> Tensor:
        return torch.cdist(x_t.flatten(1), (factor(t) * pictures).flatten(1)).argmin(1)

    return Exercise(
        name="forward.read",
        see="Any number of steps",
        right=nearest,
        wrong={
            "Nearest to the clean thumbnails: but x_t lies around a times its picture.": {
                "factor": _one
            },
            "You multiplied by alpha_bar: the signal is shrunk by its root.": {
                "factor": lambda t: _alpha_bar[t]
            },
            "You divided by a where you should multiply, or x_t by nothing at all.": {
                "factor": lambda t: 1 / _a(t)
            },
        },
        praise="This is the best that anyone can do who knows the ten pictures.",
        cases=(always(draw), draw),
    )


def read(function: Callable[[Tensor, int, Tensor], Tensor], thumbnails: Tensor) -> None:
    judge(reading(thumbnails), function)
