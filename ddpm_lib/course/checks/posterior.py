"""Checks for the exercises of chapter 4, the posterior q(x_{t-1} | x_t, x_0)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge
from ddpm_lib.schedules import linear

_schedule = linear()
_beta, _alpha, _alpha_bar = _schedule.beta, _schedule.alpha, _schedule.alpha_bar


def pencil(mu: Any, var: Any) -> None:
    """Exercise: the posterior for alpha_bar_{t-1} = 0.5, alpha_t = 0.8, x_0 = 1, x_t = -0.5."""
    before, alpha, x_0, x_t = 0.5, 0.8, 1.0, -0.5
    beta, now = 1 - alpha, before * alpha

    def mean(of_x_0: float, of_x_t: float) -> float:
        return of_x_0 * x_0 + of_x_t * x_t

    factors = math.sqrt(before) * beta / (1 - now), math.sqrt(alpha) * (1 - before) / (1 - now)
    judge(
        mu,
        mean(*factors),
        {
            "The factor of x_0 has the root of alpha_bar, that of x_t the root of alpha.": mean(
                before * beta / (1 - now), alpha * (1 - before) / (1 - now)
            ),
            "You exchanged x_0 and x_t, or their factors.": mean(*reversed(factors)),
            "You divided by 1 − alpha_bar of t − 1: below stands that of t.": mean(
                *(factor * (1 - now) / (1 - before) for factor in factors)
            ),
            "The weights are right, but x_t proposes x_t / sqrt(alpha_t), not x_t.": mean(
                factors[0], alpha * (1 - before) / (1 - now)
            ),
            "The weights are right, but x_0 proposes sqrt(alpha_bar) x_0, not x_0.": mean(
                beta / (1 - now), factors[1]
            ),
        },
        "The mean is right. x_t pulls with two thirds, and x_0 with one third.",
        rtol=0.01,
    )
    judge(
        var,
        (1 - before) / (1 - now) * beta,
        {
            "That is beta, the variance of the step forward: x_0 has told nothing yet.": beta,
            "That is beta / alpha, what x_t alone says.": beta / alpha,
            "That is the root of it: a standard deviation.": math.sqrt(
                (1 - before) / (1 - now) * beta
            ),
            "The fraction is upside down: a posterior is narrower than beta, not wider.": (
                (1 - now) / (1 - before) * beta
            ),
            "That is the precision. The variance is its reciprocal.": (1 - now)
            / ((1 - before) * beta),
            "The variances do not add, the precisions do.": beta / alpha + 1 - before,
            "The fraction has the bars without 1 −.": before / now * beta,
        },
        "The variance is right: 1/6, below both 0.25 and 0.5.",
        rtol=0.01,
    )


def hardly(steps: Any) -> None:
    """Exercise: with beta = 0.01 at every step, when does x_0 first pull with 10 % or less?"""
    judge(
        steps,
        11,
        {
            "That is where the pull is exactly 10 %: count whole steps.": (
                math.log(0.9) / math.log(0.99)
            ),
            "After 10 steps the pull is still 10.5 %: round up, not down.": 10,
            "You asked when alpha_bar is 0.1. The pull is beta / (1 − alpha_bar).": 230,
            "You asked when x_t pulls with 10 % or more. Take 1 − g_t.": 2,
        },
        "Eleven steps: about as many as the pull has in its denominator, 1 / 0.1.",
        rtol=0.005,
    )


def undo(function: Callable[[Tensor, int, Tensor], Tensor]) -> None:
    """Exercise: the mean of the step back from the step's own noise.  (x_t, t, eps_t) -> mean"""
    t = 20
    x_t, eps_t = _values()
    alpha, beta, s = _alpha[t], _beta[t], (1 - _alpha_bar[t]).sqrt()

    def mean(amount: Tensor) -> Tensor:
        return (x_t - amount * eps_t) / alpha.sqrt()

    judge(
        function(x_t, t, eps_t),
        mean(beta.sqrt()),
        {
            "This is right for all the noise in x_t. Here the network tells that of the step.": (
                mean(beta / s)
            ),
            "The step added its noise with the root of beta.": mean(beta),
            "You subtracted the noise and forgot to undo the shrinking: divide by sqrt(alpha).": (
                mean(beta.sqrt()) * alpha.sqrt()
            ),
            "Divide by sqrt(alpha_t), not by alpha_t.": mean(beta.sqrt()) / alpha.sqrt(),
            "You multiplied by sqrt(alpha_t); the step back divides by it.": (
                mean(beta.sqrt()) * alpha
            ),
        },
        "One step, undone. The published formula is right for this network.",
    )


def bridge(function: Callable[[Tensor, Tensor, int, int, Tensor], Tensor]) -> None:
    """Exercise: a draw of x_u between both ends.  function(x_0, x_t, t, u, eps) -> x_u"""
    t, u = 300, 100
    x_0, x_t = _values()
    eps = torch.tensor([0.4, -0.7, 1.1], dtype=torch.float64)

    def draw(since_u: Tensor, before: Tensor, now: Tensor, root: bool = True) -> Tensor:
        of_x_0 = before.sqrt() * (1 - since_u) / (1 - now)
        of_x_t = since_u.sqrt() * (1 - before) / (1 - now)
        var = (1 - before) / (1 - now) * (1 - since_u)
        return of_x_0 * x_0 + of_x_t * x_t + (var.sqrt() if root else var) * eps

    before, now = _alpha_bar[u], _alpha_bar[t]
    right = draw(now / before, before, now)
    judge(
        function(x_0, x_t, t, u, eps),
        right,
        {
            "This is the single step from t to t − 1: put alpha_bar_t / alpha_bar_u for alpha_t.": (
                draw(_alpha[t], _alpha_bar[t - 1], now)
            ),
            "alpha_t belongs to one step; here there are 200: alpha_bar_t / alpha_bar_u.": (
                draw(_alpha[t], before, now)
            ),
            "Take the square root of the variance before you multiply the noise by it.": (
                draw(now / before, before, now, root=False)
            ),
            "This draws from q(x_u | x_0). It does not know x_t.": (
                before.sqrt() * x_0 + (1 - before).sqrt() * eps
            ),
            "This is the mean; add the noise.": draw(now / before, before, now)
            - ((1 - before) / (1 - now) * (1 - now / before)).sqrt() * eps,
            "The mean is right. The noise is that of the steps from u to t, without the factor "
            "(1 − alpha_bar_u) / (1 − alpha_bar_t).": (
                right
                - ((1 - before) / (1 - now) * (1 - now / before)).sqrt() * eps
                + (1 - now / before).sqrt() * eps
            ),
        },
        "Any place on the way, in one draw.",
    )


def unknown(function: Callable[[float, int], Any]) -> None:
    """Exercise: Var[x_{t-1} | x_t] for x_0 ~ N(0, v).  function(v, t) -> variance"""
    v, t = 0.25, 10
    alpha, beta = _alpha[t], _beta[t]
    before = _alpha_bar[t - 1] * v + 1 - _alpha_bar[t - 1]
    now = _alpha_bar[t] * v + 1 - _alpha_bar[t]
    judge(
        function(v, t),
        before * beta / now,
        {
            "This is beta_tilde: x_0 is not known here.": _schedule.beta_tilde[t],
            "This is beta: right for v = 1 only.": beta,
            "This is the variance of x_{t-1} before x_t is seen.": before,
            "beta times the variance of x_t over that of x_{t-1}: upside down.": now
            * beta
            / before,
            "The covariance is sqrt(alpha_t) times the variance of x_{t-1}: the root is missing, "
            "or a square.": before - alpha**2 * before**2 / now,
            "The variance of x_t is alpha_bar_t v + 1 − alpha_bar_t, not 1.": (
                before - alpha * before**2
            ),
        },
        "beta_tilde for v = 0, beta for v = 1, and in between for data in between.",
    )


def _values() -> tuple[Tensor, Tensor]:
    return (
        torch.tensor([0.9, -0.3, 0.1], dtype=torch.float64),
        torch.tensor([-0.2, 1.3, 0.6], dtype=torch.float64),
    )
