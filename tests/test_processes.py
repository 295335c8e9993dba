"""`ddpm train` in two processes, as `accelerate launch` starts them: it goes on as one would."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ddpm_lib import checkpoints, cli, runs, training

# With --cpu, accelerate starts a single process; as for several GPUs, which `ddpm` need not find.
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
TRAIN = ["train", "ring", "--steps", "100", "--batch", "8", "--width", "8", "--out"]


def test_two_processes_make_the_run_of_one(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:  # Ctrl-C in step 60, when step 50 was the last to be saved
        rate = training.learning_rate
        stop = lambda settings, step: rate(settings, step) if step < 60 else _interrupt()
        patch.setattr(training, "learning_rate", stop)
        assert cli.main([*TRAIN, "one"]) == 130
    shutil.copytree("one", "two")
    assert cli.main([*TRAIN, "one", "--resume"]) == 0
    capfd.readouterr()

    quiet = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = ["--main_process_port", str(probe.getsockname()[1])]
    command = [*LAUNCH, *port, "-m", "ddpm_lib", *TRAIN, "two", "--resume", "--device", "cpu"]
    subprocess.run(command, env=os.environ | quiet, check=True, timeout=300)
    said, bars = capfd.readouterr()
    assert ", in 2 processes" in said
    assert said.count("two/run.json") == said.count("\nloss  ") == 1
    assert bars.count("50/100 [00:00<?") == 1, bars  # where it begins

    one, two = (checkpoints.load(Path(name) / runs.CHECKPOINT) for name in ("one", "two"))
    assert one.step == two.step == 100
    for key, count in ("losses", 100), ("losses_by_time", 2):
        steps, found = zip(*two.about[key], strict=True)
        wanted_steps, wanted = zip(*one.about[key], strict=True)
        assert steps == wanted_steps and len(steps) == count
        for a, b in zip(found, wanted, strict=True):
            assert a == pytest.approx(b, rel=1e-4)
    for name, weight in one.average.items():
        torch.testing.assert_close(two.average[name], weight, rtol=1e-4, atol=1e-5)


def _interrupt():
    raise KeyboardInterrupt
