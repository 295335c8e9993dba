"""Comparing answers with versions: in tolerances, and in words where no known mistake fits."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks.calling import Mistake, described, listed

Numbers = list[Tensor]  # of one result: a tensor for each of its parts

# What a wrong answer may be of the right one, whatever the exercise.
RELATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Not right yet: the sign is the other way round.": torch.neg,
    "Not right yet: it is twice what it should be.": lambda y: 2 * y,
    "Not right yet: it is half of what it should be.": lambda y: y / 2,
    "Not right yet: it is the square of what it should be.": torch.square,
    "Not right yet: it is the root of what it should be.": torch.sqrt,
    "Not right yet: it is one over what it should be.": torch.reciprocal,
}


def numbers(result: Any) -> Numbers:
    """A number, a tensor, or a list of these, as tensors."""
    if isinstance(result, Tensor):
        return [result.detach()]
    if isinstance(result, list | tuple):
        if any(getattr(part, "ndim", 0) for part in result):
            return [tensor for part in result for tensor in numbers(part)]
        result = [part.detach() if isinstance(part, Tensor) else part for part in result]
    try:
        return [torch.as_tensor(result, dtype=torch.float64)]
    except (TypeError, ValueError, RuntimeError) as error:
        raise Mistake("The answer is a number or a tensor, got {got!r}.", got=result) from error


def distance(answers: Sequence[Numbers], others: Sequence[Numbers], rtol: float) -> float:
    """The largest deviation of answers from others, in tolerances: up to 1 they are the same."""
    worst = 0.0
    for result, other in zip(answers, others, strict=True):
        if shape(result) != shape(other):
            return math.inf
        for x, y in zip(result, other, strict=True):
            eps = max(
                (torch.finfo(z.dtype).eps for z in (x, y) if z.is_floating_point()), default=0
            )
            a, b = x.double(), y.double()
            largest = b.abs().max() if b.numel() else 0
            off = (a - b).abs() / (1e-9 + rtol * b.abs() + 100 * eps * largest)
            off[(a == b) | (a.isnan() & b.isnan())] = 0
            worst = max(worst, float(off.nan_to_num(nan=math.inf).max()) if off.numel() else 0.0)
    return worst


def wider(answers: Sequence[Numbers], rights: Sequence[Numbers]) -> Mistake | None:
    """What is said of right values in float64 that should be float32, say."""
    for result, right in zip(answers, rights, strict=True):
        for x, y in zip(result, right, strict=True):
            if x.dtype.itemsize > y.dtype.itemsize:
                return Mistake(
                    "The values are right, but their type is {got}. It should be {want}.",
                    got=x.dtype,
                    want=y.dtype,
                )
    return None


def compared(
    answers: Sequence[Numbers], rights: Sequence[Numbers], inputs: Sequence[Any], rtol: float
) -> Mistake:
    """What the results of an answer that is no known mistake show, beside the right ones.

    inputs: the arguments of each case; of a question without cases, none.
    """
    off = [distance([x], [y], rtol) for x, y in zip(answers, rights, strict=True)]
    for got, want in zip(map(shape, answers), map(shape, rights), strict=True):
        if got != want:
            return Mistake("The shape is {got}, it should be {want}.", got=got, want=want)
    if _constant(answers) and not _constant(rights):
        return Mistake("It gives the same for every input: compute it from the arguments.")
    for number, same in enumerate(zip(*inputs, strict=True), 1):
        if all(_is(x, given) for x, given in zip(answers, same, strict=True)):
            return Mistake("It returns its argument number {number} unchanged.", number=number)
    for sentence, relation in RELATIONS.items():
        if distance(answers, [[relation(y.double()) for y in part] for part in rights], rtol) <= 1:
            return Mistake(sentence)
    if off[0] <= 1:
        failed = next(given for given, far in zip(inputs, off, strict=True) if far > 1)
        return Mistake(
            "Not right yet: right for the first input, but not for {given}.", given=listed(failed)
        )
    x, y = (
        torch.cat([p.double().flatten() for r in each for p in r]) for each in (answers, rights)
    )
    factor = float(x @ y / (y @ y))
    if len(y) > 1 and factor and distance([[x]], [[factor * y]], rtol) <= 1:
        return Mistake("Not right yet: all is {factor:.3g} times what it should be.", factor=factor)
    if (x - y).abs().max() < 0.01 * y.abs().max():
        return Mistake("Nearly right: carry more digits, and round at the end.")
    if len(y) == 1:
        return Mistake(
            "Not right yet, it is {value:g}. None of the usual mistakes gives this result.",
            value=x.item(),
        )
    return Mistake("Not right yet. None of the usual mistakes gives this result.")


def shape(result: Numbers) -> str:
    return described(result if len(result) != 1 else result[0])


def _constant(results: Sequence[Numbers]) -> bool:
    return len(results) > 1 and distance(results[1:], results[:-1], 0) <= 1


def _is(result: Numbers, argument: Any) -> bool:
    tensor = isinstance(argument, Tensor) and argument.ndim > 0
    return tensor and distance([result], [[argument]], 0) <= 1
