"""Exercises of chapter 12, residual blocks, normalization, attention."""

from collections.abc import Callable, Collection
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_lib.course.checks import Exercise, Mistake
from ddpm_lib.course.checks.cases import always, normal
from ddpm_lib.networks import zero

equal_cost = Exercise(
    name="blocks.equal_cost",
    see="Attention",
    right=2.5 * 64,
    wrong={
        "The four matrices of the attention cost something too: 4 n C².": 4.5 * 64,
        "Two products have n² C multiplications: the scores, and the weighted sums.": 5.0 * 64,
        "That is a convolution against the scores alone: add the four matrices and the weighted "
        "sums.": 9.0 * 64,
        "That is the side of the picture. The question is for the number of pixels.": (
            sqrt(2.5 * 64)
        ),
        "Four matrices, not three: one more follows the weighted sums.": 3.0 * 64,
    },
    praise="Less than 13×13 pixels.",
)

rooted = Exercise(
    name="blocks.rooted",
    see="The sum grows",
    right=2.0**-10,
    wrong={
        "Each block divides by the root of 2. This divides by 2.": 2.0**-20,
        "That would be so without the roots.": 1.0,
        "That is a single block: there are 20.": sqrt(0.5),
        "That is the sum over all paths, which keeps the variance. Take the one path that goes "
        "through shortcuts only.": 2.0**10,
    },
    praise="The variance is kept, and the shortcut nearly closed.",
    rtol=0.03,
)


def _chunks(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(2, (heads, -1)).transpose(1, 2)  # (B, heads, HW, C / heads)


def _reshaped(x: Tensor, heads: int) -> Tensor:
    return x.reshape(len(x), heads, x.shape[1], -1)


def _beside(y: Tensor) -> Tensor:
    return y.transpose(1, 2).flatten(2)


def _as_it_lies(y: Tensor) -> Tensor:
    return y.reshape(len(y), y.shape[2], -1)


def _heads(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    *,
    cut: Callable[[Tensor, int], Tensor] = _chunks,
    channels: Callable[[int, int], int] = lambda C, heads: C // heads,
    over: int = -1,
    join: Callable[[Tensor], Tensor] = _beside,
) -> Tensor:
    a, b, c = (cut(x, heads) for x in (q, k, v))
    scores = a @ b.mT / sqrt(channels(q.shape[2], heads))
    return join(torch.softmax(scores, dim=over) @ c)


def _parts(chance: torch.Generator) -> tuple[Any, ...]:
    return *normal(chance, 3, 2, 6, 8), 4


heads = Exercise(
    name="blocks.heads",
    see="Attention",
    right=_heads,
    wrong={
        "That is one head: the scores of all channels are added before the softmax.": (
            lambda q, k, v, heads: _heads(q, k, v, 1)
        ),
        "Divide by the root of the channels of one head, not of all.": {
            "channels": lambda C, heads: C
        },
        "A reshape without a transpose: parts of different pixels come into one row.": {
            "cut": _reshaped,
            "join": _as_it_lies,
        },
        "The heads are right. Undo the transpose before you set them beside each other.": {
            "join": _as_it_lies
        },
        "The softmax runs over the queries: its weights must sum to 1 over the keys.": {"over": -2},
        "The heads are averaged: set them beside each other.": {
            "join": lambda y: y.mean(1).repeat(1, 1, y.shape[1])
        },
    },
    praise="Each head attends by itself.",
    cases=(always(_parts), _parts, lambda chance: (*normal(chance, 3, 1, 5, 6), 2)),
)


class _Nested(nn.Module):
    """x + f(x) under a head, the ends of both at zero, and two layers that are never called."""

    def __init__(self, chance: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.last = zero(nn.Linear(4, 4))
        self.head = zero(nn.Linear(4, 4))
        self.unused = nn.Linear(4, 4)
        self.unused_norm = nn.GroupNorm(1, 4)
        with torch.no_grad():
            for layer in (self.first, self.unused):
                layer.weight.copy_(torch.randn(4, 4, generator=chance))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.last(torch.tanh(self.first(x))))


def _training(chance: torch.Generator) -> tuple[Any, ...]:
    def loss(network: nn.Module) -> Tensor:
        x, target = torch.randn(2, 32, 4, generator=chance)
        return (network(x) - target).square().mean()

    return _Nested(chance), loss


_NAMES = [name for name, _ in _Nested(torch.Generator()).named_parameters()]


def _marked(found: Any) -> Tensor:
    """Which parameters are among the names."""
    if isinstance(found, str) or not isinstance(found, Collection):
        raise Mistake("Return the names, as a list or a set, got {found!r}.", found=found)
    for name in found:
        if name not in _NAMES:
            raise Mistake(
                "{name!r} is no name of a parameter: take those of named_parameters().", name=name
            )
    return torch.tensor([float(name in found) for name in _NAMES])


def _named(*starts: str) -> Callable[[nn.Module, Any], list[str]]:
    return lambda network, loss: [name for name in _NAMES if name.startswith(starts)]


silent = Exercise(
    name="blocks.silent",
    see="Zero at the start",
    right=_named("unused"),
    wrong={
        "That is what one step shows: behind a layer of zeros the gradient is zero as well. Let "
        "the optimizer move the zeros, and look again.": _named("unused", "first", "last"),
        "Two steps are not enough where zeros are nested: here, as in the UNet, the gradient needs "
        "three.": _named("unused", "first"),
        "Those are the parameters that get a gradient. The others are asked for.": (
            _named("first", "last", "head")
        ),
        "None is found. A layer that is not called has None as its gradient, and it must be "
        "reported.": lambda network, loss: [],
    },
    praise="Both layers that are never called are found, and no other.",
    cases=(always(_training), _training),
    view=_marked,
)
