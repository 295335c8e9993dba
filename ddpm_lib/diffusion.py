"""The Gaussian algebra of DDPM, each formula in the names of the page.

Throughout, a = sqrt(alpha_bar_t) and s = sqrt(1 - alpha_bar_t), so that a^2 + s^2 = 1, and u is a
time earlier than t. Draw t on the CPU, where the tables are: to ask a device for it is to wait.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_lib.arguments import Time, aligned, check_floats, check_times, send
from ddpm_lib.schedules import Schedule


class Gaussian(NamedTuple):
    """Independent normal pixels."""

    mean: Tensor  # (B, ...)
    var: Tensor  # (B, 1, ..., 1), or () for one time


class Prediction(NamedTuple):
    """What x_t = a x_0 + s eps was made of, according to a network or to exact knowledge."""

    x_0: Tensor
    eps: Tensor


class Parameterization(NamedTuple):
    """What a network is trained to output, and how that output is read."""

    target: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # (x_0, eps, a, s)
    decode: Callable[[Tensor, Tensor, Tensor, Tensor], Prediction]  # (out, x_t, a, s)


Network = Callable[[Tensor, Tensor], Tensor]  # (x_t (B, ...), t (B,)) -> (B, ...)
Denoiser = Callable[[Tensor, Time], Prediction]  # (x_t, t): a network that has been decoded
Variance = Callable[[Schedule, Time, Time], Tensor]  # (schedule, t, u) -> of a step from t to u
Randn = Callable[[torch.Size], Tensor]  # shape -> standard normal noise


# From data to noise


def add_noise(schedule: Schedule, x_0: Tensor, t: Time, eps: Tensor) -> Tensor:
    """A draw of q(x_t | x_0), made from x_0 and standard normal eps (Ho et al. 2020, eq. 4).

    x_0, eps: (B, ...);  t: one time for all, or (B,)  ->  x_t: (B, ...)
    """
    check_floats(x_0, "x_0")
    check_floats(eps, "eps", like=x_0)
    a, s = signal_and_noise(schedule, t, like=x_0)
    return a * x_0 + s * eps


def signal_and_noise(
    schedule: Schedule, t: Time, like: Tensor, *, first: int = 0
) -> tuple[Tensor, Tensor]:
    """a = sqrt(alpha_bar_t) and s = sqrt(1 - alpha_bar_t), shaped to multiply `like`.

    t: one time in first..T, or (B,);  like: (B, ...)  ->  both () or (B, 1, ..., 1)
    """
    t = check_times(t, first, schedule.T)
    a, s = schedule.alpha_bar[t].sqrt(), schedule.one_minus_alpha_bar[t].sqrt()
    return aligned(a, like), aligned(s, like)


def kernel(schedule: Schedule, x_u: Tensor, t: Time, u: Time | None = None) -> Gaussian:
    """q(x_t | x_u), by default the single step from u = t - 1 (Ho et al. 2020, eq. 2)."""
    check_floats(x_u, "x_u")
    beta_t = kernel_variance(schedule, t, u)
    return Gaussian(aligned((1 - beta_t).sqrt(), x_u) * x_u, aligned(beta_t, x_u))


def kernel_variance(schedule: Schedule, t: Time, u: Time | None = None) -> Tensor:
    """The variance of q(x_t | x_u), 1 - alpha_bar_t / alpha_bar_u: beta_t for u = t - 1.

    t, u: one time, or (B,)  ->  () or (B,) float64
    """
    return _beta(schedule, *_pair(schedule, t, u))


# And back


def posterior_variance(schedule: Schedule, t: Time, u: Time | None = None) -> Tensor:
    """The variance of q(x_u | x_t, x_0), by default for u = t - 1 (Ho et al. 2020, eq. 7).

    t, u: one time, or (B,)  ->  () or (B,) float64
    """
    t, u = _pair(schedule, t, u)
    s_squared = schedule.one_minus_alpha_bar
    return s_squared[u] / s_squared[t] * _beta(schedule, t, u)


def posterior(
    schedule: Schedule, x_0: Tensor, x_t: Tensor, t: Time, u: Time | None = None
) -> Gaussian:
    """q(x_u | x_t, x_0), by default of u = t - 1: mu_tilde, beta_tilde (Ho et al. 2020, eq. 7)."""
    check_floats(x_0, "x_0")
    check_floats(x_t, "x_t", like=x_0)
    factors = posterior_factors(schedule, *_pair(schedule, t, u))
    from_x_0, from_x_t, beta_tilde = (aligned(factor, x_0) for factor in factors)
    return Gaussian(from_x_0 * x_0 + from_x_t * x_t, beta_tilde)


def posterior_factors(schedule: Schedule, t: Time, u: Time) -> tuple[Tensor, Tensor, Tensor]:
    """What multiplies x_0 and x_t in mu_tilde, and beta_tilde, for a t and u that are checked.

    t, u: one time, or (B,)  ->  () or (B,) float64
    """
    beta_t, s_squared = _beta(schedule, t, u), schedule.one_minus_alpha_bar
    from_x_0 = schedule.alpha_bar[u].sqrt() * beta_t / s_squared[t]
    from_x_t = (1 - beta_t).sqrt() * s_squared[u] / s_squared[t]
    return from_x_0, from_x_t, s_squared[u] / s_squared[t] * beta_t


# What the network learns

EPS = Parameterization(  # Ho et al. 2020, eq. 14
    target=lambda x_0, eps, a, s: eps,
    decode=lambda out, x_t, a, s: Prediction((x_t - s * out) / a, out),
)
X_0 = Parameterization(
    target=lambda x_0, eps, a, s: x_0,
    decode=lambda out, x_t, a, s: Prediction(out, (x_t - a * out) / s),
)
V = Parameterization(  # Salimans & Ho 2022, sec. 4
    target=lambda x_0, eps, a, s: a * eps - s * x_0,
    decode=lambda out, x_t, a, s: Prediction(a * x_t - s * out, s * x_t + a * out),
)


def loss(
    schedule: Schedule,
    network: Network,
    parameterization: Parameterization,
    x_0: Tensor,
    *,
    t: Time,
    eps: Tensor,
) -> Tensor:
    """The network's squared error on each picture, a mean over its pixels.

    The mean of it over t and eps is L_simple (Ho et al. 2020, eq. 14).

    x_0, eps: (B, ...);  t: one time in 1..T, or (B,)  ->  (B,)
    """
    check_floats(x_0, "x_0")
    check_floats(eps, "eps", like=x_0)
    a, s = signal_and_noise(schedule, t, like=x_0, first=1)
    error = ask(network, a * x_0 + s * eps, t) - parameterization.target(x_0, eps, a, s)
    return error.square().reshape(len(x_0), -1).mean(1)


def ask(network: Network, x_t: Tensor, t: Time) -> Tensor:
    """The network's output, with one t for each picture, and refused if it would be broadcast."""
    out = network(x_t, send(torch.as_tensor(t).long().expand(len(x_t)), x_t.device))
    if out.shape != x_t.shape:
        raise ValueError(
            f"a network returns the shape of x_t, {tuple(x_t.shape)}, got {tuple(out.shape)}"
        )
    return out.to(x_t.dtype)  # under autocast it is bfloat16


# Noise


def normal(like: Tensor) -> Randn:
    """Noise in the dtype and on the device of `like`."""
    return partial(torch.randn, dtype=like.dtype, device=like.device)


def noise_for(randn: Randn, like: Tensor) -> Tensor:
    """Noise for `like`, from a function that knows only its shape.

    randn_like would fill a channels-last tensor in another order: other noise from the same seed.
    """
    z = randn(like.shape)
    if z.shape != like.shape:
        raise ValueError(f"randn returns the shape {tuple(like.shape)}, got {tuple(z.shape)}")
    return send(z.to(like.dtype), like.device)


# Of times that are checked


def _beta(schedule: Schedule, t: Time, u: Time) -> Tensor:
    return -torch.expm1(schedule.log_alpha_bar[t] - schedule.log_alpha_bar[u])


def _pair(schedule: Schedule, t: Time, u: Time | None) -> tuple[Time, Time]:
    t = check_times(t, 1, schedule.T)
    u = t - 1 if u is None else check_times(u, 0, schedule.T, "u")
    late = u >= t
    if late if isinstance(late, bool) else late.any():
        raise ValueError(f"u is earlier than t, got u = {u} and t = {t}")
    return t, u
