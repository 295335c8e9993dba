"""A network and how it is read, stated once: what is trained is what is sampled from.

    system = System(cosine(), UNet(3, (32, 64, 96)), V)
    system = learn(system, image_folder("photos", 32).pixels, Settings(steps=2000))
    *_, x_0 = walk(system, (64, 3, 32, 32))

`ddpm train` adds checkpoints and reports to this, and builds the system from a recipe.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ddpm_lib import training
from ddpm_lib.data import prepare
from ddpm_lib.diffusion import Denoiser, Parameterization
from ddpm_lib.sampling import Step, ddim, denoiser, sample, strided
from ddpm_lib.schedules import Schedule
from ddpm_lib.settings import Settings
from ddpm_lib.training import Record, Run

LOOK_EVERY = 0.5  # seconds: to look at the loss is to wait for the device


class System(NamedTuple):
    """All that training and sampling must agree on; denoiser(*system) reads it."""

    schedule: Schedule
    network: nn.Module
    parameterization: Parameterization
    clip: float | None = 1.0  # the largest value in the data, for the denoiser; None for any


def learn(system: System, data: Tensor, settings: Settings) -> System:
    """The same with the averaged weights of a training; a bar tells how far it is.

    data: (N, C, H, W) uint8, or floats (N, ...)
    """
    run = Run(system.network, settings)
    schedule, _, parameterization, _ = system
    records = training.training_steps(run, schedule, parameterization, data, prepare=prepare)
    for _ in with_bar(records, "training", run):
        pass
    return system._replace(network=run.average)


def with_bar(records: Iterator[Record], name: str, run: Run) -> Iterator[Record]:
    """The same records, and a bar with the mean loss of the last steps."""
    from tqdm import tqdm

    steps = run.settings.steps
    tell_at, total, count = 0.0, 0.0, 0
    with tqdm(records, name, steps, initial=run.step, unit="step") as bar:
        for record in bar:
            total, count = total + record.loss_on_device, count + 1
            if (now := time.perf_counter()) >= tell_at or record.step == steps:
                told = f"loss {float(total) / count:.4f}, {record.images_per_second:.0f} images/s"
                bar.set_postfix_str(told, refresh=False)
                tell_at, total, count = now + LOOK_EVERY, 0.0, 0
            yield record


def walk(
    system: System,
    shape: Sequence[int],
    *,
    step: Step | None = None,
    steps: int = 50,
    seed: int = 0,
) -> Iterator[Tensor]:
    """x_T and what follows it, by default with DDIM; the last is x_0.  shape: (B, ...)"""
    device = next(system.network.parameters()).device
    times = strided(system.schedule.T, steps)
    return drawn(
        system.schedule,
        denoiser(*system),
        shape,
        step=step or ddim(),
        times=times,
        seed=seed,
        device=device,
    )


def drawn(
    schedule: Schedule,
    denoise: Denoiser,
    shape: Sequence[int],
    *,
    step: Step,
    times: Sequence[int],
    seed: int,
    device: torch.device,
) -> Iterator[Tensor]:
    """x_T and what follows it, from the noise of a seed; the last is x_0."""
    # Drawn on the CPU, so that a seed means the same pictures on every device.
    randn = partial(torch.randn, generator=torch.Generator().manual_seed(seed))
    x_T = randn(tuple(shape)).to(device)
    yield x_T
    yield from sample(step, schedule, denoise, x_T, times, randn=randn)
