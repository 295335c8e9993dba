"""The recipes of the course, which pyproject.toml registers with `ddpm_lib.named`."""

from ddpm_lib.settings import Part, Recipe, Settings

SMALL_DIGITS = Recipe(  # a page carries its weights, and runs it in plain JavaScript
    "small_digits",
    shape=(1, 8, 8),
    data=Part("digits"),
    network=Part("unet", {"channels": 1, "widths": [24, 48], "blocks": 1}),
    settings=Settings(steps=2000),
    cpu_seconds=120,
)
