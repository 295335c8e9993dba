"""Pictures to learn from, uint8 pixels in and floats in [-1, 1] out; and points in the plane.

`digits`, `shapes` and the points need no download.
"""

import gzip
import math
import tarfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ddpm_lib.downloads import CIFAR10, FASHION_MNIST, MNIST, Source, fetch


class Pictures(NamedTuple):
    """A data set in memory, small enough to be indexed instead of loaded."""

    pixels: Tensor  # (N, C, H, W) uint8
    labels: Tensor  # (N,) int64
    names: tuple[str, ...]  # what each label stands for


def scale(pixels: Tensor) -> Tensor:
    """Pixels 0..255 as floats from -1 to 1: zero in the middle, where the noise is centered."""
    if pixels.dtype != torch.uint8:
        raise TypeError(f"pixels are uint8, 0 to 255, got {pixels.dtype}")
    return pixels.float() / 127.5 - 1


def unscale(x: Tensor) -> Tensor:
    """Floats from -1 to 1 as pixels 0..255; clamped first, since 1.02 would wrap around to 1."""
    if not x.is_floating_point():
        raise TypeError(f"pictures are floats in [-1, 1], got {x.dtype}")
    if x.isnan().any():
        raise ValueError(f"{int(x.isnan().sum())} of {x.numel()} values are NaN, which no pixel is")
    return ((x.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def prepare(x: Tensor) -> Tensor:
    """Pictures as floats in [-1, 1]; points are floats already."""
    return scale(x) if x.dtype == torch.uint8 else x


# Drawn or embedded: no download.

COLORS = {
    "red": (230, 57, 53),
    "yellow": (250, 204, 40),
    "green": (67, 160, 71),
    "blue": (48, 110, 230),
    "purple": (150, 60, 180),
    "white": (240, 240, 240),
}
INNER = math.sqrt(math.pi / math.sqrt(27))  # of a triangle of area pi r^2: its inner radius, over r
# How far (x, y) lies outside a shape of area pi r^2 around zero.
SHAPES = {
    "circle": lambda x, y, r: (x**2 + y**2).sqrt() - r,
    "square": lambda x, y, r: torch.maximum(x.abs(), y.abs()) - math.sqrt(math.pi) / 2 * r,
    "triangle": lambda x, y, r: torch.maximum(y, math.sqrt(3) / 2 * x.abs() - y / 2) - INNER * r,
}


def digits() -> Pictures:
    """1797 handwritten digits of 8x8 pixels that come with scikit-learn."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # The original counts ink from 0 to 16 in each cell; spread that over the range of a byte.
    pixels = torch.from_numpy(bunch.images / 16 * 255).round().to(torch.uint8)
    return Pictures(pixels[:, None], torch.from_numpy(bunch.target), tuple("0123456789"))


def shapes(n: int = 10_000, size: int = 32, seed: int = 0) -> Pictures:
    """One shape on black, RGB: each of the 18 captions in `names` equally likely.

    r is uniform in [0.12, 0.2] of the size, and the center uniform where every shape fits. All
    shapes of one r have one area, so the amount of color tells nothing about the shape.
    """
    generator = Generator().manual_seed(seed)
    names = tuple(f"a {color} {shape}" for shape in SHAPES for color in COLORS)
    labels = torch.randint(len(names), (_count(n),), generator=generator)
    r = 0.12 + 0.08 * torch.rand(n, 1, generator=generator)
    reach = 2 * INNER * r  # from the center to a corner of the triangle
    center = reach + (1 - 2 * reach) * torch.rand(n, 2, generator=generator)
    middle = (torch.arange(size) + 0.5) / size  # of each pixel
    pixels = torch.empty(n, 3, size, size, dtype=torch.uint8)
    for label in range(len(names)):
        which = (labels == label).nonzero()[:, 0]
        outside = list(SHAPES.values())[label // len(COLORS)]
        x, y = middle - center[which, :1], middle - center[which, 1:]
        away = outside(x[:, None, :], y[:, :, None], r[which, :, None])  # (., size, size)
        cover = (0.5 - away * size).clamp(0, 1)  # about the part of each pixel that is inside
        color = torch.tensor(list(COLORS.values())[label % len(COLORS)])
        pixels[which] = (cover[:, None] * color[:, None, None]).round().to(torch.uint8)
    return Pictures(pixels, labels, names)


def ring_centers(modes: int = 8, radius: float = 1.5) -> Tensor:
    """Evenly spaced on a circle: with equal weights, the means of `ring`.  (modes, 2) float64"""
    angle = 2 * math.pi / modes * torch.arange(modes, dtype=torch.float64)
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def ring(n: int, std: float = 0.1, generator: Generator | None = None) -> Tensor:
    """The mixture exact.isotropic(torch.ones(8) / 8, ring_centers(), std).  (n, 2)"""
    centers = ring_centers().float()
    which = torch.randint(len(centers), (_count(n),), generator=generator)
    return centers[which] + std * torch.randn(n, 2, generator=generator)


def moons(n: int, std: float = 0.05, generator: Generator | None = None) -> Tensor:
    """Two half circles, each around the end of the other, with noise.  (n, 2)"""
    angle = math.pi * torch.rand(_count(n), generator=generator)
    side = torch.randint(2, (n,), generator=generator) * 2 - 1  # above or below
    points = torch.stack([angle.cos() - 0.5 * side, angle.sin() * side - 0.25 * side], 1)
    return 1.2 * points + std * torch.randn(n, 2, generator=generator)


def swiss_roll(n: int, std: float = 0.05, generator: Generator | None = None) -> Tensor:
    """A spiral of one and a half turns with noise, as thick inside as outside.  (n, 2)"""
    turns = 0.5 + 1.5 * torch.rand(_count(n), generator=generator)
    angle = 2 * math.pi * turns
    points = turns[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return points + std * torch.randn(n, 2, generator=generator)


def checkerboard(n: int, generator: Generator | None = None) -> Tensor:
    """Uniform on the dark fields of 4x4: density 1/8 on eight unit squares in [-2, 2]^2.  (n, 2)"""
    row = torch.randint(4, (_count(n),), generator=generator)
    column = 2 * torch.randint(2, (n,), generator=generator) + row % 2
    return torch.stack([column, row], 1) - 2 + torch.rand(n, 2, generator=generator)


# Downloaded.


def mnist(test: bool = False) -> Pictures:
    """60,000 handwritten digits of 28x28 pixels, or 10,000 to test with (LeCun et al. 1998)."""
    return _idx(MNIST, test, tuple("0123456789"))


def fashion_mnist(test: bool = False) -> Pictures:
    """60,000 pieces of clothing of 28x28 pixels, or 10,000 to test with (Xiao et al. 2017)."""
    names = "T-shirt,trousers,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot"
    return _idx(FASHION_MNIST, test, tuple(names.split(",")))


def cifar10(test: bool = False) -> Pictures:
    """50,000 photographs of 32x32 pixels, RGB, or 10,000 to test with (Krizhevsky 2009)."""
    parts = ["test_batch"] if test else [f"data_batch_{k}" for k in range(1, 6)]
    with tarfile.open(fetch(CIFAR10, "cifar-10-binary.tar.gz")) as archive:
        files = [archive.extractfile(f"cifar-10-batches-bin/{part}.bin") for part in parts]
        raw = b"".join(file.read() for file in files if file is not None)
    records = torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(-1, 1 + 3 * 32 * 32)
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    pixels = records[:, 1:].reshape(-1, 3, 32, 32)
    return Pictures(pixels, records[:, 0].long(), tuple(names.split()))


def _idx(source: Source, test: bool, names: tuple[str, ...]) -> Pictures:
    """The images and labels of a data set in MNIST's format."""
    arrays = []
    for kind in ("images-idx3", "labels-idx1"):
        file = f"{'t10k' if test else 'train'}-{kind}-ubyte.gz"
        raw = gzip.decompress(fetch(source, file).read_bytes())
        ndim = raw[3]  # after two zeros and the type, 8 for a byte, come the sizes
        shape = np.frombuffer(raw, ">i4", ndim, offset=4).tolist()
        values = torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=4 + 4 * ndim)
        arrays.append(values.reshape(shape))
    return Pictures(arrays[0][:, None], arrays[1].long(), names)


# Your own.


def image_folder(path: str | Path, size: int) -> Pictures:
    """All pictures in a folder and below it, RGB, cut to their middle square and resized.

    The labels are the folders at the first level. What cannot be read is skipped, with a warning.
    """
    from tqdm import tqdm

    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"image_folder reads a folder of pictures, {path} is not one")
    names = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
    files = sorted(name for name in names if not any(part.startswith(".") for part in name.parts))
    pixels = torch.empty(len(files), 3, _count(size), size, dtype=torch.uint8)
    labels: list[str] = []
    skipped: list[str] = []
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        read = pool.map(lambda name: _picture(path / name, size), files)
        for name, picture in zip(files, tqdm(read, path.name, len(files)), strict=True):
            if isinstance(picture, Exception):
                skipped.append(f"{name} ({picture})")
            else:
                pixels[len(labels)] = torch.from_numpy(picture).permute(2, 0, 1)
                labels.append(name.parts[0] if len(name.parts) > 1 else "")
    if skipped:
        more = f" and {len(skipped) - 10} more" if len(skipped) > 10 else ""
        warnings.warn(
            f"{len(skipped)} of the {len(files)} files in {path} cannot be read as pictures and "
            f"are skipped: {', '.join(skipped[:10])}{more}",
            stacklevel=2,
        )
    if not labels:
        raise ValueError(f"no picture that can be read among the {len(files)} files in {path}")
    classes, which = np.unique(labels, return_inverse=True)
    return Pictures(pixels[: len(labels)], torch.from_numpy(which), tuple(classes.tolist()))


def _picture(file: Path, size: int) -> NDArray[np.uint8] | Exception:
    """The middle square, (size, size, 3), or why there is none."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)  # cameras store how they were held
        if image.mode == "F":
            return ValueError("floating-point pixels, of unknown range")
        if image.mode.startswith("I"):  # 16 bits of gray, which convert() would cut off at 255
            image = Image.fromarray(np.rint(np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
        if image.has_transparency_data:  # the hidden colors are arbitrary: put it on white
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return np.array(ImageOps.fit(image.convert("RGB"), (size, size)))
    except Exception as error:  # a damaged file can make a decoder raise anything
        return error


def _count(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"expected a number of pictures, points or pixels, got {n!r}")
    if n < 1:
        raise ValueError(f"expected at least one picture, point or pixel, got {n}")
    return n
