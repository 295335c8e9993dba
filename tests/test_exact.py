"""The mixture's closed forms against numeric integration, derivatives and each other."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ddpm_lib.diffusion import add_noise, kernel, signal_and_noise
from ddpm_lib.exact import (
    Mixture,
    covariance,
    draw,
    exact_denoiser,
    isotropic,
    log_density,
    mean,
    mixture,
    noised,
    reverse,
    score,
)
from ddpm_lib.schedules import cosine, linear

properties = settings(deadline=None, max_examples=50, derandomize=True)
LINE = torch.linspace(-12, 12, 24001, dtype=torch.float64)  # integrals by the trapezoid rule
two = isotropic(torch.tensor([0.3, 0.7]), torch.tensor([[-1.0], [1.0]]), 0.2)


def integral(values: Tensor) -> Tensor:
    """Over LINE, along the first axis.  Spectrally accurate: the integrands vanish at both ends."""
    return values.sum(0) * (LINE[1] - LINE[0])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def any_mixture(K: int, d: int, seed: int) -> Mixture:
    weights = torch.rand(K, generator=generator(seed)).double() + 0.1
    means = torch.randn(K, d, generator=generator(seed + 1)).double()
    root = torch.randn(K, d, d, generator=generator(seed + 2)).double()
    covariances = root @ root.mT / d + 0.05 * torch.eye(d)
    return mixture(weights / weights.sum(), means, covariances)


mixtures = st.builds(any_mixture, st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**20))


def close(got: Tensor, want: Tensor, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


# The mixture itself


@properties
@given(mixtures, st.integers(0, 2**20))
def test_density_is_that_of_torch_distributions(m: Mixture, seed: int) -> None:
    x = 2 * torch.randn(5, m.means.shape[-1], generator=generator(seed)).double()
    reference = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(m.weights),
        torch.distributions.MultivariateNormal(m.means, m.covariances),
    )
    close(log_density(m, x), reference.log_prob(x), 1e-8)  # as far as its Cholesky factor goes


@properties
@given(mixtures, st.integers(0, 2**20))
def test_score_is_the_gradient_of_the_log_density(m: Mixture, seed: int) -> None:
    x = torch.randn(5, m.means.shape[-1], generator=generator(seed)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(log_density(m, x).sum(), x)
    close(score(m, x), gradient, 1e-9)


def test_constructors_agree_and_give_back_what_they_were_given() -> None:
    weights = torch.tensor([0.2, 0.8]).double()
    means, std = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).double(), torch.tensor([0.1, 0.5]).double()
    round_ = isotropic(weights, means, std)
    full = mixture(weights, means, (std**2)[:, None, None] * torch.eye(2).double())
    for one, other in zip(round_, full, strict=True):
        close(one, other)
    close(round_.covariances, (std**2)[:, None, None] * torch.eye(2).double())
    slanted = torch.tensor([[[2.0, 1.0], [1.0, 3.0]]]).double()
    close(mixture(torch.ones(1), torch.zeros(1, 2), slanted).covariances, slanted)


def test_rounding_of_what_was_given_does_not_stay() -> None:
    """Weights that sum to 1 in float32 alone, and flat covariances, whose least eigenvalue is 0."""
    sides = torch.randn(20, 3, generator=generator()).double()
    weights = torch.full((20,), 0.05) + 1e-8
    flat = mixture(weights, torch.zeros(20, 3), sides[:, :, None] * sides[:, None])
    assert abs(flat.weights.sum() - 1) < 1e-15
    assert (flat.variances >= 0).all()
    assert exact_denoiser(linear(), flat)(sides, 1).x_0.isfinite().all()


def test_moments_by_integration() -> None:
    p = log_density(two, LINE).exp()
    close(integral(p), torch.tensor(1.0).double())
    close(mean(two), integral(p * LINE)[None])
    close(covariance(two), integral(p * (LINE - mean(two)) ** 2)[None, None])


def test_draws_have_the_moments_and_follow_the_generator() -> None:
    m, n = any_mixture(3, 3, seed=5), 40_000
    x = draw(m, n, generator())
    assert torch.equal(x, draw(m, n, generator()))
    assert not torch.equal(x, draw(m, n, generator(1)))
    off = (x.mean(0) - mean(m)) / (x.std(0) / n**0.5)
    assert (off.abs() < 5).all()
    products = (x - mean(m))[:, :, None] * (x - mean(m))[:, None]
    off = (products.mean(0) - covariance(m)) / (products.std(0) / n**0.5)
    assert (off.abs() < 5).all()


# Noised


@pytest.mark.parametrize("t", [1, 10, 300, 1000])
def test_noised_is_the_convolution(t: int) -> None:
    """p(x_t) = integral of p(x_0) q(x_t | x_0), at a few x_t."""
    x_t = torch.tensor([-1.5, 0.0, 0.4, 2.0]).double()
    q = kernel(linear(), LINE, t, 0)
    likelihood = (-((x_t - q.mean[:, None]) ** 2) / q.var / 2).exp() / (2 * math.pi * q.var).sqrt()
    p = integral(log_density(two, LINE).exp()[:, None] * likelihood)
    close(log_density(noised(linear(), two, t), x_t).exp(), p)


def test_noised_at_time_0_is_the_data_and_at_T_nearly_noise() -> None:
    for was, now in zip(two, noised(linear(), two, 0), strict=True):
        assert torch.equal(was, now)
    q = noised(linear(), two, 1000)
    close(q.means, torch.zeros(2, 1).double(), 0.01)
    close(q.variances, torch.ones(2, 1).double(), 1e-4)


def test_a_time_for_each_point() -> None:
    t = torch.tensor([1, 7, 300, 1000])
    m, x = any_mixture(3, 2, seed=3), torch.randn(4, 2, generator=generator()).double()
    together = exact_denoiser(linear(), m)(x, t)
    density = log_density(noised(linear(), m, t), x)
    back = reverse(linear(), m, x, t)
    for i, one in enumerate(x.split(1)):
        alone = exact_denoiser(linear(), m)(one, int(t[i]))
        close(together.x_0[i], alone.x_0[0])
        close(together.eps[i], alone.eps[0])
        close(density[i], log_density(noised(linear(), m, int(t[i])), one)[0])
        close(covariance(back)[i], covariance(reverse(linear(), m, one, int(t[i])))[0])


# Looking back


@pytest.mark.parametrize(("t", "u"), [(1, 0), (40, 39), (300, 100), (1000, 0), (600, 599)])
def test_reverse_is_bayes_by_integration(t: int, u: int) -> None:
    """q(x_u | x_t) is q(x_u) q(x_t | x_u), normalized: its density and its first two moments."""
    x_t = torch.tensor([-1.2, 0.1, 2.0]).double()
    q = kernel(linear(), LINE, t, u)
    log_joint = (
        log_density(noised(linear(), two, u), LINE)[:, None]
        - (x_t - q.mean[:, None]) ** 2 / q.var / 2
    )
    joint = (log_joint - log_joint.amax(0)).exp()
    p = joint / integral(joint)
    back = reverse(linear(), two, x_t, t, u)
    for i in range(3):
        alone = back._replace(weights=back.weights[i], means=back.means[i])
        close(log_density(alone, LINE).exp(), p[:, i], 1e-9)
    close(mean(back), integral(p * LINE[:, None])[:, None], 1e-9)
    apart = LINE[:, None] - mean(back)[:, 0]
    close(covariance(back), integral(p * apart**2)[:, None, None], 1e-9)


def test_reverse_twice_is_reverse_over_both() -> None:
    """Marginalizing q(x_u | x_m) over q(x_m | x_t) gives q(x_u | x_t): compare the means."""
    m, x_t = any_mixture(2, 2, seed=9), torch.tensor([[0.5, -0.3]]).double()
    n = 40_000
    middle = draw(reverse(linear(), m, x_t.expand(n, 2), 500, 300), n, generator())
    end = mean(reverse(linear(), m, middle, 300, 100))
    direct = mean(reverse(linear(), m, x_t, 500, 100))[0]
    assert ((end.mean(0) - direct) / (end.std(0) / n**0.5)).abs().max() < 5


def test_one_round_gaussian_is_the_posterior_of_a_linear_model() -> None:
    """For N(0, 1) data every q(x_t) is N(0, 1), and looking back is as simple as going there."""
    m, x_t = isotropic(torch.ones(1), torch.zeros(1, 2), 1.0), torch.tensor([[0.5, -2.0]]).double()
    schedule = linear()
    for t in (1, 500, 1000):
        back = reverse(schedule, m, x_t, t)
        close(mean(back), schedule.alpha[t].sqrt() * x_t)
        close(covariance(back)[0], schedule.beta[t] * torch.eye(2).double())


def test_draws_of_a_reverse_kernel_are_one_for_each_point() -> None:
    x_t = torch.tensor([[-3.0], [3.0]]).double().repeat(2000, 1)
    back = reverse(linear(), two, x_t, 200, 0)
    x_0 = draw(back, len(x_t), generator())
    off = (x_0 - mean(back))[:, 0] / covariance(back)[:, 0, 0].sqrt()
    assert abs(off.mean()) < 5 / len(x_t) ** 0.5
    assert abs(off.std() - 1) < 0.1


# The denoiser


@properties
@given(mixtures, st.sampled_from([linear(), cosine()]), st.integers(1, 1000), st.integers(0, 2**20))
def test_denoiser_predicts_two_parts_that_make_up_x_t(
    m: Mixture, schedule: Any, t: int, seed: int
) -> None:
    """x_0 comes from the reverse kernel and eps from the score: Tweedie's formula joins them."""
    x_t = torch.randn(4, m.means.shape[-1], generator=generator(seed)).double()
    a, s = signal_and_noise(schedule, t, like=x_t)
    x_0, eps = exact_denoiser(schedule, m)(x_t, t)
    close(a * x_0 + s * eps, x_t)


@pytest.mark.parametrize("t", [1, 40, 300, 1000])
def test_denoiser_by_integration(t: int) -> None:
    x_t = torch.tensor([[-1.2], [0.1], [2.0]]).double()
    a, s = signal_and_noise(linear(), t, like=x_t)
    log_joint = log_density(two, LINE)[:, None] - ((x_t[:, 0] - a * LINE[:, None]) / s) ** 2 / 2
    joint = (log_joint - log_joint.amax(0)).exp()
    p = joint / integral(joint)
    x_0, eps = exact_denoiser(linear(), two)(x_t, t)
    close(x_0[:, 0], integral(p * LINE[:, None]), 1e-10)
    close(eps[:, 0], integral(p * (x_t[:, 0] - a * LINE[:, None]) / s), 1e-10)


def test_denoiser_is_the_minimizer_of_the_loss() -> None:
    """No other function of x_t has a smaller squared error: tried, added to it, are some."""
    t, n = 300, 100_000
    x_0 = draw(two, n, generator())
    eps = torch.randn(n, 1, generator=generator(1), dtype=torch.float64)
    x_t = add_noise(linear(), x_0, t, eps)
    error = exact_denoiser(linear(), two)(x_t, t).eps - eps
    for other in (torch.ones_like(x_t), x_t, x_t**2, x_t.sin(), x_t.sign()):
        product = error * other  # the error is orthogonal to every function of x_t
        assert abs(product.mean()) < 5 * product.std() / n**0.5


def test_measured_values_of_the_note() -> None:
    """E[eps | x_t = 0.5] for +-1 with width 0.2: the same x at other times hides other noise."""
    even = isotropic(torch.tensor([0.5, 0.5]), torch.tensor([[-1.0], [1.0]]), 0.2)
    x = torch.tensor([[0.5]]).double()
    for t, want in [(10, -0.52), (50, -1.22), (200, -0.24), (400, 0.42), (1000, 0.50)]:
        assert exact_denoiser(linear(), even)(x, t).eps.item() == pytest.approx(want, abs=0.006)


def test_a_data_set_is_a_mixture_of_points() -> None:
    points = torch.tensor([[-1.0, 0.0], [1.0, 0.5]]).double()
    data = isotropic(torch.tensor([0.5, 0.5]), points, 0.0)
    x_t = torch.tensor([[0.9, 0.6]]).double()
    near, far = exact_denoiser(linear(), data)(x_t, 1), exact_denoiser(linear(), data)(x_t, 1000)
    close(near.x_0, points[1:])
    close(far.x_0, points.mean(0, keepdim=True), 0.05)
    with pytest.raises(ValueError, match="only after noising"):
        log_density(data, x_t)


def test_pictures_are_points_and_keep_dtype() -> None:
    m = any_mixture(2, 12, seed=1)
    pictures = torch.randn(5, 3, 2, 2, generator=generator())
    x_0, eps = exact_denoiser(linear(), m)(pictures, 100)
    assert x_0.shape == eps.shape == score(m, pictures).shape == pictures.shape
    assert x_0.dtype == eps.dtype == log_density(m, pictures).dtype == torch.float32
    rows = exact_denoiser(linear(), m)(pictures.flatten(1).double(), 100).x_0
    torch.testing.assert_close(x_0.flatten(1), rows.float())


# Bad input


@pytest.mark.parametrize(
    ("weights", "means", "covariances", "says"),
    [
        ([0.5, 0.6], torch.zeros(2, 1), torch.ones(2, 1, 1), "sum to 1"),
        ([1.5, -0.5], torch.zeros(2, 1), torch.ones(2, 1, 1), "positive"),
        ([1.0, 0.0], torch.zeros(2, 1), torch.ones(2, 1, 1), "positive"),
        ([math.nan, 0.5], torch.zeros(2, 1), torch.ones(2, 1, 1), "positive"),
        ([0.5, 0.5], torch.zeros(2), torch.ones(2, 1, 1), r"means is \(K, d\)"),
        ([], torch.zeros(0, 1), torch.ones(0, 1, 1), r"means is \(K, d\)"),
        ([1.0], torch.zeros(2, 1), torch.ones(2, 1, 1), r"weights is \(2,\)"),
        ([0.5, 0.5], torch.zeros(2, 1), torch.ones(2, 1), r"covariances \(2, 1, 1\)"),
        ([1.0], torch.full((1, 1), math.nan), torch.ones(1, 1, 1), "finite"),
        ([1.0], torch.zeros(1, 1), torch.full((1, 1, 1), math.inf), "finite"),
        ([1.0], torch.zeros(1, 1), -torch.ones(1, 1, 1), "negative eigenvalue"),
        ([1.0], torch.zeros(1, 2), torch.tensor([[[1.0, 2.0], [2.0, 1.0]]]), "negative eigenvalue"),
        ([1.0], torch.zeros(1, 2), torch.tensor([[[1.0, 0.5], [0.0, 1.0]]]), "symmetric"),
    ],
)
def test_what_is_not_a_mixture(weights: Any, means: Any, covariances: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        mixture(torch.tensor(weights), means, covariances)


takers: list[Callable[[Any], Any]] = [
    lambda x: log_density(two, x),
    lambda x: score(two, x),
    lambda x: reverse(linear(), two, x, 5),
    lambda x: exact_denoiser(linear(), two)(x, 5),
]


@pytest.mark.parametrize("take", takers)
@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (torch.zeros(3, 2), ValueError, "1 dimensions"),
        (torch.zeros(0, 1), ValueError, "at least one"),
        (torch.full((3, 1), math.nan), ValueError, "finite"),
        (torch.zeros(3, 1, dtype=torch.int64), TypeError, "floats"),
    ],
)
def test_bad_points(take: Callable[[Any], Any], x: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        take(x)


def test_one_point_may_be_drawn() -> None:
    assert draw(two, 1).shape == (1, 1)
    assert draw(reverse(linear(), two, torch.zeros(1, 1), 5), 1).shape == (1, 1)


def test_bad_numbers_of_draws() -> None:
    many = reverse(linear(), two, torch.zeros(3, 1), 5)
    for m, n in [(two, 0), (two, -1), (many, 2), (many, 1)]:
        with pytest.raises(ValueError, match="n is at least 1"):
            draw(m, n)


def test_bad_times() -> None:
    x = torch.zeros(3, 1)
    for take in (
        lambda: exact_denoiser(linear(), two)(x, 0),
        lambda: exact_denoiser(linear(), two)(x, 1001),
        lambda: reverse(linear(), two, x, 0),
        lambda: noised(linear(), two, 1001),
        lambda: noised(linear(), two, -1),
    ):
        with pytest.raises(ValueError, match="t lies in"):
            take()
    with pytest.raises(ValueError, match="u is earlier than t"):
        reverse(linear(), two, x, 5, 5)
    for t in (torch.tensor([1, 2]), torch.tensor([1])):
        with pytest.raises(ValueError, match="a mixture for each of the 3"):
            exact_denoiser(linear(), two)(x, t)
