"""Training against Algorithm 1 written out, and against itself computed in other ways."""

import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ddpm_lib import checkpoints
from ddpm_lib.conditions import Known
from ddpm_lib.data import scale
from ddpm_lib.devices import OneDevice
from ddpm_lib.diffusion import EPS, V, add_noise, loss
from ddpm_lib.networks.tiny import MLP
from ddpm_lib.networks.unet import UNet
from ddpm_lib.schedules import cosine, linear
from ddpm_lib.training import (
    LossesByTime,
    Run,
    Settings,
    learning_rate,
    training_steps,
)

SCHEDULE = linear(20)
POINTS = torch.randn(30, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
SHORT = Settings(steps=5, batch=8, warmup=2, ema=0.9)


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return MLP(2, 8).double()


def trained(settings: Settings, network: nn.Module | None = None, **options) -> tuple[Run, list]:
    run = Run(network or mlp(), settings)
    options = {"data": POINTS, "parameterization": EPS, **options}
    return run, [record.loss for record in training_steps(run, SCHEDULE, **options)]


def weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()])


# Algorithm 1


def test_algorithm_1_written_out() -> None:
    """x_0 ~ data, t ~ U{1..T}, eps ~ N(0, I); gradient of |eps - eps_theta(x_t, t)|^2; Adam."""
    network, average = mlp(), weights(mlp())
    chance = torch.Generator().manual_seed(0)
    noise = torch.Generator().manual_seed(int(torch.randint(2**31, (), generator=chance)))
    adam = torch.optim.Adam(network.parameters())
    losses, rates = [], []
    for step in range(1, 6):
        x_0 = POINTS[torch.randint(30, (8,), generator=chance)]
        t = torch.randint(1, 21, (8,), generator=chance)
        eps = torch.randn(8, 2, generator=noise, dtype=torch.float64)
        alpha_bar = SCHEDULE.alpha_bar[t][:, None]
        x_t = alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps
        value = ((network(x_t, t) - eps) ** 2).mean()
        adam.zero_grad()
        value.backward()
        gradient = torch.cat([p.grad.reshape(-1) for p in network.parameters()])
        for parameter in network.parameters():
            parameter.grad *= min(1, 0.05 / (gradient.norm() + 1e-6))
        rate = 2e-3 * min(1, step / 2) * (1 + math.cos(math.pi * (step - 1) / 5)) / 2
        adam.param_groups[0]["lr"] = rate
        adam.step()
        memory = min(0.9, step / (step + 9))
        average = memory * average + (1 - memory) * weights(network)
        losses.append(value.item())
        rates.append(rate)

    run = Run(mlp(), replace(SHORT, clip=0.05))
    records = list(training_steps(run, SCHEDULE, EPS, POINTS))
    assert [record.step for record in records] == [1, 2, 3, 4, 5] and run.step == 5
    assert [record.loss for record in records] == pytest.approx(losses, rel=1e-12)
    assert [record.learning_rate for record in records] == pytest.approx(rates, rel=1e-12)
    assert torch.allclose(weights(run.network), weights(network), rtol=0, atol=1e-12)
    assert torch.allclose(weights(run.average), average, rtol=0, atol=1e-12)
    assert not torch.allclose(average, weights(network), rtol=0, atol=1e-5)


class Gain(nn.Module):
    """eps_hat = gain_t x_t: for x_0 = 0 the best gain is 1 / sqrt(1 - alpha_bar_t)."""

    def __init__(self, T: int) -> None:
        super().__init__()
        self.gain = nn.Embedding(T + 1, 1)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.gain(t) * x_t


def test_the_minimum_is_found_at_every_t() -> None:
    torch.manual_seed(0)
    network, schedule = Gain(5), linear(5, 0.1, 0.5)
    run = Run(network, Settings(steps=400, batch=32, learning_rate=0.1, clip=math.inf))
    for record in training_steps(run, schedule, EPS, torch.zeros(3, 4)):
        last = record
    best = (1 - schedule.alpha_bar[1:]).rsqrt()
    assert last.loss < 1e-4
    assert torch.allclose(network.gain.weight[1:, 0].double(), best, rtol=1e-2)


def test_draws_are_uniform_over_examples_and_times() -> None:
    seen: list[Tensor] = []

    def watch(schedule, network, parameterization, x_0, *, t, eps):
        seen.append(torch.stack([x_0[:, 0], t.double(), eps[:, 0]]))
        return loss(schedule, network, parameterization, x_0, t=t, eps=eps)

    data = torch.arange(10, dtype=torch.float64)[:, None].expand(-1, 2).contiguous()
    trained(Settings(steps=20, batch=500), data=data, loss=watch)
    x_0, t, eps = torch.cat(seen, dim=1)
    n = x_0.numel()
    for values, outcomes in ((x_0, range(10)), (t, range(1, 21))):
        counts = torch.stack([(values == v).sum() for v in outcomes]).double()
        p = 1 / len(outcomes)
        assert counts.sum() == n
        assert ((counts - n * p).abs() < 5 * (n * p) ** 0.5).all()
    assert abs(eps.mean()) < 5 / n**0.5 and abs(eps.var() - 1) < 5 * (2 / n) ** 0.5
    independent = torch.corrcoef(torch.stack([x_0, t, eps])).fill_diagonal_(0).abs().max()
    assert independent < 5 / n**0.5


def test_weighted_loss_and_other_targets() -> None:
    """A loss is a function: three times the loss is three times the numbers, V is not EPS."""
    three_times = lambda *args, **options: 3 * loss(*args, **options)
    _, plain = trained(SHORT)
    _, weighted = trained(SHORT, loss=three_times)
    _, v = trained(SHORT, parameterization=V)
    assert weighted[0] == pytest.approx(3 * plain[0], rel=1e-12)
    assert v[0] != pytest.approx(plain[0], rel=1e-3)


def test_pictures_stay_bytes_until_they_are_drawn() -> None:
    pixels = torch.randint(256, (6, 1, 4, 4), dtype=torch.uint8)
    network = lambda: UNet(1, (8, 8), blocks=1)
    torch.manual_seed(0)
    run, losses = trained(SHORT, network(), data=pixels, prepare=scale)
    torch.manual_seed(0)
    other, floats = trained(SHORT, network(), data=scale(pixels))
    assert losses == floats and torch.equal(weights(run.network), weights(other.network))
    with pytest.raises(TypeError, match=r"data\.scale"):
        trained(SHORT, network(), data=pixels)


def test_data_may_lie_in_a_file(tmp_path: Path) -> None:
    """More pictures than memory: torch maps the file, and reads what is drawn."""
    name = str(tmp_path / "points")
    mapped = torch.from_file(name, shared=True, size=60, dtype=torch.float64).reshape(30, 2)
    mapped.copy_(POINTS)
    assert trained(SHORT, data=mapped)[1] == trained(SHORT)[1]


# The learning rate


@settings(deadline=None, max_examples=50, derandomize=True)
@given(
    steps=st.integers(1, 300),
    warmup=st.integers(0, 400),
    final=st.floats(0, 1),
    peak=st.floats(1e-6, 1),
)
def test_learning_rate(steps: int, warmup: int, final: float, peak: float) -> None:
    how = Settings(steps=steps, warmup=warmup, final=final, learning_rate=peak)
    for step in {1, (steps + 1) // 2, steps}:
        expected = final + (1 - final) * math.cos(math.pi * (step - 1) / (2 * steps)) ** 2
        if step < warmup:
            expected *= step / warmup
        assert learning_rate(how, step) == pytest.approx(peak * expected, rel=1e-9)
    rates = [learning_rate(how, step) for step in range(1, steps + 1)]
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)


# The same numbers, computed in other ways


def test_parts_of_a_batch_give_the_batch() -> None:
    whole, losses = trained(SHORT)
    for parts in (2, 4, 8):
        run, again = trained(replace(SHORT, accumulate=parts))
        assert again == pytest.approx(losses, rel=1e-12)
        assert torch.allclose(weights(run.network), weights(whole.network), rtol=0, atol=1e-12)


def test_processes_exchange_gradients_once_a_step() -> None:
    class Counting(OneDevice):
        silent = 0

        @contextmanager
        def no_sync(self, model: nn.Module) -> Iterator[None]:
            self.silent += 1
            yield

    devices = Counting()
    trained(replace(SHORT, accumulate=4), devices=devices)
    assert devices.silent == 5 * 3


def unet() -> nn.Module:
    torch.manual_seed(0)
    return UNet(2, (8, 8), blocks=1)


PICTURES = torch.rand(5, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_layout_changes_nothing_but_rounding() -> None:
    plain, losses = trained(SHORT, unet().double(), data=PICTURES.double())
    quick, again = trained(
        replace(SHORT, channels_last=True), unet().double(), data=PICTURES.double()
    )
    assert quick.network.stem.weight.is_contiguous(memory_format=torch.channels_last)
    assert again == pytest.approx(losses, rel=1e-12)
    assert torch.allclose(weights(plain.network), weights(quick.network), rtol=0, atol=1e-10)


def test_bfloat16_rounds_the_network_and_not_the_loss() -> None:
    dtypes = []

    def watch(*args, **options):
        dtypes.append(loss(*args, **options).dtype)
        return loss(*args, **options)

    _, losses = trained(SHORT, unet(), data=PICTURES)
    quick, again = trained(replace(SHORT, bfloat16=True), unet(), data=PICTURES, loss=watch)
    assert set(dtypes) == {torch.float32} and weights(quick.network).dtype == torch.float32
    assert again == pytest.approx(losses, rel=3e-2) and again != pytest.approx(losses, rel=1e-5)


def test_compile_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch, "compile", lambda module: asked.append(module) or module)
    run, losses = trained(replace(SHORT, compile=True))
    assert asked == [run.network] and losses == trained(SHORT)[1]


@pytest.mark.skipif(find_spec("accelerate") is None, reason="accelerate is not installed")
def test_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_processes.py")
    out = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr
    results = json.loads(out.stdout)
    one = results["one"]
    assert len(set(one["losses"])) == 4
    for rank in ("first", "second"):
        for two in results[rank].values():
            assert two["losses"] == pytest.approx(one["losses"], rel=1e-12)
            assert two["weights"] == pytest.approx(one["weights"], rel=1e-9, abs=1e-12)


def test_no_step_waits_for_the_device() -> None:
    """On the meta device there are no numbers: to read one there is an error."""
    run = Run(unet(), replace(SHORT, accumulate=2))
    run.network.to("meta")
    run.average.to("meta")
    run.optimizer = torch.optim.Adam(run.network.parameters())  # fused needs a real device
    run.failed = run.failed.to("meta")
    records = list(training_steps(run, SCHEDULE, EPS, PICTURES.to("meta")))
    assert len(records) == 5 and records[-1].loss_on_device.is_meta
    with pytest.raises(RuntimeError, match="meta"):
        _ = records[-1].loss


# What is known about the examples


LABELS = torch.arange(30) % 3
KNOWN = Known(LABELS, torch.tensor(3), drop=0.4)


class Told(nn.Module):
    """An MLP that is told a label, and writes down what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.shift, self.asked = mlp(), nn.Embedding(4, 2).double(), []

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        self.asked.append((x_t.detach(), t, y))
        return self.inner(x_t, t) + self.shift(y)


def told() -> Told:
    torch.manual_seed(0)
    return Told()


def test_a_label_goes_with_its_example_and_is_left_out_by_the_chance_of_the_run() -> None:
    run, _ = trained(SHORT, told(), known=KNOWN)
    chance = torch.Generator().manual_seed(0)
    noise = torch.Generator().manual_seed(int(torch.randint(2**31, (), generator=chance)))
    for x_t, t, y in run.network.asked:
        which = torch.randint(30, (8,), generator=chance)
        assert torch.equal(t, torch.randint(1, 21, (8,), generator=chance))
        dropped = torch.rand(8, generator=chance) < 0.4
        assert torch.equal(y, torch.where(dropped, 3, LABELS[which]))
        eps = torch.randn(8, 2, generator=noise, dtype=torch.float64)
        assert torch.equal(x_t, add_noise(SCHEDULE, POINTS[which], t, eps))
    assert len(run.network.asked) == 5 and run.network.shift.weight.grad is None


@pytest.mark.parametrize(("drop", "want"), [(0.0, 0.0), (1.0, 1.0), (0.25, 0.25)])
def test_labels_are_left_out_as_often_as_asked(drop: float, want: float) -> None:
    run, _ = trained(Settings(steps=4, batch=500), told(), known=KNOWN._replace(drop=drop))
    share = torch.cat([y == 3 for _, _, y in run.network.asked]).double().mean()
    assert abs(share - want) <= 5 * (want * (1 - want) / 2000) ** 0.5


def test_masks_and_words_are_left_out_as_a_whole() -> None:
    seen = []

    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = UNet(2, (8, 8), blocks=1, extra=1)

        def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
            seen.append(y)
            return self.inner(torch.cat([x_t, y], 1), t)

    masks = 1 + torch.rand(5, 1, 4, 4)
    known = Known(masks, torch.zeros(1, 4, 4), drop=0.5)
    trained(SHORT, Beside(), data=PICTURES, known=known)
    y = torch.cat(seen)
    whole = (y[:, None] == masks).flatten(2).all(2).any(1)
    assert whole.any() and not whole.all()
    assert torch.equal(~whole, (y == 0).flatten(1).all(1))


def test_parts_and_processes_are_told_what_one_is() -> None:
    one, losses = trained(SHORT, told(), known=KNOWN)
    parts, again = trained(replace(SHORT, accumulate=2), told(), known=KNOWN)
    assert again == pytest.approx(losses, rel=1e-12)
    assert torch.allclose(weights(parts.network), weights(one.network), rtol=0, atol=1e-12)
    for me in (0, 1):
        devices = OneDevice()
        devices.num_processes, devices.process_index = 2, me
        half, _ = trained(SHORT, told(), known=KNOWN, devices=devices)
        for (_, t, y), (_, all_t, all_y) in zip(half.network.asked, one.network.asked, strict=True):
            mine = slice(4 * me, 4 * me + 4)
            assert torch.equal(t, all_t[mine]) and torch.equal(y, all_y[mine])


def test_a_run_that_is_told_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole, losses = trained(SHORT, told(), known=KNOWN)
    first = Run(told(), SHORT)
    for record in training_steps(first, SCHEDULE, EPS, POINTS, known=KNOWN):
        if record.step == 3:
            break
    checkpoints.save(first, tmp_path / "run")
    second = Run(told(), SHORT)
    checkpoints.restore(second, checkpoints.load(tmp_path / "run"))
    rest = [record.loss for record in training_steps(second, SCHEDULE, EPS, POINTS, known=KNOWN)]
    assert rest == losses[3:]
    assert torch.equal(weights(second.network), weights(whole.network))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"y": LABELS[:29]}, "one for each of the 30 examples, got 29"),
        ({"null": torch.zeros(1, dtype=torch.int64)}, r"torch.int64 of shape \(\), got .*\(1,\)"),
        ({"null": torch.tensor(3.0)}, r"null .*torch.int64 .*got torch.float32"),
        ({"drop": 1.5}, r"drop .*0\.\.1, got 1\.5"),
        ({"drop": math.nan}, "drop .*got nan"),
    ],
)
def test_what_is_known_is_refused_before_the_first_step(wrong: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        training_steps(Run(told(), SHORT), SCHEDULE, EPS, POINTS, known=KNOWN._replace(**wrong))


# The loss at each noise level


def test_the_losses_by_time_are_the_means_of_the_losses():
    schedule, x_0 = cosine(40), torch.randn(200, 2)
    by_time = LossesByTime(40, torch.device("cpu"))
    t, eps = torch.randint(1, 37, (200,)), torch.randn(200, 2)
    network = lambda x_t, t: torch.zeros_like(x_t)
    losses = by_time.loss(schedule, network, EPS, x_0, t=t, eps=eps)
    assert torch.equal(losses, loss(schedule, network, EPS, x_0, t=t, eps=eps))
    got = by_time.read()
    for k in range(20):  # bins of two times: 1 and 2, 3 and 4, ...
        inside = losses[(t == 2 * k + 1) | (t == 2 * k + 2)]
        if k < 18:
            assert got[k] == pytest.approx(float(inside.mean()), rel=1e-5)
        else:
            assert got[k] is None
    assert by_time.read() == [None] * 20


# What goes wrong


class Breaks(nn.Module):
    """An MLP in whose k-th call something happens."""

    def __init__(self, k: int, happens) -> None:
        super().__init__()
        self.inner, self.calls, self.k, self.happens = mlp(), 0, k, happens

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        out = self.inner(x_t, t)
        return self.happens(out) if self.calls == self.k else out


def test_a_loss_that_is_not_finite_is_told_with_its_first_step() -> None:
    run = Run(Breaks(3, lambda out: out * torch.nan), SHORT)
    records = list(training_steps(run, SCHEDULE, EPS, POINTS))
    assert math.isfinite(records[0].loss) and math.isfinite(records[1].loss)
    for record in records[2:]:
        with pytest.raises(FloatingPointError, match="from step 3 on"):
            _ = record.loss


def test_an_interrupt_is_told_with_its_step() -> None:
    def interrupt(out: Tensor) -> Tensor:
        # Where tests run in the background, the signal would be ignored without this.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)
        return out

    run = Run(Breaks(4, interrupt), SHORT)
    with pytest.raises(KeyboardInterrupt, match="in step 4"):
        list(training_steps(run, SCHEDULE, EPS, POINTS))
    assert run.step == 3 and not run.whole


def test_what_does_not_fit_is_refused_before_the_first_step() -> None:
    run = Run(mlp(), replace(SHORT, accumulate=3))
    with pytest.raises(ValueError, match=r"batch of 8 .* 3 parts: make it a multiple of 3"):
        training_steps(run, SCHEDULE, EPS, POINTS)
    with pytest.raises(ValueError, match=r"at least one, got \(0, 2\)"):
        training_steps(Run(mlp(), SHORT), SCHEDULE, EPS, POINTS[:0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch": 0},
        {"accumulate": -1},
        {"learning_rate": -1e-3},
        {"learning_rate": math.nan},
        {"warmup": -1},
        {"final": 1.5},
        {"clip": -1.0},
        {"clip": 0.0},
        {"learning_rate": 0},
        {"ema": 1.5},
    ],
)
def test_settings_name_what_is_out_of_range(wrong: dict) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} .*got {value}"):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"steps": 2.5}, "a whole number"),
        ({"steps": 2000.0}, "a whole number"),
        ({"batch": True}, "a whole number"),
        ({"warmup": None}, "a whole number"),
        ({"seed": "0"}, "a whole number"),
        ({"learning_rate": "2e-3"}, "a number"),
        ({"clip": False}, "a number"),
        ({"ema": [0.9]}, "a number"),
        ({"bfloat16": 1}, "True or False"),
        ({"compile": "false"}, "True or False"),
    ],
)
def test_settings_from_a_file_are_of_the_right_kind(wrong: dict, kind: str) -> None:
    ((name, value),) = json.loads(json.dumps(wrong)).items()
    with pytest.raises(TypeError, match=re.escape(f"{name} is {kind}, got {value!r}")):
        Settings(**{name: value})


def test_whole_numbers_do_where_any_number_does() -> None:
    assert Settings(learning_rate=1, clip=5, ema=0, final=1, warmup=0).ema == 0


def test_records_tell_the_speed() -> None:
    run = Run(mlp(), SHORT)
    for record in training_steps(run, cosine(20), EPS, POINTS):
        assert 0 < record.images_per_second < math.inf
