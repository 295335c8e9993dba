"""Exercises of chapter 13, training."""

from collections.abc import Callable
from math import exp, log
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise, Mistake, judge
from ddpm_lib.course.checks.cases import given, normal, uniform

per_pixel = Exercise(
    name="training.per_pixel",
    see="In which unit?",
    right=92.16 / 3072,
    wrong={
        "The colors count too: a picture has 3 · 32 · 32 numbers.": 92.16 / 1024,
        "That divides by the side and the colors: the height is missing.": 92.16 / 96,
        "That divides by the side alone.": 92.16 / 32,
        "Divide: the sum is the larger one.": 92.16 * 3072,
        "No root: both are squares.": (92.16 / 3072) ** 0.5,
        "That is the first report's loss in the unit of the second.": 0.034 * 3072,
    },
    praise="And so the second report has the lower loss.",
    rtol=1e-3,
)

memory = Exercise(
    name="training.memory",
    see="Averaged weights",
    right=20 / 21,
    wrong={
        "Its mean age is 19 steps: m / (1 − m) is 20, not 1 / (1 − m).": 0.95,
        "That is 1 − m: the share of the newest weights.": 1 / 21,
        "That is a half-life of 20 steps. The mean age is longer.": 0.5 ** (1 / 20),
        "That makes the age of 20 steps the point where e^-1 is left.": exp(-1 / 20),
        "The other way round: m / (1 − m) = 20.": 20.0,
        "That is the logarithm of a half-life.": log(2) / 20,
    },
    praise="m / (1 − m) is 20.",
    rtol=2e-4,
)


def _length(gradients: list[Tensor]) -> Tensor:
    return torch.cat([g.flatten() for g in gradients]).norm()


def _clip(
    gradients: list[Tensor],
    longest: float,
    *,
    factor: Callable[[list[Tensor], float], Any] = lambda gradients, longest: (
        longest / _length(gradients)
    ),
    at_most: float = 1,
) -> list[Tensor]:
    return [g * min(factor(gradients, longest), at_most) for g in gradients]


def _each(gradients: list[Tensor], longest: float) -> list[Tensor]:
    return [_clip([g], longest)[0] for g in gradients]


_GRADIENTS = [
    torch.tensor([[3.0, -1.0], [0.5, 2.0]], dtype=torch.float64),
    torch.tensor([4.0, 0.1], dtype=torch.float64),
]

clip = Exercise(
    name="training.clip",
    see="Gradients of limited length",
    right=_clip,
    wrong={
        "That clips each tensor by its own length. One length for all: else the direction "
        "changes.": _each,
        "That clips each number. The direction changes: scale all by one factor.": (
            lambda gradients, longest: [g.clamp(-longest, longest) for g in gradients]
        ),
        "The length is the root of the sum of the squares: the root is missing.": {
            "factor": lambda gradients, longest: longest / _length(gradients) ** 2
        },
        "That makes the length 1, not `longest`.": {
            "factor": lambda gradients, longest: 1 / _length(gradients)
        },
        "Nothing was shortened.": lambda gradients, longest: gradients,
        "The length is not the sum of the absolute values.": {
            "factor": lambda gradients, longest: longest / sum(g.abs().sum() for g in gradients)
        },
        "A gradient that is shorter than `longest` was stretched: leave it alone.": {
            "at_most": float("inf")
        },
    },
    praise="Its length is what was allowed, its direction the same. A short one stays as it is.",
    cases=(
        given(_GRADIENTS, 2.0),
        given(_GRADIENTS, 10.0),
        lambda chance: ([5 * normal(chance, 3, 2), 5 * normal(chance, 4)], 1.5),
    ),
)


def _noise(lam: Tensor, bar: Tensor) -> Tensor:
    """What the best linear denoiser pays for the noise."""
    return (bar * lam / (bar * lam + 1 - bar)).mean()


velocity_reference = Exercise(
    name="training.velocity_reference",
    see="Is my loss right?",
    right=lambda lam, bar: _noise(lam, bar) / bar,
    wrong={
        "That is the reference for the noise. The error of v is 1 / a times as large.": _noise,
        "That is the reference for x_0: divided by the SNR.": (
            lambda lam, bar: _noise(lam, bar) * (1 - bar) / bar
        ),
        "Losses are squares: divide by alpha_bar_t, not by its root.": (
            lambda lam, bar: _noise(lam, bar) / bar.sqrt()
        ),
        "The other way round: the error of v is the larger one.": (
            lambda lam, bar: _noise(lam, bar) * bar
        ),
        "That is the sum over the axes: take the mean.": (
            lambda lam, bar: len(lam) * _noise(lam, bar) / bar
        ),
        "That divides by 1 − alpha_bar_t: the error of v is that of the noise over a.": (
            lambda lam, bar: _noise(lam, bar) / (1 - bar)
        ),
    },
    praise="From the noise it is the variance of the data.",
    cases=(
        given(*(torch.tensor(x, dtype=torch.float64) for x in ([2.0, 0.5, 0.01], 0.3))),
        lambda chance: (uniform(chance, 0.01, 3, 5), uniform(chance, 0.1, 0.4)),
    ),
)


def _losses(both: list[Any]) -> dict[str, float]:
    if any(isinstance(loss, Tensor) and loss.numel() > 1 for loss in both):
        raise Mistake("Each loss is one number: take the mean over the draws.")
    seen, unseen = map(float, both)
    if not (0 < seen < 1.5 and 0 < unseen < 5):
        raise Mistake(
            "Both are losses per pixel, got {seen:g} and {unseen:g}.", seen=seen, unseen=unseen
        )
    if unseen < seen:
        raise Mistake("The loss on the sixteen is the lower one: are the two in this order?")
    if seen > 0.6:
        raise Mistake("The network has learned hardly anything yet: more steps, or a higher rate.")
    if unseen < 1.1 * seen:
        raise Mistake(
            "The two are nearly the same. Was it trained on these sixteen alone? And are both "
            "means over many draws of t and noise?"
        )
    return {"ratio": unseen / seen}


losses_of_sixteen = Exercise(
    name="training.sixteen",
    see="A floor that is known",
    praise="It pays {ratio:.1f} times as much for digits that it has not seen.",
    probe=_losses,
)


def sixteen(on_sixteen: Any, on_others: Any) -> None:
    judge(losses_of_sixteen, [on_sixteen, on_others])
