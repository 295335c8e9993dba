"""Live panels for one's own model: sliders in a notebook, and pictures to scrub on a page.

One call serves both. Where a kernel runs, the panel is made of ipywidgets; on a page, a slider goes
over a handful of pictures that the same functions drew beforehand. How a later move of a slider
takes the place of an earlier one: see `live`.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor

from ddpm_lib import bound, diffusion, plotting
from ddpm_lib.arguments import check_floats
from ddpm_lib.course import live
from ddpm_lib.course.explore import Explorable
from ddpm_lib.course.live import Drawing, Job, Panel
from ddpm_lib.plotting import GRAY, MODEL
from ddpm_lib.recipes import Model
from ddpm_lib.sampling import ddim, sample, strided
from ddpm_lib.schedules import Schedule, cosine, linear
from ddpm_lib.training import BINS, LossesByTime, Record

COLUMNS = 8  # pictures in a row
LOOK_EVERY = 0.5  # seconds at least from one sentence of a monitor to the next
SHARE = 10  # pauses between its pictures, in times that drawing one takes: it costs a tenth at most
MOMENTS = 6  # of a training, for the page
READINGS = 20  # of its losses by time


# Sampling


def sampling(model: Model, n: int = 16, frames: Sequence[int] = (1, 2, 4, 8, 16, 32)) -> Panel:
    """Pictures drawn by DDIM, and what the model expected of the first of them on the way.

    frames: the numbers of steps on the page; drawing them asks the network as often as they add up
    """
    recipe, T = model.recipe, model.schedule.T
    if not recipe.pictures:
        raise ValueError(
            f"a panel shows pictures, and recipe {recipe.name} is about {recipe.shape}: "
            "plotting.trajectories draws points"
        )
    compute = partial(_samples, model, n)
    drawings = [live.last(compute(steps=steps, eta=0.0, seed=0)) for steps in frames]
    from ipywidgets import FloatSlider, IntSlider, SelectionSlider

    choices = sorted({k for k in (1, 2, 4, 8, 16, 32, 64, 125, 250, 500) if k < T} | {*frames, T})
    controls = {
        "steps": SelectionSlider(options=choices, value=frames[-1], description="steps"),
        "eta": FloatSlider(min=0, max=1, step=0.05, value=0, description="η"),
        "seed": IntSlider(min=0, max=99, value=0, description="seed"),
    }
    page = live.page(drawings, label="steps", values=[f"{steps} of {T}" for steps in frames])
    return Panel("sampling", live.box(controls, compute, drawings[-1]), page)


def _samples(model: Model, n: int, *, steps: int, eta: float, seed: int) -> Job:
    """The same pictures as recipes.walk for eta = 0, whatever the number of steps shown."""
    guess = torch.empty(0)

    def denoise(x_t: Tensor, t: diffusion.Time) -> diffusion.Prediction:
        nonlocal guess
        prediction = model.denoise(x_t, t)
        guess = prediction.x_0
        return prediction

    times = strided(model.schedule.T, steps)
    stops = {1 + (steps - 1) * k // (COLUMNS - 1) for k in range(COLUMNS)}
    randn = partial(torch.randn, generator=torch.Generator().manual_seed(seed))
    x_T = randn((n, *model.recipe.shape)).to(model.device)
    way: list[Tensor] = []
    walk = sample(ddim(eta), model.schedule, denoise, x_T, times, randn=randn)
    for k, x_u in enumerate(walk, start=1):
        if k in stops:
            way.append(guess[:1])
        x, what = guess, f"Step {k} of {steps}, at t = {times[k]}: what the model expects so far."
        if k == steps:
            count = "1 step" if steps == 1 else f"{steps} steps"
            x, what = x_u, f"{n} samples of seed {seed} after {count} with η = {eta:g}."
        yield partial(_sheet, x, way, f"{what} Below: what it expected of the first, on its way.")


def _sheet(x: Tensor, way: Sequence[Tensor], sentence: str) -> Drawing:
    """Pictures in rows, and under them a row of what was expected.  x: (n, C, H, W)"""
    pixels, _ = plotting.to_pixels(torch.cat([x, *way]))
    n, W = len(x), pixels.shape[2]
    gap = max(1, W // 14)
    above = plotting.montage(pixels[:n], COLUMNS, gap)[gap:]
    sheet = np.concatenate([above, plotting.montage(pixels[n:], COLUMNS, W // 2)])
    zoom = max(1, 900 // sheet.shape[1])
    sheet = sheet.repeat(zoom, 0).repeat(zoom, 1)
    return Drawing(iio.imwrite("<bytes>", sheet.squeeze(), extension=".png"), sentence)


# Schedules

SHAPES: dict[str, Callable[[int, float, float], Schedule]] = {
    "linear": linear,
    "cosine": lambda T, beta_1, beta_T: cosine(T),
}


def schedules(x_0: Tensor, frames: Sequence[int] = (50, 100, 200, 400, 700, 1000)) -> Panel:
    """alpha_bar and the logarithm of the SNR of a schedule, and what x_T keeps of such data, L_T.

    x_0: (B, ...) examples of the data;  frames: the numbers of noising steps on the page
    """
    check_floats(x_0, "x_0")
    compute = partial(_tables, x_0.cpu().double())
    betas = {"beta_1": 1e-4, "beta_T": 0.02}
    drawings = [live.last(compute(shape="linear", T=T, **betas)) for T in frames]
    from ipywidgets import FloatLogSlider, IntSlider, ToggleButtons

    controls = {
        "shape": ToggleButtons(options=list(SHAPES), value="linear", description="shape"),
        "T": IntSlider(min=10, max=4000, step=10, value=frames[-1], description="T"),
        "beta_1": FloatLogSlider(min=-6, max=-2, value=1e-4, step=0.1, description="β₁"),
        "beta_T": FloatLogSlider(min=-4, max=-0.1, value=0.02, step=0.1, description="β of T"),
    }

    def match(change: Any = None) -> None:
        for name in betas:  # no cosine has them
            controls[name].disabled = controls["shape"].value != "linear"

    controls["shape"].observe(match, "value")
    page = live.page(drawings, label="T", values=[str(T) for T in frames])
    return Panel("schedules", live.box(controls, compute, drawings[-1]), page)


def _tables(x_0: Tensor, *, shape: str, T: int, beta_1: float, beta_T: float) -> Job:
    schedule = SHAPES[shape](T, beta_1, beta_T)
    bits = float(bound.bits_per_dim(bound.prior_term(schedule, x_0), x_0).mean())
    sentence = (
        f"After {T} steps of the {shape} schedule, ᾱ_T is {_short(schedule.alpha_bar[-1])}, and "
        f"the prior costs L_T = {_short(bits)} bits per dimension: what x_T still tells about x_0."
    )
    yield lambda: Drawing(live.png(_curves(schedule, f"{shape}, T = {T}")), sentence)


def _curves(schedule: Schedule, name: str) -> Figure:
    figure = live.plain(6, 2.8)
    left, right = figure.subplots(1, 2, sharex=True)
    figure.subplots_adjust(0.07, 0.19, 0.98, 0.89)
    left.set(title=r"$\overline{\alpha}_t$", xlabel="$t/T$", ylim=(-0.03, 1.03))
    right.set(title=r"$\log\,\mathrm{SNR}(t)$", xlabel="$t/T$", ylim=(-16, 12))
    for table, label, color, line in (
        (cosine(1000), "cosine", GRAY, "--"),
        (schedule, name, MODEL, "-"),
    ):
        progress = torch.arange(1, table.T + 1) / table.T
        left.plot(progress, table.alpha_bar[1:], line, color=color, label=label)
        right.plot(progress, table.snr[1:].log(), line, color=color)
    left.legend()
    return figure


# Training


class History(NamedTuple):
    """What a training told, as numbers."""

    steps: list[int]
    losses: list[float]
    rates: list[float]
    by_time: list[tuple[int, list[float | None]]]  # after which step, and the means of its bins

    def until(self, step: int) -> "History":
        k = sum(s <= step for s in self.steps)
        by_time = [(s, means) for s, means in self.by_time if s <= step]
        return History(self.steps[:k], self.losses[:k], self.rates[:k], by_time)


def monitor(
    records: Iterable[Record], steps: int, by_time: LossesByTime | None = None
) -> Iterator[Record]:
    """The same records, while a panel shows how the training goes.

    steps: of the whole training;  by_time: if its `loss` is what the training uses
    """
    from IPython.display import display

    widget, view, words = live.frame()
    alt = "three curves of a training: the loss, the loss at each noise level, the learning rate"
    shown = display(Panel("monitor", widget, None), display_id=True)  # None outside of a notebook
    history = History([], [], [], [])
    waiting: list[Tensor] = []  # losses on the device: to look at one is to wait for it
    every = max(1, steps // READINGS)
    tell_at = draw_at = 0.0  # when the next sentence and the next picture are due

    def tell(record: Record) -> None:
        history.losses.extend(torch.stack(waiting).tolist() if waiting else [])
        waiting.clear()
        words.value = live.as_words(_report(history, record, steps))

    def draw() -> None:
        view.value = live.as_image(live.png(_training(history, history, steps)), alt)

    record = None
    try:
        for record in records:
            waiting.append(record.loss_on_device)
            history.steps.append(record.step)
            history.rates.append(record.learning_rate)
            if by_time is not None and record.step % every == 0:
                history.by_time.append((record.step, by_time.read()))
            if (now := time.perf_counter()) >= tell_at:
                tell(record)
                tell_at = now + LOOK_EVERY
                if now >= draw_at:
                    draw()
                    end = time.perf_counter()
                    draw_at = end + SHARE * (end - now)
            yield record
    finally:
        if record is not None:
            tell(record)
            draw()
            if shown is not None:
                shown.update(Panel("monitor", widget, _training_page(history, steps)))


def _report(history: History, record: Record, steps: int) -> str:
    if failed := int(record.failed):
        return f"From step {failed} on the loss is no finite number."
    return (
        f"Step {record.step} of {steps}: loss {_short(_recent(history.losses))}, "
        f"learning rate {_short(record.learning_rate)}, {record.images_per_second:.0f} images/s."
    )


def _training_page(history: History, steps: int) -> Explorable:
    """Moments of it, without its speed: that is another one each time."""
    count = len(history.steps)
    ends = sorted({count * k // MOMENTS or 1 for k in range(1, MOMENTS + 1)})
    stops = [history.steps[end - 1] for end in ends]
    drawings = []
    for stop in stops:
        then = history.until(stop)
        sentence = (
            f"After {stop} of {steps} steps the loss is {_recent(then.losses):.2g}, the mean over "
            "the last twentieth of them, and the learning rate is "
            f"{then.rates[-1]:.2g}."
        )
        drawings.append(Drawing(live.png(_training(then, history, steps)), sentence))
    return live.page(drawings, label="after step", values=[str(stop) for stop in stops])


def _training(history: History, whole: History, steps: int) -> Figure:
    """On axes that fit the whole of it."""
    figure = live.plain(6, 4.4)  # a constrained layout takes as long as the rest
    axes = figure.subplot_mosaic([["loss", "loss"], ["by time", "rate"]])
    figure.subplots_adjust(0.1, 0.12, 0.98, 0.94, wspace=0.3, hspace=0.55)
    window = min(20, 1 + steps // 50, len(history.losses))
    means = torch.tensor(history.losses).unfold(0, window, 1).mean(1)
    title = "loss of each step" if window == 1 else f"loss, mean of {window} steps"
    axes["loss"].set(title=title, yscale="log", xlabel="step")
    axes["loss"].plot(history.steps[window - 1 :], means, "-", color=MODEL)
    axes["by time"].set(title="loss at each $t$, latest in color", yscale="log", xlabel="$t/T$")
    t = [(k + 0.5) / BINS for k in range(BINS)]
    for _, losses in history.by_time[:-1]:
        axes["by time"].plot(t, _floats(losses), "-", color=GRAY, lw=0.5, alpha=0.4)
    for _, losses in history.by_time[-1:]:
        axes["by time"].plot(t, _floats(losses), "-", color=MODEL)
    axes["rate"].set(title="learning rate", xlabel="step")
    axes["rate"].plot(history.steps, history.rates, "-", color=MODEL)
    for name, values in (
        ("loss", whole.losses),
        ("by time", [loss for _, losses in whole.by_time for loss in losses if loss is not None]),
    ):
        positive = [value for value in values if 0 < value < math.inf]
        if positive:
            axes[name].set_ylim(min(positive) / 1.2, max(positive) * 1.2)
        axes[name].yaxis.set_minor_locator(NullLocator())
    for name in ("loss", "rate"):
        axes[name].set_xlim(0, steps)
    axes["rate"].set_ylim(0, 1.1 * max(whole.rates) or 1)
    return figure


def _floats(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _recent(losses: Sequence[float]) -> float:
    last = losses[-max(1, len(losses) // 20) :]
    return sum(last) / len(last)


def _short(value: float | Tensor) -> str:
    digits, _, power = f"{float(value):.2g}".partition("e")
    raised = str(int(power or 0)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits}·10{raised}" if power else digits
