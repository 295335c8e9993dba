"""Checks for the exercises of chapter 2, the forward process."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.checks import judge
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
        ... if function is ... else function(x_u, u, t, eps),
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
        ... if function is ... else function(x_t, t, eps),
        x_0,
        {
            "Subtracting the noise is half of it: divide by a, the signal was scaled down.": (
                x_t - s * eps
            ),
            "The noise enters x_t scaled by s: subtract s times eps, not eps.": (x_t - eps) / a,
            "This is a published slip: 1 − alpha_t belongs to one step, and the division is by a, "
            "not by s.": (x_t - (1 - _alpha[t]) * eps) / s,
            "Divide by a = sqrt(alpha_bar_t), not by s.": (x_t - s * eps) / s,
            "Divide by sqrt(alpha_bar_t), not by alpha_bar_t.": (x_t - s * eps) / a**2,
        },
        "Exactly x_0. Who knows the noise knows the picture: this is why predicting it is enough.",
    )


def mean_snr(t: Any) -> None:
    """Exercise: the last t at which the mean of 64 pixels has an SNR of at least 1."""
    judge(
        t,
        _last(64),
        {
            "That is the last t for one pixel. Averaging 64 pixels divides the noise's variance.": (
                _last(1)
            ),
            "You multiplied the SNR by 8 = sqrt(64): averaging divides the variance by 64.": _last(
                8
            ),
            "One too many: the table starts at t = 0, so the number of entries that pass is the "
            "last such t plus one.": _last(64) + 1,
        },
        "Large features outlive small ones: what is common to many pixels is decided first on the "
        "way back.",
    )


def _last(pixels: int) -> int:
    return int((pixels * _schedule.snr >= 1).nonzero().max())


def _eps() -> Tensor:
    return torch.tensor([[0.3, -1.2], [0.8, 0.1]], dtype=torch.float64)
