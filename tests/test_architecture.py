"""Which module may import which: the table of the architecture, read from the sources."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

import ddpm_lib

PACKAGE = Path(ddpm_lib.__file__).parent

# In reading order. A module imports only from the rows above its own; so the library imports
# nothing from the course's wing, whose rows come last.
ORDER = [
    "arguments",
    "schedules",
    "diffusion",
    "conditions",
    "bound",
    "exact",
    "networks",
    "sampling",
    "settings",
    "devices",
    "training",
    "sources",
    "files",
    "downloads",
    "data",
    "examples",
    "systems",
    "checkpoints",
    "evaluation",
    "plotting",
    "recipes",
    "named",
    "own",
    "measuring",
    "figures",
    "runs",
    "commands",
    "cli",
    "__main__",
    "course.recipes",
    "course.claims",
    "course.quantization",
    "course.clinic",
    "course.checks",
    "course.scripts",
    "course.explore",
    "course.live",
    "course.panels",
]
# And the mathematics only this much of it, so that each of these can be read, and copied, alone.
CORE = {
    "arguments": set[str](),
    "schedules": {"arguments"},
    "diffusion": {"arguments", "schedules"},
    "conditions": {"arguments", "diffusion"},
    "bound": {"arguments", "schedules", "diffusion"},
    "exact": {"arguments", "schedules", "diffusion"},
    "networks": set[str](),
    "sampling": {"arguments", "schedules", "diffusion"},
    "settings": set[str](),
    "devices": set[str](),
    "training": {"arguments", "schedules", "diffusion", "conditions", "settings", "devices"},
    "sources": set[str](),
    "course.claims": set[str](),
}
HEAVY = ["sklearn", "matplotlib", "ipywidgets", "pooch", "PIL", "accelerate", "tqdm"]
EMPTY = {PACKAGE / "__init__.py", PACKAGE / "course" / "__init__.py"}
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path not in EMPTY)


def module(path: Path) -> str:
    """The row of a file: ddpm_lib/networks/unet.py belongs to networks."""
    return row(path.relative_to(PACKAGE).with_suffix("").parts)


def row(names: Sequence[str]) -> str:
    """The row of a dotted name below ddpm_lib."""
    return ".".join(names[:2]) if names[0] == "course" else names[0]


def imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The whole names of what these statements import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where a name comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def siblings(path: Path) -> set[str]:
    """The rows that a file imports from, anywhere in it, other than its own."""
    names = [name.split(".") for name in imports(ast.walk(ast.parse(path.read_text())))]
    rows = {row(name[1:]) for name in names if name[0] == "ddpm_lib"}
    return rows & set(ORDER) - {module(path)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rows_above(path: Path) -> None:
    assert module(path) in ORDER, f"{module(path)} has no row: say above where it is read"
    above = set(ORDER[: ORDER.index(module(path))])
    assert siblings(path) <= CORE.get(module(path), above)


@pytest.mark.parametrize("path", sorted(EMPTY), ids=lambda path: path.parent.name)
def test_the_package_re_exports_nothing(path: Path) -> None:
    assert not list(imports(ast.walk(ast.parse(path.read_text()))))


@pytest.mark.parametrize("name", sorted(CORE))
def test_the_core_needs_only_torch(name: str) -> None:
    """Outside of functions, that is: what a function imports is for those who call it."""
    for path in (path for path in SOURCES if module(path) == name):
        roots = {name.split(".")[0] for name in imports(ast.parse(path.read_text()).body)}
        assert roots <= {"torch", "ddpm_lib"} | sys.stdlib_module_names


def test_importing_loads_nothing_that_is_not_used() -> None:
    """In a fresh process: what torch does not load by itself, the library does not load either."""
    heavy = {"plotting", "figures", "runs", "commands", "cli", "__main__"}
    heavy |= {f"course.{name}" for name in ("explore", "checks", "live", "panels")}
    there = [name for name in ORDER if name not in heavy]
    program = f"""
import sys, torch
before = set(sys.modules)
for name in {there}:
    __import__("ddpm_lib." + name)
    loaded = sorted(set({HEAVY}) & (set(sys.modules) - before))
    assert not loaded, f"ddpm_lib.{{name}} loads {{loaded}}"
"""
    run = [sys.executable, "-c", program]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
