"""Checkpoints: exact continuation, and survival of bad moments, disks, numbers and files."""

import json
import math
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from ddpm_lib.checkpoints import checkpointed, fill, load, restore, save
from ddpm_lib.diffusion import EPS
from ddpm_lib.networks.embedding import Learned
from ddpm_lib.networks.tiny import MLP
from ddpm_lib.networks.unet import UNet
from ddpm_lib.schedules import linear
from ddpm_lib.training import Run, Settings, training_steps

SCHEDULE = linear(20)
DATA = torch.randn(20, 1, 4, 4, generator=torch.Generator().manual_seed(5))
POINTS = DATA.reshape(160, 2)
SETTINGS = Settings(steps=6, batch=4, warmup=2, seed=3, clip=math.inf)


def unet() -> nn.Module:
    torch.manual_seed(0)
    return UNet(1, (8, 8), blocks=1, embedding=partial(Learned, T=20))


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return MLP(2, 8)


def learn(run: Run, data: Tensor = DATA, until: int | None = None) -> list[float]:
    losses = []
    for record in training_steps(run, SCHEDULE, EPS, data):
        losses.append(record.loss)
        if record.step == until:
            break
    return losses


def small(path: Path, steps: int = 2) -> Run:
    """A run of a few steps, saved."""
    run = Run(mlp(), replace(SETTINGS, steps=steps))
    learn(run, POINTS)
    save(run, path)
    return run


# Continuation


@pytest.mark.parametrize(
    "how", [{}, {"accumulate": 2}, {"channels_last": True}, {"bfloat16": True}, {"ema": 0.0}]
)
def test_resumed_is_never_stopped_bit_for_bit(tmp_path: Path, how: dict) -> None:
    settings = replace(SETTINGS, **how)
    straight = Run(unet(), settings)
    losses = learn(straight)
    save(straight, tmp_path / "straight")

    first = Run(unet(), settings)
    before = learn(first, until=3)
    save(first, tmp_path / "half")
    torch.manual_seed(77)  # other weights, and other chance, until they are restored
    second = Run(UNet(1, (8, 8), blocks=1, embedding=partial(Learned, T=20)), settings)
    restore(second, load(tmp_path / "half"))
    assert second.step == 3
    after = learn(second)
    save(second, tmp_path / "stopped")

    assert before + after == losses
    assert (tmp_path / "stopped").read_bytes() == (tmp_path / "straight").read_bytes()


def test_a_checkpoint_tells_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "run.safetensors"
    run = Run(mlp(), SETTINGS)
    learn(run, POINTS, until=4)
    about = {"recipe": "digits", "widths": [32, 64], "é": None}
    save(run, path, about)
    checkpoint = load(path)
    assert (checkpoint.step, checkpoint.settings, checkpoint.about) == (4, SETTINGS, about)
    for weights, network in (
        (checkpoint.network, run.network),
        (checkpoint.average, run.average),
    ):
        fresh = MLP(2, 8)
        fill(fresh, weights)
        for a, b in zip(fresh.parameters(), network.parameters(), strict=True):
            assert torch.equal(a, b)
    assert list(path.parent.iterdir()) == [path]


def test_a_run_can_be_saved_before_its_first_step(tmp_path: Path) -> None:
    save(Run(mlp(), SETTINGS), tmp_path / "start")
    run = Run(MLP(2, 8), SETTINGS)
    restore(run, load(tmp_path / "start"))
    assert learn(run, POINTS) == learn(Run(mlp(), SETTINGS), POINTS)


def test_checkpoints_come_every_so_many_steps_and_at_the_end(tmp_path: Path) -> None:
    path, held = tmp_path / "run", []
    run = Run(mlp(), replace(SETTINGS, steps=7))
    for _ in checkpointed(
        training_steps(run, SCHEDULE, EPS, POINTS), run, path, every=3, about="mine"
    ):
        held.append(load(path).step if path.exists() else None)
    assert held == [None, None, 3, 3, 3, 6, 7]
    assert load(path).about == "mine"


# Bad moments


def test_killed_at_any_instant_the_last_checkpoint_loads_and_continues(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_while_saving.py")
    path = tmp_path / "run.safetensors"
    out = subprocess.run(
        [sys.executable, script, path], capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr
    told = json.loads(out.stdout)
    assert len(told["steps"]) == 50
    assert all(a < b for a, b in zip([2, *told["steps"]], told["steps"], strict=False))
    assert told["came"] == {
        "half_written": 0,
        "before_fsync": 0,
        "before_rename": 0,
        "after_rename": 1,
    }
    assert told["left"] == ["run.safetensors"]  # what a kill left over was overwritten
    assert told["same"], "fifty kills later, the run is not the one that was never stopped"
    assert told["still"], "saved again, it is not the same file"


def fail(after: int, happens: Callable[[], object], path: Path, steps: int = 4) -> Run:
    """Train with a checkpoint at each step; something happens in the step after `after`."""

    class Breaks(MLP):
        calls = 0

        def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
            self.calls += 1
            factor = happens() if self.calls == after + 1 else None
            return super().forward(x_t, t) * (1.0 if factor is None else factor)

    run = Run(Breaks(2, 8), replace(SETTINGS, steps=steps))
    for _ in checkpointed(training_steps(run, SCHEDULE, EPS, POINTS), run, path, every=1):
        pass
    return run


def interrupt() -> None:
    # Where tests run in the background, the signal would be ignored without this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def test_after_an_interrupt_the_last_checkpoint_stays(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt) as error:
        fail(2, interrupt, path)
    assert str(error.value) == f"interrupted in step 3; {path} holds step 2"
    assert load(path).step == 2
    with pytest.raises(KeyboardInterrupt, match="in step 1; nothing was saved yet"):
        fail(0, interrupt, tmp_path / "other")
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_step_is_not_saved(tmp_path: Path) -> None:
    run = Run(mlp(), SETTINGS)
    learn(run, POINTS, until=2)
    save(run, tmp_path / "run")
    hook = run.network.register_forward_hook(lambda *_: interrupt())
    with pytest.raises(KeyboardInterrupt):
        learn(run, POINTS)
    with pytest.raises(RuntimeError, match="step 3 was left halfway: restore"):
        save(run, tmp_path / "run")
    assert load(tmp_path / "run").step == 2
    hook.remove()
    restore(run, load(tmp_path / "run"))
    assert learn(run, POINTS) == learn(Run(mlp(), SETTINGS), POINTS)[2:]


def test_nan_never_replaces_a_good_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with pytest.raises(FloatingPointError) as error:
        fail(2, lambda: math.nan, path)
    assert "the loss since step 3" in str(error.value)
    assert f"{path} holds step 2" in str(error.value)
    assert load(path).step == 2 and list(tmp_path.iterdir()) == [path]


def test_nan_is_told_with_its_first_step_and_undone_by_restoring(tmp_path: Path) -> None:
    run = Run(mlp(), SETTINGS)
    learn(run, POINTS, until=2)
    save(run, tmp_path / "run")
    hook = run.network.register_forward_hook(lambda module, x, out: out * math.nan)
    for record in training_steps(run, SCHEDULE, EPS, POINTS):
        if record.step == 5:
            break
    with pytest.raises(FloatingPointError, match="the loss since step 3"):
        save(run, tmp_path / "run")
    hook.remove()
    restore(run, load(tmp_path / "run"))
    assert learn(run, POINTS) == learn(Run(mlp(), SETTINGS), POINTS)[2:]


@pytest.mark.parametrize("part", ["network", "average", "optimizer"])
def test_nothing_that_is_not_finite_is_saved(tmp_path: Path, part: str) -> None:
    run = small(tmp_path / "run")
    if part == "optimizer":
        next(iter(run.optimizer.state.values()))["exp_avg_sq"][0] = math.inf
    else:
        next(getattr(run, part).parameters()).data[0] = math.nan
    with pytest.raises(FloatingPointError, match=f"not saved: {part}/"):
        save(run, tmp_path / "run")
    assert load(tmp_path / "run").step == 2


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    """As the kernel does it: no file of this process may grow beyond half a checkpoint."""
    path = tmp_path / "run"
    small(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
        with pytest.raises(OSError, match=r"step 4 is not saved: .*File too large") as error:
            save_later(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"{path} holds step 2" in str(error.value)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def save_later(path: Path) -> None:
    run = Run(mlp(), SETTINGS)
    restore(run, load(path))
    for _ in checkpointed(training_steps(run, SCHEDULE, EPS, POINTS), run, path, every=4):
        pass


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_last_checkpoint(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    small(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", full) if call == "fsync" else (Path, "replace", full)))
        with pytest.raises(OSError, match=r"step 4 is not saved: .*No space left") as error:
            save_later(path)
    assert f"{path} holds step 2" in str(error.value)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# Bad files


def test_a_cut_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run"
    small(path)
    whole = path.read_bytes()
    lengths = [0, 1, 7, 8, 9, 100, 1000, len(whole) // 2, len(whole) - 1]
    for length in [*lengths, *range(17, len(whole), 997)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"{path} is damaged.*train again"):
            load(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        load(path)


def test_a_changed_byte_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run"
    small(path)
    whole = bytearray(path.read_bytes())
    for place in [*range(0, 900, 7), *range(900, len(whole), 331), len(whole) - 1]:
        changed = whole.copy()
        changed[place] ^= 0x11
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=f"{path} (is damaged|holds tensors)"):
            load(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"holds tensors, but is no checkpoint.*checkpoints\.save"):
        load(path)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path, {"format": "pt"})
    with pytest.raises(ValueError, match="holds tensors, but is no checkpoint"):
        load(path)
    for content in (b"<!DOCTYPE html><html>Not found</html>", b"PK\x03\x04" + bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged, or no checkpoint at all"):
            load(path)
    with pytest.raises(FileNotFoundError, match="absent"):
        load(tmp_path / "absent")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        load(tmp_path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (ran,))

    path = tmp_path / "bomb"
    torch.save({"network": Bomb()}, path)
    with pytest.raises(ValueError, match="damaged, or no checkpoint at all"):
        load(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="damaged, or no checkpoint at all"):
        load(path)
    assert not ran.exists()


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    small(tmp_path / "run")
    checkpoint = load(tmp_path / "run")
    wide = MLP(2, 16)
    kept = [p.clone() for p in wide.parameters()]
    with pytest.raises(
        ValueError, match=r"layers\.0\.bias has shape \(8,\), and in this .* \(16,\)"
    ):
        fill(wide, checkpoint.average)
    assert all(torch.equal(a, b) for a, b in zip(kept, wide.parameters(), strict=True))
    with pytest.raises(ValueError, match="has shape none"):
        restore(Run(unet(), SETTINGS), checkpoint)
