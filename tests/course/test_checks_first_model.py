"""The checks of chapter 9: each passes the right answer and names each mistake it knows."""

import pytest

from ddpm_lib import diffusion
from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import first_model as check
from ddpm_lib.schedules import linear

schedule = linear(200, 5e-4, 0.1)
beta, alpha_bar = schedule.beta, schedule.alpha_bar


def test_ratio_of_errors():
    check.ratio_of_errors(((0.224 - 0.212) / (0.215 - 0.212)) ** 0.5)
    for wrong, message in [
        (0.224 / 0.215, "ratio of the two losses"),
        (4, "Take the root"),
        ((0.224**0.5 - 0.212**0.5) / (0.215**0.5 - 0.212**0.5), "before you take roots"),
        ((0.224 / 0.215) ** 0.5, "floor included"),
        (0.5, "other way round"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.ratio_of_errors(wrong)


def stride(x_t, eps, z, t, u, power=0.5):  # noqa: PLR0917
    a, s = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    mu = diffusion.posterior(schedule, (x_t - s * eps) / a, x_t, t, u).mean
    return mu + diffusion.posterior_variance(schedule, t, u) ** power * z


def test_stride(capsys):
    check.stride(stride)
    assert "✓" in capsys.readouterr().out
    with pytest.raises(Mistake, match="single step"):
        check.stride(lambda x, e, z, t, u: stride(x, e, z, t, t - 1))
    with pytest.raises(Mistake, match="standard deviation"):
        check.stride(lambda x, e, z, t, u: stride(x, e, z, t, u, power=1))
    with pytest.raises(Mistake, match="z is missing"):
        check.stride(lambda x, e, z, t, u: stride(x, e, 0 * z, t, u))

    def with_beta(x, e, z, t, u):
        mu = stride(x, e, 0 * z, t, u)
        return mu + (1 - alpha_bar[t] / alpha_bar[u]).sqrt() * z

    with pytest.raises(Mistake, match="forward stride"):
        check.stride(with_beta)

    def anew(x, e, z, t, u):
        x_0 = (x - (1 - alpha_bar[t]).sqrt() * e) / alpha_bar[t].sqrt()
        return diffusion.add_noise(schedule, x_0, u, z)

    with pytest.raises(Mistake, match="forgets x_t"):
        check.stride(anew)
    with pytest.raises(Mistake, match=r"not for .*, 120, 0"):
        check.stride(lambda x, e, z, t, u: stride(x, e, z, t, u) + 7.5 * (u == 0))


def test_collapsed():
    check.collapsed(0.0055)
    for wrong, message in [
        (float(alpha_bar[-1]), "take the root"),
        (1.0, "put in"),
        (0, "no factor is zero"),
        (0.9**0.5, "last one alone"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.collapsed(wrong)


def test_other_target():
    def share(t):
        return beta[t] / (1 - alpha_bar[t])

    check.other_target(lambda t: share(t).sqrt())
    for wrong, message in [
        (share, "square"),
        (lambda t: share(t) ** -0.5, "other way round"),
        (lambda t: beta[t] / (1 - alpha_bar[t]).sqrt(), "itself"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.other_target(wrong)
