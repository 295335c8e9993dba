"""What an answer is called with: a case makes the arguments of one call from a source of chance."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Case = Callable[[torch.Generator], tuple[Any, ...]]


def arguments(case: Case, seed: int) -> tuple[Any, ...]:
    """Those of a seed: the same tensors each time, and nobody else's."""
    return _copied(case(torch.Generator().manual_seed(seed)))


def same(a: Any, b: Any) -> bool:
    """Whether two sets of arguments have the same tensors."""
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return not isinstance(a, Tensor) or torch.equal(a, b)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    return type(value)(map(_copied, value)) if isinstance(value, list | tuple) else value


def given(*values: Any) -> Case:
    """A case that is always the same."""
    return lambda chance: values


def always(case: Case) -> Case:
    """A case as the same draw makes it each time."""
    return lambda chance: case(torch.Generator().manual_seed(0))


def single(case: Case) -> Case:
    """A case with its tensors in float32, so that an answer in float64 is noticed."""

    def narrowed(value: Any) -> Any:
        wide = isinstance(value, Tensor) and value.ndim and value.dtype == torch.float64
        return value.float() if wide else value

    return lambda chance: tuple(map(narrowed, case(chance)))


def normal(chance: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=chance, dtype=torch.float64)


def uniform(chance: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=chance, dtype=torch.float64)


def whole(chance: torch.Generator, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=chance))
