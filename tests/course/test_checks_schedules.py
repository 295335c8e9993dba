"""The checks of chapter 3 pass the right answers, wait for missing ones, and name mistakes."""

import math

import pytest
import torch

from ddpm_lib.course.checks import Mistake, schedules


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (0.1005, "left out beta_1"),
        (0.05025, "the average of the betas"),
        (0.1, "stays as it is"),
        (0.05015, "half is missing"),
        (0.004, "do not divide"),
        (0.2, "None of the usual"),
    ],
)
def test_two_hundred(wrong, message):
    schedules.two_hundred(0.1004)
    with pytest.raises(Mistake, match=message):
        schedules.two_hundred(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (0.248, "in nats: divide"),
        (2.914e-5, "one value's share: the"),
        (2.02e-5, "and in nats"),
        (0.1194, "not 4096"),
        (0.716, "one half"),
        (0.172, "do not multiply"),
    ],
)
def test_whole_picture(wrong, message):
    schedules.whole_picture(0.358)
    schedules.whole_picture(0.36)
    with pytest.raises(Mistake, match=message):
        schedules.whole_picture(wrong)


def by_the_clock(to_bars=torch.sigmoid, to_betas=lambda x: 1 - x[1:] / x[:-1], start=True):
    def answer(T, first, last):
        bars = to_bars(torch.linspace(first, last, T, dtype=torch.float64))
        return to_betas(torch.cat([bars.new_ones(1), bars]) if start else bars)

    return answer


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (by_the_clock(to_betas=lambda x: x[1:]), "returned alpha_bar"),
        (by_the_clock(to_betas=lambda x: x[1:] / x[:-1]), "subtract them"),
        (by_the_clock(start=False), "in front"),
        (by_the_clock(lambda x: torch.sigmoid(-x)), "leave out the minus"),
        (by_the_clock(to_betas=lambda x: x[:-1] - x[1:]), "divide it by the earlier"),
        (by_the_clock(torch.exp), "not the SNR itself"),
        (by_the_clock(lambda x: torch.sigmoid(x / 2)), "do not halve"),
        (by_the_clock(to_betas=lambda x: 1 - x[:-1] / x[1:]), "by the later"),
        (lambda T, *ends: by_the_clock(start=False)(T + 1, *ends), "space T values"),
    ],
)
def test_by_the_clock(wrong, message):
    schedules.by_the_clock(by_the_clock())
    with pytest.raises(Mistake, match=message):
        schedules.by_the_clock(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (0.04, "Nearly"),
        (1 / 99, "V is missing: what"),
        (0.01, "V is missing, and"),
        (0.020202, "take its root"),
        (0.161616, "do not square"),
        (0.0388350, "alpha_bar_T"),
        (1 / 396, "multiplied by V"),
    ],
)
def test_near_enough(wrong, message):
    schedules.near_enough(4 / 99)
    assert math.isclose(0.5 / (1 + 0.25 * 4 / 99), 0.495)
    with pytest.raises(Mistake, match=message):
        schedules.near_enough(wrong)
