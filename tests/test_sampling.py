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

from ddpm_lib.diffusion import (
    EPS,
    X_0,
    Denoiser,
    Parameterization,
    Prediction,
    V,
    add_noise,
    kernel_variance,
    posterior,
    posterior_variance,
    signal_and_noise,
)
from ddpm_lib.exact import Mixture, exact_denoiser, isotropic
from ddpm_lib.sampling import Step, ddim, ddpm, denoiser, heun, sample, strided
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
        x_u = ddpm(kernel_variance)(schedule, unit, x_t, t, u, lambda shape: z)
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
    x_u = ddpm()(schedule, point(schedule, x_0), x_t, t, u, lambda shape: z)
    close(x_u, q.mean + q.var.sqrt() * z)
    x_u = ddpm(lambda schedule, t, u: 0.25)(
        schedule, point(schedule, x_0), x_t, t, u, lambda shape: z
    )
    close(x_u, q.mean + (0.5 * z if u else 0))


@properties
@given(steps_between, st.sampled_from([linear(), cosine()]))
def test_ddim_with_eta_1_is_ddpm(times: tuple[int, int], schedule: Any) -> None:
    t, u = times
    x_t, z = randn(4, 1), randn(4, 1, seed=1)
    one = ddim(1.0)(schedule, exact_denoiser(schedule, two), x_t, t, u, lambda shape: z)
    other = ddpm()(schedule, exact_denoiser(schedule, two), x_t, t, u, lambda shape: z)
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
    x_u = step(schedule, denoise, add_noise(schedule, x_0, t, eps), t, u, no_noise)
    close(x_u, add_noise(schedule, x_0, u, eps))


@properties
@given(steps_between, st.floats(0, 1))
def test_ddim_keeps_the_marginal_for_any_eta(times: tuple[int, int], eta: float) -> None:
    """With x_0 known, x_u is N(a_u x_0, s_u^2): the variances of eps and of z add up to s_u^2."""
    t, u = times
    schedule = linear()
    run = lambda eps, z: ddim(eta)(
        schedule, lambda x, t: Prediction(torch.zeros(1, 1).double(), eps), eps, t, u, lambda _: z
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
        x_u = ddim(1.0)(schedule, point(schedule, randn(1)), randn(2, 1), t, 1, torch.randn)
        assert x_u.isfinite().all()


@pytest.mark.parametrize("step", steppers)
def test_no_noise_at_the_last_step(step: Step) -> None:
    x_0, x_t = randn(2, seed=2), randn(4, 2)
    for t in (1, 30, 1000):
        x = step(linear(), point(linear(), x_0), x_t, t, 0, no_noise)
        close(x, x_0.expand_as(x))


def test_the_last_step_of_heun_looks_half_way_to_the_data() -> None:
    schedule, asked = linear(), []

    def denoise(x_t: Tensor, t: int) -> Prediction:
        asked.append(t)
        return Prediction(torch.zeros_like(x_t), x_t)

    heun()(schedule, denoise, randn(2, 1), 300, 0, no_noise)
    s = schedule.one_minus_alpha_bar.sqrt()
    first, m = asked
    assert first == 300 and s[m - 1] < s[300] / 2 <= s[m]


def test_a_variance_of_zero_leaves_the_mean() -> None:
    x_0, x_t, schedule = randn(2, seed=2), randn(4, 2), linear()
    step = ddpm(lambda schedule, t, u: torch.zeros(()))
    mean = posterior(schedule, x_0.expand_as(x_t), x_t, 500, 400).mean
    close(step(schedule, point(schedule, x_0), x_t, 500, 400, torch.randn), mean)


@pytest.mark.parametrize("far", [5.0, -5.0])
def test_without_a_word_x_0_is_kept_where_pictures_are(far: float) -> None:
    x_t = randn(2, 1, 2, 2)
    x_0, _ = denoiser(linear(), lambda x, t: torch.full_like(x, far), X_0)(x_t, 10)
    assert torch.equal(x_0, torch.full_like(x_t, math.copysign(1, far)))


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
        x = ddpm()(schedule, denoise, x, t, u, z)
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


def test_a_network_of_another_shape_is_refused() -> None:
    for out in (torch.zeros(4, 1), torch.zeros(4), torch.zeros(4, 4, 1)):
        with pytest.raises(ValueError, match="returns the shape of x_t"):
            denoiser(linear(), lambda x, t, out=out: out, EPS)(torch.zeros(4, 4), 5)
