"""The broken parts. Spoilers: every function here is a bug that somebody has published.

Each is written as it stood in the published program, in the names of this course. `BUGS` gives each
a name, the repair in words, and the one part of the healthy program that it replaces.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_lib.course.clinic.program import BATCH, HEALTHY, Mix, Painter, Program, ribbons
from ddpm_lib.diffusion import Prediction, signal_and_noise
from ddpm_lib.evaluation import frechet_distance, moments
from ddpm_lib.networks.embedding import Ignore
from ddpm_lib.networks.unet import Attention
from ddpm_lib.sampling import Stride, ddpm
from ddpm_lib.schedules import Schedule, linear
from ddpm_lib.training import Settings

# ------------------------------------------------------------------------------------- the loss


def _loss(
    a: Callable[[Schedule, Tensor], Tensor],
    s: Callable[[Schedule, Tensor], Tensor],
    shape: tuple[int, ...] = (-1, 1, 1, 1),
) -> Callable[..., Tensor]:
    """A loss with x_t = a x_0 + s eps, for tables a and s of its own."""

    def loss(schedule: Schedule, network: Any, _: Any, x_0: Tensor, *, t: Tensor, eps: Tensor):  # type: ignore[no-untyped-def]
        a_t, s_t = (f(schedule, t).to(x_0).reshape(shape) for f in (a, s))
        eps_hat = network(a_t * x_0 + s_t * eps, t)
        return (eps_hat - eps).square().flatten(1).mean(1)

    return loss


def two_noises(
    schedule: Schedule, network: Any, _: Any, x_0: Tensor, *, t: Tensor, eps: Tensor
) -> Tensor:
    a_t = schedule.alpha_bar[t].sqrt().to(x_0)[:, None, None, None]
    s_t = schedule.one_minus_alpha_bar[t].sqrt().to(x_0)[:, None, None, None]
    eps_hat = network(a_t * x_0 + s_t * eps, t)
    eps = torch.randn_like(x_0)
    return (eps_hat - eps).square().flatten(1).mean(1)


no_bars = _loss(lambda table, t: table.alpha[t].sqrt(), lambda table, t: table.beta[t].sqrt())
no_roots = _loss(lambda table, t: table.alpha_bar[t], lambda table, t: 1 - table.alpha_bar[t])
broadcast = _loss(
    lambda table, t: table.alpha_bar[t].sqrt(),
    lambda table, t: (1 - table.alpha_bar[t]).sqrt(),
    shape=(-1,),  # (B,) against (B, 3, H, W): the last axis, if W = B
)


# ---------------------------------------------------------------------------------- the network


class DrawnInside(Painter):
    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        t = torch.randint(1, 101, t.shape)
        return super().forward(x_t, t)


def instance_norm() -> nn.Module:
    network = Painter(32)
    network.stem = nn.Sequential(Mix(3, 32), nn.GroupNorm(32, 32))  # 32 groups of 32 channels
    return network


class ShiftThenNorm(nn.Module):
    """The time is added before a normalization of each channel."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, channels)
        self.norm = nn.GroupNorm(channels, channels)

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:
        return self.norm(h + self.project(emb)[:, :, None, None])


class Unpaired(nn.Module):
    """Sines and cosines with the exponent 2j/d for every j, also the odd ones."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.frequencies = 10_000.0 ** -(torch.arange(dim) / dim)

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies
        return torch.cat([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=1)


class NormNotUsed(Attention):
    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(pixels).chunk(3, dim=2)
        h = self.out(F.scaled_dot_product_attention(q, k, v))
        return x + h.transpose(1, 2).reshape(x.shape)


# ---------------------------------------------------------------------------------- the sampler


def root_coefficient(now: Stride) -> Tensor:
    schedule, denoise, x_t, t, u, randn, _ = now
    alpha, sigma = schedule.alpha[t], schedule.beta_tilde[t].sqrt()
    eps_hat = denoise(x_t, t).eps
    mean = (x_t - (1 - alpha).sqrt() * eps_hat) / alpha.sqrt()
    return mean + sigma * randn(x_t.shape) if u > 0 else mean


def no_z(now: Stride) -> Tensor:
    schedule, denoise, x_t, t, *_ = now
    alpha, alpha_bar = schedule.alpha[t], schedule.alpha_bar[t]
    towards = (1 - alpha) / (1 - alpha_bar).sqrt() * denoise(x_t, t).eps
    return (x_t - towards) / alpha.sqrt()


def shifted_table(now: Stride) -> Tensor:
    schedule, _, x_t, t, _, randn, _ = now
    alpha_bar = schedule.alpha_bar[1:]  # as a table that counts from 0
    before = torch.cat([torch.ones(1), alpha_bar[1:]])  # meant: alpha_bar one step earlier
    var = (1 - before) / (1 - alpha_bar) * schedule.beta[1:]
    mean = ddpm(variance=lambda *_: torch.tensor(0.0))(now)
    return mean + var[t - 1].sqrt() * randn(x_t.shape)


def noise_at_the_end(now: Stride) -> Tensor:
    schedule, denoise, x_t, t, _, randn, _ = now
    alpha, alpha_bar = schedule.alpha[t], schedule.alpha_bar[t]
    towards = (1 - alpha) / (1 - alpha_bar).sqrt() * denoise(x_t, t).eps
    mean = (x_t - towards) / alpha.sqrt()
    return mean + schedule.beta_tilde[max(t, 2)].sqrt() * randn(x_t.shape)


def told_earlier(now: Stride) -> Tensor:
    schedule, denoise, x_t, t, *_ = now
    eps = denoise(x_t, max(t - 1, 1)).eps
    a, s = signal_and_noise(schedule, t, like=x_t)  # of t: only the network is told another
    told = Prediction((x_t - s * eps) / a, eps)
    return ddpm()(now._replace(denoise=lambda x, t: told))


def clipped_state(now: Stride) -> Tensor:
    return ddpm()(now).clamp(-1, 1)


# ------------------------------------------------------------------------------------ the result


def wrapped(x: Tensor) -> Tensor:
    return ((x + 1) * 127.5).to(torch.int32).to(torch.uint8)


def stretched(x: Tensor) -> Tensor:
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return ((x - low) / (high - low) * 255).round().to(torch.uint8)


def score_of_100(draw: Callable[[int, int], Tensor]) -> float:
    return frechet_distance(*(moments(f(100, k).flatten(1)) for f, k in ((draw, 1), (ribbons, 2))))


# -------------------------------------------------------------------------------------- the list


class Bug(NamedTuple):
    repair: str
    part: Mapping[str, Any]  # what it replaces in the healthy program

    @property
    def program(self) -> Program:
        return replace(HEALTHY, **self.part)


_last = Settings(steps=120, batch=BATCH, learning_rate=1e-2, warmup=10, ema=0, final=1)
BUGS = {
    "nothing": Bug("there is nothing to repair", {}),
    "two noises": Bug("draw eps once: the noise that made x_t is the target", {"loss": two_noises}),
    "no bars": Bug("x_t takes the tables with bars, alpha_bar and not alpha", {"loss": no_bars}),
    "no roots": Bug("x_t takes the roots of alpha_bar and 1 - alpha_bar", {"loss": no_roots}),
    "broadcast along the width": Bug(
        "alpha_bar[t] has the shape (B,): make it (B, 1, 1, 1)", {"loss": broadcast}
    ),
    "t not used": Bug(
        "pass the embedding on to each block", {"network": partial(Painter, condition=Ignore)}
    ),
    "t drawn inside the network": Bug(
        "the network takes t from its caller, who noised with it", {"network": DrawnInside}
    ),
    "one channel for each group": Bug(
        "GroupNorm with groups of several channels, and none on the shortcut",
        {"network": instance_norm},
    ),
    "norm after the shift": Bug(
        "modulate after the norm, or normalize several channels together",
        {"network": partial(Painter, condition=ShiftThenNorm)},
    ),
    "frequencies not in pairs": Bug(
        "the sine and the cosine of a pair share one frequency",
        {"network": partial(Painter, embedding=Unpaired)},
    ),
    "a norm that is never used": Bug(
        "call it in forward", {"network": partial(Painter, attention=NormNotUsed)}
    ),
    "beta ends at a tenth": Bug(
        "the last beta is ten times as large", {"schedule": linear(100, 1e-3, 0.02)}
    ),
    "T lowered, betas kept": Bug(
        "with a fifth of the steps, five times the betas", {"schedule": linear(20, 1e-3, 0.2)}
    ),
    "no average of the weights": Bug(
        "let the learning rate fall, and sample with averaged weights", {"settings": _last}
    ),
    "wrong coefficient": Bug(
        "(1 - alpha) / sqrt(1 - alpha_bar) multiplies eps_hat, not sqrt(1 - alpha)",
        {"step": root_coefficient},
    ),
    "z left out": Bug("add sigma z in every step but the last", {"step": no_z}),
    "shifted table": Bug(
        "alpha_bar one step earlier is cat([1], alpha_bar[:-1])", {"step": shifted_table}
    ),
    "noise in the last step": Bug("z = 0 at t = 1", {"step": noise_at_the_end}),
    "told t - 1": Bug("the network is told the t of its x_t", {"step": told_earlier}),
    "x_t clipped": Bug("clip the guess of x_0, never x_t", {"step": clipped_state}),
    "bytes that wrap": Bug("clamp to [-1, 1] before the cast", {"frames": wrapped}),
    "each frame stretched": Bug("one range for all pictures", {"frames": stretched}),
    "a score of 100 pictures": Bug(
        "score several thousand, always the same number", {"score": score_of_100}
    ),
}
WORKED = ("two noises", "z left out")  # patients 1 and 2, solved in the chapter

# The others in an order that says nothing.
_order = torch.randperm(len(BUGS), generator=torch.Generator().manual_seed(15)).tolist()
_names = [name for name in (list(BUGS)[i] for i in _order) if name not in WORKED]
NAMES: dict[int, str] = dict(enumerate([*WORKED, *_names], 1))
