"""The checks of chapter 1 pass the right answer, wait for a missing one, and name each mistake."""

import math

import pytest
import torch

from ddpm_lib.course.checks import Mistake, gaussians


def test_shrunk():
    gaussians.shrunk(0.25)
    for wrong, message in [
        (0.35, "variances add"),
        (0.0625, "That is the variance"),
        (math.sqrt(0.085), "square the factor"),
        (math.sqrt(0.13), "halved with everything"),
        (math.sqrt(0.13) / 2, "after the halving"),
        (0.5, "root twice"),
    ]:
        with pytest.raises(Mistake, match=message):
            gaussians.shrunk(wrong)


def combine(mu_1, var_1, mu_2, var_2):
    var = 1 / (1 / var_1 + 1 / var_2)
    return var * (mu_1 / var_1 + mu_2 / var_2), var


def test_combine():
    gaussians.combine(combine)
    gaussians.combine(lambda *arguments: torch.stack(combine(*arguments)))

    def by_variance(mu_1, var_1, mu_2, var_2):
        return combine(mu_1, var_2, mu_2, var_1)

    def precision(*arguments):
        mean, var = combine(*arguments)
        return mean, 1 / var

    def width(*arguments):
        mean, var = combine(*arguments)
        return mean, var**0.5

    def by_inverse_width(mu_1, var_1, mu_2, var_2):
        mean, _ = combine(mu_1, var_1**0.5, mu_2, var_2**0.5)
        return mean, combine(mu_1, var_1, mu_2, var_2)[1]

    for wrong, message in [
        (by_variance, "less certain source"),
        (precision, "inverse"),
        (width, "asks for the variance"),
        (lambda a, v, b, w: (combine(a, v, b, w)[0], v + w), "here precisions add"),
        (lambda a, v, b, w: ((a + b) / 2, combine(a, v, b, w)[1]), "plain average"),
        (lambda a, v, b, w: (a + b, v + w), "sum of two numbers"),
        (by_inverse_width, r"weighted by 1 / σ\."),
    ]:
        with pytest.raises(Mistake, match=message):
            gaussians.combine(wrong)


def test_looks():
    gaussians.looks(15)
    for n, known in ((14, False), (15, True)):  # the check's own numbers
        assert ((1 / 0.09 + n / 0.16) ** -0.5 <= 0.1) == known
    known_14 = (1 / 0.09 + 14 / 0.16) ** -0.5
    assert known_14 == pytest.approx(0.1007, abs=5e-5)
    for wrong, message in [
        ((100 - 1 / 0.09) * 0.16, "fraction"),
        (14, "round up"),
        (16, "before the first look"),
        (math.ceil((10 - 1 / 0.3) * 0.4), "widths for variances"),
    ]:
        with pytest.raises(Mistake, match=message):
            gaussians.looks(wrong)


def per_pixel(mean_q, std_q, mean_p, std_p):
    """From torch's own distributions, which the check does not use."""
    normal = torch.distributions.Normal
    return torch.distributions.kl_divergence(normal(mean_q, std_q), normal(mean_p, std_p))


def test_picture_kl():
    gaussians.picture_kl(lambda *arguments: per_pixel(*arguments).sum((1, 2, 3)))

    def log(std_q, std_p):
        return (std_p / std_q).log().sum((1, 2, 3))

    def right(*arguments):
        return per_pixel(*arguments).sum((1, 2, 3))

    for wrong, message in [
        (lambda m, s, n, r: right(n, r, m, s), "swapped"),
        (lambda m, s, n, r: right(m, s**0.5, n, r**0.5), "square them"),
        (lambda *x: per_pixel(*x).mean((1, 2, 3)), "sum over them"),
        (lambda *x: per_pixel(*x).sum(), "not over the batch"),
        (per_pixel, "for each pixel"),
        (lambda *x: 2 * right(*x), "half is missing"),
        (lambda m, s, n, r: right(m, s, n, r) - log(s, r), "logarithm is missing"),
        (lambda m, s, n, r: right(m, s, n, r) - log(s, r) / 2, "once more"),
        (lambda m, s, n, r: right(m, s, n, r) - 2 * log(s, r), "upside down"),
        (lambda *x: right(*x) + x[0][0].numel() / 2, "−1 is missing"),
    ]:
        with pytest.raises(Mistake, match=message):
            gaussians.picture_kl(wrong)


def test_between():
    def mix(first, second):
        return lambda eps, other, share: first(share) * eps + second(share) * other

    quarter = math.pi / 2
    gaussians.between(mix(lambda w: math.cos(w * quarter), lambda w: math.sin(w * quarter)))
    for wrong, message in [
        (mix(lambda w: 1 - w, lambda w: w), "straight line"),
        (mix(lambda w: math.sin(w * quarter), lambda w: math.cos(w * quarter)), "other way"),
        (mix(lambda w: (1 - w) ** 0.5, lambda w: w**0.5), "wants the angle"),
        (mix(lambda w: math.cos(w * math.pi), lambda w: math.sin(w * math.pi)), "half a circle"),
        (mix(math.cos, math.sin), "share itself"),
        (mix(lambda w: math.cos(90 * w), lambda w: math.sin(90 * w)), "radians"),
        (
            mix(lambda w: math.cos(w * quarter) ** 2, lambda w: math.sin(w * quarter) ** 2),
            "squared the factors",
        ),
    ]:
        with pytest.raises(Mistake, match=message):
            gaussians.between(wrong)
