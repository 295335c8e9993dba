"""The checks of chapter 6 pass the right answer and name each mistake that they know."""

import math

import pytest
import torch

from ddpm_lib.course.checks import Mistake, elbo

LOG_2 = math.log(2)


def test_bits():
    elbo.bits(3.75)
    for wrong, message in [
        (2.5996, "in nats"),
        (1.8019, "multiplied"),
        (11.2512, "three values"),
        (11521.4, "whole picture"),
    ]:
        with pytest.raises(Mistake, match=message):
            elbo.bits(wrong)


def test_rescaled():
    elbo.rescaled((-1.9 + math.log(127.5)) / LOG_2)
    for wrong, message in [
        (-1.9 / LOG_2, "missing"),
        ((-1.9 - math.log(127.5)) / LOG_2, "sign"),
        (2.948, "in nats"),
        ((-1.9 + math.log(255)) / LOG_2, "length 2"),
        (-1.9 + math.log2(127.5), "convert"),
    ]:
        with pytest.raises(Mistake, match=message):
            elbo.rescaled(wrong)


def test_prior_bits():
    def nats(x_0, bar):
        return ((bar * x_0**2 - bar - torch.log(1 - bar)) / 2).flatten(1)

    elbo.prior_bits(lambda x_0, bar: nats(x_0, bar).mean(1) / LOG_2)
    for wrong, message in [
        (lambda x_0, bar: nats(x_0, bar).mean(1), "These are nats: "),
        (lambda x_0, bar: nats(x_0, bar).sum(1) / LOG_2, "bits of a picture"),
        (lambda x_0, bar: nats(x_0, bar).sum(1), "nats for a picture"),
        (lambda x_0, bar: nats(x_0, bar).mean() / LOG_2, "over the batch"),
        (lambda x_0, bar: 2 * nats(x_0, bar).mean(1) / LOG_2, "half"),
        (lambda x_0, bar: nats(bar.sqrt() * x_0, bar).mean(1) / LOG_2, "one alpha_bar_T"),
    ]:
        with pytest.raises(Mistake, match=message):
            elbo.prior_bits(wrong)


def test_the_prior_term_the_other_way_round():
    normal = torch.distributions.Normal

    def swapped(x_0, bar):
        q = normal(bar.sqrt() * x_0, (1 - bar).sqrt())
        p = normal(torch.zeros_like(x_0), torch.ones_like(x_0))
        return torch.distributions.kl_divergence(p, q).flatten(1).mean(1) / LOG_2

    with pytest.raises(Mistake, match="q stands first"):
        elbo.prior_bits(swapped)


def test_one_step():
    elbo.one_step(0)
    elbo.one_step(1e-16)
    entropy = math.log(2 * math.pi * math.e) / 2
    for wrong, message in [(entropy, "bound itself"), (0.34657, "L_1"), (1.07236, "L_0 alone")]:
        with pytest.raises(Mistake, match=message):
            elbo.one_step(wrong)


def test_too_sure():
    t = torch.arange(2, 1_000_001).double()
    r = t / (t - 1)
    elbo.too_sure(((r - 1 - r.log()) / 2).sum())
    for wrong, message in [
        ((r - 1 - r.log()).sum(), "half in front"),
        ((r - 1 - r.log()).sum() / 2 / LOG_2, "in bits"),
        (((1 / r - 1 + r.log()) / 2).sum(), "other way round"),
    ]:
        with pytest.raises(Mistake, match=message):
            elbo.too_sure(wrong)
