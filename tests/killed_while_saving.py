"""A run that is killed again and again while it writes a checkpoint after every step.

Started by test_checkpoints.py in an interpreter of its own: it forks, so nothing else may run in
it. Prints what happened as JSON.
"""

import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ddpm_lib.checkpoints import load, restore, save
from ddpm_lib.diffusion import EPS
from ddpm_lib.networks.tiny import MLP
from ddpm_lib.schedules import linear
from ddpm_lib.training import Run, Settings, training_steps

torch.set_num_threads(1)
SCHEDULE, DATA = linear(10), torch.linspace(-1, 1, 20).reshape(10, 2)


def fresh() -> Run:
    torch.manual_seed(0)
    return Run(MLP(2, 8), Settings(steps=10**6, batch=4, warmup=5))


def live(path: Path, started: Callable[[], object]) -> None:
    """Continue from the last checkpoint, until killed."""
    run = fresh()
    restore(run, load(path))
    records = training_steps(run, SCHEDULE, EPS, DATA)
    for _ in records:
        save(run, path)
        started()
        started = lambda: None


def child(life: Callable[[], object]) -> int:
    pid = os.fork()
    if not pid:
        try:
            life()
        finally:
            os._exit(1)  # a life ends by a kill and in no other way
    return pid


def at_random_moments(path: Path, kills: int) -> list[int]:
    moments, steps = random.Random(0), []
    for _ in range(kills):
        reading, writing = os.pipe()
        pid = child(lambda end=writing: live(path, lambda: os.write(end, b".")))
        os.read(reading, 1)
        time.sleep(moments.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        os.close(reading)
        os.close(writing)
        steps.append(load(path).step)
    return steps


def at_the_worst_moments(path: Path) -> dict[str, int]:
    """How far the checkpoint came in one step of training that was killed inside `save`."""
    replace = Path.replace

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half_written() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python would turn it into an error
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))

    def before_fsync() -> None:
        os.fsync = die  # type: ignore[assignment]

    def before_rename() -> None:
        Path.replace = die  # type: ignore[assignment, method-assign]

    def after_rename() -> None:
        Path.replace = lambda a, b: (replace(a, b), die())  # type: ignore[assignment, method-assign]

    came = {}
    for prepare in (half_written, before_fsync, before_rename, after_rename):
        before = load(path).step
        _, status = os.waitpid(child(lambda prepare=prepare: (prepare(), live(path, len))), 0)
        assert os.WIFSIGNALED(status), prepare.__name__
        came[prepare.__name__] = load(path).step - before
    return came


def never_stopped(steps: int) -> Run:
    run = fresh()
    for record in training_steps(run, SCHEDULE, EPS, DATA):
        if record.step == steps:
            return run
    raise AssertionError


if __name__ == "__main__":
    path = Path(sys.argv[1])
    save(never_stopped(2), path)  # also warms up what the children inherit
    steps = at_random_moments(path, kills=50)
    came = at_the_worst_moments(path)
    left = sorted(file.name for file in path.parent.iterdir())
    reached = load(path)
    run = never_stopped(reached.step)
    save(run, path.with_name("never_stopped"))
    same = path.read_bytes() == path.with_name("never_stopped").read_bytes()
    restored = fresh()
    restore(restored, reached)
    save(restored, path)
    still = path.read_bytes() == path.with_name("never_stopped").read_bytes()
    print(json.dumps({"steps": steps, "came": came, "left": left, "same": same, "still": still}))
