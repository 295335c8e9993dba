"""Densities in the plane."""

from ddpm_lib.settings import Part, Recipe, Settings

RING = Recipe(
    "ring",
    shape=(2,),
    data=Part("ring"),
    network=Part("mlp", {"dim": 2, "width": 128}),
    settings=Settings(steps=4000, batch=512),
    parameterization=Part("v"),  # as x_0 from eps near T is eps's error, times s / a
    clip=None,
    cpu_seconds=30,
)
