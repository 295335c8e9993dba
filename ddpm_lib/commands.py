"""What the commands of `ddpm` do with the arguments that `cli` has read."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ddpm_lib import checkpoints, downloads, figures, measuring, named, own, plotting, recipes, runs
from ddpm_lib.checkpoints import Checkpoint
from ddpm_lib.devices import Devices, OneDevice
from ddpm_lib.recipes import Model
from ddpm_lib.settings import Part, Recipe

# ddpm recipes


def list_recipes(args: argparse.Namespace) -> None:
    """Print the recipes."""
    print(f"{'recipe':15}{'one example':15}{'weights':>10}{'steps':>9}{'batch':>7}  CPU time")
    for recipe in named.recipes().values():
        settings = recipe.settings
        print(
            f"{recipe.name:15}{_shape(recipe):15}{_weights(recipe):10,}{settings.steps:9,}"
            f"{settings.batch:7}  {_duration(recipe.cpu_seconds)}"
        )


def _shape(recipe: Recipe) -> str:
    return "×".join(map(str, recipe.shape))


def _weights(recipe: Recipe) -> int:
    return sum(weight.numel() for weight in recipes.build(recipe).network.parameters())


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not measured"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"


# ddpm train


def train(args: argparse.Namespace) -> None:
    """Train into a folder, then draw and measure what was learned."""
    device, devices = _device(args.device)
    recipe = _recipe(args)
    folder = args.out or Path("runs") / recipe.name
    done = ""
    try:
        if args.resume:
            recipe, checkpoint = _resumed(args, recipe, folder)
        else:
            runs.begin(folder)
            checkpoint = None
        if devices.process_index == 0:
            _show(recipe, device, devices, folder)
        examples = recipes.examples(recipe)
        file = folder / runs.CHECKPOINT
        model, about = runs.train(recipe, checkpoint, examples, file, device, devices=devices)
        if devices.process_index != 0:
            return  # the first process does the rest
        results = {
            "loss": runs.recent(about["losses"]),
            "seconds": about["seconds"],
            "images_per_second": recipe.settings.steps * recipe.settings.batch / about["seconds"],
            "cpu_seconds": about["cpu_seconds"],
        }
        plotting.style()
        figures.save_losses(about["losses"], folder / "loss.png")
        done = ", loss.png"
        n = 64 if recipe.pictures else 512
        walk = list(recipes.walk_with_bar(model, n, recipe.settings.seed))
        figures.save_picture(recipe, walk, folder / "samples.png")
        figures.save_film(recipe, walk, folder / "sampling.gif")
        done = ", loss.png, samples.png, sampling.gif"
        features = measuring.features(examples, device)
        if features is None:
            print(measuring.NO_FEATURES)
        else:
            found = measuring.draw(model, examples, measuring.COMPARED)
            results |= measuring.distances(measuring.extract(features, found, device))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(args, folder, done)) from None  # wherever it was
    runs.report(results, args.command, recipe, device, folder / "run.json")
    print(f"{folder} holds {runs.CHECKPOINT}, loss.png, samples.png, sampling.gif and run.json")


SETTINGS = ("steps", "batch", "learning_rate", "width", "seed", "flips")  # that are options


def _given(args: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(args, name) for name in SETTINGS}
    return {name: value for name, value in given.items() if value is not None}


def _recipe(args: argparse.Namespace) -> Recipe:
    """What was asked for, as if it began now."""
    if args.data is None:
        recipe = named.find(args.recipe or "digits")
    else:
        recipe = own.pictures(args.data, args.size)
    return own.changed(recipe, _given(args))


def _resumed(args: argparse.Namespace, asked: Recipe, folder: Path) -> tuple[Recipe, Checkpoint]:
    """The run that is there, unless something else was asked for."""
    recipe, checkpoint = runs.load(folder)
    differences = [
        (f"--{name.replace('_', '-')}", own.value(recipe, name), value)
        for name, value in _given(args).items()
        if own.changed(recipe, {name: value}) != recipe
    ]
    if args.recipe not in (None, recipe.name):
        differences.insert(0, ("recipe", recipe.name, args.recipe))
    if args.data is not None and asked.data != recipe.data:
        there, wanted = (dict(part.arguments) for part in (recipe.data, asked.data))
        differences.insert(0, ("data", f"{recipe.data.name} {there}", wanted))
    for name, there, wanted in differences:
        raise ValueError(
            f"the run in {folder} has {name} {there}, not {wanted}: it can only go on as it began"
        )
    return recipe, checkpoint


def _show(recipe: Recipe, device: torch.device, devices: Devices, folder: Path) -> None:
    """Everything that is about to happen."""
    processes = f", in {devices.num_processes} processes" if devices.num_processes > 1 else ""
    arguments = lambda part: ", ".join(f"{name}={value}" for name, value in part.arguments.items())
    described = {
        "run": f"{folder} on {device}{processes}",
        "data": f"{recipe.data.name} {arguments(recipe.data)}",
        "example": f"{_shape(recipe)}{', and its mirror image' if recipe.flips else ''}",
        "network": f"{recipe.network.name} {arguments(recipe.network)}",
        "weights": f"{_weights(recipe):,}",
        "predicts": recipe.parameterization.name,
        "schedule": f"{recipe.schedule.name} {arguments(recipe.schedule)}",
        "sampler": f"{recipe.sampler.name} {arguments(recipe.sampler)}",
        "settings": ", ".join(f"{name}={value}" for name, value in vars(recipe.settings).items()),
    }
    for name, value in described.items():
        print(f"{name:10}{value}")


def _interrupted(args: argparse.Namespace, folder: Path, done: str) -> str:
    """What Ctrl-C has left, and how to go on."""
    file = folder / runs.CHECKPOINT
    if not file.exists():
        return "interrupted; nothing was saved yet"
    step = checkpoints.load(file).step
    command = args.command if args.resume else f"{args.command} --resume"
    return f"interrupted; {file} holds step {step}{done}; to go on: {command}"


# ddpm sample, ddpm evaluate


def sample(args: argparse.Namespace) -> None:
    """Draw from a run, as a picture and perhaps a film."""
    model = _model(args, args.sampler)
    walk = list(recipes.walk_with_bar(model, args.n, args.seed, args.steps))
    plotting.style()
    print(figures.save_picture(model.recipe, walk, args.out))
    if args.gif is not None:
        print(figures.save_film(model.recipe, walk, args.gif))


def evaluate(args: argparse.Namespace) -> None:
    """Measure a run in every way there is here."""
    model = _model(args)
    examples = recipes.examples(model.recipe)
    features = measuring.features(examples, model.device, args.inception)
    if features is None:
        print(measuring.NO_FEATURES)
    results: dict[str, float] = {}
    file = args.folder / "evaluation.json"
    try:
        for part in measuring.measure(model, examples, args.n or measuring.COMPARED, features):
            results |= part
    except KeyboardInterrupt:
        if results:
            runs.report(results, args.command, model.recipe, model.device, file)
        found = f"{file} holds what was measured until then" if results else "nothing was measured"
        raise KeyboardInterrupt(f"interrupted; {found}; all of it: {args.command}") from None
    runs.report(results, args.command, model.recipe, model.device, file)


def _model(args: argparse.Namespace, sampler: str | None = None) -> Model:
    recipe, checkpoint = runs.load(args.folder)
    if sampler is not None:
        recipe = replace(recipe, sampler=Part(sampler))
    return recipes.trained(recipe, checkpoint.average, _device(args.device)[0])


# ddpm data


def show_data(args: argparse.Namespace) -> None:
    """Print what is where, or fetch a data set."""
    folder = downloads.data_folder()
    sources = {source.folder: source for source in downloads.SOURCES}
    if args.name is not None and args.name not in sources:
        raise ValueError(f"nothing to download is named {args.name!r}, only: {', '.join(sources)}")
    print(f"downloads are kept in {folder} (the environment variable DDPM_DATA names another)")
    for name, source in sources.items():
        files = list(source.registry)
        if name == args.name:
            for file in files:
                downloads.fetch(source, file)
        missing = sum(not (folder / name / file).exists() for file in files)
        there = f"{missing} of {len(files)} files missing: ddpm data {name}" if missing else "there"
        print(f"{name:15}{there}")
    print(f"{'everything else':15} is drawn, or comes with scikit-learn")


# Where


def _device(name: str | None) -> tuple[torch.device, Devices]:
    """The device of this process, and all of those that accelerate or torchrun has started."""
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("torch finds no CUDA device here: leave out --device, or say cpu")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device, OneDevice()
    try:
        from accelerate import Accelerator
    except ImportError:
        raise ValueError("several processes need accelerate: pip install accelerate") from None
    accelerator = Accelerator(cpu=device.type == "cpu")
    return accelerator.device, accelerator


COMMANDS = {
    "recipes": list_recipes,
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "data": show_data,
}
