"""Algorithm 1 of Ho et al. 2020 as a generator of records.

    run = Run(network, Settings(steps=2000))
    for record in training_steps(run, cosine(), EPS, digits().pixels, prepare=scale):
        if record.step % 100 == 0:
            print(record.step, record.loss)

`training_steps` changes the `Run` and tells about it, one record a step: the caller shows, saves or
stops.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ddpm_lib import diffusion
from ddpm_lib.arguments import check_floats, pick, send
from ddpm_lib.conditions import Known, check_known, told
from ddpm_lib.devices import Devices, OneDevice
from ddpm_lib.diffusion import Parameterization
from ddpm_lib.schedules import Schedule
from ddpm_lib.settings import Settings

BINS = 20  # of times, for the losses by time


class Run:
    """All that changes while a network trains: checkpoints hold it.

    It lives on the device of the network's weights, so move the network there first.
    """

    def __init__(self, network: nn.Module, settings: Settings) -> None:
        device = next(network.parameters()).device
        self.settings = settings
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.network = network.train().to(memory_format=layout)  # type: ignore[call-overload]
        self.average = deepcopy(network).eval().requires_grad_(False)
        self.optimizer = torch.optim.Adam(network.parameters(), fused=True)
        # What picks pictures and times lives on the CPU, so that no step waits for a device.
        self.chance = torch.Generator().manual_seed(settings.seed)
        seed = int(torch.randint(2**31, (), generator=self.chance))  # the same one would correlate
        self.noise = torch.Generator(device).manual_seed(seed)
        self.step = 0
        self.whole = True  # False inside a step, when weights, averages and chance do not fit
        self.failed = torch.zeros((), dtype=torch.int64, device=device)  # first step without a loss


@dataclass(frozen=True)
class Record:
    """One step, told afterwards."""

    step: int
    learning_rate: float
    images_per_second: float  # over the last steps, with what the caller did between them
    loss_on_device: Tensor  # ()
    failed: Tensor  # ()

    @property
    def loss(self) -> float:
        """The loss as a number. It waits for the device: ask now and then, not at every step."""
        if failed := int(self.failed):
            raise FloatingPointError(
                f"the loss is no finite number from step {failed} on: a lower learning rate, a "
                "longer warm-up or a smaller clip may keep it finite"
            )
        return float(self.loss_on_device)


class Batch(NamedTuple):
    """What a step of Algorithm 1 draws, or a part of that; on the CPU, except for the noise."""

    which: Tensor  # (B,), of the examples
    t: Tensor  # (B,)
    eps: Tensor  # (B, ...)
    dropped: Tensor  # (B,), where y is left out


def training_steps(
    run: Run,
    schedule: Schedule,
    parameterization: Parameterization,
    data: Tensor,
    *,
    known: Known | None = None,
    prepare: Callable[[Tensor], Tensor] = lambda x_0: x_0,
    loss: Callable[..., Tensor] = diffusion.loss,
    devices: Devices | None = None,
) -> Iterator[Record]:
    """Steps of Algorithm 1 (Ho et al. 2020), from where the run is to its last one.

    data: (N, ...) examples, on the device of the network if they fit there; pictures stay uint8.
          A larger set stays in memory, or on the disk: torch.from_file. Flips: double the set.
    known: what a conditional network is told about them
    prepare: makes x_0 of some of them, such as data.scale
    loss: with the arguments of diffusion.loss and its result, one number for each example
    devices: an Accelerator, for several processes; each makes the same draws and computes its part

    The k-th step is the same for any number of processes and parts, up to rounding.
    """
    settings, devices, device = run.settings, devices or OneDevice(), run.failed.device
    slices = _slices(settings, devices)
    one = prepare(send(data[:1], device))  # to know its shape and dtype
    check_floats(one, "x_0")
    if known is not None:
        check_known(known, len(data))
    module = devices.prepare_model(run.network)
    network = _quick(module, settings)

    def losses(part: Batch) -> Tensor:
        x_0 = prepare(pick(data, part.which, device))
        asked = told(network, known, part.which, part.dropped) if known else network
        return loss(schedule, asked, parameterization, x_0, t=part.t, eps=part.eps)

    def steps() -> Iterator[Record]:
        times = deque([time.perf_counter()], maxlen=50)
        while run.step < settings.steps:
            step, run.whole = run.step + 1, False
            try:
                batch = _draw(run, len(data), schedule.T, one, known)
                parts = [Batch(*(drawn[part] for drawn in batch)) for part in slices]
                value = optimizer_step(run, parts, losses, partial(devices.no_sync, module))
                value = devices.reduce(value, "mean")
                bad = ~value.isfinite() & (run.failed == 0)
                run.failed = torch.where(bad, step, run.failed)
                run.step, run.whole = step, True
            except KeyboardInterrupt:
                raise KeyboardInterrupt(f"interrupted in step {step}") from None
            times.append(time.perf_counter())
            speed = settings.batch * (len(times) - 1) / (times[-1] - times[0])
            yield Record(step, run.optimizer.param_groups[0]["lr"], speed, value, run.failed)

    return steps()


def optimizer_step(
    run: Run,
    parts: Sequence[Batch],
    losses: Callable[[Batch], Tensor],
    no_sync: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Tensor:
    """One step of the weights and their average, down the gradient of the mean loss.  ->  ()

    parts: a batch, in as many parts as memory asks for;  losses: one number for each example
    """
    settings, step = run.settings, run.step + 1
    total = torch.zeros((), device=run.failed.device)
    for part in parts:
        # Processes exchange their gradients once a step, with the last part.
        with nullcontext() if part is parts[-1] else no_sync():
            loss = losses(part).mean() / len(parts)
            loss.backward()
        total = total + loss.detach()
    nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip)
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(settings, step)
    run.optimizer.step()
    run.optimizer.zero_grad()
    _follow(run.average, run.network, memory=min(settings.ema, step / (step + 9)))
    return total


def _draw(run: Run, N: int, T: int, one: Tensor, known: Known | None) -> Batch:
    """Examples, times and noise for a whole batch: each process draws all, and takes its parts."""
    B, chance = run.settings.batch, run.chance
    which = torch.randint(N, (B,), generator=chance)
    t = torch.randint(1, T + 1, (B,), generator=chance)
    shape = (B, *one.shape[1:])
    eps = torch.randn(shape, generator=run.noise, dtype=one.dtype, device=one.device)
    # Without a condition no further number is drawn: such runs stay what they were.
    part = torch.rand(B, generator=chance) if known else torch.ones(B)
    return Batch(which, t, eps, dropped=part < (known.drop if known else 0))


def _slices(settings: Settings, devices: Devices) -> list[slice]:
    """The parts of a batch that this process computes, one after another."""
    many = devices.num_processes * settings.accumulate
    size, rest = divmod(settings.batch, many)
    if rest:
        raise ValueError(
            f"a batch of {settings.batch} does not divide into {devices.num_processes} processes "
            f"of {settings.accumulate} parts: make it a multiple of {many}"
        )
    first = devices.process_index * settings.accumulate
    return [slice(k * size, (k + 1) * size) for k in range(first, first + settings.accumulate)]


class LossesByTime:
    """The loss of training, and the mean of what it was at times of the same twentieth of 1..T.

    The mean over all times hides which noise levels are learned already. This costs no further
    network call, and no wait for the device before `read`.
    """

    def __init__(self, T: int, device: torch.device) -> None:
        self.T = T
        self.sums = torch.zeros(2, BINS, device=device)  # of losses, and how many

    def loss(self, *args: Any, t: Tensor, **kwargs: Any) -> Tensor:
        """diffusion.loss, with its arguments."""
        losses = diffusion.loss(*args, t=t, **kwargs)
        bins = send((t - 1) * BINS // self.T, losses.device)
        found = losses.detach().float()
        self.sums.index_add_(1, bins, torch.stack([found, torch.ones_like(found)]))
        return losses

    def read(self) -> list[float | None]:
        """The means since the last reading; None where no time was drawn."""
        sums, counts = self.sums.tolist()
        self.sums.zero_()
        return [total / n if n else None for total, n in zip(sums, counts, strict=True)]


def learning_rate(settings: Settings, step: int) -> float:
    """A line up for `warmup` steps, under half a cosine down (Loshchilov & Hutter 2017, eq. 5)."""
    cosine = (1 + math.cos(math.pi * (step - 1) / settings.steps)) / 2
    up = min(1.0, step / max(1, settings.warmup))
    return settings.learning_rate * up * (settings.final + (1 - settings.final) * cosine)


def _quick(module: nn.Module, settings: Settings) -> Callable[..., Tensor]:
    """The same function, compiled and in half precision if the settings say so."""
    compute = torch.compile(module) if settings.compile else module
    device = next(module.parameters()).device
    precision = torch.autocast(device.type, torch.bfloat16) if settings.bfloat16 else nullcontext()

    def network(*known: Tensor) -> Tensor:  # x_t, t, and what else it is told
        with precision:
            return compute(*known)

    return network


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, memory: float) -> None:
    """average <- memory average + (1 - memory) network, for all weights at once.

    AveragedModel of torch does the same, but asks the device for its step count each time.
    """
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - memory)
