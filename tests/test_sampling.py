"""Samplers with the exact denoiser of known data: distribution, order of convergence, manners."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import pairwise
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
    Denoiser,
    Parameterization,
    Prediction,
    V,
    add_noise,
    kernel,
    kernel_variance,
    noise_for,
    posterior,
    posterior_variance,
    signal_and_noise,
)
from ddpm_lib.exact import Mixture, exact_denoiser, isotropic
from ddpm_lib.sampling import Answer, Step, Stride, ddim, ddpm, denoiser, heun, sample, strided
from ddpm_lib.schedules import Schedule, cosine, linear

properties = settings(deadline=None, max_examples=50, derandomize=True)
steps_between = st.integers(1, 1000).flatmap(lambda t: st.tuples(st.just(t), st.integers(0, t - 1)))
steppers = [ddpm(), ddpm(kernel_variance), ddim(), ddim(0.5), heun()]

gaussian = isotropic(torch.ones(1), torch.tensor([[0.5]]), 0.5)
two = isotropic(torch.tensor([0.3, 0.7]), torch.tensor([[-1.0], [1.0]]), 0.5)
sharp = isotropic(torch.tensor([0.3, 0.7]), torch.tensor([[-1.0], [1.0]]), 0.2)


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def from_seed(seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return partial(torch.randn, generator=generator, dtype=torch.float64)


def no_noise(shape: torch.Size) -> Tensor:
    raise AssertionError("this step draws no noise")


def close(got: Tensor, want: Tensor, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def last(xs: Iterator[Tensor]) -> Tensor:
    for x in xs:  # noqa: B007 - only the last is wanted
        pass
    return x


def point(schedule: Schedule, x_0: Tensor) -> Denoiser:
    """The exact denoiser of data that is always x_0."""
    return lambda x_t, t: X_0.decode(
        x_0.expand_as(x_t), x_t, *signal_and_noise(schedule, t, like=x_t)
    )


# The distribution


def cdf(mixture: Mixture, x: Tensor) -> Tensor:
    z = (x[:, None] - mixture.means[:, 0]) / mixture.variances[:, 0].sqrt()
    return (mixture.weights * torch.special.ndtr(z)).sum(1)


def kolmogorov(x: Tensor, mixture: Mixture) -> float:
    """The largest distance of the samples' cumulative distribution from that of the mixture."""
    expected, ranks = cdf(mixture, x.sort().values), torch.arange(len(x) + 1) / len(x)
    return max((expected - ranks[1:]).abs().max(), (expected - ranks[:-1]).abs().max()).item()


@pytest.mark.parametrize("variance", [kernel_variance, posterior_variance])
def test_ddpm_at_1000_steps_reproduces_the_distribution(variance: Any) -> None:
    """Kolmogorov's statistic of N samples stays below 2 / sqrt(N) but once in 1500 times."""
    n, schedule = 2000, linear()
    x_T = randn(n, 1)
    x_0 = last(
        sample(ddpm(variance), schedule, exact_denoiser(schedule, sharp), x_T, randn=from_seed(1))
    )
    assert kolmogorov(x_0[:, 0], sharp) < 2 / n**0.5
    assert (
        kolmogorov(x_0[:, 0] + 0.05, sharp) > 2 / n**0.5
    )  # it would notice a quarter of the width


def test_fewer_steps_need_the_variance_of_the_whole_stride() -> None:
    """In 20 strides, N(0, 1) data stays N(0, 1): exactly, since its reverse kernel is Gaussian."""
    schedule = linear()
    unit = exact_denoiser(schedule, isotropic(torch.ones(1), torch.zeros(1, 1), 1.0))
    x_t, z = randn(5, 1), randn(5, 1, seed=1)
    for t, u in [(1000, 950), (500, 450), (100, 50)]:
        x_u = ddpm(kernel_variance)(Stride(schedule, unit, x_t, t, u, lambda shape: z))
        alpha = schedule.alpha_bar[t] / schedule.alpha_bar[u]
        close(x_u, alpha.sqrt() * x_t + (1 - alpha).sqrt() * z)  # so its variance is 1 again


# The order


X_T = randn(50, 1)


@cache
def end_of_the_flow(schedule: Schedule, data: Mixture) -> Tensor:
    if len(data.weights) == 1:  # the flow of a Gaussian is affine at each time
        a, s = signal_and_noise(schedule, schedule.T, like=X_T)
        mu, var = data.means[0], data.variances[0]
        return mu + (X_T - a * mu) * (var / (a**2 * var + s**2)).sqrt()
    return last(
        sample(heun(), schedule, exact_denoiser(schedule, data), X_T, strided(schedule.T, 512))
    )


def errors(step: Step, schedule: Schedule, data: Mixture, counts: Sequence[int]) -> list[float]:
    """The root mean square distance from the end of the flow, after n strides along it."""
    denoise, end = exact_denoiser(schedule, data), end_of_the_flow(schedule, data)
    ends = (last(sample(step, schedule, denoise, X_T, strided(schedule.T, n))) for n in counts)
    return [(x - end).square().mean().sqrt().item() for x in ends]


# Smooth down to t = 0: without the offset s, the angle of (a, s) is proportional to t.
smooth = cosine(2**14, s=1e-9)


@pytest.mark.parametrize("data", [gaussian, two])
def test_ddim_halves_its_error_when_the_steps_double(data: Mixture) -> None:
    few, more, many = errors(ddim(), smooth, data, (16, 32, 64))
    assert 1.9 < few / more < 2.1
    assert 1.9 < more / many < 2.1


@pytest.mark.parametrize("data", [gaussian, two])
def test_heun_quarters_its_error_when_the_steps_double(data: Mixture) -> None:
    few, more, many = errors(heun(), smooth, data, (16, 32, 64))
    assert 3.6 < few / more < 4.6
    assert 3.6 < more / many < 4.6


@pytest.mark.parametrize("schedule", [linear(), cosine()])
def test_heun_is_worth_its_second_look_in_the_schedules_that_one_uses(schedule: Schedule) -> None:
    (first_order,) = errors(ddim(), schedule, two, (20,))
    few, many = errors(heun(), schedule, two, (10, 40))  # 10 steps of two predictions
    assert few < first_order / 5
    assert many < few / 5


def test_heun_asks_twice_a_step_and_never_at_time_0() -> None:
    schedule, asked = linear(), []
    inner = exact_denoiser(schedule, two)

    def denoise(x_t: Tensor, t: Any) -> Prediction:
        asked.append(t)
        return inner(x_t, t)

    last(sample(heun(), schedule, denoise, randn(2, 1), [1000, 400, 100, 0]))
    assert asked[:5] == [1000, 400, 400, 100, 100]
    assert len(asked) == 6
    assert 0 < asked[5] < 100
    asked.clear()
    last(sample(heun(), schedule, denoise, randn(2, 1), [2, 1, 0]))
    assert asked == [2, 1, 1]  # from 1 there is no half way


# Single steps


@properties
@given(steps_between, st.sampled_from([linear(), cosine()]))
def test_ddpm_draws_the_posterior_of_the_prediction(times: tuple[int, int], schedule: Any) -> None:
    t, u = times
    x_t, z, x_0 = randn(4, 2), randn(4, 2, seed=1), randn(2, seed=2)
    q = posterior(schedule, x_0.expand_as(x_t), x_t, t, u)
    x_u = ddpm()(Stride(schedule, point(schedule, x_0), x_t, t, u, lambda shape: z))
    close(x_u, q.mean + q.var.sqrt() * z)
    x_u = ddpm(lambda schedule, t, u: 0.25)(
        Stride(schedule, point(schedule, x_0), x_t, t, u, lambda shape: z)
    )
    close(x_u, q.mean + (0.5 * z if u else 0))


@properties
@given(steps_between, st.sampled_from([linear(), cosine()]))
def test_ddim_with_eta_1_is_ddpm(times: tuple[int, int], schedule: Any) -> None:
    t, u = times
    x_t, z = randn(4, 1), randn(4, 1, seed=1)
    now = Stride(schedule, exact_denoiser(schedule, two), x_t, t, u, lambda shape: z)
    one = ddim(1.0)(now)
    other = ddpm()(now)
    close(one, other, 1e-9)


@properties
@given(steps_between, st.sampled_from([ddim(), heun()]), st.sampled_from([linear(), cosine()]))
def test_straight_flows_are_followed_exactly(
    times: tuple[int, int], step: Step, schedule: Any
) -> None:
    """When the prediction is right and stays the same, a step of any length is exact."""
    t, u = times
    x_0, eps = randn(4, 2), randn(4, 2, seed=1)
    denoise = lambda x, t: Prediction(x_0, eps)
    x_u = step(Stride(schedule, denoise, add_noise(schedule, x_0, t, eps), t, u, no_noise))
    close(x_u, add_noise(schedule, x_0, u, eps))


@properties
@given(steps_between, st.floats(0, 1))
def test_ddim_keeps_the_marginal_for_any_eta(times: tuple[int, int], eta: float) -> None:
    """With x_0 known, x_u is N(a_u x_0, s_u^2): the variances of eps and of z add up to s_u^2."""
    t, u = times
    schedule = linear()
    run = lambda eps, z: ddim(eta)(
        Stride(
            schedule,
            lambda x, t: Prediction(torch.zeros(1, 1).double(), eps),
            eps,
            t,
            u,
            lambda _: z,
        )
    )
    one, zero = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    close(run(zero, one), (eta * posterior_variance(schedule, t, u).sqrt()).reshape(1, 1))
    variance = run(one, zero) ** 2 + run(zero, one) ** 2
    close(variance, schedule.one_minus_alpha_bar[u].reshape(1, 1))


def test_ddim_survives_the_rounding_of_a_tiny_beta() -> None:
    """beta_tilde can come out larger than the whole variance at u, by its last digit."""
    betas = [3e-18, *torch.linspace(0.01, 0.5, 40, dtype=torch.float64).tolist()]
    schedule = Schedule.from_betas(torch.tensor(betas, dtype=torch.float64))
    t = torch.arange(2, schedule.T + 1)
    assert (
        posterior_variance(schedule, t, torch.ones_like(t)) > schedule.one_minus_alpha_bar[1]
    ).any()
    for t in range(2, schedule.T + 1):
        x_u = ddim(1.0)(Stride(schedule, point(schedule, randn(1)), randn(2, 1), t, 1, torch.randn))
        assert x_u.isfinite().all()


@pytest.mark.parametrize("step", steppers)
def test_no_noise_at_the_last_step(step: Step) -> None:
    x_0, x_t = randn(2, seed=2), randn(4, 2)
    for t in (1, 30, 1000):
        x = step(Stride(linear(), point(linear(), x_0), x_t, t, 0, no_noise))
        close(x, x_0.expand_as(x))


def test_the_last_step_of_heun_looks_half_way_to_the_data() -> None:
    schedule, asked = linear(), []

    def denoise(x_t: Tensor, t: int) -> Prediction:
        asked.append(t)
        return Prediction(torch.zeros_like(x_t), x_t)

    heun()(Stride(schedule, denoise, randn(2, 1), 300, 0, no_noise))
    s = schedule.one_minus_alpha_bar.sqrt()
    first, m = asked
    assert first == 300 and s[m - 1] < s[300] / 2 <= s[m]


def test_a_variance_of_zero_leaves_the_mean() -> None:
    x_0, x_t, schedule = randn(2, seed=2), randn(4, 2), linear()
    step = ddpm(lambda schedule, t, u: torch.zeros(()))
    mean = posterior(schedule, x_0.expand_as(x_t), x_t, 500, 400).mean
    close(step(Stride(schedule, point(schedule, x_0), x_t, 500, 400, torch.randn)), mean)


@pytest.mark.parametrize("far", [5.0, -5.0])
def test_without_a_word_x_0_is_kept_where_pictures_are(far: float) -> None:
    x_t = randn(2, 1, 2, 2)
    x_0, _ = denoiser(linear(), lambda x, t: torch.full_like(x, far), X_0)(x_t, 10)
    assert torch.equal(x_0, torch.full_like(x_t, math.copysign(1, far)))


# The numbers of a step, and its memory


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("schedule", [linear(), cosine()])
def test_steps_to_the_bit(schedule: Schedule, dtype: torch.dtype) -> None:
    """Every rounding where it was when samples were first compared: the formulas, written out."""
    alpha_bar, rest = schedule.alpha_bar, schedule.one_minus_alpha_bar
    a, s = alpha_bar.sqrt(), rest.sqrt()
    x_t, z, x_0, eps, then = (randn(4, 1, 3, 3, seed=k).to(dtype) for k in range(5))
    for t, u in [(1, 0), (2, 1), (300, 0), (500, 380), (1000, 999)]:
        answer = lambda x, at, t=t: Prediction(x_0, eps) if at == t else Prediction(then, x_0)
        now = Stride(schedule, answer, x_t, t, u, lambda _: z)
        beta_t = -torch.expm1(schedule.log_alpha_bar[t] - schedule.log_alpha_bar[u])
        beta_tilde = rest[u] / rest[t] * beta_t
        from_x_0 = (a[u] * beta_t / rest[t]).to(dtype)
        from_x_t = ((1 - beta_t).sqrt() * rest[u] / rest[t]).to(dtype)
        mu = from_x_0 * x_0 + from_x_t * x_t
        want = mu + beta_tilde.sqrt().to(dtype) * z if u else mu
        assert torch.equal(ddpm()(now), want)
        for eta in (0.0, 0.5, 1.0):
            var = eta**2 * beta_tilde
            kept = (rest[u] - var).clamp(min=0).sqrt()
            want = a[u].to(dtype) * x_0 + kept.to(dtype) * eps
            want = want + var.sqrt().to(dtype) * z if var > 0 else want
            assert torch.equal(ddim(eta)(now), want)
        m = u or min(int(torch.searchsorted(s, s[t] / 2)), t - 1)
        weight = ((s[t] - s[u]) / (s[t] - s[m]) / 2).to(dtype)
        mean_x_0, mean_eps = x_0 + weight * (then - x_0), eps + weight * (x_0 - eps)
        by_heun = x_t + (a[u] - a[t]).to(dtype) * mean_x_0 + (s[u] - s[t]).to(dtype) * mean_eps
        assert torch.equal(heun()(now), by_heun if m else ddim()(now))


def two_step() -> Step:
    """x_0_hat on a line in log(a / s) through two answers: DPM-Solver++(2M) (Lu et al. 2022)."""

    def step(now: Stride) -> Tensor:
        schedule, denoise, x_t, t, u, _, before = now
        a, s = schedule.alpha_bar.sqrt(), schedule.one_minus_alpha_bar.sqrt()
        x_0, clock = denoise(x_t, t).x_0, schedule.snr.log() / 2
        if before and u > 0:  # at time 0 the logarithm is infinite
            slope = (x_0 - before.prediction.x_0) / (clock[t] - clock[before.t])
            x_0 = x_0 + slope * (clock[u] - clock[t]) / 2
        return s[u] / s[t] * x_t + (a[u] - s[u] / s[t] * a[t]) * x_0

    return step


def test_a_multistep_solver_finds_the_answer_before() -> None:
    """On a Gaussian, whose best guess is affine, against the recursion in numbers."""
    schedule, times = linear(), strided(1000, 10)
    a, s = schedule.alpha_bar.sqrt().tolist(), schedule.one_minus_alpha_bar.sqrt().tolist()
    mu, v = 0.5, 0.25
    x, guesses = X_T[0].item(), []
    for k, (t, u) in enumerate(pairwise(times)):
        guess = mu + a[t] * v / (a[t] ** 2 * v + s[t] ** 2) * (x - a[t] * mu)
        guesses.append(guess)
        if k and u:
            clock = [math.log(a[w] / s[w]) for w in (times[k - 1], t, u)]
            ratio = (clock[2] - clock[1]) / (clock[1] - clock[0]) / 2
            guess += ratio * (guesses[-1] - guesses[-2])
        x = s[u] / s[t] * x + (a[u] - s[u] / s[t] * a[t]) * guess
    ends = last(sample(two_step(), schedule, exact_denoiser(schedule, gaussian), X_T, times))
    assert ends[0].item() == pytest.approx(x, rel=1e-10)


def befores(step: Step, denoise: Denoiser, times: Sequence[int]) -> list[Answer | None]:
    """What each stride of a walk is told of the one before."""
    seen: list[Answer | None] = []

    def watched(now: Stride) -> Tensor:
        seen.append(now.before)
        return step(now)

    last(sample(watched, linear(), denoise, randn(2, 1), times, randn=from_seed(0)))
    return seen


@pytest.mark.parametrize("step", steppers)
def test_a_stride_knows_what_the_last_one_was_told_at_its_time(step: Step) -> None:
    schedule, times = linear(), [1000, 700, 300, 0]
    denoise, x = exact_denoiser(schedule, two), randn(2, 1)
    xs = [x, *sample(step, schedule, denoise, x, times, randn=from_seed(0))]
    none, *answers = befores(step, denoise, times)
    assert none is None and len(answers) == 2
    for answer, x_t, t in zip(answers, xs, times, strict=False):
        assert answer is not None and answer.t == t
        assert torch.equal(torch.cat(answer.prediction), torch.cat(denoise(x_t, t)))


def test_a_step_that_does_not_ask_at_its_time_leaves_no_answer() -> None:
    denoise, times = exact_denoiser(linear(), two), [1000, 700, 300, 100, 0]
    blind = lambda now: now.x_t if now.t == 700 else ddim()(now)
    assert [answer and answer.t for answer in befores(blind, denoise, times)] == [
        None, 1000, None, 300,
    ]  # fmt: skip
    elsewhere = lambda now: now.denoise(now.x_t, now.t - 1).x_0
    for_each = lambda now: now.denoise(now.x_t, torch.full((2,), now.t)).x_0
    for step in (elsewhere, for_each):
        assert befores(step, denoise, times) == [None] * 4


def test_a_stride_that_is_walked_again_leaves_its_last_answer() -> None:
    """As RePaint does: from x_u back to another x_t, and down once more."""
    inner, asked = exact_denoiser(linear(), two), []

    def denoise(x_t: Tensor, t: Any) -> Prediction:
        asked.append((t, inner(x_t, t)))
        return asked[-1][1]

    def again(now: Stride) -> Tensor:
        for _ in range(3):
            q = kernel(now.schedule, ddim()(now), now.t, now.u)
            now = now._replace(x_t=q.mean + q.var.sqrt() * noise_for(now.randn, q.mean))
        return ddim()(now)

    _, *answers = befores(again, denoise, [1000, 700, 300, 0])
    assert len(asked) == 3 * 4
    for k, answer in enumerate(answers):
        assert answer is not None
        t, prediction = asked[4 * k + 3]
        assert answer.t == t and torch.equal(answer.prediction.x_0, prediction.x_0)
        assert not torch.equal(answer.prediction.x_0, asked[4 * k][1].x_0)


def test_an_answer_that_was_differentiated_is_kept_without_its_graph() -> None:
    def pulled(now: Stride) -> Tensor:
        with torch.enable_grad():
            x = now.x_t.detach().requires_grad_()
            prediction = now.denoise(x, now.t)
            (pull,) = torch.autograd.grad(prediction.x_0.square().sum(), x)
        return prediction.x_0.detach() - pull

    _, *answers = befores(pulled, lambda x, t: Prediction(x / 2, x), [3, 2, 1, 0])
    assert not any(part.requires_grad for answer in answers for part in answer.prediction)


# The walk


@pytest.mark.parametrize("step", steppers)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_walk_yields_each_step_and_leaves_x_T_alone(step: Step, dtype: torch.dtype) -> None:
    schedule = linear(12)
    x_T = randn(3, 1, 2, 2).to(dtype)
    before = x_T.clone()
    xs = list(sample(step, schedule, point(schedule, torch.zeros(2, 2).to(dtype)), x_T))
    assert len(xs) == 12
    assert all(x.shape == x_T.shape and x.dtype == dtype for x in xs)
    assert torch.equal(x_T, before)
    assert len(list(sample(step, schedule, point(schedule, before), x_T, [12, 7, 3, 0]))) == 3
    assert len(list(sample(step, schedule, point(schedule, before), x_T, np.array([12, 7])))) == 1


@pytest.mark.parametrize("step", steppers)
def test_a_walk_on_another_device_waits_for_nothing(step: Step) -> None:
    """On the meta device no value can be asked for, and none has to be."""
    x_T = torch.zeros(3, 1, 2, 2, device="meta")
    network = lambda x, t: x * t.reshape(-1, 1, 1, 1)
    for x in sample(step, linear(5), denoiser(linear(5), network, V), x_T):
        assert x.device == x_T.device


def test_a_walk_is_its_steps_one_after_another() -> None:
    schedule, z = linear(3), from_seed(0)
    denoise, x = exact_denoiser(schedule, two), randn(4, 1)
    xs = list(sample(ddpm(), schedule, denoise, x, randn=from_seed(0)))
    for x_u, (t, u) in zip(xs, [(3, 2), (2, 1), (1, 0)], strict=True):
        x = ddpm()(Stride(schedule, denoise, x, t, u, z))
        assert torch.equal(x, x_u)


def test_static_noise_makes_samplers_comparable() -> None:
    schedule = linear(20)
    x_T, run = (
        randn(4, 1),
        lambda seed: last(
            sample(
                ddpm(), schedule, exact_denoiser(schedule, two), randn(4, 1), randn=from_seed(seed)
            )
        ),
    )
    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))
    torch.manual_seed(3)
    one = last(sample(ddpm(), schedule, exact_denoiser(schedule, two), x_T))
    torch.manual_seed(3)
    assert torch.equal(one, last(sample(ddpm(), schedule, exact_denoiser(schedule, two), x_T)))


def test_memory_format_does_not_change_the_noise() -> None:
    schedule, ends = linear(3), []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        x_T = torch.ones(2, 3, 4, 5).to(memory_format=memory_format)
        ends.append(next(sample(ddpm(), schedule, point(schedule, torch.zeros(5)), x_T)))
    assert torch.equal(*ends)


def test_gradients_are_off_inside_and_as_they_were_outside() -> None:
    """A generator that is suspended within no_grad would switch gradients off for its caller."""
    weight = torch.ones((), requires_grad=True)
    inside = []

    def network(x: Tensor, t: Tensor) -> Tensor:
        inside.append(torch.is_grad_enabled())
        return weight * x

    walk = sample(ddim(), linear(4), denoiser(linear(4), network, EPS), torch.ones(2, 1))
    for x in walk:
        assert torch.is_grad_enabled()
        assert not x.requires_grad
        (weight * x).sum().backward()  # what is yielded can be trained on
        x.add_(1)  # and changed
    assert inside == [False] * 4
    with torch.no_grad():
        next(sample(ddim(), linear(4), denoiser(linear(4), network, EPS), torch.ones(2, 1)))
        assert not torch.is_grad_enabled()


def test_a_denoiser_may_differentiate() -> None:
    """As guidance does: it moves its prediction along a gradient."""

    def denoise(x_t: Tensor, t: Any) -> Prediction:
        with torch.enable_grad():
            x = x_t.requires_grad_()
            (pull,) = torch.autograd.grad((x**2).sum(), x)
        x_0 = -pull.detach() / 4
        return X_0.decode(x_0, x_t, *signal_and_noise(linear(4), t, like=x_t))

    assert last(sample(ddim(), linear(4), denoise, randn(2, 1))).isfinite().all()


# Times


@properties
@given(st.integers(1, 2000).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T))))
def test_strides_are_equal_up_to_one_and_lead_from_T_to_0(case: tuple[int, int]) -> None:
    T, n = case
    times = strided(T, n)
    strides = {t - u for t, u in pairwise(times)}
    assert (times[0], times[-1], len(times)) == (T, 0, n + 1)
    assert strides <= {T // n, -(-T // n)}


# From network to denoiser


@properties
@given(
    st.sampled_from([EPS, X_0, V]), st.sampled_from([None, 0.5, 1.0]), st.booleans(), st.booleans()
)
def test_denoiser_decodes_clips_and_derives_eps_again(
    parameterization: Parameterization, clip: float | None, one_time: bool, single: bool
) -> None:
    schedule = cosine(50)
    dtype = torch.float32 if single else torch.float64
    x_t, out = (3 * randn(5, 1, 5, 5, seed=seed).to(dtype) for seed in (0, 1))
    t = 7 if one_time else torch.tensor([1, 7, 20, 33, 49])
    prediction = denoiser(schedule, lambda x, t: out, parameterization, clip)(x_t, t)
    a, s = signal_and_noise(schedule, t, like=x_t)
    raw = parameterization.decode(out, x_t, a, s)
    if clip is None:
        assert torch.equal(prediction.x_0, raw.x_0)
    else:
        assert torch.equal(prediction.x_0, raw.x_0.clamp(-clip, clip))
        assert prediction.x_0.abs().max() == clip
    made = a * prediction.x_0 + s * prediction.eps
    size = (a * prediction.x_0).abs().max().item() + 10
    torch.testing.assert_close(made, x_t, rtol=0, atol=size * 4 * torch.finfo(dtype).eps)


def test_the_network_is_given_a_time_for_each_picture() -> None:
    def network(x: Tensor, t: Tensor) -> Tensor:
        assert t.tolist() == [9, 9, 9]
        return x

    denoiser(linear(), network, EPS)(randn(3, 2), 9)


def test_a_trained_network_and_the_exact_denoiser_sample_alike() -> None:
    """A network that is perfect, in each parameterization, gives the exact denoiser's samples."""
    schedule = cosine(30)
    exact = exact_denoiser(schedule, two)
    x_T = randn(20, 1)
    want = last(sample(ddpm(), schedule, exact, x_T, randn=from_seed(0)))
    for parameterization in (EPS, X_0, V):

        def network(
            x: Tensor, t: Tensor, parameterization: Parameterization = parameterization
        ) -> Tensor:
            return parameterization.target(*exact(x, t), *signal_and_noise(schedule, t, like=x))

        denoise = denoiser(schedule, network, parameterization, clip=None)
        close(last(sample(ddpm(), schedule, denoise, x_T, randn=from_seed(0))), want, 1e-8)


def test_a_conditional_network_draws_what_it_is_told() -> None:
    """Two classes, by exact answers: each picture is of its own class."""
    schedule, times, y = cosine(50), strided(50, 25), torch.tensor([0, 1, 1, 0])
    low, high = (isotropic(torch.ones(1), torch.tensor([[m]]), 1e-3) for m in (-1.0, 1.0))

    def network(x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        by_class = torch.stack([exact_denoiser(schedule, m)(x_t, t).eps for m in (low, high)])
        return by_class[y, torch.arange(len(x_t))]

    denoise = denoiser(schedule, conditions.given(network, y), EPS)
    x_0 = last(sample(ddpm(), schedule, denoise, randn(4, 1), times, randn=from_seed(0)))
    close(x_0[:, 0], 2.0 * y.double() - 1, 1e-2)


# Bad input


@pytest.mark.parametrize(
    ("x_T", "error", "says"),
    [
        (torch.zeros(0, 2), ValueError, "at least one"),
        (torch.tensor(1.0), ValueError, "batch"),
        (torch.full((2, 2), math.nan), ValueError, "finite"),
        (torch.zeros(2, 2, dtype=torch.int64), TypeError, "floats"),
        (torch.zeros(2, 2, dtype=torch.bool), TypeError, "floats"),
    ],
)
def test_bad_x_T_is_refused_before_the_first_step(
    x_T: Tensor, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=f"x_T.*{says}"):
        sample(ddim(), linear(), point(linear(), torch.zeros(2)), x_T)


@pytest.mark.parametrize(
    ("times", "error", "says"),
    [
        ([1000], ValueError, "times go down"),
        ([], ValueError, "times go down"),
        ([0, 500, 1000], ValueError, "times go down"),
        ([1000, 500, 500, 0], ValueError, "times go down"),
        ([1001, 0], ValueError, r"0\.\.1000"),
        ([1000, -1], ValueError, r"0\.\.1000"),
        ([1000.0, 0.0], TypeError, "integer"),
    ],
)
def test_bad_times_are_refused_before_the_first_step(
    times: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        sample(ddim(), linear(), point(linear(), torch.zeros(2)), torch.zeros(2, 2), times)


@pytest.mark.parametrize("n", [0, -1, 11])
def test_bad_strides(n: int) -> None:
    with pytest.raises(ValueError, match="1 to 10 strides"):
        strided(10, n)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_bad_eta_and_variance(wrong: float) -> None:
    with pytest.raises(ValueError, match="eta"):
        ddim(wrong)
    if not wrong > 0:
        with pytest.raises(ValueError, match="variance"):
            list(
                sample(
                    ddpm(lambda *_: wrong),
                    linear(3),
                    point(linear(3), torch.zeros(2)),
                    torch.zeros(2, 2),
                )
            )


takers: list[Callable[[Any, Any], Any]] = [
    denoiser(linear(), lambda x, t: x, EPS),
    denoiser(linear(), lambda x, t: x, V, clip=None),
]


@pytest.mark.parametrize("denoise", takers)
def test_bad_input_of_a_denoiser(denoise: Denoiser) -> None:
    good = torch.zeros(4, 4)
    for t in (0, 1001, torch.tensor([1, 2, 3, 0])):
        with pytest.raises(ValueError, match=r"t lies in 1\.\.1000"):
            denoise(good, t)
    with pytest.raises(ValueError, match="each of the 4 pictures"):
        denoise(good, torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="finite"):
        denoise(good * math.nan, 1)
    with pytest.raises(TypeError, match="floats"):
        denoise(good.long(), 1)


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan])
def test_bad_clip(clip: float) -> None:
    with pytest.raises(ValueError, match="clip"):
        denoiser(linear(), lambda x, t: x, EPS, clip)


@pytest.mark.parametrize("step", steppers)
def test_what_a_denoiser_answers_is_looked_at_where_it_enters(step: Step) -> None:
    x_T = torch.zeros(2, 2)
    for x_0, says in (
        (torch.full((2, 2), math.nan), "finite, got 4 values"),
        (torch.zeros(2, 1), r"has the shape \(2, 2\), got \(2, 1\)"),
    ):
        with pytest.raises(ValueError, match=f"the denoiser's x_0 .*{says}"):
            next(sample(step, linear(), lambda x, t, x_0=x_0: Prediction(x_0, x), x_T))


@pytest.mark.parametrize("step", steppers)
def test_a_stride_of_ones_own_goes_down_too(step: Step) -> None:
    for u in (5, 6, 1001):
        with pytest.raises(ValueError, match=r"u is earlier than t|u lies in 0\.\.1000"):
            step(Stride(linear(), point(linear(), torch.zeros(2)), randn(2, 2), 5, u, from_seed(0)))


def test_a_network_of_another_shape_is_refused() -> None:
    for out in (torch.zeros(4, 1), torch.zeros(4), torch.zeros(4, 4, 1)):
        with pytest.raises(ValueError, match="returns the shape of x_t"):
            denoiser(linear(), lambda x, t, out=out: out, EPS)(torch.zeros(4, 4), 5)
