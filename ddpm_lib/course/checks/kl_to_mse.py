"""Exercises of chapter 7, from KL to a squared error."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise
from ddpm_lib.course.checks.cases import always, given, normal, uniform
from ddpm_lib.schedules import linear

from_picture = Exercise(
    name="kl_to_mse.from_picture",
    see="A mean is a guess of the picture",
    right=0.32,
    wrong={
        "You took the mean over the pixels: in a divergence they add.": 0.32 / 64,
        "You left out the factor 1/2 of the Gaussian exponent.": 0.64,
        "Square the error: 0.1² is 0.01.": 3.2,
        "The squared length is 64 · 0.1², not its root.": 0.4,
        "That weight, a ratio of SNRs, belongs to an error of the noise.": 0.64 / 6,
        "The weight falls with the SNR: it is SNR before the step minus SNR after it.": -0.32,
    },
    praise="0.32 nats: half the loss of SNR, times the squared error.",
)

from_noise = Exercise(
    name="kl_to_mse.from_noise",
    see="Or a guess of the noise",
    right=0.64 / 6,
    wrong={
        "That is the weight of an error of the picture: divide by the SNR.": 0.32,
        "Divide by the SNR at t, 3, not by the one before the step.": 0.08,
        "You multiplied by the SNR where you should divide.": 0.96,
        "You took the mean over the pixels: in a divergence they add.": 0.01 / 6,
        "You left out the factor 1/2 of the Gaussian exponent.": 0.64 / 3,
        "Square the error: 0.1² is 0.01.": 6.4 / 6,
    },
    praise="About 0.107 nats, a third of what the same error of the picture costs: the SNR is 3.",
    rtol=5e-3,
)


def _best_variance(
    beta_tilde: float,
    difference: Tensor,
    *,
    own: float = 1,
    part: Callable[[Tensor], Any] = lambda difference: difference.square().mean(),
) -> Any:
    return own * beta_tilde + part(difference)


best_variance = Exercise(
    name="kl_to_mse.best_variance",
    see="Two Gaussians with one job",
    right=_best_variance,
    wrong={
        "That is right if the means agree. Here they do not, and the KL falls if the model is "
        "wider.": {"part": lambda difference: 0.0},
        "One variance serves all d pixels: take the mean of the squares, not the sum.": {
            "part": lambda difference: difference.square().sum()
        },
        "The posterior's own variance is missing.": {"own": 0},
        "Half of it is lost: in the derivative both terms carry the factor 1/2.": {
            "part": lambda difference: difference.square().mean() / 2
        },
        "That is the standard deviation: sigma² was asked for.": (
            lambda beta_tilde, difference: _best_variance(beta_tilde, difference).sqrt()
        ),
        "Square the difference before you take its mean.": {"part": torch.mean},
    },
    praise="As wide as the posterior, plus the mean square of what the mean gets wrong.",
    cases=(
        given(0.01, torch.tensor([0.1, -0.2, 0.05, 0.0], dtype=torch.float64)),
        lambda chance: (float(uniform(chance, 0.01, 0.1)), normal(chance, 6)),
    ),
)


def _v(x_0: Tensor, eps: Tensor, a: Tensor, s: Tensor) -> Tensor:
    return a * eps - s * x_0


def _x_0(eps: Tensor, x_t: Tensor, a: Tensor, s: Tensor) -> Tensor:
    return (x_t - s * eps) / a


def _noised(chance: torch.Generator) -> tuple[Any, ...]:
    angle = uniform(chance, 0.3, 0.7)  # not 45°, where a is s
    return normal(chance, 3, 2), normal(chance, 3, 2), angle.cos(), angle.sin()


v_from_eps = Exercise(
    name="kl_to_mse.v_from_eps",
    see="A third thing to predict",
    right=lambda eps, x_t, a, s: _v(_x_0(eps, x_t, a, s), eps, a, s),
    wrong={
        "You put x_t where the definition has x_0.": lambda eps, x_t, a, s: _v(x_t, eps, a, s),
        "Divide by a: x_0 is (x_t − s eps) / a.": lambda eps, x_t, a, s: eps - s * x_t,
        "The sign: v grows with the noise and falls with the picture.": (
            lambda eps, x_t, a, s: -_v(_x_0(eps, x_t, a, s), eps, a, s)
        ),
        "Signal and noise are exchanged: v is a eps − s x_0.": (
            lambda eps, x_t, a, s: _v(eps, _x_0(eps, x_t, a, s), a, s)
        ),
        "That is x_0, the first half of the way: now insert it into the definition of v.": _x_0,
        "This divides by s. From the noise, the picture is read with a division by a.": (
            lambda eps, x_t, a, s: (eps - a * x_t) / s
        ),
    },
    praise="Exactly v, and 0/0 where no signal is left.",
    cases=(always(_noised), _noised),
)


def _estimate(squares: Tensor, t: Tensor, P: Tensor, w: Tensor) -> Tensor:
    return w[t] * squares / P[t]


def _draws(chance: torch.Generator) -> tuple[Any, ...]:
    T = 10
    beta = linear(T, 0.01, 0.3).beta
    w = torch.cat([beta.new_zeros(2), beta[2:].flip(0)])
    P = torch.cat([beta.new_zeros(2), beta[2:] / beta[2:].sum()])
    t = torch.randint(2, T + 1, (6,), generator=chance)
    return uniform(chance, 0.1, 1, 6), t, P, w


estimate = Exercise(
    name="kl_to_mse.estimate",
    see="One network for all times",
    right=_estimate,
    wrong={
        "The mean of this is weighted by P: divide by the probability of what was drawn.": (
            lambda squares, t, P, w: w[t] * squares
        ),
        "T − 1 is right for uniform draws only: here the times have probabilities P.": (
            lambda squares, t, P, w: (len(w) - 2) * w[t] * squares
        ),
        "Divide by P: what is drawn often must count less, not more.": (
            lambda squares, t, P, w: w[t] * squares * P[t]
        ),
        "The weight is missing.": lambda squares, t, P, w: squares / P[t],
        "That is the loss with weight one.": lambda squares, t, P, w: squares,
        "Here is a mean already. Return one number for each draw.": (
            lambda squares, t, P, w: _estimate(squares, t, P, w).mean()
        ),
    },
    praise="Unbiased for any P. In proportion to w, only the errors scatter.",
    cases=(always(_draws), _draws),
)
