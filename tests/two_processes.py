"""Trains in two processes that exchange gradients, and in one: started by test_training.py.

Prints the losses of both as JSON, and how far apart the weights are in the end.
"""

import json
import os
import socket
import sys
import traceback
from pathlib import Path

import accelerate
import torch

from ddpm_lib.devices import Devices
from ddpm_lib.diffusion import V
from ddpm_lib.networks.unet import UNet
from ddpm_lib.schedules import cosine
from ddpm_lib.training import Run, Settings, training_steps

torch.set_num_threads(1)


def learn(devices: Devices | None, accumulate: int) -> dict:
    torch.manual_seed(0)
    network = UNet(1, (8, 8), blocks=1).double()
    run = Run(network, Settings(steps=4, batch=8, warmup=0, accumulate=accumulate))
    data = torch.rand(10, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    losses = [r.loss for r in training_steps(run, cosine(20), V, data, devices=devices)]
    return {"losses": losses, "weights": [float(p.detach().sum()) for p in network.parameters()]}


def process(rank: int, port: int, folder: Path) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        OMP_NUM_THREADS="1",
    )
    accelerator = accelerate.Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    results = {f"two, accumulate {k}": learn(accelerator, k) for k in (1, 2)}
    (folder / f"{rank}.json").write_text(json.dumps(results))
    accelerator.end_training()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(2):
        pid = os.fork()  # before any thread has started
        if not pid:
            try:
                process(rank, port, folder)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    first, second = (json.loads((folder / f"{rank}.json").read_text()) for rank in range(2))
    print(json.dumps({"one": learn(None, 1), "first": first, "second": second}))
