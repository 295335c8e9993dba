"""Checks for the exercises of chapter 15, the debugging clinic, and the answer to a diagnosis."""

import textwrap
from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import Mistake, judge
from ddpm_lib.course.clinic.patients import BUGS, NAMES
from ddpm_lib.course.clinic.ward import CHECKS, evidence, passes, ruled_out


def diagnose(number: int, answer: Any) -> None:
    """Say whether a patient has the bug of that name and, if not, what rules it out."""
    if answer is ...:
        print(f"· Patient {number}: not tried yet.")
        return
    if number not in NAMES:
        raise Mistake(fold(f"The ward has the patients 1 to {len(NAMES)}, got {number}."))
    if answer not in BUGS:
        names = ", ".join(f"“{name}”" for name in BUGS)
        raise Mistake(fold(f"No diagnosis is called “{answer}”. The ward knows {names}."))
    if answer == NAMES[number]:
        failed = [check for check, value in evidence(number).items() if not passes(check, value)]
        shown = f"The failing checks: {', '.join(failed)}. " if failed else "No check fails. "
        said = f"Patient {number} has “{answer}”. {shown}Repair: {BUGS[answer].repair}."
        print(f"✓ {fold(said)}")
        return
    raise Mistake(fold(f"Patient {number}: {contradiction(number, answer)}"))


def contradiction(number: int, answer: str) -> str:
    """The sentence that rules a diagnosis out, from what the checks measured."""
    found = ruled_out(number, answer)
    if found is None:
        return f"nothing rules “{answer}” out."
    check, here, there = found
    return (
        f"with “{answer}”, {CHECKS[check].says} would be {write(there)}, and here it is "
        f"{write(here)} (check “{check}”)."
    )


def fold(sentence: str) -> str:
    """In lines that fit a phone, with room for a mark in front."""
    return textwrap.fill(sentence, 38)


def write(value: float) -> str:
    """Two digits, and zero for what is zero up to rounding."""
    if abs(value) < 1e-3:
        return "0"
    text = f"{value:.0f}" if abs(value) >= 100 else f"{float(f'{value:.2g}'):g}"
    return text.replace("-", "−")


def numbers_needed(n: Any) -> None:
    """Exercise: how many numbers show a variance that is 2 % off, with five standard errors."""
    judge(
        n,
        50 / 0.02**2,
        {
            "That many show it with a single standard error: chance does that one time in three. "
            "Ask for five.": 2 / 0.02**2,
            "The factor 2 is missing: the variance of z² is 2.": 25 / 0.02**2,
            "That is for a standard deviation that is 2 % off. Its variance is 4 % off.": (
                50 / 0.04**2
            ),
            "The error falls with the root of n: the deviation enters squared.": 50 / 0.02,
            "You forgot to square the five.": 10 / 0.02**2,
        },
        "125 000 numbers. It takes 1300 ribbons.",
        rtol=0.01,
    )


Make = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_0, t, eps) -> x_t


def own_time(function: Callable[[Make], Any]) -> None:
    """Exercise: how many other pictures of a batch of 16 change if picture 0 gets another t."""
    table = torch.linspace(1, 0.01, 101, dtype=torch.float64)

    def make(which: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Make:
        def x_t(x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
            alpha_bar = table[which(t)].to(x_0).reshape(shape)
            return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps

        return x_t

    each = (-1, 1, 1, 1)
    healthy = make(lambda t: t, each)
    along_the_width = make(lambda t: t, (-1,))
    shared = make(lambda t: t[:1].expand(len(t)), each)
    neighbor = make(lambda t: t.roll(1), each)
    answers = [function(f) for f in (healthy, along_the_width, shared, neighbor)]
    if answers[0] is ...:
        judge(..., 0, {}, "")
        return
    judge(
        torch.as_tensor([float(answer) for answer in answers]),
        torch.tensor([0.0, 15, 15, 1]),
        {
            "You count picture 0 too: its own x_t may change.": torch.tensor([1.0, 16, 16, 1]),
            "You count pixels, not pictures.": torch.tensor([0.0, 15 * 6, 15 * 96, 96]),
            "Nothing ever changes: give picture 0 another t in the second call, and keep eps.": (
                torch.zeros(4)
            ),
            "All change even in the healthy program: use the same eps in both calls.": (
                torch.tensor([15.0, 15, 15, 15])
            ),
            "That is the share. The question is how many.": torch.tensor([0.0, 1, 1, 1 / 15]),
        },
        fold("0 for the healthy one; 15, 15 and 1 for three broken ones."),
    )


def cheat_without_roots(loss: Any) -> None:
    """Exercise: the cheat's loss where the roots are missing, alpha_bar = 1/4 and E[x_0²] = 1."""
    bar = 0.25
    signal = (bar - sqrt(bar)) ** 2 / (1 - bar)
    noise = (sqrt(1 - bar) - 1) ** 2
    judge(
        loss,
        signal + noise,
        {
            "That is the part of the signal. The noise has the wrong size too.": signal,
            "That is the part of the noise. The signal has the wrong size too.": noise,
            "The error of the signal is divided by s² = 1 − alpha_bar: the cheat divides by s.": (
                (bar - sqrt(bar)) ** 2 + noise
            ),
            "In the second part s' is 1 − alpha_bar and s its root: s'/s is the root itself.": (
                signal + (1 - bar - 1) ** 2
            ),
            "Squares add, not the errors themselves.": (
                (bar - sqrt(bar)) / sqrt(1 - bar) + sqrt(1 - bar) - 1
            ),
        },
        fold("About 0.10. A trained network would hide it in its floor; the cheat has none."),
        rtol=0.01,
    )


def separating_check(name: Any) -> None:
    """Exercise: the check that tells “told t - 1” from “shifted table” with a thousand steps."""
    if name is ...:
        judge(..., 0, {}, "")
        return
    why = {
        "width": "With a thousand steps both widths are close to 1: 1.01 and 0.99.",
        "loss": "Both bugs are in the sampler. The loss knows nothing of it.",
        "t": "Both networks know t. One sampler tells them a wrong one.",
        "end": "Both train as they should: x_T is right.",
        "last step": "Neither adds noise in the last step.",
    }
    if name in ("step mean", "step variance"):
        right = "One of them has a wrong mean and the other a wrong variance, in a single step."
        print(f"✓ {fold(right)}")
    elif name in CHECKS:
        usual = "This check looks at a part that both have in order."
        raise Mistake(fold(why.get(name, usual)))
    else:
        raise Mistake(fold(f"The checks are {', '.join(CHECKS)}."))
