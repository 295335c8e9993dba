"""Which module may import which: the table of the architecture, read from the sources."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import ddpm_lib

PACKAGE = Path(ddpm_lib.__file__).parent

# In reading order. A module imports only from the rows above its own.
ORDER = [
    "schedules",
    "diffusion",
    "bound",
    "exact",
    "networks",
    "downloads",
    "data",
    "sampling",
    "training",
    "checkpoints",
    "quantization",
    "evaluation",
    "clinic",
    "plotting",
    "explore",
    "claims",
    "checks",
    "recipes",
    "runs",
    "live",
    "panels",
    "cli",
    "__main__",
]
# And the mathematics only this much of it, so that each of these can be read, and copied, alone.
CORE = {
    "schedules": set[str](),
    "diffusion": {"schedules"},
    "bound": {"schedules", "diffusion"},
    "exact": {"schedules", "diffusion"},
    "networks": set[str](),
    "sampling": {"schedules", "diffusion"},
    "training": {"schedules", "diffusion"},
    "claims": set[str](),
}
HEAVY = ["sklearn", "matplotlib", "ipywidgets", "pooch", "PIL", "accelerate", "tqdm"]
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def module(path: Path) -> str:
    """The row of a file: ddpm_lib/networks/unet.py belongs to networks."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


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
    return {name[1] for name in names if name[0] == "ddpm_lib"} & set(ORDER) - {module(path)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rows_above(path: Path) -> None:
    assert module(path) in ORDER, f"{module(path)} has no row: say above where it is read"
    above = set(ORDER[: ORDER.index(module(path))])
    assert siblings(path) <= CORE.get(module(path), above)


def test_the_package_re_exports_nothing() -> None:
    assert not list(imports(ast.walk(ast.parse((PACKAGE / "__init__.py").read_text()))))


@pytest.mark.parametrize("name", sorted(CORE))
def test_the_core_needs_only_torch(name: str) -> None:
    """Outside of functions, that is: what a function imports is for those who call it."""
    for path in (path for path in SOURCES if module(path) == name):
        roots = {name.split(".")[0] for name in imports(ast.parse(path.read_text()).body)}
        assert roots <= {"torch", "ddpm_lib"} | sys.stdlib_module_names


def test_importing_loads_nothing_that_is_not_used() -> None:
    """In a fresh process: what torch does not load by itself, the library does not load either."""
    names = [
        n
        for n in ORDER
        if n not in ("plotting", "explore", "checks", "runs", "live", "panels", "cli", "__main__")
    ]
    there = [n for n in names if (PACKAGE / n).exists() or (PACKAGE / f"{n}.py").exists()]
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
