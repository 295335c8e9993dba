"""The pictures that a run leaves in its folder."""

import math
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib import plotting, recipes
from ddpm_lib.settings import Recipe


def save_losses(losses: list[list[float]], file: Path) -> None:
    """The loss of every few steps, and means of fifty of them, which show the trend."""
    step, loss = torch.tensor(losses).T
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
    ax.plot(step, loss, color=plotting.GRAY, lw=0.5, alpha=0.5)
    if means := [part.mean(1) for part in torch.tensor(losses).T.split(50, dim=1)]:
        ax.plot(*torch.stack(means, 1), "-", color=plotting.MODEL)
    plotting.save(figure, file)


def save_picture(recipe: Recipe, walk: list[Tensor], file: Path) -> Path:
    """The samples at the end of a walk; of points, also the way that they went."""
    if recipe.pictures:
        figure = plotting.grid(walk[-1])
    else:
        figure = plotting.trajectories(torch.stack(walk), recipes.examples(recipe).train[:500])
    return plotting.save(figure, file)


def save_film(recipe: Recipe, walk: list[Tensor], file: Path) -> Path:
    """The walk from noise to samples."""
    frames = _short(walk)
    return plotting.gif(frames if recipe.pictures else [_density(x) for x in frames], file)


def _short(walk: list[Tensor]) -> list[Tensor]:
    """At most 60 evenly spaced frames, three seconds, of which the last is the last."""
    return walk[:: -math.ceil(len(walk) / 60)][::-1]


def _density(points: Tensor) -> Tensor:
    """How many points lie where, as a picture of [-3, 3]^2.  (N, 2) -> (1, 64, 64)"""
    counts, _ = torch.histogramdd(points.cpu().float(), [64, 64], range=[-3.0, 3.0, -3.0, 3.0])
    return 2 * (counts.mT.flip(0) / 4).clamp(max=1)[None] - 1  # white from four points on
