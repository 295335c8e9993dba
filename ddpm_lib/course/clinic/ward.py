"""The table of checks, the outcomes of the patients, and what rules a diagnosis out."""

from collections.abc import Callable
from functools import cache
from math import log10
from typing import NamedTuple

from ddpm_lib.course.clinic import examine
from ddpm_lib.course.clinic.patients import BUGS, NAMES
from ddpm_lib.course.clinic.program import Program


def patient(number: int) -> Program:
    """The program of one patient."""
    return BUGS[NAMES[number]].program


ANY = 9


class Check(NamedTuple):
    measure: Callable[[Program], float]
    healthy: tuple[float, float]  # where a healthy program has it; up to ANY is up to any height
    apart: float  # outcomes that differ by more have different causes; in decades if `log`
    says: str  # what it measures
    log: bool = False


CHECKS = {
    "end": Check(examine.signal_at_end, (-0.05, 0.05), 0.05, "the factor of x_0 in x_T"),
    "noise": Check(
        examine.noise_in_middle,
        (0.95, 1.05),
        0.1,
        "the variance of the noise in x_t, relative to 1 - ᾱ_t,",
    ),
    "others": Check(
        examine.others_changed, (0, 0), 0.5, "the share of pictures changed by another picture's t"
    ),
    "cheat": Check(examine.loss_of_cheat, (0, 0.001), 0.1, "the loss of a network that knows x_0"),
    "one batch": Check(
        examine.one_batch, (0, 0.25), 0.4, "the loss after 50 steps on one fixed batch"
    ),
    "loss": Check(examine.last_losses, (0, 0.3), 0.3, "the loss at the end of the training"),
    "t": Check(
        examine.t_matters,
        (0.005, ANY),
        2,
        "the change of the network's answer with t alone",
        log=True,
    ),
    "repeat": Check(
        examine.repeats, (0, 1e-6), 2, "the change of its answer when nothing changes", log=True
    ),
    "color": Check(
        examine.color_matters,
        (0.01, ANY),
        2,
        "the change of its answer with the color alone",
        log=True,
    ),
    "gradient": Check(examine.unreached, (0, 0), 10, "the number of weights without a gradient"),
    "drift": Check(
        examine.color_drift,
        (0, 0.03),
        0.03,
        "the way of the answer's mean color in the last 10 steps",
    ),
    "embedding": Check(
        examine.uneven_times, (0, 0.01), 0.1, "the relative change of the embedding's length with t"
    ),
    "step mean": Check(
        examine.step_mean, (0, 0.01), 0.02, "the error of a reverse step's mean, in its σ,"
    ),
    "step variance": Check(
        examine.step_variance,
        (0.99, 1.01),
        0.3,
        "the variance of the step at t = 2, relative to β̃_2,",
    ),
    "last step": Check(examine.last_noise, (0, 0), 0.01, "the noise of the last step"),
    "width": Check(
        examine.pixel_width, (0.77, 0.83), 0.03, "the width of the samples of the exact denoiser"
    ),
    "overflow": Check(examine.overflow, (255, 255), 50, "the byte for a pixel of 1.02"),
    "frames": Check(
        examine.frames_differ,
        (40, 255),
        20,
        "the difference between the frames of x and 0.1 x + 0.7",
    ),
    "score": Check(examine.score_of_data, (0, 0.1), 0.3, "the score of fresh data"),
}


@cache
def outcome(name: str, check: str) -> float:
    """What a check measures in the healthy program with one bug, and in that without any."""
    return CHECKS[check].measure(BUGS[name].program)


def evidence(number: int) -> dict[str, float]:
    """What all checks measure in a patient."""
    return {check: outcome(NAMES[number], check) for check in CHECKS}


def passes(check: str, value: float) -> bool:
    low, high = CHECKS[check].healthy
    return low - 1e-9 <= value <= high + 1e-9


def healthy(check: str) -> str:
    """The healthy range in words."""
    low, high = CHECKS[check].healthy
    if high == ANY:
        return f"above {low:g}"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def distance(check: str, a: float, b: float) -> float:
    """How far two outcomes are apart; above 1 they have different causes."""
    _, _, apart, _, log = CHECKS[check]
    if log:
        a, b = (log10(max(v, 1e-6)) for v in (a, b))
    return abs(a - b) / apart


def ruled_out(number: int, answer: str) -> tuple[str, float, float] | None:
    """The check that contradicts a diagnosis most: its name, the outcome, what it would be."""
    pairs = [(check, outcome(NAMES[number], check), outcome(answer, check)) for check in CHECKS]
    worst = max(pairs, key=lambda pair: distance(*pair))
    return worst if distance(*worst) > 1 else None
