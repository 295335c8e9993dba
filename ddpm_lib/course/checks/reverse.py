"""Checks for the exercises of chapter 5, the way back if you do not know the start."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge
from ddpm_lib.schedules import linear

_alpha_bar = linear().alpha_bar


def two_points(doubt: Any, variance: Any) -> None:
    """Exercise: x_0 = -1 or 1, x_300 = 0: the variances of x_0 and of x_100 given x_300."""
    at_u, at_t = _alpha_bar[100], _alpha_bar[300]
    beta = 1 - at_t / at_u
    beta_tilde = beta * (1 - at_u) / (1 - at_t)
    c_0 = at_u.sqrt() * beta / (1 - at_t)
    judge(
        doubt,
        1.0,
        {
            "Known x_0 would have variance 0, but at x_300 = 0 it may be either point.": 0.0,
            "That is Var[x_0] for two outcomes 0 and 1; here they are −1 and 1.": 0.25,
            "1 − alpha_bar is the variance of x_300 given x_0; turn it round.": 1 - at_t,
        },
        "Both points are equally probable, so the variance is that of ±1.",
        rtol=5e-3,
    )
    judge(
        variance,
        beta_tilde + c_0**2,
        {
            "That is beta_tilde, right if x_0 were known: add what the doubt about x_0 adds.": (
                beta_tilde
            ),
            "The factor of x_0 comes out of a variance squared.": beta_tilde + c_0,
            "beta_tilde and Var[x_0 | x_300] added: x_0 enters x_100 with the factor c_0.": (
                beta_tilde + 1
            ),
            "That is the doubt alone: given x_0 there is still beta_tilde.": c_0**2,
            "That is beta, the variance of the way forward.": beta,
        },
        "Nearly all of it is doubt about which of the two points it was.",
        rtol=5e-3,
    )


def responsibilities(
    function: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor],
) -> None:
    """Exercise: w_k(x_t).  function(x_t, a_t, w, m, width) -> (N, K)"""
    x_t, a_t = _tensor([-3.0, -0.4, 0.0, 0.7, 4.0]), _alpha_bar[200]
    w, m, width = _tensor([0.2, 0.5, 0.3]), _tensor([-1.0, 0.2, 1.5]), _tensor([0.8, 0.1, 0.3])

    def weights(prior: Tensor, means: Tensor, v: Tensor, factor: bool = True) -> Tensor:
        parts = prior * torch.exp(-((x_t[:, None] - means) ** 2) / (2 * v))
        parts = parts / v.sqrt() if factor else parts
        return parts / parts.sum(1, keepdim=True)

    means, v = a_t.sqrt() * m, a_t * width**2 + 1 - a_t
    bells = w * torch.exp(-((x_t[:, None] - means) ** 2) / (2 * v)) / (2 * math.pi * v).sqrt()
    judge(
        function(x_t, a_t, w, m, width),
        weights(w, means, v),
        {
            "These are the prior weights: let x_t speak.": w.expand(5, 3),
            "Divide by the sum over the humps, so that the weights add to 1.": bells,
            "You divided by the sum over the points; it is the humps that compete.": (
                bells / bells.sum(0)
            ),
            "The prior weights are missing: these humps are not equally frequent.": weights(
                torch.ones_like(w), means, v
            ),
            "The factor 1/√v before the bell is missing, and the humps differ in width.": weights(
                w, means, v, factor=False
            ),
            "The means of x_t are shrunk by √alpha_bar, those of x_0 are not.": weights(w, m, v),
            "The variance of a hump at time t holds its own width too, not only the noise.": (
                weights(w, means, (1 - a_t).expand(3))
            ),
            "The width of a hump is a standard deviation: square it.": weights(
                w, means, a_t * width + 1 - a_t
            ),
            "These are the widths of x_0; noise has widened the humps.": weights(
                w, means, width**2
            ),
        },
        "Right for every x_t, and far away the widest hump takes all.",
    )


def valley(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise: (log q)'' at x_t = 0, for humps of variance 1 in all.  function(a_t, width)"""
    a_t, width = _alpha_bar[[10, 100, 300, 600]], _tensor(0.2)
    v = a_t * width**2 + 1 - a_t
    between = a_t * (1 - width**2)
    judge(
        function(a_t, width),
        -1 / v + between / v**2,
        {
            "This is the curvature of one hump alone; the other one pulls as well.": -1 / v,
            "The sign: the humps bend log q upwards between them.": 1 / v - between / v**2,
            "The distance of the humps is measured in units of v: divide by v², not by v.": (
                -1 / v + between / v
            ),
            "The humps stand at ±√(alpha_bar (1 − width²)), not at ±√alpha_bar.": (
                -1 / v + a_t / v**2
            ),
            "The humps of x_t stand at ±√alpha_bar m, not at ±m.": -1 / v + (1 - width**2) / v**2,
            "The variance of a hump at time t is alpha_bar width² + 1 − alpha_bar.": (
                -1 / (1 - a_t) + between / (1 - a_t) ** 2
            ),
        },
        "(1 − 2v)/v², and adding 1 gives a square: always above −1.",
    )


def budget(best: Any, fixed: Any) -> None:
    """Exercise: the steps for a sum of 1e-6 nats, with the best variance and with beta_t."""
    judge(
        best,
        7800,
        {
            "The sum falls with the square of T, so T grows with the root of the factor.": 61_000,
            "That would be order 3: each step falls like T⁻³, but there are T of them.": (
                1000 * 61 ** (1 / 3)
            ),
            "That is how many times more steps; the table's last row has 1000.": 7.8,
        },
        "About eight thousand.",
        rtol=0.03,
    )
    judge(
        fixed,
        7.9e6,
        {
            "With a fixed variance the sum falls like 1/T, not like 1/T².": 1000 * 7900**0.5,
            "That is how many times more steps; the table's last row has 1000.": 7900,
        },
        "About eight million, a thousand times as many.",
        rtol=0.03,
    )


def _tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
