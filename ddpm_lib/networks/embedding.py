"""Time as a vector, and the places where it can enter a block.

t is one number, and a network that multiplies it by a weight sees little difference between t = 3
and t = 5. So t becomes a vector first: `Sinusoidal` (fixed) or `Learned`. The vector then enters
each residual block through its second normalization, which is `Shift`, `ScaleShift` or `Ignore`.
`TimePlane` is the other way: t as one more channel of the picture, for any network.
"""

import math

import torch
from torch import Tensor, nn

from ddpm_lib.networks import check_batch


class Sinusoidal(nn.Module):
    """sin(w_j t) and cos(w_j t) at dim/2 frequencies from 1 to 1/longest (Ho et al. 2020, app. B).

    The two of a pair share one frequency. That makes |e(t)|^2 = dim/2 for every t, and the inner
    product of e(t) and e(u) a function of t - u alone: sum_j cos(w_j (t - u)).
    """

    frequencies: Tensor

    def __init__(self, dim: int, longest: float = 10_000.0) -> None:
        super().__init__()
        if dim < 4 or dim % 2:
            raise ValueError(f"dim counts sines and cosines: an even number from 4, got {dim}")
        exponents = torch.arange(dim // 2, dtype=torch.float64) / (dim // 2 - 1)
        frequencies = torch.exp(-math.log(longest) * exponents).to(torch.get_default_dtype())
        # Follows the network to its device and dtype, but is no weight: nothing to save.
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, t: Tensor) -> Tensor:  # (B,) -> (B, dim)
        angles = t[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class Learned(nn.Module):
    """One free vector for each t, as for the words of a language: nearby times start unrelated."""

    def __init__(self, dim: int, T: int = 1000) -> None:
        super().__init__()
        self.table = nn.Embedding(T + 1, dim)  # indexed by t itself, as every table here

    def forward(self, t: Tensor) -> Tensor:  # (B,) -> (B, dim)
        return self.table(t)


class Shift(nn.Module):
    """norm(h + W emb): a shift of every channel, before normalization (Ho et al. 2020, app. B)."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, channels)
        self.norm = group_norm(channels)

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:  # (B, C, H, W), (B, dim) -> (B, C, H, W)
        return self.norm(h + self.project(emb)[:, :, None, None])


class ScaleShift(nn.Module):
    """norm(h) (1 + scale) + shift, both linear in emb (Dhariwal & Nichol 2021, sec. 3.1)."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, 2 * channels)
        self.norm = group_norm(channels, affine=False)  # its scale and shift come from emb

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:  # (B, C, H, W), (B, dim) -> (B, C, H, W)
        scale, shift = self.project(emb)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, self.norm(h), 1 + scale)


class Ignore(nn.Module):
    """norm(h): a network that does not know t, or knows it by another way."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:  # (B, C, H, W), any -> (B, C, H, W)
        return self.norm(h)


class TimePlane(nn.Module):
    """A network of one channel more, which holds the time: -1 at t = 0 to 1 at t = T, as pixels."""

    def __init__(self, network: nn.Module, T: int = 1000) -> None:
        super().__init__()
        self.network = network
        self.T = T

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:  # (B, C, H, W), (B,) -> (B, C, H, W)
        check_batch(x_t, t)
        plane = (2 * t.to(x_t.dtype) / self.T - 1)[:, None, None, None].expand(
            -1, 1, *x_t.shape[2:]
        )
        return self.network(torch.cat([x_t, plane], dim=1), t)


def group_norm(channels: int, affine: bool = True) -> nn.GroupNorm:
    """GroupNorm for any number of channels: at most 8 groups, each of at least 4 channels.

    A group of one channel would be InstanceNorm, which removes the mean of every channel and with
    it the color of the picture. A width without such a divisor (5, 7, 11) gets a single group.
    """
    if channels < 2:
        raise ValueError(f"a width is at least 2 channels, to normalize them together: {channels}")
    groups = [g for g in range(2, 9) if channels % g == 0 and channels // g >= 4]
    return nn.GroupNorm(max(groups, default=1), channels, affine=affine)
