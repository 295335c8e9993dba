"""Exercises of chapter 5, the way back if you do not know the start."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise, judge
from ddpm_lib.course.checks.cases import given, normal, uniform, whole
from ddpm_lib.schedules import linear

_alpha_bar = linear().alpha_bar

_at_u, _at_t = _alpha_bar[100], _alpha_bar[300]
_beta = 1 - _at_t / _at_u
_beta_tilde = _beta * (1 - _at_u) / (1 - _at_t)
_c_0 = _at_u.sqrt() * _beta / (1 - _at_t)

two_points_doubt = Exercise(
    name="reverse.two_points_doubt",
    see="The same kernel as an average",
    right=1.0,
    wrong={
        "Known x_0 would have variance 0, but at x_300 = 0 it may be either point.": 0.0,
        "That is Var[x_0] for two outcomes 0 and 1; here they are −1 and 1.": 0.25,
        "1 − alpha_bar is the variance of x_300 given x_0; turn it round.": 1 - _at_t,
    },
    praise="Both points are equally probable, so the variance is that of ±1.",
    rtol=5e-3,
)

two_points_variance = Exercise(
    name="reverse.two_points_variance",
    see="Mean and variance without approximation",
    right=_beta_tilde + _c_0**2,
    wrong={
        "That is beta_tilde, right if x_0 were known: add what the doubt about x_0 adds.": (
            _beta_tilde
        ),
        "The factor of x_0 comes out of a variance squared.": _beta_tilde + _c_0,
        "beta_tilde and Var[x_0 | x_300] added: x_0 enters x_100 with the factor c_0.": (
            _beta_tilde + 1
        ),
        "That is the doubt alone: given x_0 there is still beta_tilde.": _c_0**2,
        "That is beta, the variance of the way forward.": _beta,
    },
    praise="Nearly all of it is doubt about which of the two points it was.",
    rtol=5e-3,
)


def two_points(doubt: Any, variance: Any) -> None:
    judge(two_points_doubt, doubt)
    judge(two_points_variance, variance)


def _responsibilities(
    x_t: Tensor,
    a_t: Tensor,
    w: Tensor,
    m: Tensor,
    width: Tensor,
    *,
    prior: float = 1,
    shrink: float = 0.5,
    variance: Callable[[Tensor, Tensor], Tensor] = lambda a_t, width: a_t * width**2 + 1 - a_t,
    factor: float = -0.5,
    total: Callable[[Tensor], Any] = lambda bells: bells.sum(1, keepdim=True),
) -> Tensor:
    v = variance(a_t, width)
    bells = torch.exp(-((x_t[:, None] - a_t**shrink * m) ** 2) / (2 * v))
    bells = w**prior * (2 * math.pi * v) ** factor * bells
    return bells / total(bells)


def _humps(chance: torch.Generator) -> tuple[Any, ...]:
    w = uniform(chance, 0.5, 2, 3)
    x_t, m, width = normal(chance, 4), normal(chance, 3), uniform(chance, 0.1, 0.9, 3)
    return x_t, _alpha_bar[whole(chance, 100, 400)], w / w.sum(), m, width


responsibilities = Exercise(
    name="reverse.responsibilities",
    see="A mixture, solved",
    right=_responsibilities,
    wrong={
        "These are the prior weights: let x_t speak.": (
            lambda x_t, a_t, w, m, width: w.expand(len(x_t), len(w))
        ),
        "Divide by the sum over the humps, so that the weights add to 1.": {
            "total": lambda bells: 1
        },
        "You divided by the sum over the points; it is the humps that compete.": {
            "total": lambda bells: bells.sum(0)
        },
        "The prior weights are missing: these humps are not equally frequent.": {"prior": 0},
        "The factor 1/√v before the bell is missing, and the humps differ in width.": {"factor": 0},
        "The means of x_t are shrunk by √alpha_bar, those of x_0 are not.": {"shrink": 0},
        "The variance of a hump at time t holds its own width too, not only the noise.": {
            "variance": lambda a_t, width: (1 - a_t).expand(len(width))
        },
        "The width of a hump is a standard deviation: square it.": {
            "variance": lambda a_t, width: a_t * width + 1 - a_t
        },
        "These are the widths of x_0; noise has widened the humps.": {
            "variance": lambda a_t, width: width**2
        },
    },
    praise="Right for every x_t, and far away the widest hump takes all.",
    cases=(
        given(
            torch.tensor([-3.0, -0.4, 0.0, 0.7, 4.0], dtype=torch.float64),
            _alpha_bar[200],
            *torch.tensor([[0.2, 0.5, 0.3], [-1.0, 0.2, 1.5], [0.8, 0.1, 0.3]]).double(),
        ),
        _humps,
    ),
)


def _valley(
    a_t: Tensor,
    width: Tensor,
    *,
    place: Callable[[Tensor, Tensor], Tensor] = lambda a_t, width: a_t * (1 - width**2),
    variance: Callable[[Tensor, Tensor], Tensor] = lambda a_t, width: a_t * width**2 + 1 - a_t,
    power: int = 2,
) -> Tensor:
    v = variance(a_t, width)
    return place(a_t, width) / v**power - 1 / v


def _times(chance: torch.Generator) -> tuple[Any, ...]:
    times = [whole(chance, low, low + 200) for low in (10, 210, 410)]
    return _alpha_bar[times], uniform(chance, 0.1, 0.9)


valley = Exercise(
    name="reverse.valley",
    see="A mixture, solved",
    right=_valley,
    wrong={
        "This is the curvature of one hump alone; the other one pulls as well.": {
            "place": lambda a_t, width: 0 * a_t
        },
        "The sign: the humps bend log q upwards between them.": (
            lambda a_t, width: -_valley(a_t, width)
        ),
        "The distance of the humps is measured in units of v: divide by v², not by v.": {
            "power": 1
        },
        "The humps stand at ±√(alpha_bar (1 − width²)), not at ±√alpha_bar.": {
            "place": lambda a_t, width: a_t
        },
        "The humps of x_t stand at ±√alpha_bar m, not at ±m.": {
            "place": lambda a_t, width: 1 - width**2
        },
        "The variance of a hump at time t is alpha_bar width² + 1 − alpha_bar.": {
            "variance": lambda a_t, width: 1 - a_t
        },
    },
    praise="(1 − 2v)/v², and adding 1 gives a square: always above −1.",
    cases=(
        given(_alpha_bar[[10, 100, 300, 600]], torch.tensor(0.2, dtype=torch.float64)),
        _times,
    ),
)

budget_best = Exercise(
    name="reverse.budget_best",
    see="How fast the gap closes",
    right=7800,
    wrong={
        "The sum falls with the square of T, so T grows with the root of the factor.": 61_000,
        "That would be order 3: each step falls like T⁻³, but there are T of them.": (
            1000 * 61 ** (1 / 3)
        ),
        "That is how many times more steps; the table's last row has 1000.": 7.8,
    },
    praise="About eight thousand.",
    rtol=0.03,
)

budget_fixed = Exercise(
    name="reverse.budget_fixed",
    see="How fast the gap closes",
    right=7.9e6,
    wrong={
        "With a fixed variance the sum falls like 1/T, not like 1/T².": 1000 * 7900**0.5,
        "That is how many times more steps; the table's last row has 1000.": 7900,
    },
    praise="About eight million, a thousand times as many.",
    rtol=0.03,
)


def budget(best: Any, fixed: Any) -> None:
    judge(budget_best, best)
    judge(budget_fixed, fixed)
