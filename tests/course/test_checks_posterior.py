"""The checks of chapter 4 pass the right answers, wait for missing ones, and name the mistakes."""

import pytest
import torch

from ddpm_lib.course.checks import Mistake, posterior
from ddpm_lib.schedules import linear

schedule = linear()
beta, alpha, alpha_bar = schedule.beta, schedule.alpha, schedule.alpha_bar


def test_pencil():
    posterior.pencil(-0.137, 0.167)
    of_x_0, of_x_t = 0.5**0.5 * 0.2 / 0.6, 0.8**0.5 * 0.5 / 0.6
    for mu, message in [
        (of_x_0 - 0.5 * 0.4 / 0.6, "x_t proposes"),
        (0.2 / 0.6 - 0.5 * of_x_t, "x_0 proposes"),
        (0.5 * 0.2 / 0.6 - 0.5 * 0.4 / 0.6, "root of alpha_bar"),
        (of_x_t - 0.5 * of_x_0, "exchanged"),
        ((of_x_0 - 0.5 * of_x_t) * 0.6 / 0.5, "below stands"),
    ]:
        with pytest.raises(Mistake, match=message):
            posterior.pencil(mu, ...)
    for var, message in [
        (0.2, "variance of the step forward"),
        (0.25, "x_t alone"),
        (0.408, "standard deviation"),
        (0.24, "upside down"),
        (0.75, "precisions do"),
        (6, "reciprocal"),
    ]:
        with pytest.raises(Mistake, match=message):
            posterior.pencil(..., var)


def test_hardly():
    posterior.hardly(11)
    for wrong, message in [
        (10, "round up"),
        (10.5, "whole steps"),
        (230, "alpha_bar is 0.1"),
        (2, "1 − g_t"),
    ]:
        with pytest.raises(Mistake, match=message):
            posterior.hardly(wrong)


def test_undo():
    posterior.undo(lambda x, t, eps: (x - beta[t].sqrt() * eps) / alpha[t].sqrt())
    with pytest.raises(Mistake, match="all the noise"):
        posterior.undo(
            lambda x, t, eps: (x - beta[t] / (1 - alpha_bar[t]).sqrt() * eps) / alpha[t].sqrt()
        )
    with pytest.raises(Mistake, match="forgot to undo"):
        posterior.undo(lambda x, t, eps: x - beta[t].sqrt() * eps)
    with pytest.raises(Mistake, match="multiplied"):
        posterior.undo(lambda x, t, eps: (x - beta[t].sqrt() * eps) * alpha[t].sqrt())


def test_bridge():
    def right(x_0, x_t, t, u, eps, *, noise=1.0):
        since_u, s_squared = alpha_bar[t] / alpha_bar[u], 1 - alpha_bar
        of_x_0 = alpha_bar[u].sqrt() * (1 - since_u) / s_squared[t]
        of_x_t = since_u.sqrt() * s_squared[u] / s_squared[t]
        var = s_squared[u] / s_squared[t] * (1 - since_u)
        return of_x_0 * x_0 + of_x_t * x_t + noise * var.sqrt() * eps

    posterior.bridge(right)
    with pytest.raises(Mistake, match="single step"):
        posterior.bridge(lambda x_0, x_t, t, u, eps: right(x_0, x_t, t, t - 1, eps))
    with pytest.raises(Mistake, match="add the noise"):
        posterior.bridge(lambda *arguments: right(*arguments, noise=0))
    with pytest.raises(Mistake, match="does not know x_t"):
        posterior.bridge(
            lambda x_0, x_t, t, u, eps: alpha_bar[u].sqrt() * x_0 + (1 - alpha_bar[u]).sqrt() * eps
        )


def test_unknown():
    def right(v, t):
        before = alpha_bar[t - 1] * v + 1 - alpha_bar[t - 1]
        return before / (alpha[t] * before + beta[t]) * beta[t]

    posterior.unknown(right)
    torch.testing.assert_close(right(1, 10), beta[10])
    torch.testing.assert_close(right(0, 10), schedule.beta_tilde[10])
    for wrong, message in [
        (lambda v, t: schedule.beta_tilde[t], "not known here"),
        (lambda v, t: beta[t], "v = 1 only"),
        (lambda v, t: beta[t] ** 2 / right(v, t), "upside down"),
        (lambda v, t: alpha_bar[t - 1] * v + 1 - alpha_bar[t - 1], "before x_t is seen"),
    ]:
        with pytest.raises(Mistake, match=message):
            posterior.unknown(wrong)
