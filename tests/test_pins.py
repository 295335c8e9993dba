"""pyproject.toml, constraints.txt and environment.yml name the same packages and versions."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"[\w.-]+")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normal(name): version for name, version in pairs}


def direct() -> list[str]:
    """What pyproject.toml asks for, in all extras that CI installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return sum(project["optional-dependencies"].values(), project["dependencies"])


def test_every_direct_dependency_is_pinned():
    for requirement in direct():
        name, _, version = requirement.partition("==")
        pinned = pins()[normal(NAME.match(name)[0])]
        assert version in ("", pinned), f"{requirement} is pinned to {pinned} in constraints.txt"


def test_the_conda_environment_is_the_pinned_one():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip[-1] == "--editable=."
    found = dict(entry.split("==") for entry in pip[:-1])
    wanted = {NAME.match(r)[0]: pins()[normal(NAME.match(r)[0])] for r in direct()}
    assert found == wanted
