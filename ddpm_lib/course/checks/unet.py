"""Checks for the exercises of chapter 11, the first UNet."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_lib.course.checks import judge
from ddpm_lib.networks.embedding import TimePlane
from ddpm_lib.networks.tiny import TinyUNet


def next_size(size: Any) -> None:
    """Exercise: the smallest size from 100 on that can be halved four times."""
    judge(
        size,
        112,
        {
            "100 can be halved twice: 100, 50, 25. The UNet halves four times.": 100,
            "104 can be halved three times: 104, 52, 26, 13. One more is needed.": 104,
            "96 fits, but it is smaller than the pictures: padding makes them larger.": 96,
            "128 fits. It need not be a power of 2, though: a smaller size does as well.": 128,
            "That is how many pixels to add. The question is for the size.": 12,
        },
        "A multiple of 16, the next one.",
    )


def kernel_five(padding: Any, output_padding: Any, taps_even: Any, taps_odd: Any) -> None:
    """Exercise: how a transposed convolution of 5 with stride 2 doubles, and its taps."""
    if any(value is ... for value in (padding, output_padding, taps_even, taps_odd)):
        judge(..., 0, {}, "")
        return
    judge(
        [padding, output_padding],
        torch.tensor([2, 1]),
        {
            "2H − 1: one pixel is missing. The output padding adds it.": torch.tensor([2, 0]),
            "2H + 1: one pixel too many, and the output padding cannot take it away.": (
                torch.tensor([1, 0])
            ),
            "The equation is satisfied, but a padding is a whole number.": torch.tensor([1.5, 0]),
            "The equation is satisfied, but an output padding is not negative.": (
                torch.tensor([1, -1])
            ),
            "The equation is satisfied, but PyTorch wants an output padding below the stride.": (
                torch.tensor([3, 3])
            ),
            "That is the padding of a convolution which keeps its size, and nothing for the "
            "doubling: insert it into 2(H − 1) − 2p + 5 + o.": torch.tensor([2, 2]),
        },
        "Every size is doubled.",
    )
    judge(
        [taps_even, taps_odd],
        torch.tensor([3, 2]),
        {
            "The other way round: at j = 0 the remainder is 0, and the taps are 0, 2 and 4.": (
                torch.tensor([2, 3])
            ),
            "5 / 2 is the average. Each pixel has a whole number of taps.": (
                torch.tensor([2.5, 2.5])
            ),
            "Those are the taps of a picture. A line has the root of them.": torch.tensor([9, 4]),
            "All five taps reach every other pixel only if the stride is 1.": torch.tensor([5, 5]),
        },
        "And the taps are 3 and 2 in turn: a checkerboard.",
    )


STACKS = (
    [(3, 1, 1), (3, 1, 2), (3, 1, 4)],
    [(3, 2, 1), (5, 1, 3), (4, 3, 2), (2, 1, 5)],
    [(1, 2, 7), (3, 2, 2)],
)


def dilation(function: Callable[[list[tuple[int, int, int]]], Any]) -> None:
    """Exercise: the receptive field with dilations.  function([(k, s, d)]) -> width"""

    def widths(width: Callable[[int, int], int], own_stride: bool = False) -> Tensor:
        found = []
        for stack in STACKS:
            r = j = 1
            for k, s, d in stack:
                j *= s if own_stride else 1
                r += width(k, d) * j
                j *= 1 if own_stride else s
            found.append(r)
        return torch.tensor(found)

    answers = [function(list(stack)) for stack in STACKS]
    if any(answer is ... for answer in answers):
        judge(..., 0, {}, "")
        return
    judge(
        answers,
        widths(lambda k, d: (k - 1) * d),
        {
            "The dilation does nothing here: the taps are d neighbors apart.": (
                widths(lambda k, d: k - 1)
            ),
            "k taps have k − 1 gaps between them: (k − 1) d, not k d.": widths(lambda k, d: k * d),
            "k d − 1 would count the hole after the last tap. It is (k − 1) d.": (
                widths(lambda k, d: k * d - 1)
            ),
            "Nearly: a stride counts for the later layers, not for its own.": (
                widths(lambda k, d: (k - 1) * d, own_stride=True)
            ),
        },
        "Right for holes of any width.",
    )


def any_size(function: Callable[[Callable[..., Tensor], Tensor, Tensor], Any]) -> None:
    """Exercise: pad, predict, crop.  function(network, x_t, t) -> (B, C, H, W)"""
    chance = torch.Generator().manual_seed(0)
    network = TimePlane(TinyUNet(1, 4, extra=1)).double()
    with torch.no_grad():
        for weights in network.parameters():
            noise = torch.randn(weights.shape, generator=chance)
            weights.copy_(0.3 * noise)
    t = torch.tensor([10, 900])

    def picture(H: int, W: int) -> Tensor:
        return torch.randn(2, 1, H, W, generator=chance, dtype=torch.float64)

    def padded(x_t: Tensor, left: int = 0, top: int = 0, more: int = 0, **how: Any) -> Tensor:
        H, W = x_t.shape[2:]
        right, bottom = -W % 4 - left + more, -H % 4 - top + more
        return network(F.pad(x_t, (left, right, top, bottom), **how), t)

    x_t = picture(6, 9)
    with torch.no_grad():
        answer = function(network, x_t, t)
        before = padded(x_t, left=3, top=2)
        judge(
            answer,
            padded(x_t)[:, :, :6, :9],
            {
                "The zeros are still there: take them off the result.": padded(x_t),
                "The zeros were added at the right and at the bottom, but taken off at the left "
                "and at the top.": padded(x_t)[:, :, 2:, 3:],
                "The zeros belong to the right and to the bottom, these are at the left and at "
                "the top.": before[:, :, 2:, 3:],
                "The edge is repeated here. The exercise asks for zeros.": (
                    padded(x_t, mode="replicate")[:, :, :6, :9]
                ),
                "There are more zeros than needed: four more on each side.": (
                    padded(x_t, more=4)[:, :, :6, :9]
                ),
            },
            "The size of the picture comes back.",
        )
        if answer is not ...:
            x_t = picture(8, 4)
            judge(
                function(network, x_t, t),
                network(x_t, t),
                {
                    "A size that fits needs no zeros: 4 − H % 4 is 4 there, −H % 4 is 0.": (
                        padded(x_t, more=4)[:, :, :8, :4]
                    ),
                },
                "And a size that fits is left alone.",
            )
