"""The variational bound on -log p(x_0), term by term, and the loss weights that follow from it.

-log p(x_0) <= L_T + L_{T-1} + ... + L_1 + L_0 on average over the noise (Ho et al. 2020, eq. 5).
Terms are in nats, one number for each picture, (B,): whoever averages does it where it can be seen.
"""

from collections.abc import Callable
from math import log, pi

import torch
from torch import Tensor

from ddpm_lib.arguments import Time, aligned, check_floats, check_times
from ddpm_lib.diffusion import (
    Denoiser,
    Gaussian,
    Randn,
    Variance,
    add_noise,
    kernel,
    kernel_variance,
    noise_for,
    normal,
    posterior,
    posterior_variance,
)
from ddpm_lib.schedules import Schedule

Likelihood = Callable[[Tensor, Gaussian], Tensor]  # (x, p) -> log p of each pixel of x


# The terms


def prior_term(schedule: Schedule, x_0: Tensor) -> Tensor:
    """L_T: what is left of x_0 in x_T (Ho et al. 2020, eq. 5).  x_0: (B, ...)  ->  (B,)"""
    q = kernel(schedule, x_0, schedule.T, 0)
    return _sum(kl(q, Gaussian(torch.zeros_like(x_0), torch.ones_like(q.var))))


def step_term(
    schedule: Schedule,
    denoise: Denoiser,
    x_0: Tensor,
    *,
    t: Time,
    eps: Tensor,
    variance: Variance = posterior_variance,
) -> Tensor:
    """L_{t-1} at the x_t that eps makes: KL of q(x_{t-1} | x_t, x_0) from the model's step.

    x_0, eps: (B, ...);  t: one time in 2..T, or (B,)  ->  (B,)
    """
    check_times(t, 2, schedule.T)  # at t = 1 the bound has L_0
    x_t = add_noise(schedule, x_0, t, eps)
    model = _model_step(schedule, denoise, x_t, t, variance)
    return _sum(kl(posterior(schedule, x_0, x_t, t), model))


def data_term(
    schedule: Schedule,
    denoise: Denoiser,
    x_0: Tensor,
    *,
    eps: Tensor,
    likelihood: Likelihood,
    variance: Variance = kernel_variance,
) -> Tensor:
    """L_0 = -log p(x_0 | x_1) at the x_1 that eps makes.

    x_0, eps: (B, ...);  likelihood: `discretized` for pixels, or `normal_log_density`  ->  (B,)
    """
    x_1 = add_noise(schedule, x_0, 1, eps)
    return -_sum(likelihood(x_0, _model_step(schedule, denoise, x_1, 1, variance)))


@torch.no_grad()
def bound(
    schedule: Schedule,
    denoise: Denoiser,
    x_0: Tensor,
    *,
    likelihood: Likelihood,
    variance: Variance = posterior_variance,
    variance_1: Variance = kernel_variance,
    randn: Randn | None = None,
) -> Tensor:
    """Every term, each with a draw of noise of its own: row k is L_k, and the bound is their sum.

    `variance` is that of the model's steps; `variance_1` is that of its last, where beta_tilde is
    zero and no likelihood exists.  x_0: (B, ...)  ->  (T+1, B)
    """
    check_floats(x_0, "x_0")
    randn = randn or normal(x_0)
    eps = noise_for(randn, x_0)
    terms = [data_term(schedule, denoise, x_0, eps=eps, likelihood=likelihood, variance=variance_1)]
    for t in range(2, schedule.T + 1):
        eps = noise_for(randn, x_0)
        terms.append(step_term(schedule, denoise, x_0, t=t, eps=eps, variance=variance))
    return torch.stack([*terms, prior_term(schedule, x_0)])


def bits_per_dim(nats: Tensor, x_0: Tensor) -> Tensor:
    """Nats for a whole picture as bits for one of its values.  nats: (..., B);  x_0: (B, ...)"""
    return nats / (x_0[0].numel() * log(2))


# What they are made of


def kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) of each pixel, in nats."""
    ratio = q.var / p.var
    return ((q.mean - p.mean) ** 2 / p.var + ratio - 1 - ratio.log()) / 2


def normal_log_density(x: Tensor, p: Gaussian) -> Tensor:
    """log p of each pixel of x, for data that is not made of levels."""
    return -((x - p.mean) ** 2 / p.var + p.var.log() + log(2 * pi)) / 2


def discretized(x: Tensor, p: Gaussian, levels: int = 256) -> Tensor:
    """log p of the bin around each pixel of x, in [-1, 1] (Ho et al. 2020, eq. 13).

    Bins are 2 / (levels - 1) wide; the first and the last are open. In float64 on the CPU, since
    not every device has float64 and a picture needs this only once.
    """
    check_floats(x, "x")
    if levels < 2:
        raise ValueError(f"pixels have at least 2 levels, got {levels}")
    level = (x.cpu().double() + 1) / 2 * (levels - 1)
    nearest = level.round().clamp(0, levels - 1)
    if not (level - nearest).abs().max() < 1e-3:
        raise ValueError(
            f"x has {levels} levels from -1 to 1, got values between or beyond them: for another "
            "number of levels pass partial(discretized, levels=...), for data without levels "
            "normal_log_density"
        )
    mean, std = p.mean.cpu().double(), p.var.cpu().double().sqrt()
    below = ((2 * nearest - 1) / (levels - 1) - 1 - mean) / std
    above = ((2 * nearest + 1) / (levels - 1) - 1 - mean) / std
    below = torch.where(nearest == 0, -torch.inf, below)
    above = torch.where(nearest == levels - 1, torch.inf, above)
    # A bin in the right tail is looked at in the mirror: in the left one log_ndtr keeps its digits,
    # where a difference of two probabilities near one would have none.
    right = below + above > 0
    below, above = torch.where(right, -above, below), torch.where(right, -below, above)
    log_below, log_above = torch.special.log_ndtr(below), torch.special.log_ndtr(above)
    return (log_above + torch.log(-torch.expm1(log_below - log_above))).to(x)


# The weights: L_{t-1} = weight_t |error|^2, and what no network can change


def eps_weight(schedule: Schedule, variance: Variance = posterior_variance) -> Tensor:
    """The weight of |eps - eps_hat|^2 (Ho et al. 2020, eq. 12).  (T+1,)

    With beta_tilde it is infinite at t = 1, where the bound has L_0 in place of a KL.
    """
    t = torch.arange(1, schedule.T + 1)
    beta_t, alpha_t, var = schedule.beta[1:], schedule.alpha[1:], variance(schedule, t, t - 1)
    weight = beta_t**2 / (2 * var * alpha_t * schedule.one_minus_alpha_bar[1:])
    return torch.cat([weight.new_zeros(1), weight])  # at t = 0 there is nothing to predict


def x_0_weight(schedule: Schedule, variance: Variance = posterior_variance) -> Tensor:
    """The weight of |x_0 - x_0_hat|^2: (SNR_{t-1} - SNR_t) / 2 with beta_tilde.  (T+1,)"""
    weight = eps_weight(schedule, variance)  # eps errs by a / s times the error of x_0
    return torch.cat([weight[:1], weight[1:] * schedule.snr[1:]])


def v_weight(schedule: Schedule, variance: Variance = posterior_variance) -> Tensor:
    """The weight of |v - v_hat|^2.  (T+1,)"""
    return eps_weight(schedule, variance) * schedule.alpha_bar  # eps errs by a times the error of v


def _model_step(
    schedule: Schedule, denoise: Denoiser, x_t: Tensor, t: Time, variance: Variance
) -> Gaussian:
    """p(x_{t-1} | x_t): the posterior with the predicted x_0, and a variance chosen beforehand."""
    var = torch.as_tensor(variance(schedule, t, t - 1), dtype=torch.float64)
    if not (var > 0).all():
        raise ValueError(
            f"the model's steps have a positive variance, got {var.min():g}; "
            "that of beta_tilde is zero at t = 1, that of beta is not"
        )
    mean = posterior(schedule, denoise(x_t, t).x_0, x_t, t).mean
    return Gaussian(mean, aligned(var, x_t))


def _sum(pixels: Tensor) -> Tensor:
    return pixels.reshape(len(pixels), -1).sum(1)
