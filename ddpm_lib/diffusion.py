"""The Gaussian algebra of DDPM, each formula in the names of the page.

Throughout, a = sqrt(alpha_bar_t) and s = sqrt(1 - alpha_bar_t), so that a^2 + s^2 = 1.
"""

import torch
from torch import Tensor

from ddpm_lib.schedules import Schedule


def noise(schedule: Schedule, x_0: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
    """A draw of q(x_t | x_0), made from x_0 and standard normal eps (Ho et al. 2020, eq. 4).

    x_0, eps: (B, ...);  t: one time for all, or (B,)  ->  x_t: (B, ...)
    """
    if eps.shape != x_0.shape:
        raise ValueError(f"eps has the shape of x_0, {tuple(x_0.shape)}, got {tuple(eps.shape)}")
    a, s = signal_and_noise(schedule, t, like=x_0)
    return a * x_0 + s * eps


def signal_and_noise(schedule: Schedule, t: int | Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """a = sqrt(alpha_bar_t) and s = sqrt(1 - alpha_bar_t), shaped to multiply `like`."""
    alpha_bar = schedule.alpha_bar
    return at(alpha_bar.sqrt(), t, like), at((1 - alpha_bar).sqrt(), t, like)


def at(table: Tensor, t: int | Tensor, like: Tensor) -> Tensor:
    """table[t] in the dtype and on the device of `like`, shaped to multiply it.

    table: (T+1,);  t: one time, or (B,);  like: (B, ...)  ->  (1 or B, 1, ..., 1)
    """
    if not like.is_floating_point():
        raise TypeError(f"pictures enter as floats in [-1, 1], got {like.dtype}: use data.scale")
    t = torch.as_tensor(t, device="cpu")
    if t.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"t counts noising steps and is an integer, got {t.dtype}")
    if t.ndim > 1 or (t.ndim == 1 and len(t) != len(like)):
        raise ValueError(
            f"t is one time, or one for each of the {len(like)} pictures, got {tuple(t.shape)}"
        )
    if t.numel() and not (0 <= t.min() and t.max() < len(table)):
        raise ValueError(f"t lies in 0..{len(table) - 1}, got {t.min()}..{t.max()}")
    return table[t].to(like).reshape(-1, *[1] * (like.ndim - 1))
