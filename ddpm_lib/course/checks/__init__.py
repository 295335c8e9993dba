"""Checks for exercises: a wrong answer is told which mistake it looks like.

Each chapter with exercises has a module here, with one function for each exercise. An answer that
is still `...` passes with a reminder, so that a chapter with open exercises runs to its end.
"""

from collections.abc import Mapping
from typing import Any

import torch


class Mistake(AssertionError):
    """A wrong answer; notebooks show its message alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:  # IPython's hook
        return [f"✗ {self}"]


def judge(
    answer: Any, right: Any, mistakes: Mapping[str, Any], praise: str, rtol: float = 1e-6
) -> None:
    """Compare an answer with the right one and with known mistakes, {what happened: its result}."""
    if answer is ...:
        print("· Not tried yet: put your answer in place of the dots.")
        return
    try:
        answer = torch.as_tensor(answer, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Mistake(f"The answer is a number or a tensor, got {answer!r}.") from error
    if _close(answer, right, rtol):
        print(f"✓ {praise}")
        return
    for what_happened, result in mistakes.items():
        if _close(answer, result, rtol):
            raise Mistake(what_happened)
    right = torch.as_tensor(right)
    if answer.shape != right.shape:
        raise Mistake(f"The shape is {tuple(answer.shape)}, it should be {tuple(right.shape)}.")
    off = f", it is {answer.item():g}" if answer.numel() == 1 else ""
    raise Mistake(f"Not right yet{off}. None of the usual mistakes gives this result.")


def _close(a: torch.Tensor, b: Any, rtol: float) -> bool:
    b = torch.as_tensor(b, dtype=torch.float64)
    return a.shape == b.shape and torch.allclose(a, b, rtol=rtol, atol=1e-9)
