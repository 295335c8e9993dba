"""Checks for the exercises of chapter 12, residual blocks, normalization, attention."""

from collections.abc import Callable, Collection
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_lib.course.checks import Mistake, judge
from ddpm_lib.networks import zero


def equal_cost(pixels: Any) -> None:
    """Exercise: the pixels at which attention costs a 3×3 convolution, for 64 channels."""
    C = 64
    judge(
        pixels,
        2.5 * C,
        {
            "The four matrices of the attention cost something too: 4 n C².": 4.5 * C,
            "Two products have n² C multiplications: the scores, and the weighted sums.": 5.0 * C,
            "That is a convolution against the scores alone: add the four matrices and the "
            "weighted sums.": 9.0 * C,
            "That is the side of the picture. The question is for the number of pixels.": (
                sqrt(2.5 * C)
            ),
            "Four matrices, not three: one more follows the weighted sums.": 3.0 * C,
        },
        "Less than 13×13 pixels.",
    )


def rooted(factor: Any) -> None:
    """Exercise: the path through 20 shortcuts, each divided by the root of 2."""
    judge(
        factor,
        2.0**-10,
        {
            "Each block divides by the root of 2. This divides by 2.": 2.0**-20,
            "That would be so without the roots.": 1.0,
            "That is a single block: there are 20.": sqrt(0.5),
            "That is the sum over all paths, which keeps the variance. Take the one path that "
            "goes through shortcuts only.": 2.0**10,
        },
        "The variance is kept, and the shortcut nearly closed.",
        rtol=0.03,
    )


def heads(function: Callable[[Tensor, Tensor, Tensor, int], Tensor]) -> None:
    """Exercise: attention with several heads.  function(q, k, v, heads) -> (B, HW, C)"""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 6, 8, generator=generator, dtype=torch.float64)

    def several(split: Callable[[Tensor], Tensor], width: int, dim: int = -1) -> Tensor:
        a, b, c = (split(x) for x in (q, k, v))  # (B, heads, HW, C / heads)
        return torch.softmax(a @ b.mT / sqrt(width), dim=dim) @ c

    def chunks(x: Tensor) -> Tensor:
        return x.unflatten(2, (4, 2)).transpose(1, 2)

    def reshaped(x: Tensor) -> Tensor:
        return x.reshape(2, 4, 6, 2)

    def together(x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)

    right = several(chunks, 2)
    judge(
        function(q, k, v, 4),
        together(right),
        {
            "That is one head: the scores of all channels are added before the softmax.": (
                together(several(lambda x: x[:, None], 8))
            ),
            "Divide by the root of the channels of one head, not of all.": (
                together(several(chunks, 8))
            ),
            "A reshape without a transpose: parts of different pixels come into one row.": (
                several(reshaped, 2).reshape(2, 6, 8)
            ),
            "The heads are right. Undo the transpose before you set them beside each other.": (
                right.reshape(2, 6, 8)
            ),
            "The softmax runs over the queries: its weights must sum to 1 over the keys.": (
                together(several(chunks, 2, dim=-2))
            ),
            "The heads are averaged: set them beside each other.": (right.mean(1).repeat(1, 1, 4)),
        },
        "Each head attends by itself.",
    )


def silent(function: Callable[[nn.Module, Callable[[nn.Module], Tensor]], Any]) -> None:
    """Exercise: which parameters never get a gradient.  function(network, loss) -> names"""
    network = _Nested()
    names = [name for name, _ in network.named_parameters()]
    found = function(network, _loss())
    if found is ...:
        judge(..., 0, {}, "")
        return
    if isinstance(found, str) or not isinstance(found, Collection):
        raise Mistake(f"Return the names, as a list or a set, got {found!r}.")
    strange = [name for name in found if name not in names]
    if strange:
        raise Mistake(
            f"{strange[0]!r} is no name of a parameter: take those of named_parameters()."
        )

    def marked(those: Collection[str]) -> Tensor:
        return torch.tensor([float(name in those) for name in names])

    unused = {name for name in names if name.startswith("unused")}
    after_one = {name for name in names if not name.startswith("head")}
    after_two = unused | {name for name in names if name.startswith("first")}
    judge(
        marked(found),
        marked(unused),
        {
            "That is what one step shows: behind a layer of zeros the gradient is zero as well. "
            "Let the optimizer move the zeros, and look again.": marked(after_one),
            "Two steps are not enough where zeros are nested: here, as in the UNet, the gradient "
            "needs three.": marked(after_two),
            "Those are the parameters that get a gradient. The others are asked for.": (
                marked(set(names) - unused)
            ),
            "None is found. A layer that is not called has None as its gradient, and it must be "
            "reported.": marked([]),
        },
        "Both layers that are never called are found, and no other.",
    )


class _Nested(nn.Module):
    """x + f(x) under a head, the ends of both at zero, and two layers that are never called."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Linear(4, 4)
        self.last = zero(nn.Linear(4, 4))
        self.head = zero(nn.Linear(4, 4))
        self.unused = nn.Linear(4, 4)
        self.unused_norm = nn.GroupNorm(1, 4)
        with torch.no_grad():
            for layer in (self.first, self.unused):
                layer.weight.copy_(torch.randn(4, 4, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.last(torch.tanh(self.first(x))))


def _loss() -> Callable[[nn.Module], Tensor]:
    generator = torch.Generator().manual_seed(1)

    def loss(network: nn.Module) -> Tensor:
        x, target = torch.randn(2, 32, 4, generator=generator)
        return (network(x) - target).square().mean()

    return loss
