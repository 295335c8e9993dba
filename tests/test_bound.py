"""The bound, term by term, on data whose log density is known; and the weights that follow."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ddpm_lib.bound import (
    bits_per_dim,
    bound,
    data_term,
    discretized,
    eps_weight,
    kl,
    normal_log_density,
    prior_term,
    step_term,
    v_weight,
    x_0_weight,
)
from ddpm_lib.diffusion import (
    EPS,
    X_0,
    Gaussian,
    Prediction,
    Time,
    V,
    Variance,
    add_noise,
    kernel_variance,
    posterior,
    posterior_variance,
    signal_and_noise,
)
from ddpm_lib.exact import exact_denoiser, isotropic, log_density
from ddpm_lib.schedules import Schedule, cosine, linear

properties = settings(deadline=None, max_examples=50, derandomize=True)
unit = isotropic(torch.ones(1), torch.zeros(1, 1), 1.0)
NODES = tuple(torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(200))
two = isotropic(torch.tensor([0.3, 0.7]), torch.tensor([[-1.0], [1.0]]), 0.2)


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def close(got: Tensor, want: Tensor, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def guess(schedule: Schedule) -> Any:
    """A denoiser that is wrong in a known way, and consistent: x_0 is a tenth of x_t."""

    def denoise(x_t: Tensor, t: Time) -> Prediction:
        return X_0.decode(0.1 * x_t, x_t, *signal_and_noise(schedule, t, like=x_t))

    return denoise


# KL and likelihoods


def test_kl_is_that_of_torch_distributions() -> None:
    normal = torch.distributions.Normal
    q, p = Gaussian(randn(5), randn(5, seed=1).exp()), Gaussian(randn(5, seed=2), number(0.7))
    reference = torch.distributions.kl_divergence(
        normal(q.mean, q.var.sqrt()), normal(p.mean, p.var.sqrt())
    )
    close(kl(q, p), reference)
    assert (kl(q, q) == 0).all()


def test_density_is_that_of_torch_distributions() -> None:
    p = Gaussian(randn(5), randn(5, seed=1).exp())
    x = randn(5, seed=2)
    close(normal_log_density(x, p), torch.distributions.Normal(p.mean, p.var.sqrt()).log_prob(x))


def grid(levels: int) -> Tensor:
    return torch.linspace(-1, 1, levels, dtype=torch.float64)[:, None]


@properties
@given(
    st.sampled_from([2, 3, 17, 256, 65536]),
    st.floats(-3, 3),
    st.floats(-18, 5),
)
def test_all_levels_together_are_certain(levels: int, mean: float, log_var: float) -> None:
    p = Gaussian(number(mean).reshape(1, 1), number(math.exp(log_var)))
    total = discretized(grid(levels), p, levels).logsumexp(0)
    close(total, torch.zeros(1).double(), 1e-10)


@pytest.mark.parametrize("std", [0.01, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("mean", [-0.95, 0.0, 0.3, 1.0, 5.0])
def test_a_bin_holds_the_integral_of_the_density(mean: float, std: float) -> None:
    """By Gauss and Legendre in the log domain, into both tails, for all but the open bins."""
    x, p = grid(64)[1:-1], Gaussian(number(mean), number(std**2))
    nodes, weights = NODES
    inside = normal_log_density(x + nodes / 63, p) + weights.log() - math.log(63)
    torch.testing.assert_close(
        discretized(x, p, 64), inside.logsumexp(1, keepdim=True), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("mean", [-3.0, 3.0])
def test_far_tails_follow_their_asymptotic_series(mean: float) -> None:
    """At a thousand standard deviations the bin's nearer edge is all that counts."""
    x, std, sign = grid(64)[1:-1], 1e-3, math.copysign(1, mean)
    z = (mean - (x + sign / 63)).abs() / std
    series = -(z**2) / 2 - (z * math.sqrt(2 * math.pi)).log() + (1 - z**-2 + 3 * z**-4).log()
    got = discretized(x, Gaussian(number(mean), number(std**2)), 64)
    torch.testing.assert_close(got, series, rtol=1e-13, atol=0)


@pytest.mark.parametrize("mean", [-20.0, -1.0, 0.2, 1.0, 20.0])
def test_the_outermost_bins_are_open(mean: float) -> None:
    p = Gaussian(number(mean), number(0.25))
    ends = torch.tensor([[-1.0], [1.0]]).double()
    first, last = discretized(ends, p, 5).flatten().tolist()
    below = lambda x: math.erfc(-(x - mean) / 0.5 / math.sqrt(2)) / 2
    above = lambda x: math.erfc((x - mean) / 0.5 / math.sqrt(2)) / 2
    if below(-0.75) > 0:
        assert first == pytest.approx(math.log(below(-0.75)), rel=1e-12, abs=1e-300)
    if above(0.75) > 0:
        assert last == pytest.approx(math.log(above(0.75)), rel=1e-12, abs=1e-300)
    assert -2000 < first <= 0
    assert -2000 < last <= 0


def test_likelihood_can_be_trained_on_at_the_edges_too() -> None:
    x = torch.tensor([[-1.0, -0.5, 0.0, 0.5, 1.0]]).double()
    mean = randn(1, 5).requires_grad_()
    log_var = number(-3.0).requires_grad_()
    f = lambda mean, log_var: discretized(x, Gaussian(mean, log_var.exp()), 5)
    assert torch.autograd.gradcheck(f, (mean, log_var))


def test_likelihood_takes_pixels_as_they_come() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    x = pixels.float() / 127.5 - 1
    p = Gaussian(torch.zeros_like(x), torch.tensor(0.1))
    got = discretized(x, p)
    assert got.dtype == torch.float32
    assert got.shape == x.shape
    double = discretized(grid(256), Gaussian(number(0.0), number(0.1)))
    torch.testing.assert_close(got.flatten(), double.flatten().float())


@pytest.mark.parametrize("x", [[0.001], [1.2], [-1.1], [1 + 2 / 255], [-1 - 2 / 255]])
def test_likelihood_refuses_what_is_no_level(x: list[float]) -> None:
    p = Gaussian(torch.zeros(1), torch.tensor(1.0))
    with pytest.raises(ValueError, match="x has 256 levels from -1 to 1"):
        discretized(torch.tensor(x), p)
    with pytest.raises(ValueError, match="x has 3 levels"):
        discretized(torch.tensor([0.5]), p, 3)


@pytest.mark.parametrize("levels", [1, 0, -5])
def test_likelihood_needs_two_levels(levels: int) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        discretized(torch.zeros(1), Gaussian(torch.zeros(1), torch.tensor(1.0)), levels)


# Terms


def test_prior_term_is_its_closed_form() -> None:
    schedule, x_0 = cosine(20), randn(3, 2, 2)
    alpha_bar = schedule.alpha_bar[20]
    closed = (alpha_bar * x_0**2 - alpha_bar - (1 - alpha_bar).log()) / 2
    close(prior_term(schedule, x_0), closed.sum((1, 2)))


def test_step_term_by_integration() -> None:
    """KL(q || p) as the integral of q log(q / p) over x_{t-1}."""
    schedule, t = linear(), 300
    x_0, eps = torch.tensor([[0.8], [-0.3]]).double(), randn(2, 1)
    x_t = add_noise(schedule, x_0, t, eps)
    denoise = exact_denoiser(schedule, two)
    q = posterior(schedule, x_0, x_t, t)
    model = Gaussian(posterior(schedule, denoise(x_t, t).x_0, x_t, t).mean, schedule.beta[t])
    x = q.mean + q.var.sqrt() * torch.linspace(-12, 12, 2001, dtype=torch.float64)
    log_q, log_p = normal_log_density(x, q), normal_log_density(x, model)
    integral = (log_q.exp() * (log_q - log_p)).sum(1) * (x[:, 1] - x[:, 0])
    close(step_term(schedule, denoise, x_0, t=t, eps=eps, variance=kernel_variance), integral)


def test_data_term_is_the_likelihood_around_the_prediction() -> None:
    schedule, x_0, eps = linear(), torch.tensor([[-1.0, 0.0], [0.5, 1.0]]).double(), randn(2, 2)
    model = Gaussian(0.1 * add_noise(schedule, x_0, 1, eps), schedule.beta[1])
    for likelihood in (normal_log_density, partial(discretized, levels=5)):
        got = data_term(schedule, guess(schedule), x_0, eps=eps, likelihood=likelihood)
        close(got, -likelihood(x_0, model).sum(1))


def test_a_time_for_each_picture() -> None:
    schedule, x_0, eps = linear(), randn(4, 1, 4, 4), randn(4, 1, 4, 4, seed=1)
    t = torch.tensor([2, 50, 700, 1000])
    together = step_term(schedule, guess(schedule), x_0, t=t, eps=eps)
    assert together.shape == (4,)
    for i in range(4):
        one = slice(i, i + 1)
        alone = step_term(schedule, guess(schedule), x_0[one], t=int(t[i]), eps=eps[one])
        close(together[one], alone)


# The whole bound


@pytest.mark.parametrize("schedule", [linear(50), cosine(50), linear(1)])
def test_the_bound_is_tight_where_the_reverse_step_is_gaussian(schedule: Schedule) -> None:
    """For N(0, 1) data the model with the exact mean and variance beta is the truth itself.

    Each term is quadratic in its noise, so that its mean over the noise is the mean over +1 and -1,
    and the sum of the terms is -log p(x_0) exactly, for every x_0.
    """
    x_0 = randn(5, 1)
    terms = torch.stack(
        [
            bound(
                schedule,
                exact_denoiser(schedule, unit),
                x_0,
                likelihood=normal_log_density,
                variance=kernel_variance,
                randn=lambda shape, sign=sign: torch.full(shape, sign).double(),
            )
            for sign in (1.0, -1.0)
        ]
    ).mean(0)
    assert terms.shape == (schedule.T + 1, 5)
    close(terms.sum(0), -log_density(unit, x_0), 1e-10)


def test_the_bound_of_a_mixture_closes_as_steps_become_small() -> None:
    """Averaged over data and noise it stays above the entropy, which it would reach at T = oo."""
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.linspace(-2.5, 2.5, 201, dtype=torch.float64)[:, None]
    p = log_density(two, x_0).exp()
    p = p / p.sum()
    entropy = -(p * log_density(two, x_0)).sum()
    gaps = []
    for T in (5, 15, 45):
        schedule = cosine(T)
        draws = [
            bound(
                schedule,
                exact_denoiser(schedule, two),
                x_0,
                likelihood=normal_log_density,
                variance=kernel_variance,
                randn=partial(torch.randn, generator=generator, dtype=torch.float64),
            ).sum(0)
            for _ in range(10)
        ]
        gaps.append(((torch.stack(draws).mean(0) * p).sum() - entropy).item())
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[2] < gaps[0] / 3


def test_rows_are_the_terms_by_their_index_with_noise_of_their_own() -> None:
    schedule, x_0 = linear(4), torch.tensor([[-1.0, 0.5], [0.0, 1.0]]).double()
    eps = [randn(2, 2, seed=k) for k in range(4)]
    noises = iter(eps)
    denoise, likelihood = guess(schedule), partial(discretized, levels=5)
    terms = bound(schedule, denoise, x_0, likelihood=likelihood, randn=lambda shape: next(noises))
    close(terms[0], data_term(schedule, denoise, x_0, eps=eps[0], likelihood=likelihood))
    for k in (1, 2, 3):
        close(terms[k], step_term(schedule, denoise, x_0, t=k + 1, eps=eps[k]))
    close(terms[4], prior_term(schedule, x_0))


def test_bits_per_dim() -> None:
    x_0 = torch.zeros(7, 3, 4, 5)
    assert bits_per_dim(torch.tensor([60 * math.log(2)]), x_0).item() == pytest.approx(1)
    assert bits_per_dim(torch.tensor([60 * math.log(2)]), x_0[:1]).item() == pytest.approx(1)


def test_guessing_every_level_alike_costs_all_its_bits() -> None:
    """256 levels without knowledge are 8 bits; a variance so large makes all inner bins equal."""
    x = grid(256)[100:101]
    wide = Gaussian(torch.zeros(1, 1).double(), number(1e6))
    narrow = Gaussian(torch.zeros(1, 1).double(), number(1.0))
    uniform = math.log(2 / 255) + normal_log_density(
        x, wide
    )  # the width of a bin times the density there
    close(discretized(x, wide), uniform, 1e-9)
    assert discretized(x, narrow) > discretized(x, wide)


# Weights


@pytest.mark.parametrize("schedule", [linear(), cosine()])
@pytest.mark.parametrize("variance", [kernel_variance, posterior_variance])
def test_weights_times_squared_errors_are_the_terms(schedule: Schedule, variance: Variance) -> None:
    t = torch.tensor([2, 3, 100, 500, 900, 999])
    x_0, eps = randn(6, 2), randn(6, 2, seed=1)
    x_t = add_noise(schedule, x_0, t, eps)
    a, s = signal_and_noise(schedule, t, like=x_0)
    prediction = guess(schedule)(x_t, t)
    ratio = posterior_variance(schedule, t) / variance(schedule, t, t - 1)
    unavoidable = (ratio - 1 - ratio.log()) / 2 * 2  # two pixels
    term = step_term(schedule, guess(schedule), x_0, t=t, eps=eps, variance=variance)
    for parameterization, weight in [(EPS, eps_weight), (X_0, x_0_weight), (V, v_weight)]:
        truth = parameterization.target(x_0, eps, a, s)
        error = (parameterization.target(*prediction, a, s) - truth).square().sum(1)
        close(weight(schedule, variance)[t] * error + unavoidable, term, 1e-8)


@pytest.mark.parametrize("schedule", [linear(), cosine()])
def test_weights_are_those_of_the_page(schedule: Schedule) -> None:
    snr = schedule.snr
    torch.testing.assert_close(
        x_0_weight(schedule)[2:], (snr[1:-1] - snr[2:]) / 2, rtol=1e-9, atol=0
    )
    torch.testing.assert_close(
        eps_weight(schedule)[2:], (snr[1:-1] / snr[2:] - 1) / 2, rtol=1e-9, atol=0
    )
    for weight in (eps_weight, x_0_weight, v_weight):
        assert weight(schedule).shape == (schedule.T + 1,)
        assert weight(schedule)[1] == math.inf  # there the bound has L_0
        assert weight(schedule, kernel_variance)[1:].isfinite().all()
        assert weight(schedule)[0] == weight(schedule, kernel_variance)[0] == 0


def test_measured_ratios_of_the_two_weights() -> None:
    ratio = x_0_weight(linear())[2:] / eps_weight(linear())[2:]
    for t, want in [(2, 4546), (100, 8.71), (500, 0.085), (1000, 4.0e-5)]:
        assert ratio[t - 2].item() == pytest.approx(want, rel=0.02)


# Bad input


@pytest.mark.parametrize("t", [0, 1, 1001, torch.tensor([1, 2])])
def test_steps_of_the_bound_begin_at_2(t: Time) -> None:
    x_0 = randn(2, 2)
    with pytest.raises(ValueError, match=r"t lies in 2\.\.1000"):
        step_term(linear(), guess(linear()), x_0, t=t, eps=x_0)


def test_a_step_without_variance_has_no_density() -> None:
    x_0 = torch.zeros(2, 2)
    denoise = guess(linear())
    with pytest.raises(ValueError, match="beta_tilde is zero at t = 1"):
        data_term(
            linear(),
            denoise,
            x_0,
            eps=x_0,
            likelihood=normal_log_density,
            variance=posterior_variance,
        )
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="positive variance"):
            step_term(linear(), denoise, x_0, t=5, eps=x_0, variance=lambda *_, v=wrong: v)


@pytest.mark.parametrize(
    ("x_0", "error", "says"),
    [
        (torch.zeros(2, 2, dtype=torch.uint8), TypeError, "floats"),
        (torch.zeros(0, 2), ValueError, "at least one"),
        (torch.full((2, 2), math.nan), ValueError, "finite"),
    ],
)
def test_bad_pictures(x_0: Tensor, error: type[Exception], says: str) -> None:
    for take in (
        lambda: prior_term(linear(3), x_0),
        lambda: bound(linear(3), guess(linear(3)), x_0, likelihood=discretized),
    ):
        with pytest.raises(error, match=says):
            take()


def test_float32_costs_the_likelihood_nothing_but_its_own_digits() -> None:
    x = (torch.arange(256.0) / 127.5 - 1)[None].float()
    p = Gaussian(x + 0.003, torch.full((1, 256), 1e-6).float())
    exact = discretized(x.double(), Gaussian(p.mean.double(), p.var.double()))
    assert torch.equal(discretized(x.double(), p), exact)
    assert torch.equal(discretized(x, p), exact.float())
