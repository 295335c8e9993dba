"""Recipes for pictures of your own, and any recipe with settings of your own."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ddpm_lib.settings import Part, Recipe, Settings

FEWEST, MOST = 4, 12  # pixels on a side where the network attends
SETTINGS = [each.name for each in fields(Settings)]


def pictures(folder: str | Path, size: int) -> Recipe:
    """Learn from all pictures in a folder, cut to squares of `size` pixels.

    The network halves them down to a few pixels, where it attends, and is wider at each level.
    """
    path = Path(folder).resolve()
    widths = [32 * k for k in range(1, _levels(size) + 1)]
    return Recipe(
        path.name,
        shape=(3, size, size),
        data=Part("image_folder", {"path": str(path), "size": size}),
        network=Part("unet", {"channels": 3, "widths": widths, "blocks": 1, "attention": [-1]}),
        settings=Settings(steps=2000, batch=32),
        parameterization=Part("v"),
    )


def _levels(size: int) -> int:
    """How many sizes the network sees, each half the one before, until few pixels are left."""
    if not _fits(size):
        near = [n for n in range(8, 2 * max(size, 8)) if _fits(n)]
        best = sorted(sorted(near, key=lambda n: abs(n - size))[:2])
        raise ValueError(
            f"pictures of {size} pixels cannot be halved down to between {FEWEST} and {MOST}: take "
            f"{' or '.join(map(str, best))}"
        )
    return len(_halved(size))


def _fits(size: int) -> bool:
    return FEWEST <= _halved(size)[-1] <= MOST


def _halved(size: int) -> list[int]:
    """The size, half of it, and so on while it is even and large."""
    sizes = [size]
    while sizes[-1] % 2 == 0 and (sizes[-1] > 8 or len(sizes) == 1):
        sizes.append(sizes[-1] // 2)
    return sizes


def changed(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    """The recipe with other values: of its settings, `flips`, and `width`, that of its first level.

    The other levels keep their proportion to the first.
    """
    settings = {name: value for name, value in given.items() if name in SETTINGS}
    recipe = replace(recipe, settings=replace(recipe.settings, **settings))
    if "flips" in given:
        recipe = replace(recipe, flips=given["flips"])
    if "width" in given:
        network, width = recipe.network, given["width"]
        if "widths" in network.arguments:
            widths = network.arguments["widths"]
            new = {"widths": [width * each // widths[0] for each in widths]}
        else:
            new = {"width": width}
        recipe = replace(recipe, network=Part(network.name, {**network.arguments, **new}))
    return recipe


def value(recipe: Recipe, name: str) -> Any:
    """What a recipe has where `changed` would put another value."""
    if name in SETTINGS:
        return getattr(recipe.settings, name)
    if name == "flips":
        return recipe.flips
    arguments = recipe.network.arguments
    return arguments["widths"][0] if "widths" in arguments else arguments.get("width")
