"""Calling an answer: what it does to its arguments is noticed, what it does to the world undone."""

import io
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddpm_lib.course.checks.cases import Case, arguments, same

LIBRARY = str(Path(__file__).parents[2])


def say(sentence: str, **values: Any) -> str:
    """A sentence with values in its holes; one without values may have braces of its own."""
    return sentence.format(**values) if values else sentence


class Mistake(AssertionError):
    """What is said to a wrong answer; notebooks show it without a traceback."""

    def __init__(self, sentence: str, **values: Any) -> None:
        super().__init__(say(sentence, **values))

    def _render_traceback_(self) -> list[str]:  # IPython's hook
        return [f"✗ {self}"]


class NotWritten(Mistake):
    """No answer yet."""


class Stopped(Mistake):
    """An answer that ended with an exception."""


def is_open(answer: Any) -> bool:
    """Whether an answer, or a part of it, is still the dots."""
    return answer is ... or (isinstance(answer, list | tuple) and any(map(is_open, answer)))


def written(answer: Any) -> Any:
    """The answer, if there is one."""
    if is_open(answer):
        raise NotWritten("Not tried yet: put your answer in place of the dots.")
    return answer


def call(answer: Any, case: Case, seed: int) -> Any:
    """The result of an answer for one case."""
    if not callable(written(answer)):
        raise Mistake("The answer is a function, got {answer!r}.", answer=answer)
    given = arguments(case, seed)
    try:
        result = written(answer(*given))
    except Mistake:
        raise
    except NotImplementedError as error:
        raise NotWritten("Not written yet.") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if not f.filename.startswith(LIBRARY)]
        own = [f for f in own if "site-packages" not in f.filename]
        raise Stopped(
            "It stops with {kind}: {text}. The line is `{line}`, and it was given {arguments}.",
            kind=type(error).__name__,
            text=" ".join(str(error).split()).rstrip("."),
            line=own[-1].line if own else "?",
            arguments=listed(arguments(case, seed)),
        ) from error
    if result is None:
        raise NotWritten("The function returns nothing: is its last line a `return`?")
    for number, (now, before) in enumerate(zip(given, arguments(case, seed), strict=True), 1):
        if not same(now, before):
            raise Mistake(
                "It changes its argument number {number} in place, and the caller may still need "
                "that: make a new tensor.",
                number=number,
            )
    return result


def draws(function: Callable[..., Any], case: Case, seed: int) -> bool:
    """Whether a function draws random numbers of its own."""
    before = torch.get_rng_state()
    function(*arguments(case, seed))
    return not torch.equal(before, torch.get_rng_state())


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Seeds, dtype and gradients are afterwards as before; prints go into what is yielded."""
    states = random.getstate(), np.random.get_state()
    dtype, printed = torch.get_default_dtype(), io.StringIO()
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), redirect_stdout(printed):
        torch.set_default_dtype(torch.float32)
        try:
            yield printed
        finally:
            torch.set_default_dtype(dtype)
            random.setstate(states[0])
            np.random.set_state(states[1])


def listed(values: Any) -> str:
    """Values in a few characters each: a tensor by its shape."""
    return ", ".join(map(described, values))


def described(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    if isinstance(value, list | tuple):
        return f"[{listed(value)}]"
    return type(value).__name__ if callable(value) else repr(value)
