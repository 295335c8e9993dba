"""The exercises of chapter 2: right answers pass, and each known mistake is named."""

import pytest
import torch

from ddpm_lib.course.checks import Mistake, forward
from ddpm_lib.schedules import linear

alpha, alpha_bar = linear().alpha, linear().alpha_bar


def test_halfway():
    forward.halfway(69)
    for wrong, message in [(68.97, "whole steps"), (68, "round up"), (138, "powers"), (50, "left")]:
        with pytest.raises(Mistake, match=message):
            forward.halfway(wrong if wrong != 68.97 else 68.96756393652842)


def test_leap():
    def right(x_u, u, t, eps):
        ratio = alpha_bar[t] / alpha_bar[u]
        return ratio.sqrt() * x_u + (1 - ratio).sqrt() * eps

    forward.leap(right)
    with pytest.raises(Mistake, match="jump from x_0"):
        forward.leap(lambda x_u, u, t, eps: right(x_u, 0, t, eps))
    with pytest.raises(Mistake, match="more steps"):
        forward.leap(lambda x_u, u, t, eps: right(x_u, t - 1, t, eps))


def test_recover():
    forward.recover(
        lambda x_t, t, eps: (x_t - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    )
    with pytest.raises(Mistake, match="published slip"):
        forward.recover(
            lambda x_t, t, eps: (x_t - (1 - alpha[t]) * eps) / (1 - alpha_bar[t]).sqrt()
        )
    with pytest.raises(Mistake, match="half of it"):
        forward.recover(lambda x_t, t, eps: x_t - (1 - alpha_bar[t]).sqrt() * eps)
    with pytest.raises(Mistake, match="and the picture by a"):
        forward.recover(lambda x_t, t, eps: x_t - eps)


def test_amplified():
    forward.amplified(1.574)
    forward.amplified(1.6)
    with pytest.raises(Mistake, match="other way round"):
        forward.amplified(6.35e-5)
    with pytest.raises(Mistake, match="compares variances"):
        forward.amplified(247.8)


def test_read():
    chance = torch.Generator().manual_seed(1)
    thumbnails = torch.randn(10, 1, 8, 8, generator=chance, dtype=torch.float64)
    thumbnails *= torch.linspace(0.5, 1.5, 10).double()[:, None, None, None]

    def nearest(factor):
        def read(x_t, t, thumbnails):
            means = factor(alpha_bar[t].sqrt()) * thumbnails
            return torch.cdist(x_t.flatten(1), means.flatten(1)).argmin(1)

        return read

    forward.read(nearest(lambda a: a), thumbnails)
    with pytest.raises(Mistake, match="clean thumbnails"):
        forward.read(nearest(lambda a: 1), thumbnails)
    with pytest.raises(Mistake, match=r"shape is \(\), it should be \(200,\)"):
        forward.read(lambda *arguments: 3, thumbnails)
