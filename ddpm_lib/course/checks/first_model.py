"""Checks for the exercises of chapter 9, a first model."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge
from ddpm_lib.diffusion import posterior, posterior_variance
from ddpm_lib.schedules import linear

_schedule = linear(200, 5e-4, 0.1)
_beta, _alpha_bar = _schedule.beta, _schedule.alpha_bar


def ratio_of_errors(ratio: Any) -> None:
    """Exercise: losses 0.224 and 0.215 over a floor of 0.212: the ratio of the networks' errors."""
    judge(
        ratio,
        2.0,
        {
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
        "Twice as large, and the losses differ by four percent.",
        rtol=0.003,
    )


def stride(function: Callable[[Tensor, Tensor, Tensor, int, int], Tensor]) -> None:
    """Exercise: a step over several times.  function(x_t, eps_hat, z, t, u) -> x_u"""
    x_t = torch.tensor([[1.0, 0.2], [-0.5, 0.9]], dtype=torch.float64)
    eps = torch.tensor([[0.3, -1.2], [0.8, 0.1]], dtype=torch.float64)
    z = torch.tensor([[-0.7, 0.4], [1.1, -0.2]], dtype=torch.float64)
    t, u = 120, 60

    def x_u(t: int, u: int, root: bool = True, noise: float = 1.0) -> Tensor:
        a, s = _alpha_bar[t].sqrt(), (1 - _alpha_bar[t]).sqrt()
        mu = posterior(_schedule, (x_t - s * eps) / a, x_t, t, u).mean
        var = posterior_variance(_schedule, t, u)
        return mu + noise * (var.sqrt() if root else var) * z

    answer = function(x_t, eps, z, t, u)
    a, s = _alpha_bar[t].sqrt(), (1 - _alpha_bar[t]).sqrt()
    judge(
        answer,
        x_u(t, u),
        {
            "This is the single step to t − 1. From t to u there are 60 of them: beta is "
            "1 − alpha_bar_t / alpha_bar_u.": x_u(t, t - 1),
            "The mean is right. Multiply z by the standard deviation, not by the variance.": (
                x_u(t, u, root=False)
            ),
            "The mean is right, but z is missing.": x_u(t, u, noise=0.0),
            "The mean is right. This is the variance of the forward stride, beta; the posterior's "
            "has the factor (1 − alpha_bar_u) / (1 − alpha_bar_t).": (
                x_u(t, u, noise=float(((1 - _alpha_bar[t]) / (1 - _alpha_bar[u])).sqrt()))
            ),
            "This noises x_0_hat anew, by the jump to u: it forgets x_t, where the posterior "
            "stays close to it.": (
                _alpha_bar[u].sqrt() * (x_t - s * eps) / a + (1 - _alpha_bar[u]).sqrt() * z
            ),
        },
        "Right from t to u.",
    )
    if answer is not ...:
        judge(
            function(x_t, eps, z, t, 0),
            x_u(t, 0, noise=0.0),
            {},
            "And at u = 0 it returns x_0_hat, without noise.",
        )


def collapsed(std: Any) -> None:
    """Exercise: z left out, data of variance 1: the standard deviation of the samples."""
    right = float(_alpha_bar[-1].sqrt())
    judge(
        std,
        right,
        {
            "That is the variance: take the root.": right**2,
            "It would be 1 if the noise were put in.": 1.0,
            "Nearly, but no factor is zero: multiply the 200 of them.": 0.0,
            "That is the noise in x_T, not what is left of it.": sqrt(1 - right**2),
            "The factors multiply over all 200 steps. This is the last one alone.": (
                sqrt(1 - float(_beta[-1]))
            ),
        },
        "Every sample is almost the mean of the data.",
        rtol=0.02,
    )


def other_target(function: Callable[[Tensor], Tensor]) -> None:
    """Exercise: what the published line 2 expects, as a multiple of eps*.  function(t) -> (B,)"""
    t = torch.tensor([1, 2, 50, 200])
    share = _beta[t] / (1 - _alpha_bar[t])
    judge(
        function(t),
        share.sqrt(),
        {
            "That is the square: the two coefficients of line 2 are roots.": share,
            "The other way round: sqrt(1 − alpha_t) times your factor is the right coefficient.": (
                1 / share.sqrt()
            ),
            "This is the coefficient of line 2 itself. Divide it by sqrt(1 − alpha_t).": (
                _beta[t] / (1 - _alpha_bar[t]).sqrt()
            ),
        },
        "The expectation of the noise of step t: the line is right for another network.",
    )
