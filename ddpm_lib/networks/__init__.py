"""Networks: functions (x_t, t) of a noisy batch and its times, with values of the shape of x_t.

Read `tiny` first (the first UNet), then `embedding` (t as a vector), then `unet` (the residual
UNet). A network never draws random numbers and never mixes the examples of a batch: what it
computes for one picture does not depend on the others.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def cpu_seed(seed: int) -> Iterator[None]:
    """The CPU draws from this seed, as for new weights, and then goes on as if it had not.

    torch.manual_seed would give every other device another seed too, and nothing takes that back.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def check_pictures(x_t: Tensor, t: Tensor, channels: int, multiple: int) -> None:
    """Raise unless x_t is (B, channels, H, W), H and W multiples of `multiple`, and t is (B,)."""
    good = x_t.ndim == 4 and x_t.shape[1] == channels and x_t.numel() > 0
    if not (good and x_t.shape[2] % multiple == 0 and x_t.shape[3] % multiple == 0):
        raise ValueError(
            f"this network takes pictures of shape (B, {channels}, H, W), with B at least 1 and H "
            f"and W multiples of {multiple}, got {tuple(x_t.shape)}: pad or resize the pictures, "
            "or build the network for them"
        )
    check_batch(x_t, t)


def check_batch(x_t: Tensor, t: Tensor) -> None:
    """Raise unless x_t holds floats and t one whole number for each example of x_t."""
    if not x_t.is_floating_point():
        raise TypeError(f"x_t holds floats in the scale of the noise, got {x_t.dtype}")
    if t.is_floating_point() or t.dtype.is_complex or t.shape != x_t.shape[:1]:
        raise ValueError(
            f"t holds a whole number of noising steps for each of the {len(x_t)} examples, shape "
            f"({len(x_t)},), got {t.dtype} of shape {tuple(t.shape)}: t.expand(len(x_t)) repeats "
            "one time, and nothing is to be divided by T"
        )


def zero(layer: nn.Module) -> nn.Module:
    """The same layer, with zero weights: what it adds or predicts is zero at the start."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
