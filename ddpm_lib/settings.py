"""How a system is made and trained, as values that JSON can hold.

This imports no torch, so that the command line knows the named recipes at once.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

KINDS = {int: "a whole number", float: "a number", bool: "True or False"}
SAMPLERS = {"ddpm": 1000, "ddim": 50, "heun": 25}  # and their steps, if nobody says how many


@dataclass(frozen=True)
class Settings:
    """How to train: numbers and switches, so that a checkpoint can hold them as JSON."""

    steps: int = 2000
    batch: int = 64  # pictures for one step, over all devices
    learning_rate: float = 2e-3  # at its highest
    warmup: int = 50  # steps until it is there
    final: float = 0.0  # the part of it that is left at the end; 1 keeps it constant
    clip: float = 1.0  # longest gradient; math.inf for any
    ema: float = 0.999  # memory of the averaged weights; 0 for none
    seed: int = 0
    accumulate: int = 1  # parts in which a batch is computed, where memory is short
    bfloat16: bool = False  # for the network's products; its weights and the loss stay as they are
    channels_last: bool = False  # quicker for convolutions, slower for GroupNorm on a CPU
    compile: bool = False  # a minute at the start, for a gain on a GPU

    def __post_init__(self) -> None:
        for each in fields(self):  # what JSON holds need not be what is meant
            value, kind = getattr(self, each.name), type(each.default)
            fits = isinstance(value, int | float if kind is float else kind)
            if not fits or isinstance(value, bool) != (kind is bool):
                raise TypeError(f"{each.name} is {KINDS[kind]}, got {value!r}")
        for name in ("steps", "batch", "learning_rate", "clip", "accumulate"):
            if not getattr(self, name) > 0:  # also for NaN
                raise ValueError(
                    f"{name} is above 0, got {getattr(self, name)}, with which nothing is learned"
                    + (": math.inf lets gradients have any length" if name == "clip" else "")
                )
        for name, high in (("warmup", math.inf), ("final", 1), ("ema", 1)):
            if not 0 <= getattr(self, name) <= high:
                raise ValueError(f"{name} lies in 0..{high}, got {getattr(self, name)}")


@dataclass(frozen=True)
class Part:
    """An entry of one of the tables in recipes.py, and what it is called with."""

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
    flips: bool = False  # learn from each picture and from its mirror image
    cpu_seconds: float | None = None  # that training takes, from the measured speed of its steps

    @property
    def pictures(self) -> bool:
        return len(self.shape) == 3


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
