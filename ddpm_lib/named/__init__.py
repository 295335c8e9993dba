"""The named recipes, in modules that read like a list: one more is one more value in one of them.

Whoever needs one imports it from its module, as chapters do. Only the command line asks for all, by
name; another package adds its own with an entry point in the group `ddpm_lib.recipes`, whose value
is such a module.
"""

import importlib
import pkgutil
from importlib.metadata import entry_points

from ddpm_lib.settings import Recipe

GROUP = "ddpm_lib.recipes"


def recipes() -> dict[str, Recipe]:
    """All of them by name, those of this package first."""
    here = (f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(name) for name in here]
    modules += [entry.load() for entry in entry_points(group=GROUP)]
    values = (value for module in modules for value in vars(module).values())
    return {recipe.name: recipe for recipe in values if isinstance(recipe, Recipe)}


def find(name: str) -> Recipe:
    """The recipe of that name."""
    known = recipes()
    if name not in known:
        raise ValueError(f"no recipe is named {name!r}, only: {', '.join(known)}")
    return known[name]
