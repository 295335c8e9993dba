"""Kernels, posterior, parameterizations and loss, against what can be had in another way."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ddpm_lib import conditions
from ddpm_lib.diffusion import (
    EPS,
    X_0,
    Parameterization,
    V,
    add_noise,
    ask,
    kernel,
    kernel_variance,
    loss,
    noise_for,
    normal,
    posterior,
    posterior_variance,
    signal_and_noise,
)
from ddpm_lib.schedules import Schedule, cosine, linear

properties = settings(deadline=None, max_examples=50, derandomize=True)
schedules = st.sampled_from([linear(10), cosine(10), linear(1000), cosine(1000)])
# The trap is a batch as large as the width: there, a t of shape (B,) broadcasts the wrong way.
shapes = st.sampled_from([(1,), (5,), (3, 2), (4, 4), (4, 1, 4, 4), (4, 4, 4, 4), (2, 3, 4, 5)])
dtypes = st.sampled_from([torch.float64, torch.float32, torch.bfloat16])


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def times(schedule: Schedule, n: int, seed: int, first: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(first, schedule.T + 1, (n,), generator=generator)


def close(got: Tensor, want: Tensor, scale: float = 1.0) -> None:
    """Equal up to a thousand roundings of numbers of the given size."""
    torch.testing.assert_close(got, want, rtol=1e-12, atol=2e-13 * scale)


# Kernels


@properties
@given(schedules, shapes, dtypes, st.integers(0, 2**20))
def test_noise_treats_each_picture_by_its_own_time(
    schedule: Schedule, shape: tuple[int, ...], dtype: torch.dtype, seed: int
) -> None:
    x_0, eps = randn(*shape, seed=seed, dtype=dtype), randn(*shape, seed=seed + 1, dtype=dtype)
    t = times(schedule, shape[0], seed, first=0)
    x_t = add_noise(schedule, x_0, t, eps)
    assert x_t.shape == x_0.shape
    assert x_t.dtype == dtype
    tolerance = 4 * torch.finfo(dtype).eps
    for i in range(shape[0]):
        alpha_bar = schedule.alpha_bar[t[i]].item()
        want = math.sqrt(alpha_bar) * x_0[i].double() + math.sqrt(1 - alpha_bar) * eps[i].double()
        torch.testing.assert_close(x_t[i].double(), want, rtol=tolerance, atol=4 * tolerance)
        alone = add_noise(schedule, x_0[i : i + 1], int(t[i]), eps[i : i + 1])
        torch.testing.assert_close(x_t[i], alone[0], rtol=tolerance, atol=4 * tolerance)


def test_no_noise_at_time_0() -> None:
    x_0 = randn(3, 2)
    assert torch.equal(add_noise(linear(), x_0, 0, randn(3, 2, seed=1)), x_0)


@pytest.mark.parametrize("schedule", [linear(), cosine()])
def test_one_step_is_beta_and_two_are_composed(schedule: Schedule) -> None:
    t = torch.arange(1, schedule.T + 1)
    close(kernel_variance(schedule, t), schedule.beta[1:])
    close(posterior_variance(schedule, t), schedule.beta_tilde[1:])
    close(kernel_variance(schedule, t, torch.zeros_like(t)), 1 - schedule.alpha_bar[1:])

    x_u = randn(2, 3)
    for u, m, t_ in [(0, 1, 2), (3, 40, 700), (998, 999, 1000)]:
        first, second = kernel(schedule, x_u, m, u), kernel(schedule, x_u, t_, m)
        both = kernel(schedule, x_u, t_, u)
        close(both.mean, kernel(schedule, first.mean, t_, m).mean)
        close(both.var, (1 - second.var) * first.var + second.var)


def test_kernel_from_0_is_that_of_noise() -> None:
    schedule, x_0 = linear(), randn(3, 2)
    t = torch.tensor([1, 500, 1000])
    a, s = signal_and_noise(schedule, t, like=x_0)
    mean, var = kernel(schedule, x_0, t, 0)
    close(mean, a * x_0)
    close(var, s**2)


# The posterior


@properties
@given(schedules, st.data())
def test_posterior_is_the_joint_gaussian_conditioned(schedule: Schedule, data: Any) -> None:
    """Given x_0, (x_u, x_t) is jointly Gaussian: condition it with the textbook's block formula."""
    t = data.draw(st.integers(1, schedule.T))
    u = data.draw(st.integers(0, t - 1))
    x_0, x_t = randn(4, 2), randn(4, 2, seed=1)
    a_u, a_t = schedule.alpha_bar[u].sqrt(), schedule.alpha_bar[t].sqrt()
    var_u, var_t = schedule.one_minus_alpha_bar[u], schedule.one_minus_alpha_bar[t]
    covariance = a_t / a_u * var_u  # x_t is a_t / a_u x_u and fresh noise
    mean, var = posterior(schedule, x_0, x_t, t, u)
    close(mean, a_u * x_0 + covariance / var_t * (x_t - a_t * x_0), scale=10)
    close(var, var_u - covariance**2 / var_t)


def test_posterior_times_kernel_is_the_other_factorization() -> None:
    """q(x_u | x_t, x_0) q(x_t | x_0) = q(x_t | x_u) q(x_u | x_0), for any x_u."""
    log_normal = lambda x, p: -((x - p.mean) ** 2 / p.var + p.var.log()) / 2
    schedule, x_0, x_u, x_t = linear(), randn(5, 1), randn(5, 1, seed=1), randn(5, 1, seed=2)
    for t, u in [(2, 1), (500, 499), (900, 30)]:
        left = log_normal(x_u, posterior(schedule, x_0, x_t, t, u))
        left = left + log_normal(x_t, kernel(schedule, x_0, t, 0))
        right = log_normal(x_t, kernel(schedule, x_u, t, u))
        right = right + log_normal(x_u, kernel(schedule, x_0, u, 0))
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


def test_posterior_of_ho_is_the_default() -> None:
    schedule, x_0, x_t = linear(), randn(3, 2), randn(3, 2, seed=1)
    t = torch.tensor([2, 500, 1000])
    alpha, alpha_bar = schedule.alpha[t, None], schedule.alpha_bar
    before, now = alpha_bar[t - 1, None], alpha_bar[t, None]
    mean, var = posterior(schedule, x_0, x_t, t)
    close(
        mean,
        before.sqrt() * (1 - alpha) / (1 - now) * x_0
        + alpha.sqrt() * (1 - before) / (1 - now) * x_t,
        scale=10,
    )
    close(var, (1 - before) / (1 - now) * (1 - alpha))


def test_the_last_step_ends_in_x_0() -> None:
    x_0, x_t = randn(3, 2), randn(3, 2, seed=1)
    for t in (1, 7, 1000):
        mean, var = posterior(linear(), x_0, x_t, t, 0)
        close(mean, x_0)
        assert var == 0


@properties
@given(schedules, shapes, dtypes, st.integers(0, 2**20))
def test_posterior_treats_each_picture_by_its_own_times(
    schedule: Schedule, shape: tuple[int, ...], dtype: torch.dtype, seed: int
) -> None:
    x_0, x_t = randn(*shape, seed=seed, dtype=dtype), randn(*shape, seed=seed + 1, dtype=dtype)
    t = times(schedule, shape[0], seed)
    u = t - times(schedule, shape[0], seed + 1).remainder(t) - 1
    together = posterior(schedule, x_0, x_t, t, u)
    assert together.mean.shape == x_0.shape
    assert together.var.shape == (shape[0], *[1] * (len(shape) - 1))
    assert together.mean.dtype == together.var.dtype == dtype
    for i in range(shape[0]):
        one = slice(i, i + 1)
        alone = posterior(schedule, x_0[one], x_t[one], int(t[i]), int(u[i]))
        assert alone.var.shape == ()
        torch.testing.assert_close(together.mean[one], alone.mean)
        torch.testing.assert_close(together.var[one].reshape(()), alone.var)


# Parameterizations


@properties
@given(
    st.sampled_from([EPS, X_0, V]),
    st.sampled_from([EPS, X_0, V]),
    st.floats(0.05, math.pi / 2 - 0.05),
    st.integers(0, 2**20),
)
def test_parameterizations_convert_into_each_other(
    one: Parameterization, other: Parameterization, angle: float, seed: int
) -> None:
    a, s = torch.tensor(angle).double().cos(), torch.tensor(angle).double().sin()
    x_0, eps = randn(3, 2, seed=seed), randn(3, 2, seed=seed + 1)
    x_t = a * x_0 + s * eps
    there = one.decode(one.target(x_0, eps, a, s), x_t, a, s)
    close(there.x_0, x_0, scale=1 / a.item())
    close(there.eps, eps, scale=1 / s.item())
    out = randn(3, 2, seed=seed + 2)  # and of an output that is wrong, each reads the same
    prediction = one.decode(out, x_t, a, s)
    close(a * prediction.x_0 + s * prediction.eps, x_t, scale=10)
    read = other.decode(other.target(*prediction, a, s), x_t, a, s)
    close(read.x_0, prediction.x_0, scale=1000)
    close(read.eps, prediction.eps, scale=1000)
    close(one.target(*prediction, a, s), out, scale=1000)


def test_targets_are_what_they_are_called() -> None:
    x_0, eps = randn(3, 2), randn(3, 2, seed=1)
    a, s = signal_and_noise(linear(), 300, like=x_0)
    assert EPS.target(x_0, eps, a, s) is eps
    assert X_0.target(x_0, eps, a, s) is x_0
    # v is how x_t moves as the angle of (a, s) turns: differentiate numerically.
    angle, h = math.atan2(s.item(), a.item()), 1e-5
    x = lambda angle: math.cos(angle) * x_0 + math.sin(angle) * eps
    v = (x(angle + h) - x(angle - h)) / (2 * h)
    torch.testing.assert_close(V.target(x_0, eps, a, s), v, rtol=1e-9, atol=1e-9)


# The loss


@pytest.mark.parametrize("parameterization", [EPS, X_0, V])
@pytest.mark.parametrize("shape", [(6,), (6, 2), (6, 1, 6, 6)])
def test_loss_is_the_mean_square_for_each_picture(
    parameterization: Parameterization, shape: tuple[int, ...]
) -> None:
    schedule, x_0, eps = cosine(), randn(*shape), randn(*shape, seed=1)
    t = times(schedule, 6, 0)
    seen = []

    def network(x_t: Tensor, t: Tensor) -> Tensor:
        seen.append((x_t, t))
        return torch.full_like(x_t, 0.3)

    losses = loss(schedule, network, parameterization, x_0, t=t, eps=eps)
    x_t, t_seen = seen[0]
    assert torch.equal(x_t, add_noise(schedule, x_0, t, eps))
    assert torch.equal(t_seen, t)
    for i in range(6):
        a, s = schedule.alpha_bar[t[i]].sqrt(), schedule.one_minus_alpha_bar[t[i]].sqrt()
        error = parameterization.target(x_0[i], eps[i], a, s) - 0.3
        close(losses[i], error.square().mean())


def test_loss_of_one_time_and_of_the_truth() -> None:
    schedule, x_0, eps = linear(), randn(3, 2), randn(3, 2, seed=1)
    truth = lambda x_t, t: eps
    assert torch.equal(loss(schedule, truth, EPS, x_0, t=5, eps=eps), torch.zeros(3).double())


def test_the_network_sees_a_time_for_each_picture_and_may_answer_in_bfloat16() -> None:
    x_t = randn(4, 2, dtype=torch.float32)

    def network(x_t: Tensor, t: Tensor) -> Tensor:
        assert t.tolist() == [7, 7, 7, 7]
        assert t.dtype == torch.int64
        return x_t.bfloat16()

    assert ask(network, x_t, 7).dtype == torch.float32
    with pytest.raises(ValueError, match="returns the shape of x_t"):
        ask(lambda x, t: x.mean(1, keepdim=True), x_t, 7)


def test_gradients_reach_the_network() -> None:
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    loss(
        linear(),
        lambda x, t: weight * x,
        V,
        randn(4, 3),
        t=torch.tensor([1, 2, 3, 1000]),
        eps=randn(4, 3, seed=1),
    ).mean().backward()
    assert weight.grad is not None
    assert weight.grad != 0


def test_tables_first_read_in_inference_mode_serve_training_later() -> None:
    """They are kept once computed, and what inference mode computes cannot be trained with."""
    schedule, x = linear(10), randn(3, 2)
    with torch.inference_mode():
        posterior(schedule, add_noise(schedule, x, 5, x), x, 5)
    leaf = x.clone().requires_grad_()
    mean, var = posterior(schedule, leaf, add_noise(schedule, leaf, 5, x), 5)
    (mean * var).sum().backward()
    assert leaf.grad is not None


def test_a_condition_is_bound_before_anything_else_sees_the_network() -> None:
    x_0, eps, y = randn(3, 2), randn(3, 2, seed=1), torch.tensor([0, 2, 1])
    means = randn(3, 2, seed=2)
    network = lambda x_t, t, y: x_t - means[y] + t[:, None]
    by_hand = lambda x_t, t: x_t - means[[0, 2, 1]] + t[:, None]
    t = torch.tensor([1, 500, 1000])
    told, plain = (
        loss(linear(), f, V, x_0, t=t, eps=eps) for f in (conditions.given(network, y), by_hand)
    )
    assert torch.equal(told, plain)
    with pytest.raises(ValueError, match="one for each of the 3 pictures, got 1"):
        loss(linear(), conditions.given(network, y[:1]), V, x_0, t=t, eps=eps)


# Noise


def test_the_same_seed_gives_the_same_noise_in_any_memory_format() -> None:
    x = torch.zeros(2, 3, 4, 5)
    torch.manual_seed(0)
    plain = noise_for(normal(x), x)
    torch.manual_seed(0)
    channels_last = x.to(memory_format=torch.channels_last)
    assert torch.equal(plain, noise_for(normal(channels_last), channels_last))


def test_noise_takes_the_dtype_of_what_it_joins_and_must_have_its_shape() -> None:
    x = randn(2, 3)
    assert noise_for(normal(x), x).dtype == torch.float64
    assert noise_for(torch.randn, x).dtype == torch.float64
    with pytest.raises(ValueError, match=r"randn returns the shape \(2, 3\)"):
        noise_for(lambda shape: torch.randn(3), x)


# Bad input

good = torch.zeros(4, 1, 4, 4)
bad_pictures: list[tuple[Any, type[Exception], str]] = [
    (torch.zeros(4, 1, 4, 4, dtype=torch.uint8), TypeError, "tensor of floats"),
    (torch.zeros(4, 1, 4, 4, dtype=torch.bool), TypeError, "tensor of floats"),
    (torch.zeros(4, 1, 4, 4, dtype=torch.int64), TypeError, "tensor of floats"),
    (torch.zeros(4, 1, 4, 4, dtype=torch.complex64), TypeError, "tensor of floats"),
    (np.zeros((4, 1, 4, 4)), TypeError, "tensor of floats"),
    (torch.zeros(()), ValueError, "batch"),
    (torch.zeros(0, 1, 4, 4), ValueError, "at least one"),
    (torch.full((4, 1, 4, 4), math.nan), ValueError, "finite"),
    (torch.full((4, 1, 4, 4), math.inf), ValueError, "finite"),
    (torch.ones(4, 1, 4, 4).index_fill(0, torch.tensor(2), -math.inf), ValueError, "got 16 values"),
]
takers: list[Callable[[Any, Any], Any]] = [
    lambda x, t: add_noise(linear(), x, t, x),
    lambda x, t: kernel(linear(), x, t),
    lambda x, t: posterior(linear(), x, x, t),
    lambda x, t: loss(linear(), lambda x, t: x, EPS, x, t=t, eps=x),
]


@pytest.mark.parametrize("take", takers)
@pytest.mark.parametrize(("x", "error", "says"), bad_pictures)
def test_bad_pictures(
    take: Callable[[Any, Any], Any], x: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        take(x, 1)


def test_numbers_whose_sum_overflows_are_finite() -> None:
    huge = torch.full((4, 2), 3e38)
    assert torch.equal(add_noise(linear(), huge, 0, huge), huge)


@pytest.mark.parametrize("take", takers)
@pytest.mark.parametrize(
    ("t", "error", "says"),
    [
        (1001, ValueError, r"t lies in [01]\.\.1000, got 1001"),
        (-1, ValueError, "got -1"),
        (torch.tensor([1, 2, 3, 1001]), ValueError, "got 1..1001"),
        (torch.tensor([1, 2, 3]), ValueError, "each of the 4 pictures, got 3"),
        (torch.tensor([[1, 2, 3, 4]]), ValueError, "one for each picture"),
        (torch.tensor([], dtype=torch.int64), ValueError, "one for each picture"),
        (torch.tensor([1.0, 2.0, 3.0, 4.0]), TypeError, "integer"),
        (torch.tensor(True), TypeError, "integer"),
        (1.0, TypeError, "integer"),
        (True, TypeError, "integer"),
        (None, TypeError, "integer"),
        ("1", TypeError, "integer"),
        ([1, 2, 3, 4], TypeError, "integer"),
    ],
)
def test_bad_times(
    take: Callable[[Any, Any], Any], t: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        take(good, t)


@pytest.mark.parametrize("u", [-1, 1001])
def test_bad_u_is_named(u: int) -> None:
    with pytest.raises(ValueError, match=rf"u lies in 0\.\.1000, got {u}"):
        posterior(linear(), good, good, 5, u)


@pytest.mark.parametrize("take", takers[1:])
def test_no_step_leads_to_time_0(take: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"t lies in 1\.\.1000, got 0"):
        take(good, 0)


@pytest.mark.parametrize("u", [5, 6, 1000, torch.tensor([0, 1, 2, 5]), torch.tensor(7)], ids=str)
def test_u_is_earlier_than_t(u: Any) -> None:
    for take in (
        lambda: posterior(linear(), good, good, 5, u),
        lambda: kernel(linear(), good, 5, u),
        lambda: kernel_variance(linear(), torch.tensor([5, 5, 5, 5]), u),
        lambda: posterior_variance(linear(), 5, u),
    ):
        with pytest.raises(ValueError, match="u is earlier than t"):
            take()


def test_shapes_that_would_broadcast_are_refused() -> None:
    column = torch.zeros(4, 1)
    with pytest.raises(ValueError, match="eps has the shape"):
        add_noise(linear(), torch.zeros(4, 4), 1, column)
    with pytest.raises(ValueError, match="x_t has the shape"):
        posterior(linear(), torch.zeros(4, 4), column, 1)


def test_tables_meet_pictures_of_another_device() -> None:
    """On the meta device nothing can be read back: nothing waits for a device to answer."""
    x_0 = torch.zeros(4, 1, 4, 4, device="meta")
    t = torch.tensor([1, 2, 3, 1000])
    assert add_noise(linear(), x_0, t, x_0).device == x_0.device
    assert add_noise(linear(), x_0, 3, x_0).device == x_0.device
    assert posterior(linear(), x_0, x_0, t).mean.device == x_0.device
    network = lambda x, t: x * t.reshape(-1, 1, 1, 1)
    assert loss(linear(), network, V, x_0, t=t, eps=x_0).device == x_0.device
