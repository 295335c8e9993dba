"""Checks for the exercises of chapter 8, the best denoiser."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge
from ddpm_lib.schedules import linear

_schedule = linear()
_alpha_bar, _snr = _schedule.alpha_bar[1:], _schedule.snr


def two_values(guess: Any) -> None:
    """Exercise: the best guess of the noise for x_0 = ±1, a = 0.6, s = 0.8 and x_t = 0.5."""
    a, s, x_t = 0.6, 0.8, 0.5

    def noise(x_0: float) -> float:
        return (x_t - a * x_0) / s

    pixel = math.tanh(a * x_t / s**2)
    judge(
        guess,
        noise(pixel),
        {
            "That is the best guess of the pixel: one line is left, from the pixel to its noise.": (
                pixel
            ),
            "That goes with x_0 = 1, the likelier value. The best guess is a mean of both.": (
                noise(1)
            ),
            "You took the mean of x_0 before x_t was seen, which is 0.": noise(0),
            "The exponent has s² in it, the variance, not s.": noise(math.tanh(a * x_t / s)),
            "The half in the exponent is gone once the square is multiplied out.": (
                noise(math.tanh(a * x_t / (2 * s**2)))
            ),
            "Divide by s at the end: the noise enters x_t scaled by s.": s * noise(pixel),
            "The probability of x_0 = 1 is not yet the mean: −1 has a probability too.": (
                noise((1 + pixel) / 2)
            ),
        },
        "A noise that certainly was not drawn, and still the best answer.",
        rtol=5e-3,
    )


def average_floor(value: Any) -> None:
    """Exercise: the floor of the loss for N(0, 1/4) data, as a mean over t = 1..1000."""

    def floor(v: float) -> Tensor:
        return v * _alpha_bar / (v * _alpha_bar + 1 - _alpha_bar)

    right = floor(0.25)
    judge(
        value,
        right.mean(),
        {
            "That is the floor for variance 1.": floor(1).mean(),
            "You squared 1/4: it is the variance already.": floor(0.25**2).mean(),
            "You took the root of 1/4: v is the variance, not the standard deviation.": (
                floor(0.5).mean()
            ),
            "That is the share of the noise, 1 minus the floor.": (1 - right).mean(),
            "That is the floor for predicting x_0. The one for the noise is SNR times larger.": (
                (right / _snr[1:]).mean()
            ),
            "You counted t = 0 too, where no noise is in x_t.": (right.sum() + 1) / 1001,
        },
        "About 0.173: a reported 0.10 cannot be right.",
        rtol=2e-3,
    )


def step_mean(function: Callable[[Tensor, int, Tensor], Tensor]) -> None:
    """Exercise: the mean of x_{t-1} from E[eps_t | x_t].  function(x_t, t, step_noise) -> mean"""
    t = 300
    x_t = torch.tensor([0.7, -1.1, 0.2], dtype=torch.float64)
    noise = torch.tensor([0.05, -0.2, 0.1], dtype=torch.float64)
    beta, alpha = _schedule.beta[t], _schedule.alpha[t]
    s = _schedule.one_minus_alpha_bar[t].sqrt()
    judge(
        function(x_t, t, noise),
        (x_t - beta.sqrt() * noise) / alpha.sqrt(),
        {
            "β / s belongs to the guess of all noise; express that by the guess of this step's.": (
                (x_t - beta / s * noise) / alpha.sqrt()
            ),
            "The step was divided by nothing: x_{t−1} was shrunk by √α before the noise came.": (
                x_t - beta.sqrt() * noise
            ),
            "The noise of a step enters with √β, its standard deviation, not with β.": (
                (x_t - beta * noise) / alpha.sqrt()
            ),
            "That takes out s times the noise: right for all noise, not for one step's.": (
                (x_t - s * noise) / alpha.sqrt()
            ),
            "The ratio is the other way round: E[ε̄ | x_t] is the larger one.": (
                (x_t - beta / s * (beta.sqrt() / s) * noise) / alpha.sqrt()
            ),
        },
        "This is the forward step, solved for x_{t−1}.",
    )


def mean_drowns(first: Any) -> None:
    """Exercise: the first t with SNR below 1 for the mean of 96×96 pixels, v = 1/4, rho = 0.3."""

    def drowns(factor: float) -> int:
        return int((factor * _snr < 1).nonzero().min())

    d, v, rho = 96 * 96, 0.25, 0.3
    right = drowns(v * (1 + (d - 1) * rho))
    judge(
        first,
        right,
        {
            "That is the t for a single pixel.": drowns(v),
            "You left out the variance v of a pixel.": drowns(1 + (d - 1) * rho),
            "96×96 pixels are 9216.": drowns(v * (1 + 95 * rho)),
            "That would be right if all pixels were equal, with correlation 1.": drowns(v * d),
            "That is the last t at which the signal leads: the first one after it is asked.": (
                right - 1
            ),
            "You compared amplitudes: the SNR compares variances.": (
                drowns(math.sqrt(v * (1 + (d - 1) * rho)))
            ),
        },
        "The mean of a large picture outlives its details by hundreds of steps.",
        rtol=1e-9,
    )
