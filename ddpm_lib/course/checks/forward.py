"""Checks for the exercises of chapter 2, the forward process."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge
from ddpm_lib.schedules import linear

_schedule = linear()
_alpha, _alpha_bar = _schedule.alpha, _schedule.alpha_bar


def halfway(steps: Any) -> None:
    """Exercise: with beta = 0.01 at every step, when does the SNR first fall to 1 or below?"""
    judge(
        steps,
        69,
        {
            "That is where alpha_bar = 1/2 falls between two steps: count whole steps.": (
                math.log(0.5) / math.log(0.99)
            ),
            "After 68 steps alpha_bar is still 0.505: round up, not down.": 68,
            "You asked when sqrt(alpha_bar) is 1/2. The SNR compares powers, not amplitudes.": 138,
            "You divided 1/2 by beta, but a step takes 1 % of what is left, not of the start.": 50,
            "You divided 1 by beta: alpha_bar is then 0.366, and the noise already leads.": 100,
        },
        "69 steps. In general log(1/2) / log(1 − beta), about 0.69 / beta.",
    )


def leap(function: Callable[[Tensor, int, int, Tensor], Tensor]) -> None:
    """Exercise: x_t from x_u, u < t, in one draw.  function(x_u, u, t, eps) -> x_t"""
    u, t = 100, 300
    x_u, eps = torch.tensor([[1.0, 0.0], [-0.5, 0.2]], dtype=torch.float64), _eps()
    since_u = _alpha_bar[t] / _alpha_bar[u]

    def x_t(factor: Tensor, variance: Tensor) -> Tensor:
        return factor.sqrt() * x_u + variance.sqrt() * eps

    judge(
        function(x_u, u, t, eps),
        x_t(since_u, 1 - since_u),
        {
            "This is the jump from x_0, but x_u already holds the noise of the steps up to u.": (
                x_t(_alpha_bar[t], 1 - _alpha_bar[t])
            ),
            "This is one step, q(x_t | x_{t−1}), but there are 200 steps between u and t.": (
                x_t(_alpha[t], 1 - _alpha[t])
            ),
            "The signal is right. The noise is not alpha_bar_u − alpha_bar_t: that is its variance "
            "with every factor since time 0 still in it.": (
                x_t(since_u, _alpha_bar[u] - _alpha_bar[t])
            ),
            "The signal is right. 1 − alpha_bar_t is the noise since time 0, not since u.": (
                x_t(since_u, 1 - _alpha_bar[t])
            ),
            "alpha_bar of t − u is the product of the first steps, not of those after u.": (
                x_t(_alpha_bar[t - u], 1 - _alpha_bar[t - u])
            ),
            "Take the square root of the variance before you multiply the noise by it.": (
                since_u.sqrt() * x_u + (1 - since_u) * eps
            ),
        },
        "One draw from any earlier time: u = 0 is the jump, u = t − 1 the single step.",
    )


def recover(function: Callable[[Tensor, int, Tensor], Tensor]) -> None:
    """Exercise: x_0 from x_t and the noise in it.  function(x_t, t, eps) -> x_0"""
    t = 300
    x_0 = torch.tensor([[-1.0, 0.5], [0.25, 1.0]], dtype=torch.float64)
    a, s, eps = _alpha_bar[t].sqrt(), (1 - _alpha_bar[t]).sqrt(), _eps()
    x_t = a * x_0 + s * eps
    judge(
        function(x_t, t, eps),
        x_0,
        {
            "Subtracting the noise is half of it: divide by a, the signal was scaled down.": (
                x_t - s * eps
            ),
            "The noise enters x_t scaled by s, and the picture by a.": x_t - eps,
            "The noise enters x_t scaled by s: subtract s times eps, not eps.": (x_t - eps) / a,
            "This is a published slip: 1 − alpha_t belongs to one step, and the division is by a, "
            "not by s.": (x_t - (1 - _alpha[t]) * eps) / s,
            "Divide by a = sqrt(alpha_bar_t), not by s.": (x_t - s * eps) / s,
            "Divide by sqrt(alpha_bar_t), not by alpha_bar_t.": (x_t - s * eps) / a**2,
        },
        "Exactly x_0. To know the noise is to know the picture.",
    )


def amplified(off: Any) -> None:
    """Exercise: the error of x_0 at t = 1000 if the noise is off by 0.01."""
    a, s = _alpha_bar[1000].sqrt(), (1 - _alpha_bar[1000]).sqrt()
    judge(
        off,
        0.01 * s / a,
        {
            "The noise enters with the factor s, but dividing by a makes it larger.": 0.01 * s,
            "That is a / s: the other way round.": 0.01 * a / s,
            "That is s² / a²: the SNR compares variances, an error is an amplitude.": (
                0.01 * (s / a) ** 2
            ),
            "Divide by a = sqrt(alpha_bar), not by alpha_bar.": 0.01 * s / a**2,
        },
        "More than three quarters of the way from black to white, for an error of one percent.",
        rtol=0.05,
    )


def read(function: Callable[[Tensor, int, Tensor], Tensor], thumbnails: Tensor) -> None:
    """Exercise: which thumbnail became x_t.  function(x_t, t, thumbnails) -> (N,)"""
    thumbnails = thumbnails.double()
    t, which = 400, torch.arange(200) % len(thumbnails)
    chance = torch.Generator().manual_seed(0)
    noise = torch.randn((200, *thumbnails.shape[1:]), generator=chance, dtype=torch.float64)
    a, s = _alpha_bar[t].sqrt(), (1 - _alpha_bar[t]).sqrt()
    x_t = a * thumbnails[which] + s * noise

    def nearest(factor: Any) -> Tensor:
        return torch.cdist(x_t.flatten(1), (factor * thumbnails).flatten(1)).argmin(1)

    answer = function(x_t, t, thumbnails)
    judge(
        answer,
        nearest(a),
        {
            "Nearest to the clean thumbnails: but x_t lies around a times its picture.": nearest(1),
            "You multiplied by alpha_bar: the signal is shrunk by its root.": nearest(a**2),
            "You divided by a where you should multiply, or x_t by nothing at all.": nearest(1 / a),
        },
        "This is the best that anyone can do who knows the ten pictures.",
    )


def _eps() -> Tensor:
    return torch.tensor([[0.3, -1.2], [0.8, 0.1]], dtype=torch.float64)
