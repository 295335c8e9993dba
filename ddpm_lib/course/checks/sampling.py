"""Exercises of chapter 14, sampling."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise
from ddpm_lib.course.checks.cases import always, given, normal, uniform
from ddpm_lib.schedules import cosine

_schedule = cosine()
_beta, _alpha, _alpha_bar = _schedule.beta, _schedule.alpha, _schedule.alpha_bar
_s_squared, _beta_tilde = _schedule.one_minus_alpha_bar, _schedule.beta_tilde

_GOLDEN = (sqrt(5) - 1) / 2

unchanged = Exercise(
    name="sampling.unchanged",
    see="What clipping is for",
    right=_GOLDEN,
    wrong={
        "You left out the root: the factor is beta over the root of 1 − beta.": 0.5,
        "With this the factor is beta alone. It is divided by the root of 1 − beta.": 1.0,
        "That is the other root of the quadratic equation: a variance is positive.": -1 - _GOLDEN,
        "That is alpha_T. Asked is beta_T, 1 minus it.": 1 - _GOLDEN,
        "That is a standard deviation: beta is its square.": sqrt(_GOLDEN),
    },
    praise="The golden ratio. A cosine schedule ends with 0.999.",
    rtol=2e-3,
)


def _bytes(
    x: Tensor,
    *,
    limit: Callable[[Tensor], Tensor] = lambda levels: levels.clamp(0, 255),
    whole: Callable[[Tensor], Tensor] = torch.round,
) -> Tensor:
    return limit(whole(127.5 * (x + 1))).to(torch.uint8)


def _wrapped(levels: Tensor) -> Tensor:
    return levels.long() % 256


def _stretched(x: Tensor) -> Tensor:
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return ((x - low) / (high - low) * 255).round().to(torch.uint8)


def _levels(chance: torch.Generator) -> tuple[Tensor]:
    """Pictures with values beyond the ends, and none half way between two levels."""
    levels = torch.randint(-40, 296, (2, 1, 3, 4), generator=chance)
    return (((levels + uniform(chance, -0.4, 0.4, *levels.shape)) / 127.5 - 1).float(),)


_X = torch.tensor([-1.3, -1.02, -1, -0.41, 0, 0.25, 0.499, 0.998, 1, 1.02, 1.7, 0.05])

to_bytes = Exercise(
    name="sampling.to_bytes",
    see="From numbers to gray",
    right=_bytes,
    wrong={
        "Values outside wrap around, 1.02 becomes 1: clamp before you convert.": {
            "limit": _wrapped,
            "whole": torch.trunc,
        },
        "Values outside wrap around even if rounded: clamp before you convert.": {
            "limit": _wrapped
        },
        "Clamped, but the fraction is dropped: round to the nearest level.": {"whole": torch.trunc},
        "This stretches each picture to its own darkest and lightest pixel.": _stretched,
        "This takes 0 for black. In our pictures black is −1.": (
            lambda x: (x.clamp(0, 1) * 255).round()
        ),
        "The levels are right, but not yet clamped or converted.": lambda x: 127.5 * (x + 1),
    },
    praise="Every value in its place.",
    cases=(given(_X.reshape(2, 1, 2, 3)), _levels),
)


def _best_variance(
    t: Tensor,
    loss: Tensor,
    *,
    small: Tensor = _beta_tilde,
    extra: Callable[[Tensor, Tensor], Tensor] = lambda t, loss: (
        _beta[t] ** 2 / (_alpha[t] * _s_squared[t]) * loss
    ),
) -> Tensor:
    return small[t] + extra(t, loss)


def _c_0(t: Tensor) -> Tensor:
    return _alpha_bar[t - 1].sqrt() * _beta[t] / _s_squared[t]


_T = torch.tensor([2, 10, 300, 700])


def _noted(chance: torch.Generator) -> tuple[Tensor, Tensor]:
    return torch.randint(50, 900, (4,), generator=chance), uniform(chance, 0.05, 0.7, 4)


best_variance = Exercise(
    name="sampling.best_variance",
    see="Which variance?",
    right=_best_variance,
    wrong={
        "This is the part of the loss alone: add the posterior's variance.": {
            "small": 0 * _beta_tilde
        },
        "The loss is an error of eps: as one of x_0 it is (s/a)² times as large.": {
            "extra": lambda t, loss: _c_0(t) ** 2 * loss
        },
        "c_0² V_t, where the loss was divided by (s/a)² instead of multiplied.": {
            "extra": lambda t, loss: _c_0(t) ** 2 * _schedule.snr[t] * loss
        },
        "V_t enters with the square of c_0.": {
            "extra": lambda t, loss: _c_0(t) / _schedule.snr[t] * loss
        },
        "beta_t is the forward step's: the posterior's variance is beta_tilde.": {"small": _beta},
        "The root of the loss: it is a mean square already, like V_t.": (
            lambda t, loss: _best_variance(t, loss.sqrt())
        ),
    },
    praise="Between beta_tilde and beta, where it belongs; for data of unit variance it is beta.",
    cases=(
        given(_T, torch.tensor([0.7, 0.55, 0.17, 0.06], dtype=torch.float64)),
        given(_T, _alpha_bar[_T]),
        _noted,
    ),
)


def _open_share(
    x: Tensor,
    fork: Tensor,
    *,
    ends: int = 2,
    whole: Any = lambda x: x.var(0).mean(),
    difference: Callable[[Tensor], Tensor] = torch.square,
) -> Tensor:
    return difference(x - fork).mean() / ends / whole(x)


def _walks(chance: torch.Generator) -> tuple[Tensor, Tensor]:
    middle = torch.linspace(-1, 1, 4, dtype=torch.float64).reshape(1, 1, 2, 2)
    shared, mine, other = normal(chance, 3, 2000, 1, 2, 2)
    return middle + shared + mine / 2, middle + shared + other / 2


open_share = Exercise(
    name="sampling.open_share",
    see="When is what decided?",
    right=_open_share,
    wrong={
        "Not halved: each of the two ends adds its own variance.": {"ends": 1},
        "That is the share already decided, one minus what was asked.": (
            lambda x, fork: 1 - _open_share(x, fork)
        ),
        "The variance over everything also counts how pixels differ from each other: take that of "
        "each pixel over the pictures.": {"whole": torch.var},
        "Not yet divided by the variance of the pixels.": {"whole": lambda x: 1},
        "That is a ratio of standard deviations. Variances are asked.": (
            lambda x, fork: _open_share(x, fork).sqrt()
        ),
        "The mean of the difference, not of its square, is zero on average.": {
            "difference": lambda apart: apart
        },
    },
    praise="A fifth was open, and the rest was decided before the fork.",
    cases=(always(_walks), _walks),
    rtol=1e-3,  # so that variances may divide by n instead of n - 1
)
