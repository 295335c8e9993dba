"""The exercises of the course, and one engine that judges their answers.

An exercise is data: the right version, and wrong versions by what is said to them. Each chapter has
a module here with its own. A chapter calls an exercise with an answer, and is told in one line that
it is right, or which mistake it looks like. The dots of an open exercise pass with a reminder, so
that a chapter runs to its end.

An answer is judged in this order: not written; stops with an exception; changes an argument in
place; right for all inputs; a known mistake for all inputs; two known mistakes at once; what
comparing with the right version shows.
"""

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

from ddpm_lib.course.checks import progress
from ddpm_lib.course.checks.calling import (
    Mistake,
    NotWritten,
    Stopped,
    call,
    draws,
    quiet,
    say,
    written,
)
from ddpm_lib.course.checks.cases import Case, arguments
from ddpm_lib.course.checks.comparing import Numbers, compared, distance, numbers, wider

__all__ = ["Exercise", "Mistake", "judge"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Exercise:
    """A question, as far as its answers are judged.

    A version is a function of a case's arguments; without cases it is the value that is asked for.
    A wrong one may also be given as the keywords in which the right one is changed: two such slips
    can be made at once.
    """

    name: str  # under which tries are noted: "forward.leap"
    see: str  # the section to read again, by its title
    praise: str  # with holes for what a probe measured
    right: Any = None
    wrong: Mapping[str, Any] = field(default_factory=dict)  # {what is said: the version}
    cases: Sequence[Case] = ()  # the first always the same, and such that slips show
    rtol: float = 1e-6
    view: Callable[[Any], Any] = lambda result: result  # what of a result counts
    probe: Callable[[Any], dict[str, Any]] | None = None  # judges in place of versions

    def __call__(self, answer: Any) -> None:
        judge(self, answer)


def judge(exercise: Exercise, answer: Any) -> bool:
    """Print the praise of a right answer and return True; raise for a wrong one."""
    try:
        with quiet() as printed:
            measured = verify(exercise, answer, secrets.randbits(31))
    except NotWritten as reminder:
        print("·", reminder)
        return False
    except Mistake:
        progress.note(exercise.name, 0)
        raise
    finally:
        print(*printed.getvalue().splitlines(keepends=True)[:5], sep="", end="")
    progress.note(exercise.name, 1)
    print("✓", say(exercise.praise, **measured))
    return True


def verify(exercise: Exercise, answer: Any, seed: int) -> dict[str, Any]:
    """Raise what is wrong with an answer; the seed draws the inputs that change."""
    if exercise.probe:
        return exercise.probe(written(answer))
    results, stopped = _tried(exercise, answer, seed)
    answers = [numbers(exercise.view(result)) for result in results]
    rights = outcomes(exercise, exercise.right, seed, len(answers))
    if stopped is None and distance(answers, rights, exercise.rtol) <= 1:
        if (too_wide := wider(answers, rights)) is not None:
            raise too_wide
        return {}

    def off(version: Any) -> float:
        with suppress(RuntimeError):  # a slip may stop where shapes do not fit
            found = outcomes(exercise, version, seed, len(answers))
            return distance(answers, found, exercise.rtol)
        return math.inf

    known = {sentence: off(version) for sentence, version in exercise.wrong.items()}
    likeliest = min(known, key=lambda sentence: known[sentence], default=None)
    if likeliest is not None and known[likeliest] <= 1:
        raise Mistake(likeliest)
    slips = {said: slip for said, slip in exercise.wrong.items() if isinstance(slip, dict)}
    for (one, a), (other, b) in combinations(slips.items(), 2):
        if a.keys().isdisjoint(b) and off(a | b) <= 1:
            raise Mistake("Two things at once. {one} And: {other}", one=one, other=other)
    if stopped is not None:
        raise stopped
    for case in exercise.cases:
        if draws(answer, case, seed) and not draws(exercise.right, case, seed):
            raise Mistake("It draws random numbers of its own: use those that it is given.")
    inputs = [arguments(case, seed) for case in exercise.cases]
    said = compared(answers, rights, inputs, exercise.rtol)
    raise Mistake("{said} Read “{see}” again.", said=said, see=exercise.see)


def outcomes(
    exercise: Exercise, version: Any, seed: int, cases: int | None = None
) -> list[Numbers]:
    """What one of the exercise's own versions gives, for its first cases or for all."""
    if not exercise.cases:
        return [numbers(exercise.view(version))]
    made = partial(exercise.right, **version) if isinstance(version, dict) else version
    inputs = (arguments(case, seed) for case in exercise.cases[:cases])
    return [numbers(exercise.view(made(*given))) for given in inputs]


def _tried(exercise: Exercise, answer: Any, seed: int) -> tuple[list[Any], Stopped | None]:
    """The results of an answer, and what ended them early; in the first case that is raised."""
    if not exercise.cases:
        return [written(answer)], None
    results: list[Any] = []
    for case in exercise.cases:
        try:
            results.append(call(answer, case, seed))
        except Stopped as stopped:
            if not results:
                raise
            return results, stopped
    return results, None
