"""Checks for the exercises of chapter 13, training."""

from collections.abc import Callable
from math import log
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Mistake, judge


def per_pixel(value: Any) -> None:
    """Exercise: a loss of 92.16, summed over 3x32x32 numbers, as a mean over them."""
    judge(
        value,
        92.16 / 3072,
        {
            "The colors count too: a picture has 3 · 32 · 32 numbers.": 92.16 / 1024,
            "That divides by the side and the colors: the height is missing.": 92.16 / 96,
            "That divides by the side alone.": 92.16 / 32,
            "Divide: the sum is the larger one.": 92.16 * 3072,
            "No root: both are squares.": (92.16 / 3072) ** 0.5,
            "That is the first report's loss in the unit of the second.": 0.034 * 3072,
        },
        "And so the second report has the lower loss.",
        rtol=1e-3,
    )


def memory(m: Any) -> None:
    """Exercise: the memory of an average with a mean age of 20 steps."""
    judge(
        m,
        20 / 21,
        {
            "Its mean age is 19 steps: m / (1 − m) is 20, not 1 / (1 − m).": 0.95,
            "That is 1 − m: the share of the newest weights.": 1 / 21,
            "That is a half-life of 20 steps. The mean age is longer.": 0.5 ** (1 / 20),
            "That makes the age of 20 steps the point where e^-1 is left.": 2.718281828
            ** (-1 / 20),
            "The other way round: m / (1 − m) = 20.": 20.0,
            "That is the logarithm of a half-life.": log(2) / 20,
        },
        "m / (1 − m) is 20.",
        rtol=2e-4,
    )


def clip(function: Callable[[list[Tensor], float], list[Tensor]]) -> None:
    """Exercise: gradients of limited length.  function(gradients, longest) -> gradients"""
    g = [torch.tensor([[3.0, -1.0], [0.5, 2.0]]).double(), torch.tensor([4.0, 0.1]).double()]

    def flat(parts: list[Tensor]) -> Tensor:
        return torch.cat([part.flatten() for part in parts])

    answer, length = function(g, 2.0), flat(g).norm()
    if answer is ...:
        judge(..., 0.0, {}, "")
        return
    if not isinstance(answer, list | tuple) or len(answer) != len(g):
        raise Mistake("The answer is a list with as many tensors as came in.")
    judge(
        flat(list(answer)),
        flat(g) * 2 / length,
        {
            "That clips each tensor by its own length. One length for all: else the direction "
            "changes.": flat([x * (2 / x.norm()).clamp(max=1) for x in g]),
            "That clips each number. The direction changes: scale all by one factor.": (
                flat(g).clamp(-2, 2)
            ),
            "The length is the root of the sum of the squares: the root is missing.": (
                flat(g) * 2 / length**2
            ),
            "That makes the length 1, not `longest`.": flat(g) / length,
            "Nothing was shortened.": flat(g),
            "The length is not the sum of the absolute values.": flat(g) * 2 / flat(g).abs().sum(),
        },
        "Its length is what was allowed, its direction the same.",
    )
    judge(
        flat(list(function(g, 10.0))),
        flat(g),
        {
            "A gradient that is shorter than `longest` was stretched: leave it alone.": (
                flat(g) * 10 / length
            )
        },
        "And a short gradient stays as it is.",
    )


def velocity_reference(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise: what the best linear denoiser pays for v.  function(lam, alpha_bar_t) -> ()"""
    lam = torch.tensor([2.0, 0.5, 0.01], dtype=torch.float64)
    a2 = torch.tensor(0.3, dtype=torch.float64)
    noise = (a2 * lam / (a2 * lam + 1 - a2)).mean()
    judge(
        function(lam, a2),
        noise / a2,
        {
            "That is the reference for the noise. The error of v is 1 / a times as large.": noise,
            "That is the reference for x_0: divided by the SNR.": noise * (1 - a2) / a2,
            "Losses are squares: divide by alpha_bar_t, not by its root.": noise / a2.sqrt(),
            "The other way round: the error of v is the larger one.": noise * a2,
            "That is the sum over the axes: take the mean.": 3 * noise / a2,
            "That divides by 1 − alpha_bar_t: the error of v is that of the noise over a.": (
                noise / (1 - a2)
            ),
        },
        "From the noise it is the variance of the data.",
    )


def sixteen(on_sixteen: Any, on_others: Any) -> None:
    """Exercise: a network trained on sixteen digits: its losses on them and on others."""
    if on_sixteen is ... or on_others is ...:
        judge(..., 0.0, {}, "")
        return
    seen, unseen = float(on_sixteen), float(on_others)
    if not (0 < seen < 1.5 and 0 < unseen < 5):
        raise Mistake(f"Both are losses per pixel, got {seen:g} and {unseen:g}.")
    if unseen < seen:
        raise Mistake("The loss on the sixteen is the lower one: are the two in this order?")
    if seen > 0.6:
        raise Mistake("The network has learned hardly anything yet: more steps, or a higher rate.")
    if unseen < 1.1 * seen:
        raise Mistake(
            "The two are nearly the same. Was it trained on these sixteen alone? And are both "
            "means over many draws of t and noise?"
        )
    print(f"✓ It pays {unseen / seen:.1f} times as much for digits that it has not seen.")
