"""Conditions: what a network is told beside x_t and t, such as a label, a text or a mask.

A condition is bound to its network before anything else sees that, so a loss, a denoiser, a sampler
or a bound knows only networks (x_t, t).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_lib.arguments import describe, pick, send
from ddpm_lib.diffusion import Network

Conditional = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_t, t, y (B, ...)) -> (B, ...)


def given(network: Conditional, y: Tensor) -> Network:
    """The network that is told y.  y: (B, ...), one for each picture, on the network's device"""

    def network_given_y(x_t: Tensor, t: Tensor) -> Tensor:
        if len(y) != len(x_t):
            raise ValueError(f"y is one for each of the {len(x_t)} pictures, got {len(y)}")
        return network(x_t, t, y)

    return network_given_y


class Known(NamedTuple):
    """What is known about the examples, for a network that is told of it: (x_t, t, y)."""

    y: Tensor  # (N, ...): labels, words, masks, smaller pictures, for each example
    null: Tensor  # (...): what the network is told in place of a y that is left out
    drop: float = 0.1  # how often it is left out


def check_known(known: Known, N: int) -> None:
    """Refuse what does not belong to N examples."""
    y, null, drop = known
    if len(y) != N:
        raise ValueError(f"y is one for each of the {N} examples, got {len(y)}")
    if null.shape != y.shape[1:] or null.dtype != y.dtype:
        raise ValueError(
            f"null stands in for one y, {y.dtype} of shape {tuple(y.shape[1:])}, got "
            f"{describe(null)}"
        )
    if not 0 <= drop <= 1:
        raise ValueError(f"drop is a part of the examples and lies in 0..1, got {drop}")


def told(network: Conditional, known: Known, which: Tensor, dropped: Tensor) -> Network:
    """The network that is told about some examples, and of those that are dropped nothing.

    which: (B,), of the examples;  dropped: (B,) bool
    """

    def network_told(x_t: Tensor, t: Tensor) -> Tensor:
        y = pick(known.y, which, x_t.device)
        without = send(dropped, x_t.device).reshape(-1, *[1] * (y.ndim - 1))
        return network(x_t, t, torch.where(without, send(known.null, x_t.device), y))

    return network_told
