"""From a recipe to what it describes: data, network, schedule, and the model after training.

A checkpoint carries its recipe, and everything is built again from that: parts are looked up by
name in the tables below, so what is in a file can choose among them, and run nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ddpm_lib import checkpoints, data, sampling, schedules, settings, systems
from ddpm_lib import examples as sets
from ddpm_lib.diffusion import EPS, X_0, Denoiser, Parameterization, V
from ddpm_lib.examples import Examples
from ddpm_lib.networks import cpu_seed
from ddpm_lib.networks.tiny import MLP, tiny
from ddpm_lib.networks.unet import UNet
from ddpm_lib.sampling import Step, denoiser, strided
from ddpm_lib.schedules import Schedule
from ddpm_lib.settings import Part, Recipe
from ddpm_lib.systems import System

Made = TypeVar("Made")

# The tables

DATA: dict[str, Callable[..., Examples]] = {
    "digits": sets.digits,
    "shapes": sets.shapes,
    "mnist": sets.published(data.mnist),
    "fashion_mnist": sets.published(data.fashion_mnist),
    "cifar10": sets.published(data.cifar10),
    "image_folder": sets.image_folder,
    "ring": sets.points(data.ring),
    "moons": sets.points(data.moons),
    "swiss_roll": sets.points(data.swiss_roll),
    "checkerboard": sets.points(data.checkerboard),
}
NETWORKS: dict[str, Callable[..., nn.Module]] = {"unet": UNet, "tiny": tiny, "mlp": MLP}
SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "linear": schedules.linear,
    "cosine": schedules.cosine,
}
PARAMETERIZATIONS: dict[str, Callable[[], Parameterization]] = {
    "eps": lambda: EPS,
    "x_0": lambda: X_0,
    "v": lambda: V,
}
SAMPLERS: dict[str, Callable[..., Step]] = {
    "ddpm": sampling.ddpm,
    "ddim": sampling.ddim,
    "heun": sampling.heun,
}


def examples(recipe: Recipe) -> Examples:
    """The data, downloaded if need be."""
    found = _make(DATA, "data set", recipe.data)
    if found.train.shape[1:] != recipe.shape:
        raise ValueError(
            f"recipe {recipe.name} is for examples of shape {recipe.shape}, and {recipe.data.name} "
            f"has {tuple(found.train.shape[1:])}"
        )
    return sets.flipped(found) if recipe.flips else found


def build(recipe: Recipe) -> System:
    """All but the data, the same for the same recipe: weights come from the settings' seed."""
    with cpu_seed(recipe.settings.seed):
        network = _make(NETWORKS, "network", recipe.network)
    return System(
        _make(SCHEDULES, "schedule", recipe.schedule),
        network,
        _make(PARAMETERIZATIONS, "parameterization", recipe.parameterization),
        recipe.clip,
    )


def _make(table: Mapping[str, Callable[..., Made]], kind: str, part: Part) -> Made:
    if part.name not in table:
        raise ValueError(f"no {kind} is named {part.name!r}, only: {', '.join(table)}")
    try:
        return table[part.name](**part.arguments)
    except TypeError as error:
        raise ValueError(
            f"{kind} {part.name} cannot be made with {dict(part.arguments)}: {error}"
        ) from error


# And after training


class Model(NamedTuple):
    """A trained network, ready to be sampled from."""

    recipe: Recipe
    schedule: Schedule
    denoise: Denoiser
    device: torch.device
    network: nn.Module  # what `denoise` decodes: to read it in another way, or to take it along


def trained(recipe: Recipe, average: Mapping[str, Tensor], device: torch.device) -> Model:
    """The model that the averaged weights of a run or of its checkpoint make."""
    system = build(recipe)
    checkpoints.fill(system.network, dict(average))
    system.network.to(device).eval()
    return Model(recipe, system.schedule, denoiser(*system), device, system.network)


def strides(model: Model, steps: int | None = None) -> list[int]:
    """The times that a walk visits: so many steps, or as many as are usual for its sampler."""
    T = model.schedule.T
    return strided(T, steps or min(T, settings.SAMPLERS[model.recipe.sampler.name]))


def walk(model: Model, n: int, seed: int, steps: int | None = None) -> Iterator[Tensor]:
    """x_T and what follows it, of n examples drawn as the recipe says; the last is x_0."""
    step = _make(SAMPLERS, "sampler", model.recipe.sampler)
    return systems.drawn(
        model.schedule,
        model.denoise,
        (n, *model.recipe.shape),
        step=step,
        times=strides(model, steps),
        seed=seed,
        device=model.device,
    )


def walk_with_bar(model: Model, n: int, seed: int, steps: int | None = None) -> Iterator[Tensor]:
    """The same, and a bar that tells how far it is."""
    from tqdm import tqdm

    total = len(strides(model, steps))
    yield from tqdm(walk(model, n, seed, steps), f"drawing {n}", total, unit="step")
