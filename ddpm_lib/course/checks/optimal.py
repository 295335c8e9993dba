"""Exercises of chapter 8, the best denoiser."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise
from ddpm_lib.course.checks.cases import always, normal, single, whole
from ddpm_lib.schedules import linear

_schedule = linear()
_alpha_bar, _snr = _schedule.alpha_bar[1:], _schedule.snr


def _noise(x_0: float) -> float:
    """What makes x_t = 0.5 of x_0."""
    return (0.5 - 0.6 * x_0) / 0.8


_PIXEL = math.tanh(0.6 * 0.5 / 0.8**2)

two_values = Exercise(
    name="optimal.two_values",
    see="A guess that no picture has",
    right=_noise(_PIXEL),
    wrong={
        "That is the best guess of the pixel: one line is left, from the pixel to its noise.": (
            _PIXEL
        ),
        "That goes with x_0 = 1, the likelier value. The best guess is a mean of both.": _noise(1),
        "You took the mean of x_0 before x_t was seen, which is 0.": _noise(0),
        "The exponent has s² in it, the variance, not s.": _noise(math.tanh(0.6 * 0.5 / 0.8)),
        "The half in the exponent is gone once the square is multiplied out.": (
            _noise(math.tanh(0.6 * 0.5 / (2 * 0.8**2)))
        ),
        "Divide by s at the end: the noise enters x_t scaled by s.": 0.8 * _noise(_PIXEL),
        "The probability of x_0 = 1 is not yet the mean: −1 has a probability too.": (
            _noise((1 + _PIXEL) / 2)
        ),
    },
    praise="A noise that certainly was not drawn, and still the best answer.",
    rtol=5e-3,
)


def _floor(v: float) -> Tensor:
    return v * _alpha_bar / (v * _alpha_bar + 1 - _alpha_bar)


average_floor = Exercise(
    name="optimal.average_floor",
    see="The floor of the loss",
    right=_floor(0.25).mean(),
    wrong={
        "That is the floor for variance 1.": _floor(1).mean(),
        "You squared 1/4: it is the variance already.": _floor(0.25**2).mean(),
        "You took the root of 1/4: v is the variance, not the standard deviation.": (
            _floor(0.5).mean()
        ),
        "That is the share of the noise, 1 minus the floor.": (1 - _floor(0.25)).mean(),
        "That is the floor for predicting x_0. The one for the noise is SNR times larger.": (
            (_floor(0.25) / _snr[1:]).mean()
        ),
        "You counted t = 0 too, where no noise is in x_t.": (_floor(0.25).sum() + 1) / 1001,
    },
    praise="About 0.173: a reported 0.10 cannot be right.",
    rtol=2e-3,
)

At = Callable[[int], Any]  # of a time


def _beta_over_s(t: int) -> Tensor:
    return _schedule.beta[t] / _schedule.one_minus_alpha_bar[t].sqrt()


def _step_mean(
    x_t: Tensor,
    t: int,
    noise: Tensor,
    *,
    amount: At = lambda t: _schedule.beta[t].sqrt(),
    divisor: At = lambda t: _schedule.alpha[t].sqrt(),
) -> Tensor:
    return (x_t - amount(t) * noise) / divisor(t)


def _seen(chance: torch.Generator) -> tuple[Any, ...]:
    return normal(chance, 3, 2), whole(chance, 100, 500), normal(chance, 3, 2)


step_mean = Exercise(
    name="optimal.step_mean",
    see="Why noise can be predicted",
    right=_step_mean,
    wrong={
        "β / s belongs to the guess of all noise; express that by the guess of this step's.": (
            {"amount": _beta_over_s}
        ),
        "The step was divided by nothing: x_{t−1} was shrunk by √α before the noise came.": (
            {"divisor": lambda t: 1.0}
        ),
        "The noise of a step enters with √β, its standard deviation, not with β.": {
            "amount": lambda t: _schedule.beta[t]
        },
        "That takes out s times the noise: right for all noise, not for one step's.": {
            "amount": lambda t: _schedule.one_minus_alpha_bar[t].sqrt()
        },
        "The ratio is the other way round: E[ε̄ | x_t] is the larger one.": {
            "amount": lambda t: _beta_over_s(t) ** 2 / _schedule.beta[t].sqrt()
        },
    },
    praise="This is the forward step, solved for x_{t−1}.",
    cases=(always(_seen), _seen, single(_seen)),
)


def _drowns(factor: float) -> int:
    return int((factor * _snr < 1).nonzero().min())


_RHO, _D = 0.3, 96 * 96
_FIRST = _drowns(0.25 * (1 + (_D - 1) * _RHO))

mean_drowns = Exercise(
    name="optimal.mean_drowns",
    see="One number that all pixels share",
    right=_FIRST,
    wrong={
        "That is the t for a single pixel.": _drowns(0.25),
        "You left out the variance v of a pixel.": _drowns(1 + (_D - 1) * _RHO),
        "96×96 pixels are 9216.": _drowns(0.25 * (1 + 95 * _RHO)),
        "That would be right if all pixels were equal, with correlation 1.": _drowns(0.25 * _D),
        "That is the last t at which the signal leads: the first one after it is asked.": (
            _FIRST - 1
        ),
        "You compared amplitudes: the SNR compares variances.": (
            _drowns(math.sqrt(0.25 * (1 + (_D - 1) * _RHO)))
        ),
    },
    praise="The mean of a large picture outlives its details by hundreds of steps.",
    rtol=1e-9,
)
