"""What live panels are made of: an output for notebooks and pages, and sliders that may cancel.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

import imageio.v3 as iio
from matplotlib.figure import Figure
from PIL import Image

from ddpm_lib.course.explore import Explorable, explorable

SLICE = 0.2  # seconds for which one tick computes; a moved slider waits no longer, but for one step
PAUSE = 20  # milliseconds from a tick to the next, if the kernel is done by then


class Drawing(NamedTuple):
    """What a panel shows for one setting of its sliders."""

    picture: bytes  # PNG
    sentence: str


# After each step, a function that draws how far it is: most of them are never called.
Job = Iterator[Callable[[], Drawing]]


@dataclass(frozen=True)
class Panel:
    """Widgets and a page that needs none, in one output: who shows it takes what it can."""

    name: str
    widget: Any = field(repr=False)
    page: Explorable | None = field(repr=False)  # None while a training goes on

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = self.widget._repr_mimebundle_() | {"text/plain": repr(self)}
        return bundle | ({} if self.page is None else {"text/html": self.page.source})


def box(controls: Mapping[str, Any], compute: Callable[..., Job], first: Drawing) -> Any:
    """The controls over what `compute` makes of their values, once one has been moved."""
    from ipywidgets import Play, VBox

    widget, view, words = frame()
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
        view.value = as_image(drawing.picture, drawing.sentence)
        words.value = as_words(drawing.sentence)

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


def frame() -> tuple[Any, Any, Any]:
    """A box with a place for a picture and one for words, and these two."""
    from ipywidgets import HTML, VBox

    view, words = HTML(), HTML()  # and not Image, which has no alternative text
    return VBox([view, words]), view, words


def page(drawings: Sequence[Drawing], *, label: str, values: Sequence[str]) -> Explorable:
    """A slider over drawings, which needs no kernel."""
    frames = [
        {"value": value, "picture": _uri(drawing.picture), "sentence": drawing.sentence}
        for value, drawing in zip(values, drawings, strict=True)
    ]
    pixels = iio.imread(drawings[-1].picture, extension=".png")
    height, width = pixels.shape[:2]
    still = plain(width / 200, height / 200)  # each pixel stays one
    ax = still.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    size = {"width": width, "height": height}
    return explorable("scrubber", {"label": label, "frames": frames, **size}, still=still)


def last(job: Job) -> Drawing:
    *_, draw = job
    return draw()


def png(figure: Figure) -> bytes:
    """The figure in 16 colors, which is a quarter of the bytes."""
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white")
    with Image.open(buffer) as picture:
        colors = picture.convert("RGB").quantize(
            16, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    colors.save(small, "PNG", optimize=True)
    return small.getvalue()


def as_image(png: bytes, alt: str) -> str:
    if not png:
        return ""
    return f'<img src="{_uri(png)}" alt="{html.escape(alt)}" style="width: min(100%, 600px)">'


def as_words(sentence: str) -> str:
    """As HTML, with an index for what follows an underscore."""
    return re.sub(r"\b(\w)_(\w)\b", r"<i>\1</i><sub>\2</sub>", html.escape(sentence))


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def plain(width: float, height: float) -> Figure:
    """A figure of so many inches, without a layout engine, whatever the style."""
    return Figure(figsize=(width, height), layout="none")  # type: ignore[arg-type]  # no stub has it
