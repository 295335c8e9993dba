"""Figures in the course's one style: picture grids, animations and the paths of 2-D samplers.

Pictures enter as floats with a stated range, -1 for black and 1 for white if nothing else is said,
and that range is written under them. Stretching each picture to its own darkest and lightest pixel
would make x and 0.1 x + 0.7 look the same, so it happens only where `scale_range=None` asks for it.

Figures are returned, not handed to pyplot: a notebook shows one as the value of its cell, once.
"""

import base64
import html
import io
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from ddpm_lib.files import replace

# What a color means, in every figure (from Okabe & Ito's palette, made for all kinds of eyes).
DATA = "#0072B2"  # blue
NOISE = "#D55E00"  # vermillion
MODEL = "#009E73"  # green
GRAY = "#666666"  # everything else

Array = Tensor | NDArray[np.floating]
Pixels = NDArray[np.uint8]
Range = tuple[float, float] | None


def style() -> None:
    """Use the course's style from here on; in a notebook, draw for dense screens too."""
    plt.style.use(Path(__file__).with_name("course.mplstyle"))
    ipython = sys.modules.get("IPython")
    if ipython is None or (shell := ipython.get_ipython()) is None:
        return
    from matplotlib_inline.config import InlineBackend

    inline = InlineBackend.instance(parent=shell)
    inline.shell = shell  # the backend itself does so only at the first pyplot figure
    inline.print_figure_kwargs = {"bbox_inches": "tight", "facecolor": "white"}
    inline.figure_formats = {"retina"}  # twice the pixels, shown at the size of figure.figsize


def grid(
    images: Array,
    rows: int | None = None,
    labels: Sequence[str] = (),
    scale_range: Range = (-1, 1),
) -> Figure:
    """All N pictures side by side, their labels above them, the range of values below.

    images: (N, C, H, W), gray or RGB;  labels: one for each picture, or for each of the first row
    """
    pixels, clipped = to_pixels(images, scale_range)
    N, _, W, C = pixels.shape
    columns = _columns(N, rows)
    if len(labels) not in (0, columns, N):
        raise ValueError(f"{N} pictures, {columns} in a row: got {len(labels)} labels")
    inches = min(1.2, 6.0 / columns)  # the width of a picture with its gap
    band = math.ceil(0.25 * (W + _gap(W)) / inches)  # the height of a label, in pixels
    figure = Figure(layout="constrained")
    ax = figure.add_subplot()
    strips, bottom = [], 0
    for first in range(0, N, columns):
        names = labels[first : first + columns]
        space = band if any(names) else _gap(W)
        strips.append(montage(pixels[first : first + columns], columns, space))
        for column, name in enumerate(names):
            place = (column * (W + _gap(W)) + W / 2 - 0.5, bottom + space - 0.5)
            ax.annotate(name, place, (0, 3), textcoords="offset points", ha="center", size=10)
        bottom += len(strips[-1])
    canvas = np.concatenate(strips)
    figure.set_size_inches(max(2.5, columns * inches), bottom * inches / (W + _gap(W)) + 0.3)
    picture = canvas.squeeze(2) if C == 1 else canvas
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(_caption(scale_range, C, clipped), color=GRAY, size=9)
    return figure


def trajectories(paths: Array, data: Array | None = None) -> Figure:
    """The way of each point from x_T, an open circle, to x_0, a dot; the data as crosses, if given.

    paths: (steps, N, 2), x_T first, such as torch.stack([x_T, *sample(...)]);  data: (M, 2)
    """
    lines = _floats(paths)
    if lines.ndim != 3 or lines.shape[2] != 2 or 0 in lines.shape:
        raise ValueError(f"paths have the shape (steps, N, 2), got {lines.shape}")
    figure = Figure(figsize=(5, 5), layout="constrained")
    ax = figure.add_subplot(aspect="equal", xlabel="first coordinate", ylabel="second coordinate")
    if data is not None:
        x, y = _floats(data).T
        ax.scatter(x, y, s=14, marker="x", linewidths=0.8, color=DATA, label="data")
    ax.add_collection(LineCollection(list(lines.swapaxes(0, 1)), colors=GRAY, lw=0.6, alpha=0.5))
    (x_T, y_T), (x_0, y_0) = lines[0].T, lines[-1].T
    ax.scatter(x_T, y_T, s=22, facecolors="none", edgecolors=NOISE, label="$x_T$", zorder=3)
    ax.scatter(x_0, y_0, s=16, color=MODEL, label="$x_0$", zorder=4)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure


def gif(
    frames: Iterable[Array],
    path: str | Path,
    scale_range: Range = (-1, 1),
    fps: float = 20,
    hold: float = 2,
) -> Path:
    """Write a looping GIF that holds its last frame for so many seconds; enlarge small pictures.

    frames: of (C, H, W), or of batches (B, C, H, W), which are laid out as a grid
    """
    film, _ = _film(frames, scale_range)
    zoom = max(1, 256 // film.shape[2])
    return replace(path, _encode(film.repeat(zoom, 1).repeat(zoom, 2), ".gif", fps, hold))


@dataclass(frozen=True)
class Animation:
    """Moving pictures as HTML that needs nothing but itself."""

    alt: str
    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


def animation(
    frames: Iterable[Array],
    alt: str,
    scale_range: Range = (-1, 1),
    fps: float = 20,
    hold: float = 2,
) -> Animation:
    """A looping animation for a page; `alt` says what it shows to those who cannot see it.

    frames: of (C, H, W), or of batches (B, C, H, W), which are laid out as a grid
    """
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the animation shows")
    film, clipped = _film(frames, scale_range)
    # As animated PNG, exact in color where a GIF has 256 of them, and enlarged by the browser. The
    # last frame stands still for readers whose system asks for less motion.
    moving, still = (
        "data:image/png;base64," + base64.b64encode(_encode(part, ".png", fps, hold)).decode()
        for part in (film, film[-1:])
    )
    width = film.shape[2] * max(1, 400 // film.shape[2])
    return Animation(
        alt,
        # Both colors, as themes that are dark put a light card behind an output, or do not.
        '<figure class="ddpm-animation" style="margin:0;background:#fff;color:#333"><picture>'
        f'<source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
        f'<img src="{moving}" alt="{html.escape(alt)}"'
        f' style="width:{width}px;max-width:100%;image-rendering:pixelated"></picture>'
        f"<figcaption>{_caption(scale_range, film.shape[3], clipped)}</figcaption></figure>",
    )


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure as PNG, whole or not at all; missing folders are made."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return replace(path, buffer.getvalue())


def to_pixels(images: Array, scale_range: Range = (-1, 1)) -> tuple[Pixels, float]:
    """Bytes from black to white, and the share of values outside the range, which are clipped.

    images: (N, C, H, W)  ->  (N, H, W, C)
    """
    x = _floats(images)
    if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape:
        raise ValueError(f"images have the shape (N, 1 or 3, H, W), got {x.shape}")
    if scale_range is None:
        low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
        high = np.where(high > low, high, low + 1)  # a constant picture is black, not 0 / 0
    else:
        low, high = (np.asarray(end, x.dtype) for end in scale_range)
        if not low < high:
            raise ValueError(f"scale_range goes from black to white, got {low:g} to {high:g}")
    levels = np.rint((x - low) / (high - low) * 255)
    clipped = float(((levels < 0) | (levels > 255)).mean())
    return levels.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1), clipped


def montage(pixels: Pixels, columns: int, space: int = 0) -> Pixels:
    """Pictures in rows of `columns` on white, with so many empty lines above each row.

    pixels: (N, H, W, C)  ->  (H', W', C)
    """
    N, H, W, C = pixels.shape
    rows, height, width = math.ceil(N / columns), space + H, W + _gap(W)
    canvas = np.full((rows * columns, height, width, C), 255, np.uint8)
    canvas[:N, space:, :W] = pixels
    canvas = canvas.reshape(rows, columns, height, width, C).swapaxes(1, 2)
    return canvas.reshape(rows * height, columns * width, C)[:, : -_gap(W)]


def _film(frames: Iterable[Array], scale_range: Range) -> tuple[Pixels, float]:
    """Every frame as one picture, (F, H, W, C), and the share of values that were clipped."""
    film, shares = [], []
    for frame in frames:
        pixels, clipped = to_pixels(frame[None] if frame.ndim == 3 else frame, scale_range)
        film.append(montage(pixels, _columns(len(pixels)), _gap(pixels.shape[2])))
        shares.append(clipped)
    if len({frame.shape for frame in film}) != 1:
        raise ValueError("an animation is made of at least one frame, all of one shape")
    return np.stack(film), float(np.mean(shares))


def _encode(film: Pixels, extension: str, fps: float, hold: float) -> bytes:
    if not 0 < fps <= 50:
        raise ValueError(f"fps is at most 50 (browsers slow down anything faster), got {fps}")
    film = film.squeeze(3) if film.shape[3] == 1 else film
    milliseconds = [1000 / fps] * (len(film) - 1) + [1000 * max(hold, 1 / fps)]
    timing: dict = {"duration": milliseconds, "loop": 0} if len(film) > 1 else {}
    return iio.imwrite(
        "<bytes>", film, extension=extension, plugin="pillow", is_batch=True, **timing
    )


def _columns(N: int, rows: int | None = None) -> int:
    """As few empty places as possible, in a grid from square to six times as wide as tall."""
    if rows is not None and rows < 1:
        raise ValueError(f"a grid has at least one row, got {rows}")
    if rows is not None:
        return math.ceil(N / rows)
    square = math.sqrt(N)
    return min(range(math.ceil(square), int(2.5 * square) + 1), key=lambda columns: -N % columns)


def _gap(width: int) -> int:
    return max(1, width // 14)


def _caption(scale_range: Range, channels: int, clipped: float) -> str:
    if scale_range is None:
        return "each picture stretched from its own minimum to its own maximum"
    low, high = (f"{end:g}".replace("-", "−") for end in scale_range)
    text = f"{low} black … {high} white"
    if channels == 3:
        text = f"each channel {low} dark … {high} full"
    return f"{text} · {100 * clipped:.2g} % of the values clipped" if clipped else text


def _floats(values: Array) -> NDArray[np.floating]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float().numpy() if values.is_floating_point() else values.numpy()
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"expected floats, got {values.dtype}: data.scale maps pixels to [-1, 1]")
    if np.isnan(values).any():
        raise ValueError(f"{np.isnan(values).sum()} of {values.size} values are NaN")
    return values
