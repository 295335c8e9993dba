"""Gaussian mixtures, for which everything that a network estimates is known in closed form.

Noise turns a mixture into a mixture, and so does looking back from x_t: the ground truth for
samplers, bounds and losses. All is computed in float64 on the CPU; results take the dtype, the
device and the shape of the x that they are asked about: points (B, d), or pictures of d values.
"""

from math import log, pi
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_lib.arguments import Time, aligned, check_floats, check_times, describe
from ddpm_lib.diffusion import (
    Denoiser,
    Prediction,
    kernel_variance,
)
from ddpm_lib.schedules import Schedule


class Mixture(NamedTuple):
    """K Gaussians in d dimensions: one mixture, or one for each of a batch, where ... is (B,).

    A covariance is kept as its eigenvalues and eigenvectors: noise changes only the eigenvalues, so
    that one decomposition serves every time, and a single point is a Gaussian like any other.
    """

    weights: Tensor  # (..., K)
    means: Tensor  # (..., K, d)
    variances: Tensor  # (..., K, d), along the axes
    axes: Tensor  # (K, d, d), the columns are unit vectors

    @property
    def covariances(self) -> Tensor:
        """(..., K, d, d)"""
        return self.axes * self.variances[..., None, :] @ self.axes.mT


def mixture(weights: Tensor, means: Tensor, covariances: Tensor) -> Mixture:
    """The mixture of K Gaussians.  weights: (K,);  means: (K, d);  covariances: (K, d, d)"""
    weights, means, covariances = map(_float64, (weights, means, covariances))
    if means.ndim != 2 or means.numel() == 0:
        raise ValueError(f"means is (K, d), one row for each Gaussian, got {describe(means)}")
    K, d = means.shape
    if weights.shape != (K,) or covariances.shape != (K, d, d):
        raise ValueError(
            f"for means {(K, d)}, weights is {(K,)} and covariances {(K, d, d)}, "
            f"got {tuple(weights.shape)} and {tuple(covariances.shape)}"
        )
    if not (weights > 0).all() or not abs(weights.sum() - 1) < 1e-6:
        raise ValueError(f"weights are positive and sum to 1, got {weights.tolist()}")
    if not (means.isfinite().all() and covariances.isfinite().all()):
        raise ValueError("means and covariances are finite, got NaN or infinite values")
    if not torch.allclose(covariances, covariances.mT):
        raise ValueError("covariances are symmetric matrices, got one that is not")
    variances, axes = torch.linalg.eigh(covariances)
    if (variances < -1e-9 * variances.abs().amax(-1, keepdim=True)).any():
        raise ValueError(f"covariances have no negative eigenvalue, got {variances.min():g}")
    return Mixture(weights / weights.sum(), means, variances.clamp(min=0), axes)


def isotropic(weights: Tensor, means: Tensor, std: float | Tensor) -> Mixture:
    """The mixture of K round Gaussians.  weights: (K,);  means: (K, d);  std: one, or (K,)"""
    means, std = _float64(means), _float64(std)
    eye = torch.eye(means.shape[-1] if means.ndim else 0, dtype=torch.float64)
    return mixture(
        weights, means, std.reshape(-1, 1, 1) ** 2 * eye.expand(*means.shape[:1], *eye.shape)
    )


def draw(mixture: Mixture, n: int, generator: torch.Generator | None = None) -> Tensor:
    """n points of a mixture, or one of each of n mixtures.  (n, d) float64"""
    K, d = mixture.means.shape[-2:]
    if n < 1 or mixture.means.shape[:-2] not in ((), (n,)):
        raise ValueError(f"n is at least 1, and the number of mixtures if they are many, got {n}")
    k = torch.multinomial(mixture.weights.expand(n, K), 1, generator=generator)[:, 0]
    row = torch.arange(n)
    means, variances = (x.expand(n, K, d)[row, k] for x in (mixture.means, mixture.variances))
    z = variances.sqrt() * torch.randn(n, d, generator=generator, dtype=torch.float64)
    return means + (mixture.axes[k] @ z[..., None])[..., 0]


def mean(mixture: Mixture) -> Tensor:
    """The mean of the whole mixture.  (..., d)"""
    return (mixture.weights[..., None] * mixture.means).sum(-2)


def covariance(mixture: Mixture) -> Tensor:
    """The covariance of the whole mixture, within its Gaussians and between them.  (..., d, d)"""
    apart = mixture.means - mean(mixture)[..., None, :]
    between = apart[..., :, None] * apart[..., None, :]
    return (mixture.weights[..., None, None] * (mixture.covariances + between)).sum(-3)


def log_density(mixture: Mixture, x: Tensor) -> Tensor:
    """log p(x).  x: (B, ...)  ->  (B,)"""
    return _parts(mixture, x)[0].logsumexp(-1).to(x)


def score(mixture: Mixture, x: Tensor) -> Tensor:
    """The gradient of log p at x.  x: (B, ...)  ->  (B, ...)"""
    parts, along = _parts(mixture, x)
    pull = -torch.einsum("kij,bkj->bki", mixture.axes, along / mixture.variances)
    return (parts.softmax(-1)[..., None] * pull).sum(-2).to(x).reshape(x.shape)


def noised(schedule: Schedule, mixture: Mixture, t: Time) -> Mixture:
    """q(x_t), one for each t.  t: one time in 0..T, or (B,)"""
    t = check_times(t, 0, schedule.T)
    alpha_bar = schedule.alpha_bar[t][..., None, None]
    s_squared = schedule.one_minus_alpha_bar[t][..., None, None]
    return mixture._replace(
        means=alpha_bar.sqrt() * mixture.means,
        variances=alpha_bar * mixture.variances + s_squared,
    )


def reverse(
    schedule: Schedule, mixture: Mixture, x_t: Tensor, t: Time, u: Time | None = None
) -> Mixture:
    """The true q(x_u | x_t), a mixture for each x_t, by default of u = t - 1; of x_0 for u = 0.

    x_t: (B, ...);  t, u: one time, or (B,)
    """
    beta_t = kernel_variance(schedule, t, u)[..., None, None]
    q_u = noised(schedule, mixture, t - 1 if u is None else u)
    q_t = noised(schedule, mixture, t)
    parts, along = _parts(q_t, x_t)
    # Each Gaussian is conditioned along its axes, where its coordinates are independent.
    gain = (1 - beta_t).sqrt() * q_u.variances / q_t.variances
    back = torch.einsum("kij,bkj->bki", mixture.axes, gain * along)
    return Mixture(
        weights=parts.softmax(-1),
        means=q_u.means + back,
        variances=beta_t * q_u.variances / q_t.variances,
        axes=mixture.axes,
    )


def exact_denoiser(schedule: Schedule, mixture: Mixture) -> Denoiser:
    """E[x_0 | x_t] and E[eps | x_t]: the best that a network can learn."""

    def denoise(x_t: Tensor, t: Time) -> Prediction:
        x_0 = mean(reverse(schedule, mixture, x_t, t, 0)).to(x_t).reshape(x_t.shape)
        s = aligned(schedule.one_minus_alpha_bar[check_times(t, 1, schedule.T)].sqrt(), x_t)
        return Prediction(x_0, -s * score(noised(schedule, mixture, t), x_t))

    return denoise


def _float64(x: float | Tensor) -> Tensor:
    x = x.cpu() if isinstance(x, Tensor) else x  # where it is, may be no float64
    return torch.as_tensor(x, dtype=torch.float64, device="cpu")


def _parts(mixture: Mixture, x: Tensor) -> tuple[Tensor, Tensor]:
    """log(w_k N_k(x)), and x - mean_k along the axes of k.  ->  (B, K) and (B, K, d)"""
    check_floats(x, "x")
    rows, d = x.reshape(len(x), -1).cpu().double(), mixture.means.shape[-1]
    if rows.shape[1] != d:
        raise ValueError(f"the mixture has {d} dimensions, got x of shape {tuple(x.shape)}")
    if mixture.means.ndim > 2 and len(mixture.means) != len(x):
        raise ValueError(f"a mixture for each of the {len(x)} x, got {len(mixture.means)} of them")
    if not (mixture.variances > 0).all():
        raise ValueError("a mixture with a singular covariance has a density only after noising")
    along = torch.einsum("kij,bki->bkj", mixture.axes, rows[:, None] - mixture.means)
    exponent = along**2 / mixture.variances + mixture.variances.log() + log(2 * pi)
    return mixture.weights.log() - exponent.sum(-1) / 2, along
