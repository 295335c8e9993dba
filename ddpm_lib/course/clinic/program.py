"""A DDPM program in parts, healthy, in a world where the best possible network is known.

The world: ribbons, RGB pictures of 2 x 16 pixels. Four patterns of a warm and a cool color are
equally likely, and each pixel has noise of standard deviation WIDTH. Such pictures are a mixture of
four Gaussians, so `known` is the exact denoiser. Batches hold 16 pictures, as wide as they are.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_lib import diffusion
from ddpm_lib.data import unscale
from ddpm_lib.diffusion import EPS, Denoiser, Prediction, Time, signal_and_noise
from ddpm_lib.evaluation import frechet_distance, moments
from ddpm_lib.networks import cpu_seed, zero
from ddpm_lib.networks.embedding import ScaleShift, Sinusoidal, group_norm
from ddpm_lib.networks.unet import Attention, time_mlp
from ddpm_lib.sampling import Step, ddpm
from ddpm_lib.schedules import Schedule, linear
from ddpm_lib.training import Run, Settings, training_steps

SHAPE = (3, 2, 16)  # of a picture
BATCH = 16
WIDTH = 0.1  # the standard deviation of a pixel around its pattern
WARM, COOL = (0.7, 0.0, -0.6), (-0.6, -0.1, 0.7)


def patterns() -> Tensor:
    """All warm, all cool, one half of each, and the other way round.  (4, 96) float64"""
    warm, cool = (
        torch.tensor(c, dtype=torch.float64)[:, None, None].expand(3, 2, 8) for c in (WARM, COOL)
    )
    halves = [(warm, warm), (cool, cool), (warm, cool), (cool, warm)]
    return torch.stack([torch.cat(pair, 2).flatten() for pair in halves])


def ribbons(n: int, seed: int) -> Tensor:
    """n pictures of the world.  (n, 3, 2, 16) float64"""
    chance = torch.Generator().manual_seed(seed)
    means = patterns()[torch.randint(4, (n,), generator=chance)]
    noise = torch.randn(means.shape, generator=chance, dtype=torch.float64)
    return (means + WIDTH * noise).reshape(n, *SHAPE)


def known(schedule: Schedule) -> Denoiser:
    """The best answers, E[x_0 | x_t] and E[eps | x_t]: the ring's formula for other centers."""
    centers = patterns()

    def denoise(x_t: Tensor, t: Time) -> Prediction:
        a, s = (v.reshape(-1, 1) for v in signal_and_noise(schedule, t, like=x_t))
        m, x, D = centers.to(x_t), x_t.flatten(1), (a * WIDTH) ** 2 + s**2
        near = a / D * (x @ m.T) - a**2 / (2 * D) * m.square().sum(1)
        eps = s / D * (x - a * near.softmax(1) @ m)
        return Prediction(((x - s * eps) / a).reshape(x_t.shape), eps.reshape(x_t.shape))

    return denoise


class Mix(nn.Linear):
    """A convolution of kernel 1: the channels of each pixel, mixed."""

    def forward(self, x: Tensor) -> Tensor:  # (B, c_in, H, W) -> (B, c_out, H, W)
        return super().forward(x.movedim(1, 3)).movedim(3, 1)


class Block(nn.Module):
    """The residual block of chapter 12, on single pixels."""

    def __init__(self, width: int, condition: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.norm = group_norm(width)
        self.mix_1, self.mix_2 = Mix(width, width), zero(Mix(width, width))
        self.condition = condition(width, 32)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.mix_1(F.silu(self.norm(x)))
        return x + self.mix_2(F.silu(self.condition(h, emb)))


class Painter(nn.Module):
    """Two residual blocks that are told t, with attention between them: 6000 weights."""

    def __init__(
        self,
        width: int = 32,
        embedding: Callable[[int], nn.Module] = Sinusoidal,
        condition: Callable[[int, int], nn.Module] = ScaleShift,
        attention: Callable[[int], nn.Module] = Attention,
    ) -> None:
        super().__init__()
        self.embedding = embedding(32)
        self.time = time_mlp(self.embedding, 32)
        self.stem: nn.Module = Mix(3, width)
        self.place = nn.Parameter(0.3 * torch.randn(width, *SHAPE[1:]))  # where it is
        self.first, self.second = Block(width, condition), Block(width, condition)
        self.attention = attention(width)
        self.head = zero(Mix(width, 3))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:  # (B, 3, H, W), (B,) -> (B, 3, H, W)
        emb = self.time(t)
        h = self.attention(self.first(self.stem(x_t) + self.place, emb))
        return self.head(self.second(h, emb))


def score(draw: Callable[[int, int], Tensor]) -> float:
    """The Fréchet distance to the data, in pixels.  draw: (n, seed) -> (n, 3, 2, 16)"""
    return frechet_distance(*(moments(f(4000, k).flatten(1)) for f, k in ((draw, 1), (ribbons, 2))))


@dataclass(frozen=True)
class Program:
    """All parts of a program; a patient has another one of them."""

    schedule: Schedule
    loss: Callable[..., Tensor]  # as diffusion.loss
    network: Callable[[], nn.Module]
    settings: Settings
    step: Step  # as sampling.ddpm()
    frames: Callable[[Tensor], Tensor]  # as data.unscale
    score: Callable[[Callable[[int, int], Tensor]], float]


HEALTHY = Program(
    schedule=linear(100, 1e-3, 0.2),
    loss=diffusion.loss,
    network=Painter,
    settings=Settings(steps=120, batch=BATCH, learning_rate=1e-2, warmup=10, ema=0.95),
    step=ddpm(),
    frames=unscale,
    score=score,
)


class Trained(NamedTuple):
    network: nn.Module
    earlier: nn.Module  # the same, 10 steps before the end
    losses: Tensor  # (steps,)


def trained(program: Program) -> Trained:
    """The program's network after its training; programs with the same parts share one."""
    return _trained(program.schedule, program.loss, program.network, program.settings)


@cache
def _trained(
    schedule: Schedule,
    loss: Callable[..., Tensor],
    network: Callable[[], nn.Module],
    settings: Settings,
) -> Trained:
    data = ribbons(4000, seed=0).float()
    with cpu_seed(settings.seed), torch.enable_grad():  # a check may have switched it off
        run = Run(network(), settings)
        losses, earlier = [], run.average
        for record in training_steps(run, schedule, EPS, data, loss=loss):
            losses.append(record.loss_on_device)
            if record.step == settings.steps - 10:
                earlier = deepcopy(run.average)
    return Trained(run.average, earlier, torch.stack(losses))
