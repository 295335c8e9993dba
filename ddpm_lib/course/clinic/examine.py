"""The checks: each a number of a program, with the range in which a healthy one has it.

No check asks which part is broken. Each feeds a part something whose answer is known, and measures
how far the answer is off.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_lib import diffusion
from ddpm_lib.course.clinic.program import (
    BATCH,
    HEALTHY,
    SHAPE,
    WIDTH,
    Program,
    known,
    patterns,
    ribbons,
    trained,
)
from ddpm_lib.diffusion import EPS, posterior, posterior_variance
from ddpm_lib.networks import cpu_seed
from ddpm_lib.sampling import Stride, sample
from ddpm_lib.training import Run, Settings, training_steps

# ------------------------------------------------------------------------------ spies and helpers


def seen_by_network(program: Program, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """The x_t that the program's loss makes and shows to the network."""
    seen = []

    def spy(x_t: Tensor, t: Tensor) -> Tensor:
        seen.append(x_t)
        return torch.zeros_like(x_t)

    program.loss(program.schedule, spy, EPS, x_0, t=t, eps=eps)
    return seen[0]


def _batch(seed: int) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    eps = torch.randn((BATCH, *SHAPE), generator=chance, dtype=torch.float64)
    return ribbons(BATCH, seed), eps


def _made(program: Program, t: int) -> tuple[Tensor, Tensor, Tensor]:
    """x_0, eps and the x_t made of them, in 20 batches at one time."""
    when, rows = torch.full((BATCH,), t), []
    for seed in range(20):
        x_0, eps = _batch(seed)
        rows.append(torch.stack([x_0, eps, seen_by_network(program, x_0, when, eps)]))
    x_0, eps, x_t = torch.cat(rows, 1)
    return x_0, eps, x_t


# ------------------------------------------------------------------------------ what a loss makes


def signal_at_end(program: Program) -> float:
    """The factor of x_0 in the x_T of the training, by regression."""
    x_0, _, x_t = _made(program, program.schedule.T)
    return float((x_t * x_0).mean() / x_0.square().mean())


def noise_in_middle(program: Program) -> float:
    """The variance of the noise in the x_t of the training, over 1 - alpha_bar_t, at T/4."""
    t = program.schedule.T // 4
    x_0, _, x_t = _made(program, t)
    a = (x_t * x_0).mean() / x_0.square().mean()
    return float((x_t - a * x_0).square().mean() / program.schedule.one_minus_alpha_bar[t])


def others_changed(program: Program) -> float:
    """The share of the other pictures of a batch that change if one picture gets another t."""
    x_0, eps = _batch(0)
    t = torch.full((BATCH,), program.schedule.T // 2)
    other = t.clone()
    other[0] //= 2
    before, after = (seen_by_network(program, x_0, when, eps) for when in (t, other))
    return float((before != after)[1:].flatten(1).any(1).double().mean())


def loss_of_cheat(program: Program) -> float:
    """The loss of a network that is told x_0 and solves x_t = a x_0 + s eps for eps."""
    total = 0.0
    with cpu_seed(1000):  # with 0, a second noise would begin as that of the first batch
        for seed in range(20):
            x_0, eps = _batch(seed)

            def cheat(x_t: Tensor, t: Tensor, x_0: Tensor = x_0) -> Tensor:
                a, s = diffusion.signal_and_noise(program.schedule, t, like=x_t)
                return (x_t - a * x_0) / s

            t = torch.full((BATCH,), program.schedule.T // 4)
            total += float(program.loss(program.schedule, cheat, EPS, x_0, t=t, eps=eps).mean())
    return total / 20


def one_batch(program: Program) -> float:
    """The loss after 50 steps on one batch with fixed times and noise."""
    return _one_batch(program.loss, program.network)


@cache
def _one_batch(loss: Callable[..., Tensor], network: Callable[[], Any]) -> float:
    x_0, eps = (x.float() for x in _batch(0))
    t = torch.randint(20, 81, (BATCH,), generator=torch.Generator().manual_seed(0))
    with cpu_seed(0):
        run = Run(network(), Settings(steps=50, batch=BATCH, learning_rate=1e-2, ema=0))

        def fixed(schedule: Any, network: Any, parameterization: Any, _: Any, **__: Any) -> Tensor:
            return loss(schedule, network, parameterization, x_0, t=t, eps=eps)

        losses = [
            r.loss_on_device for r in training_steps(run, HEALTHY.schedule, EPS, x_0, loss=fixed)
        ]
    return float(torch.stack(losses[-10:]).mean())


# ----------------------------------------------------------------------------- a trained network


def last_losses(program: Program) -> float:
    """The mean of the last 40 losses."""
    return float(trained(program).losses[-40:].mean())


@torch.no_grad()
def _answers(network: nn.Module, x_t: Tensor, t: Tensor) -> Tensor:
    with cpu_seed(0):  # for a network that draws numbers of its own
        return network(x_t.float(), t)


@cache
def _noised(t: int) -> tuple[Tensor, Tensor]:
    """x_t as a healthy training makes it, and the noise in it."""
    x_0 = ribbons(256, 7)
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(7), dtype=x_0.dtype)
    return diffusion.add_noise(HEALTHY.schedule, x_0, t, eps), eps


def _told(program: Program, t: int) -> Tensor:
    """What a network is told for that x_t: as large a share of its own steps."""
    return torch.full((256,), t * program.schedule.T // HEALTHY.schedule.T)


def _relative(change: Tensor, answer: Tensor) -> float:
    return float(change.square().mean().sqrt() / answer.square().mean().sqrt())


def t_matters(program: Program) -> float:
    """The relative change of the network's answer if only t changes."""
    (x_t, _), network = _noised(40), trained(program).network
    one, two = (_answers(network, x_t, _told(program, t)) for t in (40, 20))
    return _relative(one - two, one)


def repeats(program: Program) -> float:
    """Its relative change if nothing changes."""
    (x_t, _), network = _noised(40), trained(program).network
    with torch.no_grad(), cpu_seed(0):
        one, two = (network(x_t.float(), _told(program, 40)) for _ in range(2))
    return _relative(one - two, one)


def color_matters(program: Program) -> float:
    """Its relative change if one color is added to all pixels."""
    (x_t, _), network, t = _noised(40), trained(program).network, _told(program, 40)
    tint = torch.tensor([0.3, 0.0, -0.3])[:, None, None]
    one, two = _answers(network, x_t, t), _answers(network, x_t + tint, t)
    return _relative(one - two, one)


def unreached(program: Program) -> float:
    """The number of weights that no gradient reaches."""
    x_t, eps = _noised(40)
    network = deepcopy(trained(program).network).requires_grad_(True)
    answer = network(x_t.float(), _told(program, 40))
    (answer - eps.float()).square().mean().backward()
    return float(sum(p.numel() for p in network.parameters() if p.grad is None))


def color_drift(program: Program) -> float:
    """How far the mean color of the answer has moved in the last 10 steps of the training."""
    network, earlier, _ = trained(program)
    moved = []
    for t in (10, 30, 60, 90):
        (x_t, _), told = _noised(t), _told(program, t)
        change = _answers(network, x_t, told) - _answers(earlier, x_t, told)
        moved.append(change.mean((0, 2, 3)))
    return float(torch.stack(moved).square().mean().sqrt())


def uneven_times(program: Program) -> float:
    """How much the length of the embedding changes with t, relative to its mean."""
    with torch.no_grad():
        embed: Any = program.network().embedding
        length = embed(torch.arange(1, 101)).square().sum(1)
    return float((length.max() - length.min()) / length.mean())


# --------------------------------------------------------------------------------- a reverse step


def _one_step(program: Program, t: int, z: float) -> tuple[Tensor, Tensor]:
    """What a step makes of x_t with all noise equal to z, and the right mean; x_0 is known."""
    schedule, x_0 = program.schedule, ribbons(64, 3)
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(3), dtype=x_0.dtype)
    x_t = diffusion.add_noise(schedule, x_0, t, eps)
    right = posterior(schedule, known(schedule)(x_t, t).x_0, x_t, t).mean
    full = partial(torch.full, fill_value=z, dtype=x_0.dtype)
    return program.step(Stride(schedule, known(schedule), x_t, t, t - 1, full)), right


def step_mean(program: Program) -> float:
    """The error of a step's mean, over the step's deviation: the larger one of t = 5 and T/2."""
    errors = []
    for t in (5, program.schedule.T // 2):
        mean, right = _one_step(program, t, z=0.0)
        errors.append((mean - right).square().mean().sqrt() / program.schedule.beta_tilde[t].sqrt())
    return float(max(errors))


def step_variance(program: Program) -> float:
    """The variance of the step at t = 2, over beta_tilde."""
    with_z, without = _one_step(program, 2, z=0.5)[0], _one_step(program, 2, z=0.0)[0]
    return float(
        ((with_z - without) / 0.5).square().mean() / posterior_variance(program.schedule, 2)
    )


def last_noise(program: Program) -> float:
    """The standard deviation of the last step."""
    with_z, without = _one_step(program, 1, z=0.5)[0], _one_step(program, 1, z=0.0)[0]
    return float(((with_z - without) / 0.5).square().mean().sqrt())


@cache
def _drawn(schedule: Any, step: Any) -> Tensor:
    """500 samples with the best possible network.  (500, 96)"""
    chance = torch.Generator().manual_seed(11)
    randn = partial(torch.randn, generator=chance, dtype=torch.float64)
    *_, x_0 = sample(step, schedule, known(schedule), randn((500, *SHAPE)), randn=randn)
    return x_0.flatten(1)


def pixel_width(program: Program) -> float:
    """The spread of samples around the nearest pattern, over that of the data."""
    x_0, centers = _drawn(program.schedule, program.step), patterns()
    near = centers[torch.cdist(x_0, centers).argmin(1)]
    return float((x_0 - near).square().mean().sqrt() / WIDTH)


# ------------------------------------------------------------------------------------- the result


def overflow(program: Program) -> float:
    """The byte of a pixel of 1.02 in a picture that goes from -1 to 1.02."""
    picture = torch.linspace(-1, 1.02, 96).reshape(1, *SHAPE)
    return float(program.frames(picture).flatten()[-1])


def frames_differ(program: Program) -> float:
    """The mean difference in bytes between the frames of x_0 and of 0.1 x_0 + 0.7."""
    x_0 = ribbons(16, 5).clamp(-1, 1)
    one, two = (program.frames(x).double() for x in (x_0, 0.1 * x_0 + 0.7))
    return float((one - two).abs().mean())


def score_of_data(program: Program) -> float:
    """The program's own score, given fresh data in place of samples."""
    return program.score(ribbons)
