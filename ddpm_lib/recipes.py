"""The named systems: data, network, schedule and training settings, as values that JSON can hold.

A checkpoint carries its recipe, and everything is built again from that: parts are looked up by
name in the tables below, so what is in a file can choose among them, and run nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ddpm_lib import checkpoints, data, sampling, schedules
from ddpm_lib.data import Pictures
from ddpm_lib.diffusion import EPS, X_0, Denoiser, Parameterization, V
from ddpm_lib.networks import cpu_seed
from ddpm_lib.networks.tiny import MLP, tiny
from ddpm_lib.networks.unet import UNet
from ddpm_lib.sampling import Step, sample, strided
from ddpm_lib.schedules import Schedule
from ddpm_lib.training import Settings

Made = TypeVar("Made")


@dataclass(frozen=True)
class Part:
    """An entry of one of the tables below, and what it is called with."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """All that distinguishes one system from another."""

    name: str
    shape: tuple[int, ...]  # of one example: (C, H, W), or (2,) for a point
    data: Part
    network: Part
    settings: Settings
    schedule: Part = Part("cosine")
    parameterization: Part = Part("eps")
    sampler: Part = Part("ddim")
    clip: float | None = 1.0  # the largest value in the data, for the denoiser; None for points
    cpu_seconds: float | None = None  # that training takes, from the measured speed of its steps

    @property
    def pictures(self) -> bool:
        return len(self.shape) == 3


# What data to learn from


class Examples(NamedTuple):
    """What is trained on, and what is kept apart."""

    train: Tensor  # (N, C, H, W) uint8, or (N, 2)
    test: Tensor
    labels: Tensor | None  # of the training pictures; points have none


def _of(train: Pictures, test: Pictures) -> Examples:
    return Examples(train.pixels, test.pixels, train.labels)


def _parted(pictures: Pictures) -> Examples:
    """A tenth kept apart: at random, since files and scikit-learn's digits come in an order."""
    order = torch.randperm(len(pictures.pixels), generator=torch.Generator().manual_seed(0))
    train, test = order.tensor_split([len(order) - len(order) // 10])
    return Examples(pictures.pixels[train], pictures.pixels[test], pictures.labels[train])


def _points(draw: Callable[..., Tensor]) -> Callable[[], Examples]:
    def examples() -> Examples:
        generator = torch.Generator().manual_seed(0)
        train, test = (draw(n, generator=generator) for n in (20_000, 2_000))
        return Examples(train, test, None)

    return examples


# The tables

DATA: dict[str, Callable[..., Examples]] = {
    "digits": lambda: _parted(data.digits()),
    "shapes": lambda size: _of(data.shapes(10_000, size), data.shapes(1_000, size, seed=1)),
    "mnist": lambda: _of(data.mnist(), data.mnist(test=True)),
    "fashion_mnist": lambda: _of(data.fashion_mnist(), data.fashion_mnist(test=True)),
    "cifar10": lambda: _of(data.cifar10(), data.cifar10(test=True)),
    "image_folder": lambda path, size: _parted(data.image_folder(path, size)),
    "ring": _points(data.ring),
    "moons": _points(data.moons),
    "swiss_roll": _points(data.swiss_roll),
    "checkerboard": _points(data.checkerboard),
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
STRIDES = {"ddpm": 1000, "ddim": 50, "heun": 25}  # of a sampler, if nobody says how many

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "digits",
            shape=(1, 8, 8),
            data=Part("digits"),
            network=Part("unet", {"channels": 1, "widths": [32, 64]}),
            settings=Settings(steps=1200),
            cpu_seconds=156,
        ),
        Recipe(  # of the course: a page carries its weights, and runs it in plain JavaScript
            "small_digits",
            shape=(1, 8, 8),
            data=Part("digits"),
            network=Part("unet", {"channels": 1, "widths": [24, 48], "blocks": 1}),
            settings=Settings(steps=2000),
            cpu_seconds=120,
        ),
        Recipe(
            "shapes",
            shape=(3, 32, 32),
            data=Part("shapes", {"size": 32}),
            network=Part("unet", {"channels": 3, "widths": [32, 64, 96]}),
            settings=Settings(steps=4000),
            cpu_seconds=8700,
        ),
        Recipe(
            "mnist",
            shape=(1, 28, 28),
            data=Part("mnist"),
            network=Part("unet", {"channels": 1, "widths": [32, 64, 96]}),
            settings=Settings(steps=6000),
            cpu_seconds=10300,
        ),
        Recipe(
            "fashion_mnist",
            shape=(1, 28, 28),
            data=Part("fashion_mnist"),
            network=Part("unet", {"channels": 1, "widths": [32, 64, 96]}),
            settings=Settings(steps=6000),
            cpu_seconds=10300,
        ),
        Recipe(
            "cifar10",
            shape=(3, 32, 32),
            data=Part("cifar10"),
            network=Part("unet", {"channels": 3, "widths": [64, 128, 128], "attention": [1, 2]}),
            settings=Settings(  # for a GPU
                steps=40_000, batch=128, learning_rate=1e-3, warmup=500, bfloat16=True
            ),
        ),
        Recipe(
            "ring",
            shape=(2,),
            data=Part("ring"),
            network=Part("mlp", {"dim": 2, "width": 128}),
            settings=Settings(steps=4000, batch=512),
            parameterization=Part("v"),  # as x_0 from eps near T is eps's error, times s / a
            clip=None,
            cpu_seconds=30,
        ),
    )
}


# From a recipe to what it describes


class System(NamedTuple):
    """What a recipe describes, except for the data."""

    schedule: Schedule
    network: nn.Module  # before training: its weights come from the seed of the settings
    parameterization: Parameterization


def build(recipe: Recipe) -> System:
    """The schedule, the network and the parameterization, the same for the same recipe."""
    with cpu_seed(recipe.settings.seed):
        network = _make(NETWORKS, "network", recipe.network)
    return System(
        _make(SCHEDULES, "schedule", recipe.schedule),
        network,
        _make(PARAMETERIZATIONS, "parameterization", recipe.parameterization),
    )


def examples(recipe: Recipe) -> Examples:
    """The data, downloaded if need be."""
    found = _make(DATA, "data set", recipe.data)
    if found.train.shape[1:] != recipe.shape:
        raise ValueError(
            f"recipe {recipe.name} is for examples of shape {recipe.shape}, and {recipe.data.name} "
            f"has {tuple(found.train.shape[1:])}"
        )
    return found


def prepare(x: Tensor) -> Tensor:
    """Pictures as floats in [-1, 1]; points are floats already."""
    return data.scale(x) if x.dtype == torch.uint8 else x


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
    schedule, network, parameterization = build(recipe)
    checkpoints.fill(network, dict(average))
    network.to(device).eval()
    denoise = sampling.denoiser(schedule, network, parameterization, recipe.clip)
    return Model(recipe, schedule, denoise, device, network)


def walk(model: Model, n: int, seed: int, steps: int | None = None) -> Iterator[Tensor]:
    """x_T and what follows it, of n examples drawn as the recipe says; the last is x_0."""
    recipe, T = model.recipe, model.schedule.T
    step = _make(SAMPLERS, "sampler", recipe.sampler)
    times = strided(T, steps or min(T, STRIDES[recipe.sampler.name]))
    # Drawn on the CPU, so that a seed means the same pictures on every device.
    randn = partial(torch.randn, generator=torch.Generator().manual_seed(seed))
    x_T = randn((n, *recipe.shape)).to(model.device)
    yield x_T
    yield from sample(step, model.schedule, model.denoise, x_T, times, randn=randn)


# Names and JSON


def find(name: str) -> Recipe:
    """The recipe of that name."""
    if name not in RECIPES:
        raise ValueError(f"no recipe is named {name!r}, only: {', '.join(RECIPES)}")
    return RECIPES[name]


def to_json(recipe: Recipe) -> dict[str, Any]:
    return asdict(recipe)


def from_json(values: Any) -> Recipe:
    """The recipe that `to_json` described, also after a way through a file."""
    parts = ("data", "network", "schedule", "parameterization", "sampler")
    try:
        return Recipe(
            **values
            | {name: Part(**values[name]) for name in parts}
            | {"settings": Settings(**values["settings"]), "shape": tuple(values["shape"])}
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"no recipe of this version of ddpm_lib: {error}") from None
