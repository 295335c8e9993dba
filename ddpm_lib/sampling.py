"""From noise to data: a step goes from x_t to an earlier x_u, and `sample` takes one after another.

A step is a function of all that it depends on, a `Stride`: of the denoiser and not its answer, so
that it may ask more than once, and of what was answered at the time before. It keeps nothing by
itself, so that steps of different kinds can be mixed, and one can walk several times at once.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_lib.arguments import Time, aligned, check_floats, check_times
from ddpm_lib.diffusion import (
    Denoiser,
    Network,
    Parameterization,
    Prediction,
    Randn,
    Variance,
    ask,
    noise_for,
    normal,
    posterior_factors,
    posterior_variance,
    signal_and_noise,
)
from ddpm_lib.schedules import Schedule


class Answer(NamedTuple):
    """What the denoiser said at time t."""

    t: int
    prediction: Prediction


class Stride(NamedTuple):
    """All that a step from x_t to an earlier x_u depends on."""

    schedule: Schedule
    denoise: Denoiser
    x_t: Tensor
    t: int
    u: int
    randn: Randn
    before: Answer | None = None  # of the stride that led to x_t; multistep solvers build on it


Step = Callable[[Stride], Tensor]  # -> x_u


def sample(
    step: Step,
    schedule: Schedule,
    denoise: Denoiser,
    x_T: Tensor,
    times: Sequence[int] | None = None,
    *,
    randn: Randn | None = None,
) -> Iterator[Tensor]:
    """x_u after each step; the last is x_0 (Ho et al. 2020, alg. 2).

    x_T: (B, ...), noise of time times[0];  times: T, ..., 0, by default every one;
    randn: shape -> noise, such as partial(torch.randn, generator=...) for the same noise again
    """
    check_floats(x_T, "x_T")
    times = strided(schedule.T, schedule.T) if times is None else list(times)
    if len(times) < 2 or any(u >= t for t, u in pairwise(times)):
        raise ValueError(f"times go down from T to 0, got {times}")
    check_times(torch.tensor(times), 0, schedule.T)
    randn = randn or normal(x_T)

    def walk() -> Iterator[Tensor]:
        x_t, before = x_T, None
        for t, u in pairwise(times):
            said: dict[int, Prediction] = {}  # at each time, the last
            # Not around the yield: the caller's code would run without gradients too. And not in
            # inference mode: it saves nothing beside a network, and what it makes can be neither
            # trained on, nor changed in place, nor differentiated by a denoiser that is guided.
            with torch.no_grad():
                x_t = step(Stride(schedule, _heard(denoise, said), x_t, t, u, randn, before))
            # None from a step that never asked at t. Of several answers the last one led to x_u: a
            # step that walks a stride again, from another x_t, has thrown away the first.
            before = Answer(t, said[t]) if t in said else None
            yield x_t

    return walk()  # a generator in its own right would complain only when asked for the first x_u


def _heard(denoise: Denoiser, said: dict[int, Prediction]) -> Denoiser:
    """The same denoiser; its answers, which enter here, are checked and written down."""

    def heard(x_t: Tensor, t: Time) -> Prediction:
        prediction = denoise(x_t, t)
        check_floats(prediction.x_0, "the denoiser's x_0", like=x_t)
        if not isinstance(t, Tensor):  # without the graph of one that differentiates
            said[t] = Prediction(prediction.x_0.detach(), prediction.eps.detach())
        return prediction

    return heard


def strided(T: int, n: int) -> list[int]:
    """The n + 1 times of n equal strides: T, ..., 0."""
    if not 1 <= n <= T:
        raise ValueError(f"T = {T} steps are walked in 1 to {T} strides, got {n}")
    return [T * k // n for k in range(n, -1, -1)]


def ddpm(variance: Variance = posterior_variance) -> Step:
    """A draw of the posterior with the predicted x_0 (Ho et al. 2020, alg. 2, line 4).

    variance: kernel_variance, posterior_variance, or any function (schedule, t, u) -> sigma^2
    """

    def step(now: Stride) -> Tensor:
        schedule, denoise, x_t, t, u, randn, _ = now
        # At u = 0 noise would only be seen.
        var = torch.as_tensor(variance(schedule, t, u) if u else 0, dtype=torch.float64)
        if not var >= 0:  # also true for NaN
            raise ValueError(f"the variance of the step from {t} to {u} is {var:g}, not positive")
        x_0 = denoise(x_t, t).x_0
        from_x_0, from_x_t, _ = posterior_factors(schedule, t, u)
        mu = aligned(from_x_0, x_t) * x_0 + aligned(from_x_t, x_t) * x_t
        return mu + aligned(var.sqrt(), x_t) * noise_for(randn, x_t) if u else mu

    return step


def ddim(eta: float = 0.0) -> Step:
    """x_0 and eps as predicted, mixed for u (DDIM, Song et al. 2021, eq. 12); ddpm() at eta = 1."""
    if not 0 <= eta <= 1:
        raise ValueError(f"eta goes from 0, no fresh noise, to 1, as much as DDPM, got {eta}")

    def step(now: Stride) -> Tensor:
        schedule, denoise, x_t, t, u, randn, _ = now
        x_0, eps = denoise(x_t, t)
        var = eta**2 * posterior_variance(schedule, t, u)
        kept = (schedule.one_minus_alpha_bar[u] - var).clamp(min=0)  # rounding can make it -1e-17
        x_u = aligned(schedule.alpha_bar[u].sqrt(), x_t) * x_0 + aligned(kept.sqrt(), x_t) * eps
        return x_u + aligned(var.sqrt(), x_t) * noise_for(randn, x_t) if var > 0 else x_u

    return step


def heun() -> Step:
    """Second order along dx = x_0 da + eps ds, where ddim() is first: two predictions a step.

    And not along d(x / a) = eps d(s / a), as Karras et al. 2022 (alg. 1): near T the ratio s / a is
    so large that a run of 50 steps of the cosine schedule does not end near the data.
    """
    euler = ddim()

    def step(now: Stride) -> Tensor:
        schedule, denoise, x_t, t, u, _, _ = now
        a, s = schedule.alpha_bar.sqrt(), schedule.one_minus_alpha_bar.sqrt()
        # The second prediction is at the end of the step: Heun's rule. There is none at time 0, so
        # the last step has it half way; with one alone it would make most of the whole run's error.
        m = u or min(int(torch.searchsorted(s, s[t] / 2)), t - 1)
        first = denoise(x_t, t)
        x_m = euler(now._replace(denoise=lambda x, t: first, u=m))
        if m == 0:
            return x_m
        second = denoise(x_m, m)
        weight = aligned((s[t] - s[u]) / (s[t] - s[m]) / 2, x_t)  # 1/2 for Heun's, about 1 half way
        x_0 = first.x_0 + weight * (second.x_0 - first.x_0)
        eps = first.eps + weight * (second.eps - first.eps)
        return x_t + aligned(a[u] - a[t], x_t) * x_0 + aligned(s[u] - s[t], x_t) * eps

    return step


def denoiser(
    schedule: Schedule,
    network: Network,
    parameterization: Parameterization,
    clip: float | None = 1.0,
) -> Denoiser:
    """A network, decoded, with x_0 kept in [-clip, clip] where the data is (None: anywhere)."""
    if clip is not None and not clip > 0:
        raise ValueError(f"clip is the largest value in the data, or None, got {clip}")

    def denoise(x_t: Tensor, t: Time) -> Prediction:
        check_floats(x_t, "x_t")
        a, s = signal_and_noise(schedule, t, like=x_t, first=1)
        prediction = parameterization.decode(ask(network, x_t, t), x_t, a, s)
        if clip is None:
            return prediction
        x_0 = prediction.x_0.clamp(-clip, clip)
        return Prediction(x_0, (x_t - a * x_0) / s)  # so that both still make up x_t

    return denoise
