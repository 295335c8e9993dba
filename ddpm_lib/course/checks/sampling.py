"""Checks for the exercises of chapter 14, sampling."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Mistake, judge
from ddpm_lib.data import unscale
from ddpm_lib.schedules import cosine

_schedule = cosine()


def unchanged(largest: Any) -> None:
    """Exercise: the beta_T with which the first step passes on an error as large as it is."""
    judge(
        largest,
        (sqrt(5) - 1) / 2,
        {
            "You left out the root: the factor is beta over the root of 1 − beta.": 0.5,
            "With this the factor is beta alone. It is divided by the root of 1 − beta.": 1.0,
            "That is the other root of the quadratic equation: a variance is positive.": (
                -(sqrt(5) + 1) / 2
            ),
            "That is alpha_T. Asked is beta_T, 1 minus it.": 1 - (sqrt(5) - 1) / 2,
            "That is a standard deviation: beta is its square.": sqrt((sqrt(5) - 1) / 2),
        },
        "The golden ratio. A cosine schedule ends with 0.999.",
        rtol=2e-3,
    )


def to_bytes(function: Callable[[Tensor], Any]) -> None:
    """Exercise: samples as bytes.  function(x) -> uint8, x: (B, C, H, W)"""
    x = torch.tensor([-1.3, -1.02, -1.0, -0.4, 0.0, 0.2, 0.499, 0.998, 1.0, 1.02, 1.7, 0.05])
    x = x.reshape(2, 1, 2, 3)
    answer = function(x.clone())
    levels = 127.5 * (x + 1)
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    judge(
        answer,
        unscale(x),
        {
            "Values outside wrap around, 1.02 becomes 1: clamp before you convert.": (
                levels.long().to(torch.uint8)
            ),
            "Values outside wrap around even if rounded: clamp before you convert.": (
                levels.round().long().to(torch.uint8)
            ),
            "Clamped, but the fraction is dropped: round to the nearest level.": (
                levels.clamp(0, 255).to(torch.uint8)
            ),
            "This stretches each picture to its own darkest and lightest pixel.": (
                ((x - low) / (high - low) * 255).round()
            ),
            "This takes 0 for black. In our pictures black is −1.": ((x.clamp(0, 1) * 255).round()),
            "The levels are right, but not yet clamped or converted.": levels,
        },
        "Every value in its place.",
    )
    if isinstance(answer, Tensor) and answer.dtype != torch.uint8:
        raise Mistake(f"The values are right. A byte is torch.uint8, yours are {answer.dtype}.")


def best_variance(function: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise: the variance of a step, from the loss at t.  function(t, loss) -> (B,)"""
    t = torch.tensor([2, 10, 300, 700])
    loss = torch.tensor([0.7, 0.55, 0.17, 0.06], dtype=torch.float64)
    beta, alpha, small = _schedule.beta[t], _schedule.alpha[t], _schedule.beta_tilde[t]
    s_squared = _schedule.one_minus_alpha_bar[t]
    c_0 = _schedule.alpha_bar[t - 1].sqrt() * beta / s_squared
    extra = beta**2 / (alpha * s_squared) * loss
    answer = function(t, loss)
    judge(
        answer,
        small + extra,
        {
            "This is the part of the loss alone: add the posterior's variance.": extra,
            "The loss is an error of eps: as one of x_0 it is (s/a)² times as large.": (
                small + c_0**2 * loss
            ),
            "c_0² V_t, where the loss was divided by (s/a)² instead of multiplied.": (
                small + c_0**2 * _schedule.snr[t] * loss
            ),
            "V_t enters with the square of c_0.": small + c_0 / _schedule.snr[t] * loss,
            "beta_t is the forward step's: the posterior's variance is beta_tilde.": beta + extra,
            "The root of the loss: it is a mean square already, like V_t.": (
                small + extra / loss.sqrt()
            ),
        },
        "Between beta_tilde and beta, where it belongs.",
    )
    if answer is not ...:
        judge(
            function(t, _schedule.alpha_bar[t]),
            beta,
            {},
            "And for data of unit variance it is beta.",
        )


def open_share(function: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise: which share forks leave open.  function(x, fork) -> one number"""
    chance = torch.Generator().manual_seed(0)
    middle = torch.linspace(-1, 1, 4, dtype=torch.float64).reshape(1, 1, 2, 2)
    shared, mine, other = torch.randn(3, 400, 1, 2, 2, generator=chance, dtype=torch.float64)
    x, fork = (middle + shared + 0.5 * own for own in (mine, other))
    square, each = (x - fork).square().mean(), x.var(0).mean()
    right = square / 2 / each
    judge(
        function(x, fork),
        right,
        {
            "Not halved: each of the two ends adds its own variance.": 2 * right,
            "That is the share already decided, one minus what was asked.": 1 - right,
            "The variance over everything also counts how pixels differ from each other: take "
            "that of each pixel over the pictures.": square / 2 / x.var(),
            "Not yet divided by the variance of the pixels.": square / 2,
            "That is a ratio of standard deviations. Variances are asked.": right.sqrt(),
            "The mean of the difference, not of its square, is zero on average.": (
                (x - fork).mean() / 2 / each
            ),
        },
        "A fifth was open, and the rest was decided before the fork.",
        rtol=5e-3,
    )
