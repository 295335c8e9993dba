"""Live panels: their widgets driven from Python, and what a page shows in their place."""

import base64
import io
import json
import math
import re
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import ClassVar

import imageio.v3 as iio
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import traitlets

from ddpm_lib import bound, plotting, recipes
from ddpm_lib.course import live, panels
from ddpm_lib.course.recipes import SMALL_DIGITS
from ddpm_lib.diffusion import Prediction, signal_and_noise
from ddpm_lib.named.points import RING
from ddpm_lib.recipes import Model
from ddpm_lib.schedules import cosine, linear
from ddpm_lib.training import BINS, Record

SCHEDULE = cosine(100)


class Denoiser:
    """Knows little, and counts how often it is asked."""

    def __init__(self):
        self.times = []

    def __call__(self, x_t, t):
        self.times.append(t)
        x_0 = x_t.tanh()
        a, s = signal_and_noise(SCHEDULE, t, like=x_t)
        return Prediction(x_0, (x_t - a * x_0) / s)


@pytest.fixture
def denoise():
    return Denoiser()


@pytest.fixture
def model(denoise):
    recipe = SMALL_DIGITS
    return Model(recipe, SCHEDULE, denoise, torch.device("cpu"), torch.nn.Identity())


@pytest.fixture
def panel(model, denoise, monkeypatch):
    """Of which every tick takes one step."""
    monkeypatch.setattr(live, "SLICE", 0.0)
    panel = panels.sampling(model, n=3, frames=(1, 4))
    denoise.times.clear()
    return panel


def control(panel, name):
    return next(w for w in panel.widget.children if getattr(w, "description", "") == name)


def clock(panel):
    return panel.widget.children[-1]


def view(panel):
    return panel.widget.children[-2].children[0]


def words(panel):
    return panel.widget.children[-2].children[1].value


def tick(panel, times=1):
    """What the browser does while it plays."""
    for _ in range(times):
        if clock(panel).playing:
            clock(panel).value += 1


def pixels(html):
    return iio.imread(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]), extension=".png")


def sheet(x, zoom=12):
    """The rows of samples in a panel's picture."""
    shown = plotting.montage(plotting.to_pixels(x)[0], panels.COLUMNS, 1)[1:, :, 0]
    return shown.repeat(zoom, 0).repeat(zoom, 1)


# ------------------------------------------------------------------------------ one call, two ways


def test_one_output_holds_the_widgets_and_the_page(panel):
    bundle = panel._repr_mimebundle_()
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == panel.widget.model_id
    assert bundle["text/html"] == panel.page._repr_html_()
    assert bundle["text/plain"] == "Panel(name='sampling')"


def test_nothing_runs_until_a_slider_moves(model, denoise):
    threads = threading.enumerate()
    panel = panels.sampling(model, n=3, frames=(2, 4))
    assert len(denoise.times) == 6  # for the page
    panel._repr_mimebundle_()
    assert len(denoise.times) == 6
    assert threading.enumerate() == threads
    assert not clock(panel).playing


def test_the_panel_begins_with_the_last_picture_of_the_page(panel):
    frames = data(panel.page)["frames"]
    assert [frame["value"] for frame in frames] == ["1 of 100", "4 of 100"]
    assert frames[-1]["picture"] in view(panel).value
    assert words(panel) == frames[-1]["sentence"]


def data(page):
    return json.loads(re.search(r'^mount\("\S+", scrubber, (.*)\);$', page.source, re.M)[1])


def test_the_page_repeats_and_is_light(model):
    pages = [panels.sampling(model).page for _ in range(2)]
    assert pages[0] == pages[1]
    assert len(pages[0].source) < 250_000


def test_importing_panels_does_not_import_widgets():
    program = "import sys, ddpm_lib.course.panels; assert 'ipywidgets' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# ------------------------------------------------------------------------------ sampling


def test_the_sliders_draw_the_samples_of_the_library(panel, model):
    control(panel, "seed").value = 7
    tick(panel, 10)
    *_, x_0 = recipes.walk(model, 3, seed=7, steps=4)
    got, want = pixels(view(panel).value), sheet(x_0)
    np.testing.assert_array_equal(got[: len(want)], want)
    assert words(panel).startswith("3 samples of seed 7 after 4 steps with η = 0.")
    control(panel, "η").value = 1.0
    tick(panel, 10)
    assert "with η = 1." in words(panel)
    assert (pixels(view(panel).value)[: len(want)] != want).any()


def test_guesses_are_shown_on_the_way(panel, model, denoise):
    control(panel, "steps").value = 8
    assert words(panel).startswith("Step 1 of 8, at t = 87: what the model expects so far.")
    noise = torch.randn((3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    guess = denoise(noise, 100).x_0
    want = sheet(guess)
    np.testing.assert_array_equal(pixels(view(panel).value)[: len(want)], want)
    row = pixels(view(panel).value)[len(want) :]
    first, others = row[48:144, :96], row[48:144, 108:]
    np.testing.assert_array_equal(first, sheet(guess[:1])[:, :96])
    assert (others == 255).all()  # the places of the guesses to come


def test_the_browser_is_asked_for_ticks_only_while_there_is_work(panel):
    control(panel, "steps").value = 8
    for _ in range(7):
        assert clock(panel).playing
        tick(panel)
    tick(panel)
    assert not clock(panel).playing
    assert words(panel).startswith("3 samples of seed 0 after 8 steps")


def test_a_move_stops_the_earlier_computation(panel, model, denoise):
    said = []
    panel.widget.children[-2].children[1].observe(lambda change: said.append(change.new), "value")
    control(panel, "steps").value = 100
    tick(panel, 4)
    assert denoise.times == [100, 99, 98, 97, 96]
    assert len(said) == 5
    said.clear()
    denoise.times.clear()
    control(panel, "steps").value = 2  # its first step at once, and none of the earlier any more
    tick(panel, 200)
    assert denoise.times == [100, 50]
    assert [re.search(r"of (\d+),|after (\d+)", text)[0] for text in said] == ["of 2,", "after 2"]
    *_, x_0 = recipes.walk(model, 3, seed=0, steps=2)
    want = sheet(x_0)
    np.testing.assert_array_equal(pixels(view(panel).value)[: len(want)], want)


def test_only_the_last_of_many_moves_is_finished(panel, denoise):
    for seed in range(1, 30):
        control(panel, "seed").value = seed
    assert len(denoise.times) == 29  # one step each
    tick(panel, 200)
    assert len(denoise.times) == 28 + 4
    assert words(panel).startswith("3 samples of seed 29")


def test_a_tick_that_comes_late_does_nothing(panel, denoise):
    """The browser has sent it before it learned that the work is done."""
    control(panel, "steps").value = 2
    tick(panel, 5)
    asked, shown = len(denoise.times), view(panel).value
    clock(panel).value += 1
    assert len(denoise.times) == asked
    assert view(panel).value == shown


def test_a_move_in_another_thread_stops_what_runs_at_its_next_step(model, denoise, monkeypatch):
    """JupyterLab answers the messages of widgets in several threads."""
    monkeypatch.setattr(live, "SLICE", math.inf)
    panel = panels.sampling(model, n=3, frames=(1, 4))
    denoise.times.clear()
    inside, go_on = threading.Event(), threading.Event()
    said = []
    panel.widget.children[-2].children[1].observe(lambda change: said.append(change.new), "value")

    def ask(self, x_t, t):
        if t == 98:
            inside.set()
            assert go_on.wait(60)
        return answer(self, x_t, t)

    answer = Denoiser.__call__
    monkeypatch.setattr(Denoiser, "__call__", ask)
    first = threading.Thread(target=lambda: setattr(control(panel, "steps"), "value", 100))
    first.start()
    assert inside.wait(60)
    control(panel, "steps").value = 2  # returns at once, though the other is still in its step
    assert denoise.times == [100, 99]
    go_on.set()
    first.join()
    assert denoise.times == [100, 99, 98]
    assert not said  # a cancelled computation draws nothing
    assert clock(panel).playing
    tick(panel)
    assert denoise.times == [100, 99, 98, 100, 50]
    assert [text.split(" with")[0] for text in said] == ["3 samples of seed 0 after 2 steps"]
    assert not clock(panel).playing


@pytest.mark.parametrize("moment", [0.0, 60.0])  # its drawing comes before its end, or with it
def test_what_is_replaced_while_it_is_drawn_is_not_shown(model, monkeypatch, moment):
    monkeypatch.setattr(live, "SLICE", moment)
    panel = panels.sampling(model, n=3, frames=(1, 4))

    def draw(*args):
        monkeypatch.setattr(panels, "_sheet", sheet_of)
        control(panel, "seed").value = 9  # comes in between
        return sheet_of(*args)

    sheet_of, before = panels._sheet, view(panel).value
    monkeypatch.setattr(panels, "_sheet", draw)
    control(panel, "steps").value = 1  # its last step too
    assert view(panel).value == before
    assert clock(panel).playing
    tick(panel)
    assert words(panel).startswith("3 samples of seed 9 after 1 step with")


def test_a_browser_that_was_loaded_anew_hears_of_the_next_move(panel):
    told = []
    clock(panel).observe(lambda change: told.append(change.new), "playing")
    control(panel, "steps").value = 100
    control(panel, "seed").value = 1
    assert told == [True, False, True]


def test_a_longer_moment_takes_more_steps(panel, model, denoise, monkeypatch):
    monkeypatch.setattr(live, "SLICE", 3.0)
    now = iter(range(1000))
    monkeypatch.setattr(live, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    panel = panels.sampling(model, n=3, frames=(1, 4))
    denoise.times.clear()
    control(panel, "steps").value = 100
    assert len(denoise.times) == 3
    tick(panel)
    assert len(denoise.times) == 6


def test_without_ticks_a_move_is_followed_to_the_end(model, monkeypatch):
    """As by ipywidgets 7, which Colab has: its clock starts only by hand."""

    class Play(ipywidgets.BoundedIntText):
        interval = traitlets.Int()

    monkeypatch.setattr(ipywidgets, "Play", Play)
    panel = panels.sampling(model, n=3, frames=(1, 4))
    control(panel, "steps").value = 100
    assert words(panel).startswith("3 samples of seed 0 after 100 steps")


def test_an_error_is_told_in_the_panel(panel, denoise, monkeypatch):
    def fail(self, x_t, t):
        if t < 75:
            raise RuntimeError("no <memory> for x_t")
        return ask(self, x_t, t)

    ask = Denoiser.__call__
    monkeypatch.setattr(Denoiser, "__call__", fail)
    control(panel, "seed").value = 3  # t = 100, 75, and then 50
    tick(panel)
    assert view(panel).value
    tick(panel)
    message = "no &lt;memory&gt; for <i>x</i><sub>t</sub>"
    assert words(panel) == f"This does not work: {message} (RuntimeError)"
    assert not view(panel).value
    assert not clock(panel).playing
    monkeypatch.setattr(Denoiser, "__call__", ask)
    control(panel, "seed").value = 4
    tick(panel, 10)
    assert words(panel).startswith("3 samples of seed 4")


def test_a_picture_that_cannot_be_drawn_is_told_too(panel, monkeypatch):
    def fail(*args):
        raise ValueError("no pixels")

    monkeypatch.setattr(plotting, "montage", fail)
    control(panel, "steps").value = 1
    assert words(panel) == "This does not work: no pixels (ValueError)"


def test_points_are_refused(model):
    model = model._replace(recipe=RING)
    with pytest.raises(ValueError, match=r"shows pictures, and recipe ring is about \(2,\)"):
        panels.sampling(model)


# ------------------------------------------------------------------------------ schedules


@pytest.fixture
def x_0():
    return torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8).expand(5, 1, 8, 8).float()


def prior(schedule, x_0):
    return float(bound.bits_per_dim(bound.prior_term(schedule, x_0.double()), x_0).mean())


def numbers(panel):
    """alpha_bar_T and L_T, as the sentence has them."""
    found = re.search(r"is (\S+), and the prior costs .* = (\S+) bits per dimension", words(panel))
    plain = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    return [float(number.replace("·10", "e").translate(plain)) for number in found.groups()]


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12"), (2e-5, "2·10⁻⁵"), (1.27e-13, "1.3·10⁻¹³"), (0.0, "0")]
)
def test_a_small_number_is_written_as_in_a_book(value, text):
    assert panels._short(value) == text


def test_a_schedule_is_described(x_0):
    def about(schedule):
        return pytest.approx([float(schedule.alpha_bar[-1]), prior(schedule, x_0)], rel=0.05)

    panel = panels.schedules(x_0, frames=(50, 1000))
    control(panel, "T").value = 200
    assert numbers(panel) == about(linear(200))
    control(panel, "β of T").value = 0.1
    assert numbers(panel) == about(linear(200, beta_T=0.1))
    control(panel, "shape").value = "cosine"
    assert words(panel).startswith("After 200 steps of the cosine schedule")
    assert numbers(panel) == about(cosine(200))
    assert [frame["value"] for frame in data(panel.page)["frames"]] == ["50", "1000"]


def test_what_a_cosine_lacks_cannot_be_moved(x_0):
    panel = panels.schedules(x_0, frames=(50, 1000))
    ends = [control(panel, name) for name in ("β₁", "β of T")]
    for shape, off in (("linear", False), ("cosine", True), ("linear", False)):
        control(panel, "shape").value = shape
        assert [end.disabled for end in ends] == [off, off]


def test_pixels_are_refused():
    with pytest.raises(TypeError, match="x_0 is a tensor of floats"):
        panels.schedules(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))


# ------------------------------------------------------------------------------ training

draw = live.png
PNG = iio.imwrite("<bytes>", np.zeros((40, 60), np.uint8), extension=".png")
WAITS = {"tolist", "item", "__float__", "__int__", "__bool__", "cpu", "numpy"}


class Watched(torch.Tensor):
    """A tensor that notes when somebody looks at it."""

    looks: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in WAITS:
            cls.looks.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs)


def told(steps, failed=0):
    for step in range(1, steps + 1):
        loss = torch.tensor(1 / step).as_subclass(Watched)
        yield Record(step, 1e-3, 100.0 + step, loss, torch.tensor(failed * (step >= failed)))


@pytest.fixture
def shown(monkeypatch):
    """What was displayed: a panel, and what it was updated with."""
    outputs = []

    def display(panel, display_id):
        outputs.append(panel)
        return SimpleNamespace(update=outputs.append)

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(live, "png", lambda figure: PNG)
    return outputs


@pytest.fixture
def time(monkeypatch):
    time = SimpleNamespace(now=0.0)
    time.perf_counter = lambda: time.now
    monkeypatch.setattr(panels, "time", time)
    return time


def test_records_pass_unchanged(shown):
    records = list(told(30))
    got = list(panels.monitor(iter(records), 30))
    assert all(a is b for a, b in zip(got, records, strict=True))


def test_no_step_waits_for_the_device(shown, time):
    Watched.looks.clear()
    watching = panels.monitor(told(100), 100)
    next(watching)
    assert len(Watched.looks) == 1  # the first is shown
    for _ in range(98):
        next(watching)
    assert len(Watched.looks) == 1
    time.now += panels.LOOK_EVERY
    next(watching)
    assert len(Watched.looks) == 2


def test_a_picture_costs_a_tenth_of_the_time_at_most(shown, time, monkeypatch):
    drawn = []

    def draw(figure):
        drawn.append(time.now)
        time.now += 2.0  # what it takes
        return b""

    monkeypatch.setattr(live, "png", draw)
    monkeypatch.setattr(panels, "_training_page", lambda *a: None)
    for _ in panels.monitor(told(100), 100):
        time.now += 1.0
    assert drawn[:-1] == [0, 22, 44, 66, 88]  # each took 2, and 20 went by until the next


def test_the_monitor_says_how_it_goes(shown, time):
    for record in panels.monitor(told(10), 10):
        time.now += 1.0
        said = shown[0].widget.children[1].value
        assert said.startswith(f"Step {record.step} of 10: loss ")
        assert said.endswith(f"{100 + record.step} images/s.")
    assert "loss 0.1, learning rate 0.001," in said


def test_the_monitor_ends_as_a_page(shown, monkeypatch):
    monkeypatch.setattr(live, "png", draw)
    list(panels.monitor(told(60), 60))
    first, last = shown
    assert first.page is None
    assert "text/html" not in first._repr_mimebundle_()
    assert last.widget is first.widget
    frames = data(last.page)["frames"]
    assert [frame["value"] for frame in frames] == ["10", "20", "30", "40", "50", "60"]
    assert len({frame["picture"] for frame in frames}) == 6


def test_the_page_of_a_training_does_not_depend_on_its_speed(shown, time, monkeypatch):
    monkeypatch.setattr(live, "png", draw)
    monkeypatch.setattr(panels, "MOMENTS", 2)
    for pause in (0.0, 1.0):
        for _ in panels.monitor(told(5), 5):
            time.now += pause
    assert shown[1].page == shown[3].page


def test_a_loop_that_is_left_leaves_a_page(shown):
    for record in panels.monitor(told(60), 60):
        if record.step == 30:
            break
    assert data(shown[-1].page)["frames"][-1]["value"] == "30"
    assert "After 30 of 60 steps" in data(shown[-1].page)["frames"][-1]["sentence"]


def test_an_error_in_the_loop_is_not_hidden(shown):
    def failing():
        yield from told(3)
        raise RuntimeError("no memory left")

    with pytest.raises(RuntimeError, match="no memory left"):
        list(panels.monitor(failing(), 60))
    assert len(shown) == 2
    with pytest.raises(RuntimeError, match="at once"):
        list(panels.monitor((_ for _ in ()).throw(RuntimeError("at once")), 60))


def test_a_loss_that_is_no_number_is_told(shown):
    list(panels.monitor(told(5, failed=3), 5))
    assert shown[0].widget.children[1].value == "From step 3 on the loss is no finite number."


def test_losses_by_time_are_read_now_and_then(shown):
    readings = []

    def read():
        readings.append(len(readings))
        return [None] + [1.0 + len(readings)] * (BINS - 1)

    list(panels.monitor(told(100), 100, SimpleNamespace(read=read)))
    assert len(readings) == panels.READINGS


def test_a_training_is_drawn_on_axes_for_the_whole_of_it():
    history = panels.History([1, 2, 3], [4.0, 2.0, 1.0], [0.1, 0.2, 0.1], [(2, [1.0] * BINS)])
    early, late = (panels._training(history.until(k), history, 10) for k in (2, 3))
    for a, b in zip(early.axes, late.axes, strict=True):
        assert a.get_ylim() == b.get_ylim() and a.get_xlim()[1] == b.get_xlim()[1]
    lines = early.axes[0].lines
    assert len(lines[0].get_xdata()) < len(late.axes[0].lines[0].get_xdata())
    assert io.BytesIO(live.png(early)).getbuffer().nbytes < 30_000


def test_the_course_style_changes_no_layout(recwarn):
    """A warning would stand on the page, and fail the build."""
    with plt.rc_context():
        plotting.style()
        figure = live.plain(4, 2)
        figure.subplots_adjust(0.1, 0.2)
        figure.savefig(io.BytesIO())
    assert not recwarn.list
    assert figure.subplotpars.left == 0.1
