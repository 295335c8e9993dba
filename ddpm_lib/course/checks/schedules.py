"""Checks for the exercises of chapter 3, schedules."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge


def two_hundred(last_beta: Any) -> None:
    """Exercise: beta_T of 200 evenly spaced betas from 1e-4 on with the sum 10.05."""
    judge(
        last_beta,
        0.1004,
        {
            "You left out beta_1: the average of the first and the last beta counts.": 0.1005,
            "That is the average of the betas: the last is about twice as large.": 0.05025,
            "You scaled beta_T by 1000/200, but beta_1 stays as it is here.": 0.1,
            "The sum of the betas is T times (beta_1 + beta_T) / 2: the half is missing.": (
                10.05 / 200 - 1e-4
            ),
            "Fewer steps need larger betas: multiply by 5, do not divide.": 0.004,
        },
        "The sum is 200 (0.0001 + 0.1004) / 2 = 10.05.",
        rtol=1e-5,
    )


def whole_picture(bits: Any) -> None:
    """Exercise: L_T in bits of a picture of 12288 values -1 or 1, at alpha_bar_T = 4.04e-5."""
    nats = -math.log1p(-4.04e-5) / 2
    count = 64 * 64 * 3
    judge(
        bits,
        count * nats / math.log(2),
        {
            "That is in nats: divide by log 2.": count * nats,
            "That is one value's share: the picture has 12288 of them.": nats / math.log(2),
            "That is one value's share, and in nats.": nats,
            "There are three channels: 12288 values, not 4096.": 64 * 64 * nats / math.log(2),
            "The divergence has a factor of one half.": 2 * count * nats / math.log(2),
            "A bit is log 2 nats: divide by log 2, do not multiply.": count * nats * math.log(2),
        },
        "About a third of a bit for the whole picture.",
        rtol=1e-2,
    )


def by_the_clock(function: Callable[[int, float, float], Tensor]) -> None:
    """Exercise: betas whose log-SNR is evenly spaced.  function(T, first, last) -> (T,)"""
    T, first, last = 6, 5.0, -5.0
    clock = torch.linspace(first, last, T, dtype=torch.float64)

    def betas(bars: Tensor) -> Tensor:
        bars = torch.cat([bars.new_ones(1), bars])
        return 1 - bars[1:] / bars[:-1]

    right = torch.sigmoid(clock)
    padded = torch.cat([right.new_ones(1), right])
    longer = torch.sigmoid(torch.linspace(first, last, T + 1, dtype=torch.float64))
    judge(
        function(T, first, last),
        betas(right),
        {
            "You returned alpha_bar. A beta is 1 less the ratio of two neighbors.": right,
            "These are the factors 1 − beta_t: subtract them from 1.": 1 - betas(right),
            "Put alpha_bar_0 = 1 in front: the first step has a beta too.": (
                1 - right[1:] / right[:-1]
            ),
            "sigmoid(−λ) is the noise, 1 − alpha_bar: leave out the minus.": betas(
                torch.sigmoid(-clock)
            ),
            "The difference of two alpha_bars is not beta: divide it by the earlier one.": (
                padded[:-1] - padded[1:]
            ),
            "alpha_bar is SNR / (1 + SNR), not the SNR itself.": betas(clock.exp()),
            "The SNR is a ratio of variances: do not halve λ.": betas(torch.sigmoid(clock / 2)),
            "You divided the earlier alpha_bar by the later one.": 1 - padded[:-1] / padded[1:],
            "λ_1 is `first`: space T values, then put alpha_bar_0 = 1 in front.": (
                1 - longer[1:] / longer[:-1]
            ),
        },
        "Any clock becomes a schedule in this way.",
    )


def near_enough(largest_snr: Any) -> None:
    """Exercise: the SNR(T) at which data N(0.5, 0.25) lose 1 % of their mean."""
    loss = 1 / 0.99 - 1
    judge(
        largest_snr,
        loss / 0.25,
        {
            "Nearly: 1 / (1 + V SNR) is to be 0.99, not 1 − V SNR.": 0.01 / 0.25,
            "V is missing: what counts is V times the SNR.": loss,
            "V is missing, and 1 / (1 + V SNR) is to be 0.99, not 1 − V SNR.": 0.01,
            "0.25 is the variance already: do not take its root.": loss / 0.5,
            "0.25 is the variance already: do not square it.": loss / 0.0625,
            "That is alpha_bar_T. The SNR is alpha_bar / (1 − alpha_bar).": (
                loss / 0.25 / (1 + loss / 0.25)
            ),
            "You multiplied by V where you should divide.": loss * 0.25,
        },
        "With V SNR(T) = 1/99 the mean is 0.495.",
        rtol=1e-3,
    )
