"""The checks of chapter 14: each passes the right answer and names each mistake it knows."""

import pytest
import torch

from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import sampling as check
from ddpm_lib.data import unscale
from ddpm_lib.schedules import cosine

schedule = cosine()
beta, alpha, alpha_bar = schedule.beta, schedule.alpha, schedule.alpha_bar
s_squared = schedule.one_minus_alpha_bar


def test_unchanged():
    check.unchanged((5**0.5 - 1) / 2)
    check.unchanged(0.618)
    for wrong, message in [
        (0.5, "left out the root"),
        (1, "beta alone"),
        (-1.618, "other root"),
        (0.382, "alpha_T"),
        (0.786, "standard deviation"),
        (0.7, "None of the usual"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.unchanged(wrong)


def test_to_bytes(capsys):
    check.to_bytes(unscale)
    assert "✓" in capsys.readouterr().out
    for wrong, message in [
        (lambda x: ((x + 1) * 127.5).long().to(torch.uint8), "1.02 becomes 1"),
        (lambda x: ((x + 1) * 127.5).round().long().to(torch.uint8), "even if rounded"),
        (lambda x: ((x.clamp(-1, 1) + 1) * 127.5).to(torch.uint8), "fraction is dropped"),
        (
            lambda x: torch.stack([((y - y.min()) / (y.max() - y.min()) * 255).round() for y in x]),
            "stretches",
        ),
        (lambda x: (x.clamp(0, 1) * 255).round(), "black is −1"),
        (lambda x: (x + 1) * 127.5, "not yet clamped"),
        (lambda x: unscale(x).long(), "should be torch.uint8"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.to_bytes(wrong)


def best_variance(t, loss):
    return schedule.beta_tilde[t] + beta[t] ** 2 / (alpha[t] * s_squared[t]) * loss


def test_best_variance(capsys):
    check.best_variance(best_variance)
    assert "✓" in capsys.readouterr().out

    def c_0(t):
        return alpha_bar[t - 1].sqrt() * beta[t] / s_squared[t]

    small = schedule.beta_tilde
    for wrong, message in [
        (lambda t, loss: best_variance(t, loss) - small[t], "add the posterior"),
        (lambda t, loss: small[t] + c_0(t) ** 2 * loss, "as one of x_0"),
        (lambda t, loss: small[t] + c_0(t) ** 2 * schedule.snr[t] * loss, "instead of multiplied"),
        (lambda t, loss: small[t] + c_0(t) / schedule.snr[t] * loss, "square of c_0"),
        (lambda t, loss: best_variance(t, loss) - small[t] + beta[t], "forward step"),
        (lambda t, loss: best_variance(t, loss.sqrt()), "mean square already"),
        (lambda t, loss: 3 * best_variance(t, loss), "all is 3 times"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.best_variance(wrong)


def open_share(x, fork):
    return (x - fork).square().mean() / 2 / x.var(0).mean()


def test_open_share():
    check.open_share(open_share)
    check.open_share(lambda x, fork: open_share(x.float(), fork.float()))
    for wrong, message in [
        (lambda x, fork: 2 * open_share(x, fork), "Not halved"),
        (lambda x, fork: 1 - open_share(x, fork), "already decided"),
        (lambda x, fork: (x - fork).square().mean() / 2 / x.var(), "over everything"),
        (lambda x, fork: (x - fork).square().mean() / 2, "Not yet divided"),
        (lambda x, fork: open_share(x, fork).sqrt(), "standard deviations"),
        (lambda x, fork: (x - fork).mean() / 2 / x.var(0).mean(), "mean of the difference"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.open_share(wrong)
