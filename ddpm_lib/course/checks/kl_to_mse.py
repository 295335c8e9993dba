"""Checks for the exercises of chapter 7, from KL to a squared error."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge
from ddpm_lib.schedules import linear


def from_picture(nats: Any) -> None:
    """Exercise: the KL if x_0_hat is off by 0.1 in 64 pixels, SNR 4 before and 3 after the step."""
    judge(
        nats,
        0.32,
        {
            "You took the mean over the pixels: in a divergence they add.": 0.32 / 64,
            "You left out the factor 1/2 of the Gaussian exponent.": 0.64,
            "Square the error: 0.1² is 0.01.": 3.2,
            "The squared length is 64 · 0.1², not its root.": 0.4,
            "That weight, a ratio of SNRs, belongs to an error of the noise.": 0.64 / 6,
            "The weight falls with the SNR: it is SNR before the step minus SNR after it.": -0.32,
        },
        "0.32 nats: half the loss of SNR, times the squared error.",
    )


def from_noise(nats: Any) -> None:
    """Exercise: the KL if eps_hat is off by 0.1 in 64 pixels, SNR 4 before and 3 after the step."""
    judge(
        nats,
        0.64 / 6,
        {
            "That is the weight of an error of the picture: divide by the SNR.": 0.32,
            "Divide by the SNR at t, 3, not by the one before the step.": 0.08,
            "You multiplied by the SNR where you should divide.": 0.96,
            "You took the mean over the pixels: in a divergence they add.": 0.01 / 6,
            "You left out the factor 1/2 of the Gaussian exponent.": 0.64 / 3,
            "Square the error: 0.1² is 0.01.": 6.4 / 6,
        },
        "About 0.107 nats, a third of what the same error of the picture costs: the SNR is 3.",
        rtol=5e-3,
    )


def best_variance(function: Callable[[float, Tensor], Tensor]) -> None:
    """Exercise: the model variance of least KL.  function(beta_tilde, difference) -> sigma^2"""
    beta_tilde, difference = 0.01, torch.tensor([0.1, -0.2, 0.05, 0.0], dtype=torch.float64)
    square = difference.square()
    judge(
        function(beta_tilde, difference),
        beta_tilde + square.mean(),
        {
            "That is right if the means agree. Here they do not, and the KL falls if the model "
            "is wider.": beta_tilde,
            "One variance serves all d pixels: take the mean of the squares, not the sum.": (
                beta_tilde + square.sum()
            ),
            "The posterior's own variance is missing.": square.mean(),
            "Half of it is lost: in the derivative both terms carry the factor 1/2.": (
                beta_tilde + square.mean() / 2
            ),
            "That is the standard deviation: sigma² was asked for.": (
                (beta_tilde + square.mean()).sqrt()
            ),
            "Square the difference before you take its mean.": beta_tilde + difference.mean(),
        },
        "As wide as the posterior, plus the mean square of what the mean gets wrong.",
    )


def v_from_eps(function: Callable[..., Tensor]) -> None:
    """Exercise: v from an estimate of the noise.  function(eps, x_t, a, s) -> v"""
    a, s = (torch.tensor(x, dtype=torch.float64) for x in (0.8, 0.6))
    eps = torch.tensor([[0.3, -1.2], [0.8, 0.1]], dtype=torch.float64)
    x_0 = torch.tensor([[-1.0, 0.5], [0.25, 1.0]], dtype=torch.float64)
    x_t = a * x_0 + s * eps
    judge(
        function(eps, x_t, a, s),
        a * eps - s * x_0,
        {
            "You put x_t where the definition has x_0.": a * eps - s * x_t,
            "Divide by a: x_0 is (x_t − s eps) / a.": eps - s * x_t,
            "The sign: v grows with the noise and falls with the picture.": s * x_0 - a * eps,
            "Signal and noise are exchanged: v is a eps − s x_0.": a * x_0 - s * eps,
            "That is x_0, the first half of the way: now insert it into the definition of v.": x_0,
            "This divides by s. From the noise, the picture is read with a division by a.": (
                (eps - a * x_t) / s
            ),
        },
        "Exactly v, and 0/0 where no signal is left.",
    )


def estimate(function: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise: unbiased terms from drawn times.  function(squares, t, P, w) -> (N,)"""
    T = 10
    beta = linear(T, 0.01, 0.3).beta
    w = torch.cat([beta.new_zeros(2), beta[2:].flip(0)])
    P = torch.cat([beta.new_zeros(2), beta[2:] / beta[2:].sum()])
    t = torch.tensor([2, 3, 5, 9, 10])
    squares = torch.tensor([0.5, 1.0, 0.2, 0.8, 0.1], dtype=torch.float64)
    judge(
        function(squares, t, P, w),
        w[t] * squares / P[t],
        {
            "The mean of this is weighted by P: divide by the probability of what was drawn.": (
                w[t] * squares
            ),
            "T − 1 is right for uniform draws only: here the times have probabilities P.": (
                (T - 1) * w[t] * squares
            ),
            "Divide by P: what is drawn often must count less, not more.": w[t] * squares * P[t],
            "The weight is missing.": squares / P[t],
            "That is the loss with weight one.": squares,
            "Here is a mean already. Return one number for each draw.": (
                (w[t] * squares / P[t]).mean()
            ),
        },
        "Unbiased for any P. In proportion to w, only the errors scatter.",
    )
