"""Live panels for one's own model: sliders in a notebook, and pictures to scrub on a page.

One call serves both. Where a kernel runs, the panel is made of ipywidgets; on a page, a slider goes
over a handful of pictures that the same functions drew beforehand.

What a panel computes is a generator, and the notebook's page drives it: each tick, a message from
the browser, lets it run for a moment. So a later move of a slider finds the kernel free, and takes
the place of an earlier one at its next step; and where nobody watches, nothing runs. A thread would
do the first as well, but Colab does not show what a thread sends.
"""

import base64
import html
import io
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from PIL import Image
from torch import Tensor

from ddpm_lib import bound, diffusion, plotting
from ddpm_lib.explore import Explorable, explorable
from ddpm_lib.plotting import GRAY, MODEL
from ddpm_lib.recipes import Model
from ddpm_lib.runs import BINS, LossesByTime
from ddpm_lib.sampling import ddim, sample, strided
from ddpm_lib.schedules import Schedule, cosine, linear
from ddpm_lib.training import Record

SLICE = 0.2  # seconds for which one tick computes; a moved slider waits no longer, but for one step
PAUSE = 20  # milliseconds from a tick to the next, if the kernel is done by then
ACROSS = 8  # pictures in a row
OFTEN = 0.5  # seconds at least from one sentence of a monitor to the next
SHARE = 10  # pauses between its pictures, in times that drawing one takes: it costs a tenth at most
MOMENTS = 6  # of a training, for the page
READINGS = 20  # of its losses by time


class Drawing(NamedTuple):
    """What a panel shows for one setting of its sliders."""

    picture: bytes  # PNG
    sentence: str


# After each step, a function that draws how far it is: most of them are never called.
Job = Iterator[Callable[[], Drawing]]


@dataclass(frozen=True)
class Panel:
    """Widgets and a page that needs none, in one output: who shows it takes what it can."""

    alt: str
    widget: Any = field(repr=False)
    page: Explorable | None = field(repr=False)  # None while a training goes on

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = self.widget._repr_mimebundle_() | {"text/plain": repr(self)}
        return bundle | ({} if self.page is None else {"text/html": self.page.source})


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
    drawings = [_last(compute(steps=steps, eta=0.0, seed=0)) for steps in frames]
    from ipywidgets import FloatSlider, IntSlider, SelectionSlider

    choices = sorted({k for k in (1, 2, 4, 8, 16, 32, 64, 125, 250, 500) if k < T} | {*frames, T})
    controls = {
        "steps": SelectionSlider(options=choices, value=frames[-1], description="steps"),
        "eta": FloatSlider(min=0, max=1, step=0.05, value=0, description="η"),
        "seed": IntSlider(min=0, max=99, value=0, description="seed"),
    }
    alt = f"{n} pictures drawn by {recipe.name}, and the model's guesses on the way to the first"
    page = _page(
        drawings,
        label="steps",
        values=[f"{steps} of {T}" for steps in frames],
        alt=alt,
        caption=f"{n} samples, and under them <i>x̂</i><sub>0</sub> of the first on its way "
        "(−1 black … 1 white). The noise is the same for any number of steps. In a running "
        "notebook, this cell has sliders for the steps, η and the seed.",
    )
    return Panel(alt, _live(controls, compute, drawings[-1]), page)


def _samples(model: Model, n: int, *, steps: int, eta: float, seed: int) -> Job:
    """The same pictures as recipes.walk for eta = 0, whatever the number of steps shown."""
    guess = torch.empty(0)

    def denoise(x_t: Tensor, t: diffusion.Time) -> diffusion.Prediction:
        nonlocal guess
        prediction = model.denoise(x_t, t)
        guess = prediction.x_0
        return prediction

    times = strided(model.schedule.T, steps)
    stops = {1 + (steps - 1) * k // (ACROSS - 1) for k in range(ACROSS)}
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
    above = plotting.montage(pixels[:n], ACROSS, gap)[gap:]
    sheet = np.concatenate([above, plotting.montage(pixels[n:], ACROSS, W // 2)])
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
    diffusion.check(x_0, "x_0")
    compute = partial(_tables, x_0.double())
    betas = {"beta_1": 1e-4, "beta_T": 0.02}
    drawings = [_last(compute(shape="linear", T=T, **betas)) for T in frames]
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
    alt = "two curves of a noise schedule over t / T: alpha bar and the logarithm of the SNR"
    page = _page(
        drawings,
        label="T",
        values=[str(T) for T in frames],
        alt=alt,
        caption="A linear schedule from β<sub>1</sub> = 0.0001 to β<sub><i>T</i></sub> = 0.02, "
        "and in gray the cosine schedule. In a running notebook, this cell has controls for the "
        "shape, <i>T</i> and the two ends.",
    )
    return Panel(alt, _live(controls, compute, drawings[-1]), page)


def _tables(x_0: Tensor, *, shape: str, T: int, beta_1: float, beta_T: float) -> Job:
    schedule = SHAPES[shape](T, beta_1, beta_T)
    bits = float(bound.bits_per_dim(bound.prior_term(schedule, x_0), x_0).mean())
    sentence = (
        f"After {T} steps of the {shape} schedule, ᾱ_T is {_short(schedule.alpha_bar[-1])}, and "
        f"the prior costs L_T = {_short(bits)} bits per dimension: what x_T still tells about x_0."
    )
    yield lambda: Drawing(_png(_curves(schedule, f"{shape}, T = {T}")), sentence)


def _curves(schedule: Schedule, name: str) -> Figure:
    figure = _plain(6, 2.8)
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

    widget, view, words = _frame()
    alt = "three curves of a training: the loss, the loss at each noise level, the learning rate"
    shown = display(Panel(alt, widget, None), display_id=True)  # None outside of a notebook
    history = History([], [], [], [])
    waiting: list[Tensor] = []  # losses on the device: to look at one is to wait for it
    every = max(1, steps // READINGS)
    tell_at = draw_at = 0.0  # when the next sentence and the next picture are due

    def tell(record: Record) -> None:
        history.losses.extend(torch.stack(waiting).tolist() if waiting else [])
        waiting.clear()
        words.value = _words(_report(history, record, steps))

    def draw() -> None:
        view.value = _image(_png(_training(history, history, steps)), alt)

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
                tell_at = now + OFTEN
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
                shown.update(Panel(alt, widget, _training_page(history, steps, alt)))


def _report(history: History, record: Record, steps: int) -> str:
    if failed := int(record.failed):
        return f"From step {failed} on the loss is no finite number."
    return (
        f"Step {record.step} of {steps}: loss {_short(_recent(history.losses))}, "
        f"learning rate {record.learning_rate:.2g}, {record.images_per_second:.0f} images/s."
    )


def _training_page(history: History, steps: int, alt: str) -> Explorable:
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
        drawings.append(Drawing(_png(_training(then, history, steps)), sentence))
    return _page(
        drawings,
        label="after step",
        values=[str(stop) for stop in stops],
        alt=alt,
        caption="A training, looked at now and then. In a running notebook, this picture follows "
        "it while it goes on.",
    )


def _training(history: History, whole: History, steps: int) -> Figure:
    """On axes that fit the whole of it."""
    figure = _plain(6, 4.4)  # a constrained layout takes as long as the rest
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


# What the panels are made of


def _live(controls: Mapping[str, Any], compute: Callable[..., Job], first: Drawing) -> Any:
    """The controls over what `compute` makes of their values, once one has been moved."""
    from ipywidgets import Play, VBox

    widget, view, words = _frame()
    # Its button is hidden: it is here to call again and again. Before ipywidgets 8 it starts only
    # when pressed, so there, as in Colab today, a moved slider is followed to the end at once.
    clock = Play(max=2**31 - 1, interval=PAUSE, layout={"display": "none"})
    moment = SLICE if "playing" in clock.traits() else math.inf
    job: Job = iter(())
    # JupyterLab brings a move in one thread while a tick still runs in another.
    running, changing = Lock(), Lock()

    def move(change: Any = None) -> None:
        nonlocal job
        with changing:
            job = compute(**{name: control.value for name, control in controls.items()})
            clock.playing = False  # a page that was loaded anew would miss that it still is True
            clock.playing = True
        tick()

    def tick(change: Any = None) -> None:
        nonlocal job
        if not running.acquire(blocking=False):
            return  # what runs stops by itself if there is a new job, and the next tick begins that
        try:
            mine = job
            drawing, done = _advance(mine, moment, lambda: job is not mine)
            with changing:
                if job is mine and drawing is not None:
                    show(drawing)
                if job is mine and done:
                    job = iter(())
                    clock.playing = False
        finally:
            running.release()

    def show(drawing: Drawing) -> None:
        view.value = _image(drawing.picture, drawing.sentence)
        words.value = _words(drawing.sentence)

    show(first)
    clock.observe(tick, "value")
    for control in controls.values():
        control.observe(move, "value")
        control.layout.width = "min(100%, 480px)"
    return VBox([*controls.values(), widget, clock])


def _advance(job: Job, seconds: float, stopped: Callable[[], bool]) -> tuple[Drawing | None, bool]:
    """Take steps for so long, one at least: what the latest shows, and whether there is no more."""
    end, latest, done = time.perf_counter() + seconds, None, False
    try:
        while not done and not stopped():
            draw = next(job, None)
            latest, done = draw or latest, draw is None
            if time.perf_counter() >= end:
                break
        return None if latest is None or stopped() else latest(), done
    except Exception as error:
        return Drawing(b"", f"This does not work: {error} ({type(error).__name__})"), True


def _frame() -> tuple[Any, Any, Any]:
    """A box with a place for a picture and one for words, and these two."""
    from ipywidgets import HTML, VBox

    view, words = HTML(), HTML()  # and not Image, which has no alternative text
    return VBox([view, words]), view, words


def _page(
    drawings: Sequence[Drawing], *, label: str, values: Sequence[str], alt: str, caption: str
) -> Explorable:
    """A slider over drawings, which needs no kernel."""
    frames = [
        {"value": value, "picture": _uri(drawing.picture), "sentence": drawing.sentence}
        for value, drawing in zip(values, drawings, strict=True)
    ]
    pixels = iio.imread(drawings[-1].picture, extension=".png")
    height, width = pixels.shape[:2]
    still = _plain(width / 200, height / 200)  # each pixel stays one
    ax = still.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    size = {"width": width, "height": height}
    return explorable(
        "scrubber",
        {"label": label, "frames": frames, "alt": alt, **size},
        still=still,
        alt=alt,
        caption=caption,
    )


def _last(job: Job) -> Drawing:
    *_, draw = job
    return draw()


def _png(figure: Figure) -> bytes:
    """The figure in 16 colors, which is a quarter of the bytes."""
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white")
    with Image.open(buffer) as picture:
        colors = picture.convert("RGB").quantize(
            16, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    colors.save(small, "PNG", optimize=True)
    return small.getvalue()


def _image(png: bytes, alt: str) -> str:
    if not png:
        return ""
    return f'<img src="{_uri(png)}" alt="{html.escape(alt)}" style="width: min(100%, 600px)">'


def _words(sentence: str) -> str:
    """As HTML, with an index for what follows an underscore."""
    return re.sub(r"\b(\w)_(\w)\b", r"<i>\1</i><sub>\2</sub>", html.escape(sentence))


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _short(value: float | Tensor) -> str:
    return f"{float(value):.2g}"


def _plain(width: float, height: float) -> Figure:
    """A figure of so many inches, without a layout engine, whatever the style."""
    return Figure(figsize=(width, height), layout="none")  # type: ignore[arg-type]  # no stub has it
