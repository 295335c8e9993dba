"""The first networks: a UNet in forty lines for pictures, and an MLP for points in the plane."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_lib.networks import check_batch, check_pictures, zero
from ddpm_lib.networks.embedding import Sinusoidal, TimePlane


def tiny(channels: int = 1, width: int = 32, T: int = 1000) -> TimePlane:
    """The first UNet, told the time by a plane of t/T beside the picture."""
    return TimePlane(TinyUNet(channels, width, extra=1), T)


class TinyUNet(nn.Module):
    """Two strided convolutions down, two transposed ones up, a skip across at either size.

    Their kernels are 4 wide for a stride of 2: each output of a transposed convolution then hears
    from the same number of inputs. With 3 it would be one here and two there: a checkerboard.
    """

    def __init__(self, channels: int = 1, width: int = 32, extra: int = 0) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 4 * width
        self.in_channels = channels + extra
        self.down = nn.ModuleList([_same(self.in_channels, a), _same(b, b)])
        self.shrink = nn.ModuleList([_half(a, b), _half(b, c)])
        self.bottom = _same(c, c)
        self.grow = nn.ModuleList([_double(c, b), _double(b, a)])
        self.up = nn.ModuleList([_same(2 * b, b), _same(2 * a, a)])
        self.head = zero(_same(a, channels))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t: (B, channels + extra, H, W), H and W multiples of 4;  t: is in a plane of x_t"""
        check_pictures(x_t, t, self.in_channels, multiple=4)
        x, skips = x_t, []
        for convolve, shrink in zip(self.down, self.shrink, strict=True):
            x = F.silu(convolve(x))
            skips.append(x)
            x = F.silu(shrink(x))
        x = F.silu(self.bottom(x))
        for grow, convolve in zip(self.grow, self.up, strict=True):
            x = F.silu(grow(x))
            x = F.silu(convolve(torch.cat([x, skips.pop()], dim=1)))
        assert not skips
        return self.head(x)


class MLP(nn.Module):
    """Points and their times through three hidden layers: enough for a density in the plane."""

    def __init__(
        self,
        dim: int = 2,
        width: int = 128,
        embedding: Callable[[int], nn.Module] = Sinusoidal,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.time = embedding(width)
        self.layers = nn.Sequential(
            _he(nn.Linear(dim + width, width), inputs=dim + width),
            nn.SiLU(),
            _he(nn.Linear(width, width), inputs=width),
            nn.SiLU(),
            _he(nn.Linear(width, width), inputs=width),
            nn.SiLU(),
            zero(nn.Linear(width, dim)),
        )

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:  # (B, dim), (B,) -> (B, dim)
        if x_t.ndim != 2 or x_t.shape[1] != self.dim or len(x_t) == 0:
            raise ValueError(
                f"this network takes points of shape (B, {self.dim}), with B at least 1, got "
                f"{tuple(x_t.shape)}"
            )
        check_batch(x_t, t)
        return self.layers(torch.cat([x_t, self.time(t)], dim=1))


def _same(c_in: int, c_out: int) -> nn.Module:
    return _he(nn.Conv2d(c_in, c_out, 3, padding=1), inputs=9 * c_in)


def _half(c_in: int, c_out: int) -> nn.Module:
    return _he(nn.Conv2d(c_in, c_out, 4, stride=2, padding=1), inputs=16 * c_in)


def _double(c_in: int, c_out: int) -> nn.Module:
    return _he(nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1), inputs=4 * c_in)


def _he(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, inputs: int) -> nn.Module:
    """Weights that keep the variance of the signal at one (He et al. 2015, sec. 2.2, for SiLU).

    Nothing else does it here, as the norms do in the residual UNet: with the weights that torch
    draws, the signal shrinks from layer to layer, and training starts slowly.
    """
    nn.init.normal_(layer.weight, std=(2.8 / inputs) ** 0.5)  # E[SiLU(z)^2] = 1 / 2.8
    return layer
