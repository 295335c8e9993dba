"""What several explorables compute, schedules.js and mixtures.js, against ddpm_lib."""

import math

import numpy as np
import pytest
import torch

from ddpm_lib import diffusion, exact
from ddpm_lib.schedules import Schedule, cosine, linear

SETTINGS = [
    (1000, 1e-4, 0.02),
    (1, 1e-4, 0.02),
    (2, 0.1, 0.9),
    (10, 0.02, 1e-4),
    (4000, 1e-5, 0.999),
]


def tables(modules, beta, arguments):
    return modules(
        "schedules",
        f"(() => {{ const beta = m.{beta}(...input), bar = m.alphaBar(beta);"
        "return [beta, bar, m.snr(bar)].map((table) => [...table]); })()",
        arguments,
    )


def assert_tables(got, want: Schedule):
    for table, expected in zip(got, (want.beta, want.alpha_bar, want.snr), strict=True):
        # 1 - alpha_bar_1 is a difference of nearby numbers: not at rounding, but far below 1e-6
        np.testing.assert_allclose(table, expected, rtol=1e-10)
    assert got[2][0] == math.inf


@pytest.mark.parametrize("setting", SETTINGS)
def test_linear_schedules_are_those_of_the_library(modules, setting):
    assert_tables(tables(modules, "linearBeta", setting), linear(*setting))


@pytest.mark.parametrize("setting", [(1000,), (10,), (1,), (100, 0.1, 0.9)])
def test_cosine_schedules_are_those_of_the_library(modules, setting):
    assert_tables(tables(modules, "cosineBeta", setting), cosine(*setting))


@pytest.mark.parametrize("t", [0, 1, 250, 1000])
def test_the_jump_is_that_of_the_library(modules, t):
    schedule = linear()
    x_0, eps = torch.randn((2, 1, 64), generator=torch.Generator().manual_seed(t)).double()
    got = modules(
        "schedules",
        "[...m.jump(Float64Array.from(input[0]), input[1], input[2])]",
        [x_0[0].tolist(), eps[0].tolist(), schedule.alpha_bar[t].item()],
    )
    np.testing.assert_allclose(got, diffusion.add_noise(schedule, x_0, t, eps)[0], rtol=1e-12)


@pytest.mark.parametrize(("t", "u"), [(1000, 999), (1000, 0), (2, 1), (1, 0), (600, 100)])
def test_the_posterior_is_that_of_the_library(modules, t, u):
    schedule = linear()
    got = modules(
        "schedules", "m.posterior(...input)", [schedule.alpha_bar[k].item() for k in (t, u)]
    )
    one, none = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    for name, x_0, x_t in (("fromX0", one, none), ("fromXt", none, one)):
        want = diffusion.posterior(schedule, x_0, x_t, t, u)
        assert got[name] == pytest.approx(want.mean.item(), rel=1e-9, abs=1e-15)
    assert got["variance"] == pytest.approx(want.var.item(), rel=1e-9, abs=1e-15)


MIXTURES = [  # weights, means (K, d), standard deviations
    ([0.5, 0.5], [[-1.0], [1.0]], [0.2, 0.2]),
    ([0.2, 0.5, 0.3], [[-1.0, 0.5], [1.0, 0.0], [0.0, -2.0]], [0.3, 0.1, 1.0]),
]


def pair(weights, means, stds):
    """The same mixture for the page and for the library."""
    page = {"weights": weights, "means": means, "variances": [std**2 for std in stds]}
    return page, exact.isotropic(
        *(torch.tensor(x, dtype=torch.float64) for x in (weights, means, stds))
    )


@pytest.mark.parametrize("t", [1, 10, 200, 1000])
@pytest.mark.parametrize("parameters", MIXTURES)
def test_mixtures_are_those_of_the_library(modules, parameters, t):
    page, mixture = pair(*parameters)
    schedule, u = linear(), t // 2
    d = mixture.means.shape[1]
    points = torch.linspace(-3, 3, 11)[:, None].double() * torch.tensor([1.0, -0.4])[:d]
    got = modules(
        "mixtures",
        "input.points.map((x) => { const q = m.noised(input.page, input.t);"
        "const back = m.reverse(input.page, x, input.t, input.u);"
        "return { log: m.logDensity(q, x), mean: m.mixtureMean(back),"
        " back, ...m.denoise(input.page, x, input.t) }; })",
        {
            "page": page,
            "points": points.tolist(),
            "t": schedule.alpha_bar[t].item(),
            "u": schedule.alpha_bar[u].item(),
        },
    )

    def column(name):
        return [row[name] for row in got]

    close = {"rtol": 1e-7, "atol": 1e-9}  # eps divides by s, small at t = 1
    want = exact.log_density(exact.noised(schedule, mixture, t), points)
    np.testing.assert_allclose(column("log"), want, **close)
    back = exact.reverse(schedule, mixture, points, t, u)
    np.testing.assert_allclose(column("mean"), exact.mean(back), **close)
    for name, table in (("weights", back.weights), ("means", back.means)):
        np.testing.assert_allclose([row[name] for row in column("back")], table, **close)
    variances = [row["variances"] for row in column("back")]
    np.testing.assert_allclose(variances, back.variances[..., 0].expand(11, -1), **close)
    prediction = exact.exact_denoiser(schedule, mixture)(points, t)
    np.testing.assert_allclose(column("x_0"), prediction.x_0, **close)
    np.testing.assert_allclose(column("eps"), prediction.eps, **close)


def test_the_shares_of_a_point_far_away_are_still_numbers(modules):
    page, _ = pair(*MIXTURES[0])
    assert modules("mixtures", "m.shares(input, [500])", page) == [0, 1]
