"""The checks of chapter 8's exercises: the right answers pass, and each known mistake is named."""

import math

import pytest

from ddpm_lib.course.checks import Mistake, optimal
from ddpm_lib.schedules import linear

schedule = linear()
beta, alpha, snr = schedule.beta, schedule.alpha, schedule.snr
s = schedule.one_minus_alpha_bar.sqrt()


def test_two_values():
    """By Bayes' rule with the two densities, not by tanh."""
    likelihood = {x: math.exp(-((0.5 - 0.6 * x) ** 2) / (2 * 0.64)) for x in (-1, 1)}
    noises = {x: (0.5 - 0.6 * x) / 0.8 for x in (-1, 1)}
    right = sum(likelihood[x] * noises[x] for x in (-1, 1)) / sum(likelihood.values())
    optimal.two_values(right)
    optimal.two_values(0.297)
    pixel = (0.5 - 0.8 * right) / 0.6
    for wrong, message in [
        (pixel, "guess of the pixel"),
        (-0.125, "likelier value"),
        (0.625, "before x_t was seen"),
        (0.8 * right, "Divide by s"),
        ((0.5 - 0.6 * math.tanh(0.375)) / 0.8, "s² in it"),
        ((0.5 - 0.6 * math.tanh(0.234375)) / 0.8, "half in the exponent"),
        ((0.5 - 0.3 * (1 + pixel)) / 0.8, "a probability too"),
        (-right, "sign is the other way"),
    ]:
        with pytest.raises(Mistake, match=message):
            optimal.two_values(wrong)


def test_average_floor():
    def floor(v):
        return sum(v * ratio / (v * ratio + 1) for ratio in snr[1:].tolist()) / 1000

    optimal.average_floor(floor(0.25))
    optimal.average_floor(0.173)
    mmse = sum(0.25 / (0.25 * ratio + 1) for ratio in snr[1:].tolist()) / 1000
    for wrong, message in [
        (floor(1), "variance 1"),
        (floor(1 / 16), "squared"),
        (floor(0.5), "the root"),
        (1 - floor(0.25), "share of the noise"),
        (mmse, "predicting x_0"),
        ((1000 * floor(0.25) + 1) / 1001, "t = 0"),
    ]:
        with pytest.raises(Mistake, match=message):
            optimal.average_floor(wrong)


def test_step_mean():
    def mean(factor, divide=True):
        return lambda x_t, t, noise: (x_t - factor(t) * noise) / (alpha[t].sqrt() if divide else 1)

    optimal.step_mean(mean(lambda t: beta[t].sqrt()))
    for wrong, message in [
        (mean(lambda t: beta[t] / s[t]), "belongs to the guess of all noise"),
        (mean(lambda t: beta[t].sqrt(), divide=False), "divided by nothing"),
        (mean(lambda t: beta[t]), "standard deviation"),
        (mean(lambda t: s[t]), "takes out s times"),
        (mean(lambda t: beta[t] / s[t] * beta[t].sqrt() / s[t]), "other way round"),
    ]:
        with pytest.raises(Mistake, match=message):
            optimal.step_mean(wrong)


def test_mean_drowns():
    factor = 0.25 * (1 + 9215 * 0.3)
    first = next(t for t in range(1, 1001) if factor * snr[t] < 1)
    optimal.mean_drowns(first)
    for wrong, message in [
        (146, "single pixel"),
        (first - 1, "last t"),
        (next(t for t in range(1, 1001) if 4 * factor * snr[t] < 1), "left out the variance"),
        (next(t for t in range(1, 1001) if 0.25 * 9216 * snr[t] < 1), "correlation 1"),
        (next(t for t in range(1, 1001) if 0.25 * 29.5 * snr[t] < 1), "9216"),
        (next(t for t in range(1, 1001) if factor**0.5 * snr[t] < 1), "amplitudes"),
    ]:
        with pytest.raises(Mistake, match=message):
            optimal.mean_drowns(wrong)
