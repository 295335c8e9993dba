"""Pictures in color."""

from ddpm_lib.settings import Part, Recipe, Settings

SHAPES = Recipe(
    "shapes",
    shape=(3, 32, 32),
    data=Part("shapes", {"size": 32}),
    network=Part("unet", {"channels": 3, "widths": [32, 64, 96]}),
    settings=Settings(steps=4000),
    cpu_seconds=8700,
)
CIFAR10 = Recipe(
    "cifar10",
    shape=(3, 32, 32),
    data=Part("cifar10"),
    network=Part("unet", {"channels": 3, "widths": [64, 128, 128], "attention": [1, 2]}),
    settings=Settings(  # for a GPU
        steps=40_000, batch=128, learning_rate=1e-3, warmup=500, bfloat16=True
    ),
)
