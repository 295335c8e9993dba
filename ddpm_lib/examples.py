"""Data sets in two parts: what is trained on, and what is kept apart to measure with."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ddpm_lib import data
from ddpm_lib.data import Pictures


class Examples(NamedTuple):
    """What is trained on, and what is kept apart."""

    train: Tensor  # (N, C, H, W) uint8, or (N, 2)
    test: Tensor
    labels: Tensor | None  # of the training pictures; None where there are no classes


def digits() -> Examples:
    return _parted(data.digits())


def shapes(size: int) -> Examples:
    return _known(data.shapes(10_000, size), data.shapes(1_000, size, seed=1))


def image_folder(path: str | Path, size: int) -> Examples:
    """Pictures from the folders of several classes, or of one: then there are no labels."""
    found = data.image_folder(path, size)
    if len(found.pixels) < 20:
        raise ValueError(
            f"{path} has {len(found.pixels)} pictures that can be read: 20 are needed at least, "
            "since a tenth of them is kept apart to measure with"
        )
    parts = _parted(found)
    return parts if len(found.names) > 1 else parts._replace(labels=None)


def published(read: Callable[..., Pictures]) -> Callable[[], Examples]:
    """A data set that comes with its own test pictures: read(test=True)."""
    return lambda: _known(read(), read(test=True))


def points(draw: Callable[..., Tensor]) -> Callable[[], Examples]:
    """A density in the plane: draw(n, generator=...)."""

    def drawn() -> Examples:
        generator = Generator().manual_seed(0)
        train, test = (draw(n, generator=generator) for n in (20_000, 2_000))
        return Examples(train, test, None)

    return drawn


def flipped(examples: Examples) -> Examples:
    """With the mirror image of each training picture: a set of twice the size.

    A coin for each draw would do the same in half the memory, and be one more thing that a resumed
    run, and each of several processes, has to throw alike.
    """
    train, labels = examples.train, examples.labels
    if train.ndim != 4:
        raise ValueError(f"flips are for pictures (N, C, H, W), not for {tuple(train.shape)}")
    return examples._replace(
        train=torch.cat([train, train.flip(3)]), labels=None if labels is None else labels.repeat(2)
    )


def _known(train: Pictures, test: Pictures) -> Examples:
    return Examples(train.pixels, test.pixels, train.labels)


def _parted(pictures: Pictures) -> Examples:
    """A tenth kept apart: at random, since files and scikit-learn's digits come in an order."""
    order = torch.randperm(len(pictures.pixels), generator=Generator().manual_seed(0))
    train, test = order.tensor_split([len(order) - len(order) // 10])
    return Examples(pictures.pixels[train], pictures.pixels[test], pictures.labels[train])
