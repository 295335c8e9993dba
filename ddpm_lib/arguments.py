"""Arguments: checked where a user enters, and brought to the device and the shape of the others.

What is inside relies on that: nothing is checked twice.
"""

from math import isfinite

import torch
from torch import Tensor

Time = int | Tensor  # one time for all pictures, or (B,)


def check_floats(x: Tensor, name: str, like: Tensor | None = None) -> None:
    """Refuse a batch that torch would accept, and compute nonsense with."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"{name} is a tensor of floats, got {describe(x)}: see data.scale")
    if x.ndim == 0 or x.numel() == 0:
        raise ValueError(f"{name} is a batch (B, ...) of at least one, got {tuple(x.shape)}")
    if like is not None and x.shape != like.shape:
        raise ValueError(f"{name} has the shape {tuple(like.shape)}, got {tuple(x.shape)}")
    # Only where looking is free: any other device would have to be waited for, at each step. And
    # only if the sum is not finite, which is found much sooner; it may be so by an overflow alone.
    if x.device.type == "cpu" and not isfinite(x.detach().sum()) and not x.isfinite().all():
        raise ValueError(f"{name} is finite, got {int((~x.isfinite()).sum())} values that are not")


def check_times(t: Time, first: int, last: int, name: str = "t") -> Time:
    """t as an int, or as an int64 tensor (B,) on the CPU, with every time in first..last."""
    if isinstance(t, Tensor):
        if t.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"{name} counts noising steps and is an integer, got {t.dtype}")
        if t.ndim > 1 or t.numel() == 0:
            raise ValueError(f"{name} is one time, or one for each picture, got {tuple(t.shape)}")
        t = t.cpu().long() if t.ndim else int(t)
    elif isinstance(t, bool) or not hasattr(t, "__index__"):  # an int of numpy is welcome too
        raise TypeError(f"{name} counts noising steps and is an integer, got {describe(t)}")
    low, high = (t.min(), t.max()) if isinstance(t, Tensor) else (t, t)
    if not first <= low <= high <= last:
        raise ValueError(f"{name} lies in {first}..{last}, got {low}..{high}")
    return t


def aligned(values: Tensor, like: Tensor) -> Tensor:
    """Values for one time, (), or for each picture, (B,), in the dtype of `like`, to multiply it.

    The value for one time stays on the CPU, where torch takes it for a number: no copy to a device.
    """
    values = values.to(like.dtype)
    if values.ndim == 0:
        return values
    if len(values) != len(like):
        raise ValueError(
            f"t is one time, or one for each of the {len(like)} pictures, got {len(values)} times"
        )
    return send(values, like.device).reshape(-1, *[1] * (like.ndim - 1))


def send(x: Tensor, device: torch.device) -> Tensor:
    """x on the device, without waiting where that is safe."""
    # CUDA reads the values before it lets go of the host; another device may read them too late.
    return x.to(device, non_blocking=device.type == "cuda")


def pick(values: Tensor, which: Tensor, device: torch.device) -> Tensor:
    """Some of the values, wherever they are, on the device.  values: (N, ...);  which: (B,)"""
    return send(values[send(which, values.device)], device)


def describe(value: object) -> str:
    """What was given, for the message that refuses it."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"{type(value).__name__} {value!r}"
