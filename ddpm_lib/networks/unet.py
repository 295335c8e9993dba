"""The residual UNet: residual blocks, group normalization, attention, time in every block.

After Ho et al. 2020, appendix B, with one skip for each level instead of one for each block: the U
stays visible, and fewer copies are made for the concatenations.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_lib.networks import check_pictures, zero
from ddpm_lib.networks.embedding import Ignore, ScaleShift, Sinusoidal, group_norm


class UNet(nn.Module):
    """Down through the levels, up again, and at every level a skip across.

    channels: of a picture;  extra: further input channels, such as a time plane or a mask
    widths: channels of each level; each level has half the height and width of the one before
    attention: the levels that attend, as indices of `widths`
    embedding: of t, built for a dimension;  condition: built for channels and that dimension
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64),
        *,
        attention: Collection[int] = (-1,),
        blocks: int = 2,
        extra: int = 0,
        embedding: Callable[[int], nn.Module] = Sinusoidal,
        condition: Callable[[int, int], nn.Module] = ScaleShift,
    ) -> None:
        super().__init__()
        levels = range(len(widths))
        if not levels or blocks < 1:
            raise ValueError(f"at least one level and one block: {widths=}, {blocks=}")
        if not all(-len(levels) <= i < len(levels) for i in attention):
            raise ValueError(f"attention names levels of widths={widths}, got {attention}")
        attends = [i in {levels[j] for j in attention} for i in levels]
        dim = 4 * widths[0]
        level = partial(Level, blocks=blocks, dim=dim, condition=condition)
        *descent, (deepest, at_bottom) = zip(widths, attends, strict=True)
        steps = list(pairwise(widths))

        self.in_channels = channels + extra
        self.multiple = 2 ** len(steps)
        # A network that ignores t needs no embedding: its weights would never get a gradient.
        self.time = nn.Identity() if condition is Ignore else time_mlp(embedding(dim), dim)
        self.stem = nn.Conv2d(self.in_channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList([level(w, w, attend) for w, attend in descent])
        self.shrink = nn.ModuleList([nn.Conv2d(w, v, 3, stride=2, padding=1) for w, v in steps])
        self.bottom = level(deepest, deepest, at_bottom)
        self.grow = nn.ModuleList([Grow(v, w) for w, v in reversed(steps)])
        self.up = nn.ModuleList([level(2 * w, w, attend) for w, attend in reversed(descent)])
        self.head = nn.Sequential(
            group_norm(widths[0]), nn.SiLU(), zero(nn.Conv2d(widths[0], channels, 3, padding=1))
        )

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t: (B, channels + extra, H, W), H and W multiples of 2^(levels-1);  t: (B,)"""
        check_pictures(x_t, t, self.in_channels, self.multiple)
        emb = self.time(t)
        x = self.stem(x_t)
        skips = []
        for level, shrink in zip(self.down, self.shrink, strict=True):
            x = level(x, emb)
            skips.append(x)
            x = shrink(x)
        x = self.bottom(x, emb)
        for grow, level in zip(self.grow, self.up, strict=True):
            x = level(torch.cat([grow(x), skips.pop()], dim=1), emb)
        assert not skips
        return self.head(x)


def time_mlp(embedding: nn.Module, dim: int) -> nn.Module:
    """What all blocks share of the way from t to their scales and shifts.  (B,) -> (B, dim)"""
    return nn.Sequential(embedding, nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU())


class Level(nn.Module):
    """The blocks of one resolution, each followed by attention where the level attends."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        attend: bool,
        *,
        blocks: int,
        dim: int,
        condition: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__()
        widths = [c_in] + [c_out] * (blocks - 1)
        self.blocks = nn.ModuleList([ResidualBlock(c, c_out, dim, condition) for c in widths])
        self.attention = nn.ModuleList(
            [Attention(c_out) if attend else nn.Identity() for _ in widths]
        )

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x, emb))
        return x


class ResidualBlock(nn.Module):
    """x + f(x, t), with f = 0 at the start: a deep network begins as a shallow one.

    Time enters before the last nonlinearity and convolution, so that every block can use it, and
    the shortcut carries no normalization, so that the mean and the scale of x get through.
    """

    def __init__(
        self, c_in: int, c_out: int, dim: int, condition: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        self.norm = group_norm(c_in)
        self.conv_1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.condition = condition(c_out, dim)
        self.conv_2 = zero(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:  # (B, c_in, H, W) -> (B, c_out, H, W)
        h = self.conv_1(F.silu(self.norm(x)))
        h = self.conv_2(F.silu(self.condition(h, emb)))
        return self.shortcut(x) + h


class Attention(nn.Module):
    """x + attention among its pixels: softmax(q k^T / sqrt(C)) v (Vaswani et al. 2017, eq. 1).

    One head, as in Ho et al. 2020. No biases: that of k would cancel in the softmax and never get
    a gradient, and the others are there already in the shift of the normalization.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.out = zero(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, H, W)
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # (B, HW, C)
        q, k, v = self.qkv(pixels).chunk(3, dim=2)
        h = self.out(F.scaled_dot_product_attention(q, k, v))
        return x + h.transpose(1, 2).reshape(x.shape)


class Grow(nn.Module):
    """Twice the size by repeating pixels, then a convolution: no checkerboard."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:  # (B, c_in, H, W) -> (B, c_out, 2H, 2W)
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
