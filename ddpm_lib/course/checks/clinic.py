"""Exercises of chapter 15, the debugging clinic, and the answer to a diagnosis."""

import textwrap
from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Exercise, Mistake
from ddpm_lib.course.checks.calling import say
from ddpm_lib.course.checks.cases import given
from ddpm_lib.course.clinic.patients import BUGS, NAMES
from ddpm_lib.course.clinic.ward import CHECKS, evidence, passes, ruled_out


def diagnose(number: int, answer: Any) -> None:
    """Say whether a patient has the bug of that name and, if not, what rules it out."""
    if answer is ...:
        print(say("· Patient {number}: not tried yet.", number=number))
    elif number not in NAMES:
        known = "The ward has the patients 1 to {last}, got {number}."
        raise Mistake(fold(known, last=len(NAMES), number=number))
    elif answer not in BUGS:
        known = "No diagnosis is called “{answer}”. The ward knows “{names}”."
        raise Mistake(fold(known, answer=answer, names="”, “".join(BUGS)))
    elif answer != NAMES[number]:
        raise Mistake(fold(contradiction(number, answer)))
    else:
        failed = [check for check, value in evidence(number).items() if not passes(check, value)]
        sentence = (
            "Patient {number} has “{answer}”. The failing checks: {failed}. Repair: {repair}."
            if failed
            else "Patient {number} has “{answer}”. No check fails. Repair: {repair}."
        )
        values = {"failed": ", ".join(failed), "repair": BUGS[answer].repair}
        print("✓", fold(sentence, number=number, answer=answer, **values))


def contradiction(number: int, answer: str) -> str:
    """The sentence that rules a diagnosis out, from what the checks measured."""
    found = ruled_out(number, answer)
    if found is None:
        return say("Patient {number}: nothing rules “{answer}” out.", number=number, answer=answer)
    check, here, there = found
    return say(
        "Patient {number}: with “{answer}”, {quantity} would be {there}, and here it is {here} "
        "(check “{check}”).",
        number=number,
        answer=answer,
        quantity=CHECKS[check].says,
        there=write(there),
        here=write(here),
        check=check,
    )


def fold(sentence: str, **values: Any) -> str:
    """In lines that fit a phone, with room for a mark in front."""
    return textwrap.fill(say(sentence, **values), 38)


def write(value: float) -> str:
    """Two digits, and zero for what is zero up to rounding."""
    if abs(value) < 1e-3:
        return "0"
    text = f"{value:.0f}" if abs(value) >= 100 else f"{float(f'{value:.2g}'):g}"
    return text.replace("-", "−")


numbers_needed = Exercise(
    name="clinic.numbers_needed",
    see="One reverse step",
    right=50 / 0.02**2,
    wrong={
        "That many show it with a single standard error: chance does that one time in three. Ask "
        "for five.": 2 / 0.02**2,
        "The factor 2 is missing: the variance of z² is 2.": 25 / 0.02**2,
        "That is for a standard deviation that is 2 % off. Its variance is 4 % off.": 50 / 0.04**2,
        "The error falls with the root of n: the deviation enters squared.": 50 / 0.02,
        "You forgot to square the five.": 10 / 0.02**2,
    },
    praise="125 000 numbers. It takes 1300 ribbons.",
    rtol=0.01,
)

Make = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_0, t, eps) -> x_t


def _make(which: Callable[[Tensor], Tensor], *shape: int) -> Make:
    """What makes x_t from the times that `which` takes for those it is given."""
    table = torch.linspace(1, 0.01, 101, dtype=torch.float64)

    def x_t(x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        alpha_bar = table[which(t)].to(x_0).reshape(shape)
        return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps

    return x_t


def _changed(
    make: Make, *, first: int = 1, other: int = 20, same: bool = True, pixels: bool = False
) -> int:
    """How many pictures change, from the `first` on, if picture 0 gets another t."""
    x_0, eps, fresh = torch.randn(3, 16, 3, 2, 16)
    t = torch.full((16,), 50)
    moved = t.clone()
    moved[0] = other
    differ = (make(x_0, t, eps) != make(x_0, moved, eps if same else fresh))[first:].flatten(1)
    return int(differ.sum() if pixels else differ.any(1).sum())


own_time = Exercise(
    name="clinic.own_time",
    see="Does a picture depend on its own t only?",
    right=_changed,
    wrong={
        "You count picture 0 too: its own x_t may change.": {"first": 0},
        "You count pixels, not pictures.": {"pixels": True},
        "Nothing ever changes: give picture 0 another t in the second call, and keep eps.": {
            "other": 50
        },
        "All change even in the healthy program: use the same eps in both calls.": {"same": False},
        "That is the share. The question is how many.": lambda make: _changed(make) / 15,
    },
    praise="0 for the healthy one; 15, 15 and 1 for three broken ones.",
    cases=(
        given(_make(lambda t: t, -1, 1, 1, 1)),
        given(_make(lambda t: t, -1)),  # along the width
        given(_make(lambda t: t[:1].expand(len(t)), -1, 1, 1, 1)),  # the first one's for all
        given(_make(lambda t: t.roll(1), -1, 1, 1, 1)),  # the neighbor's
    ),
)

_SIGNAL, _NOISE = (0.25 - 0.5) ** 2 / 0.75, (sqrt(0.75) - 1) ** 2

cheat_without_roots = Exercise(
    name="clinic.cheat_without_roots",
    see="The loss, without a network",
    right=_SIGNAL + _NOISE,
    wrong={
        "That is the part of the signal. The noise has the wrong size too.": _SIGNAL,
        "That is the part of the noise. The signal has the wrong size too.": _NOISE,
        "The error of the signal is divided by s² = 1 − alpha_bar: the cheat divides by s.": (
            0.75 * _SIGNAL + _NOISE
        ),
        "In the second part s' is 1 − alpha_bar and s its root: s'/s is the root itself.": (
            _SIGNAL + 0.25**2
        ),
        "Squares add, not the errors themselves.": -0.25 / sqrt(0.75) + sqrt(0.75) - 1,
    },
    praise="About 0.10. A trained network would hide it in its floor; the cheat has none.",
    rtol=0.01,
)

_NOT = {
    "width": "With a thousand steps both widths are close to 1: 1.01 and 0.99.",
    "loss": "Both bugs are in the sampler. The loss knows nothing of it.",
    "t": "Both networks know t. One sampler tells them a wrong one.",
    "end": "Both train as they should: x_T is right.",
    "last step": "Neither adds noise in the last step.",
}


def _separates(check: Any) -> dict[str, Any]:
    if check not in CHECKS:
        raise Mistake("The checks are {names}.", names=", ".join(CHECKS))
    if check not in ("step mean", "step variance"):
        raise Mistake(_NOT.get(check, "This check looks at a part that both have in order."))
    return {}


separating_check = Exercise(
    name="clinic.separating_check",
    see="One reverse step",
    praise="One of them has a wrong mean and the other a wrong variance, in a single step.",
    probe=_separates,
)
