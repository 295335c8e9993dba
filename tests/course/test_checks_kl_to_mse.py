"""The checks of chapter 7: right answers pass, missing ones wait, known mistakes are named."""

import pytest
import torch

from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import kl_to_mse as check


def refused(message, function, answer):
    with pytest.raises(Mistake, match=message):
        function(answer)


def test_nats():
    check.from_picture((4 - 3) / 2 * 64 * 0.1**2)
    check.from_noise((4 / 3 - 1) / 2 * 64 * 0.1**2)
    check.from_noise(0.107)
    for wrong, message in [
        (0.005, "mean over the pixels"),
        (0.64, "factor 1/2"),
        (3.2, "Square the error"),
        (0.4, "not its root"),
        (0.64 / 6, "error of the noise"),
        (-0.32, "falls with the SNR"),
    ]:
        refused(message, check.from_picture, wrong)
    for wrong, message in [
        (0.32, "error of the picture"),
        (0.64 / 2 / 4, "not by the one before"),
        (0.32 * 3, "should divide"),
        (0.64 / 6 / 64, "mean over the pixels"),
    ]:
        refused(message, check.from_noise, wrong)


def test_best_variance_is_the_minimum_of_the_divergence():
    def by_search(beta_tilde, difference):
        """Where the derivative of the divergence is zero, by halving."""
        low, high = beta_tilde, beta_tilde + difference.square().max()
        for _ in range(60):
            var = torch.as_tensor((low + high) / 2, dtype=torch.float64).requires_grad_()
            ratio = beta_tilde / var
            gap = difference.square().sum() / (2 * var)
            (slope,) = torch.autograd.grad(
                gap + len(difference) / 2 * (ratio - 1 - ratio.log()), var
            )
            low, high = (var.detach(), high) if slope < 0 else (low, var.detach())
        return var

    check.best_variance(by_search)
    for wrong, message in [
        (lambda b, d: torch.tensor(b), "if the means agree"),
        (lambda b, d: b + d.square().sum(), "not the sum"),
        (lambda b, d: d.square().mean(), "own variance is missing"),
        (lambda b, d: (b + d.square().mean()).sqrt(), "standard deviation"),
    ]:
        refused(message, check.best_variance, wrong)


def test_v_from_eps():
    check.v_from_eps(lambda eps, x_t, a, s: (eps - s * x_t) / a)
    for wrong, message in [
        (lambda eps, x_t, a, s: a * eps - s * x_t, "where the definition has x_0"),
        (lambda eps, x_t, a, s: eps - s * x_t, "Divide by a"),
        (lambda eps, x_t, a, s: (s * x_t - eps) / a, "The sign"),
        (lambda eps, x_t, a, s: (x_t - s * eps) / a, "half of the way"),
        (lambda eps, x_t, a, s: (eps - a * x_t) / s, "divides by s"),
    ]:
        refused(message, check.v_from_eps, wrong)


def test_estimate():
    check.estimate(lambda squares, t, P, w: w[t] * squares / P[t])
    for wrong, message in [
        (lambda squares, t, P, w: w[t] * squares, "divide by the probability"),
        (lambda squares, t, P, w: 9 * w[t] * squares, "uniform draws only"),
        (lambda squares, t, P, w: w[t] * squares * P[t], "less, not more"),
        (lambda squares, t, P, w: squares / P[t], "weight is missing"),
        (lambda squares, t, P, w: squares, "weight one"),
        (lambda squares, t, P, w: (w[t] * squares / P[t]).mean(), "one number for each draw"),
    ]:
        refused(message, check.estimate, wrong)
