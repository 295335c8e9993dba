"""Checkpoints that outlive a kill: one safetensors file with everything needed to continue.

for record in checkpointed(training_steps(run, ...), run, "digits.safetensors", every=500):
    ...
restore(run, load("digits.safetensors"))
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from ddpm_lib.files import replace
from ddpm_lib.training import Record, Run, Settings

FORMAT = "ddpm_lib checkpoint 1"  # the key in the header; its value is a digest and JSON
DIGITS = 64  # of that digest


class Checkpoint(NamedTuple):
    """A run after one of its steps, as plain tensors and JSON."""

    step: int
    settings: Settings
    about: Any  # the caller's own JSON, such as a recipe
    network: dict[str, Tensor]  # weights by name
    average: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    random: dict[str, Tensor]


def checkpointed(
    records: Iterator[Record], run: Run, path: str | Path, *, every: int, about: Any = None
) -> Iterator[Record]:
    """The same records, with a checkpoint after every so many steps and after the last.

    If training stops early, the error says which step the file holds. With several processes, for
    the first of them only: the others would write the same.
    """
    kept = (
        f"{path} holds step {run.step}"
        if run.step and Path(path).exists()
        else "nothing was saved yet"
    )
    try:
        for record in records:
            if record.step % every == 0 or record.step == run.settings.steps:
                save(run, path, about)
                kept = f"{path} holds step {record.step}"
            yield record
    except (KeyboardInterrupt, FloatingPointError, OSError) as error:
        raise type(error)(f"{error}; {kept}") from None


def save(run: Run, path: str | Path, about: Any = None) -> None:
    """Write the run to one file, which takes the place of an earlier one or leaves it as it is.

    One file, because two cannot be replaced at the same instant: the JSON is in the header of the
    safetensors.
    """
    if not run.whole:
        raise RuntimeError(f"step {run.step + 1} was left halfway: restore the last checkpoint")
    groups = {
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": _optimizer_state(run),
        "random": {"chance": run.chance.get_state(), "noise": run.noise.get_state()},
    }
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, members in groups.items()
        for name, tensor in members.items()
    }
    # A checkpoint that cannot be trained on must not replace one that can.
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            since = int(run.failed) or run.step
            raise FloatingPointError(
                f"not saved: {name} is no longer finite, the loss since step {since}"
            )
    facts = json.dumps({"step": run.step, "settings": asdict(run.settings), "about": about})
    header = {FORMAT: _digest(facts, tensors) + facts}
    try:
        replace(path, safetensors.torch.save(tensors, header))
    except OSError as error:
        raise OSError(f"step {run.step} is not saved: {error}") from error


def load(path: str | Path) -> Checkpoint:
    """Read a file that `save` wrote, or say what is wrong with it. Nothing is ever unpickled."""
    advice = "use an earlier checkpoint, or train again"
    with Path(path).open("rb"):  # its errors name the file and say why
        pass
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} is damaged, or no checkpoint at all ({error}): {advice}"
        ) from None
    if FORMAT not in metadata:
        raise ValueError(
            f"{path} holds tensors, but is no checkpoint of this version ({FORMAT}), written by "
            f"checkpoints.save: {advice}"
        )
    digest, json_text = metadata[FORMAT][:DIGITS], metadata[FORMAT][DIGITS:]
    if digest != _digest(json_text, tensors):
        raise ValueError(f"{path} is damaged: its content changed since it was written: {advice}")
    facts = json.loads(json_text)
    groups: dict[str, dict[str, Tensor]] = {
        group: {} for group in ("network", "average", "optimizer", "random")
    }
    for key, tensor in tensors.items():
        group, name = key.split("/", 1)
        groups[group][name] = tensor
    return Checkpoint(facts["step"], Settings(**facts["settings"]), facts["about"], **groups)


def restore(run: Run, checkpoint: Checkpoint) -> None:
    """Continue from a checkpoint: with its settings, the numbers are those of never stopping."""
    fill(run.network, checkpoint.network)
    fill(run.average, checkpoint.average)
    state: dict[int, dict[str, Tensor]] = {}
    for i, (name, weight) in enumerate(run.network.named_parameters()):
        for entry in ("step", "exp_avg", "exp_avg_sq"):
            if (tensor := checkpoint.optimizer.get(f"{name}/{entry}")) is not None:
                # The fused Adam walks through memory: its averages must lie as the weights do.
                like = weight if tensor.ndim else tensor
                state.setdefault(i, {})[entry] = torch.empty_like(like).copy_(tensor)
    groups = run.optimizer.state_dict()["param_groups"]
    run.optimizer.load_state_dict({"state": state, "param_groups": groups})
    run.chance.set_state(checkpoint.random["chance"])
    run.noise.set_state(checkpoint.random["noise"])
    run.step, run.whole = checkpoint.step, True
    run.failed = torch.zeros_like(run.failed)


@torch.no_grad()
def fill(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights into a network, unless they are of another one."""
    here, there = (
        {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        for tensors in (network.state_dict(), weights)
    )
    if here != there:
        name = min(n for n in here.keys() | there.keys() if here.get(n) != there.get(n))
        raise ValueError(
            f"these are weights of another network: {name} has shape {there.get(name, 'none')}, "
            f"and in this network {here.get(name, 'none')}"
        )
    network.load_state_dict(weights)


def _optimizer_state(run: Run) -> dict[str, Tensor]:
    """Adam's memory by the name of the weight, not by its place in a list."""
    state = run.optimizer.state_dict()["state"]
    return {
        f"{name}/{entry}": tensor
        for i, (name, _) in enumerate(run.network.named_parameters())
        for entry, tensor in state.get(i, {}).items()
    }


def _digest(facts: str, tensors: dict[str, Tensor]) -> str:
    """Of all that a checkpoint says: safetensors itself notices a cut, but no changed bytes."""
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
