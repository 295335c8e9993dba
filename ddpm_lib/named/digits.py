"""Handwritten digits and pieces of clothing, gray."""

from dataclasses import replace

from ddpm_lib.settings import Part, Recipe, Settings

DIGITS = Recipe(
    "digits",
    shape=(1, 8, 8),
    data=Part("digits"),
    network=Part("unet", {"channels": 1, "widths": [32, 64]}),
    settings=Settings(steps=1200),
    cpu_seconds=156,
)
MNIST = Recipe(
    "mnist",
    shape=(1, 28, 28),
    data=Part("mnist"),
    network=Part("unet", {"channels": 1, "widths": [32, 64, 96]}),
    settings=Settings(steps=6000),
    cpu_seconds=10300,
)
FASHION_MNIST = replace(MNIST, name="fashion_mnist", data=Part("fashion_mnist"))
