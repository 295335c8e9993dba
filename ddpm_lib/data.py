"""Pictures to learn from: uint8 pixels in, floats in [-1, 1] out."""

from typing import NamedTuple

import torch
from torch import Tensor


class Pictures(NamedTuple):
    """A data set in memory, small enough to be indexed instead of loaded."""

    pixels: Tensor  # (N, C, H, W) uint8
    labels: Tensor  # (N,) int64


def scale(pixels: Tensor) -> Tensor:
    """Pixels 0..255 as floats from -1 to 1: zero in the middle, where the noise is centered."""
    if pixels.dtype != torch.uint8:
        raise TypeError(f"pixels are uint8, 0 to 255, got {pixels.dtype}")
    return pixels.float() / 127.5 - 1


def digits() -> Pictures:
    """1797 handwritten digits of 8x8 pixels that come with scikit-learn: no download."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # The original counts ink from 0 to 16 in each cell; spread that over the range of a byte.
    pixels = torch.from_numpy(bunch.images / 16 * 255).round().to(torch.uint8)
    return Pictures(pixels[:, None], torch.from_numpy(bunch.target))
