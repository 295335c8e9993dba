"""Checks for the exercises of chapter 6, the bound."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ddpm_lib.course.checks import judge

_LOG_2 = math.log(2)


def bits(answer: Any) -> None:
    """Exercise: 7986 nats for a color picture of 32 by 32 pixels, in bits per dimension."""
    judge(
        answer,
        7986 / (3072 * _LOG_2),
        {
            "That is in nats: a bit is log 2 = 0.693 nats, so divide by it.": 7986 / 3072,
            "You multiplied by log 2: a nat is more than a bit, so there are more bits.": (
                7986 / 3072 * _LOG_2
            ),
            "A color picture has three values for each pixel: d is 3072, not 1024.": (
                7986 / (1024 * _LOG_2)
            ),
            "These are the bits of the whole picture: divide by its 3072 values.": 7986 / _LOG_2,
        },
        "3.75 bits for each of the 3072 values.",
        rtol=2e-3,
    )


def rescaled(answer: Any) -> None:
    """Exercise: −1.9 nats per dimension on [−1, 1], in bits on the scale from 0 to 255."""
    log_scale = math.log(127.5)
    judge(
        answer,
        (-1.9 + log_scale) / _LOG_2,
        {
            "The change of scale is missing: each dimension is stretched by 127.5.": -1.9 / _LOG_2,
            "The sign: a stretched axis makes the density smaller and the cost larger.": (
                (-1.9 - log_scale) / _LOG_2
            ),
            "That is in nats: divide by log 2 at the end.": -1.9 + log_scale,
            "The interval from −1 to 1 has length 2: a unit of it becomes 127.5, not 255.": (
                (-1.9 + math.log(255)) / _LOG_2
            ),
            "You added nats to bits: convert −1.9 as well.": -1.9 + log_scale / _LOG_2,
        },
        "About 4.25 bits. A negative cost on one scale is a positive one on another.",
        rtol=2e-3,
    )


def prior_bits(function: Callable[[Tensor, Any], Tensor]) -> None:
    """Exercise: L_T of each picture in bits per dimension.  function(x_0, alpha_bar_T) -> (B,)"""
    x_0 = torch.tensor(
        [[[[0.5, -1.0], [1.0, 0.0]]], [[[1.0, 1.0], [-1.0, -0.25]]]], dtype=torch.float64
    )
    bar = torch.tensor(0.35, dtype=torch.float64)
    pixels = (bar * x_0**2 - bar - torch.log(1 - bar)) / 2
    without_root = (bar**2 * x_0**2 - bar - torch.log(1 - bar)) / 2
    back = (bar * x_0**2 / (1 - bar) + bar / (1 - bar) + torch.log(1 - bar)) / 2
    judge(
        function(x_0, bar),
        pixels.flatten(1).mean(1) / _LOG_2,
        {
            "These are nats: divide by log 2.": pixels.flatten(1).mean(1),
            "These are the bits of a picture: divide by the number of its values.": (
                pixels.flatten(1).sum(1) / _LOG_2
            ),
            "These are nats for a picture: divide by log 2 and by the number of its values.": (
                pixels.flatten(1).sum(1)
            ),
            "One number for each picture, please: you averaged over the batch too.": (
                pixels.mean() / _LOG_2
            ),
            "The half in front of the KL is missing.": 2 * pixels.flatten(1).mean(1) / _LOG_2,
            "The mean of q(x_T | x_0) is sqrt(alpha_bar_T) x_0: its square has one alpha_bar_T.": (
                without_root.flatten(1).mean(1) / _LOG_2
            ),
            "This is the KL of N(0, 1) from q: in L_T, q stands first.": (
                back.flatten(1).mean(1) / _LOG_2
            ),
        },
        "L_T of each picture. Only the schedule can make it smaller.",
    )


def one_step(answer: Any) -> None:
    """Exercise: the excess for N(0, 1) data, T = 1, beta_1 = 0.5."""
    entropy = (math.log(2 * math.pi) + 1) / 2
    judge(
        answer,
        0.0,
        {
            "That is the bound itself, which equals the entropy here. Take the difference.": (
                entropy
            ),
            "That is L_1, the prior term. L_0 is below the entropy by as much.": _LOG_2 / 2,
            "That is L_0 alone.": entropy - _LOG_2 / 2,
        },
        "Nothing at all: start and step of the model are exact.",
        rtol=2e-3,
    )


def too_sure(answer: Any) -> None:
    """Exercise: what beta_tilde costs on smooth data if all betas are one tiny number."""
    gamma = 0.5772156649015329
    judge(
        answer,
        gamma / 2,
        {
            "The KL has a half in front. Without it you found Euler's constant itself.": gamma,
            "That is in bits; the question was in nats.": gamma / 2 / _LOG_2,
            "The other way round: the true variance β stands first, the model's second.": (
                1 - gamma
            )
            / 2,
        },
        "Half of Euler's constant, in each dimension, however many steps there are.",
        rtol=2e-3,
    )
