"""The command line: train a recipe, sample from it, evaluate it.

What costs time to import is imported inside the commands, so that help and errors come at once.
"""

import argparse
import json
import math
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor

    from ddpm_lib.checkpoints import Checkpoint
    from ddpm_lib.recipes import Examples, Model, Recipe
    from ddpm_lib.training import Record

CHECKPOINT = "checkpoint.safetensors"  # the name of the file in a run's folder
NOTED = 1000  # points of the loss curve
SAVED = 50  # of them for each checkpoint
COMPARED = 1000  # samples for a Fréchet distance


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code: 0, or 1 for failure, 130 for Ctrl-C."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    args = _parser().parse_args(words)  # exits with 2 where it does not understand
    args.command = shlex.join(["ddpm", *words])
    try:
        args.run(args)
    except KeyboardInterrupt as error:
        return _fail(error, 130)
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        return _fail(error, 1)
    return 0


def _fail(error: BaseException, code: int) -> int:
    print(f"ddpm: {' '.join(str(error).split()) or 'interrupted'}", file=sys.stderr)
    return code


# ddpm recipes


def list_recipes(args: argparse.Namespace) -> None:
    """Print the recipes."""
    from ddpm_lib.recipes import RECIPES, build

    print(f"{'recipe':15}{'one example':15}{'weights':>10}{'steps':>9}{'batch':>7}  CPU time")
    for recipe in RECIPES.values():
        weights = sum(weight.numel() for weight in build(recipe).network.parameters())
        shape = "×".join(map(str, recipe.shape))
        settings = recipe.settings
        print(
            f"{recipe.name:15}{shape:15}{weights:10,}{settings.steps:9,}{settings.batch:7}  "
            f"{_duration(recipe.cpu_seconds)}"
        )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not measured"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"


# ddpm train


def train(args: argparse.Namespace) -> None:
    """Train a recipe into a folder, then draw and measure what it has learned."""
    from ddpm_lib import plotting, recipes

    name = args.recipe or "digits"
    folder = args.out or Path("runs") / name
    device = _device(args.device)
    try:
        recipe, checkpoint = (_resumed if args.resume else _fresh)(args, name, folder)
        examples = recipes.examples(recipe)
        model, about = _train(recipe, checkpoint, examples, folder / CHECKPOINT, device)
        plotting.style()
        plotting.save(_loss_figure(about["losses"]), folder / "loss.png")
        walk = list(recipes.walk(model, 64 if recipe.pictures else 512, recipe.settings.seed))
        _save_picture(model, walk, folder / "samples.png")
        _save_film(model, walk, folder / "sampling.gif")
        comparison = _compare(model, examples, COMPARED)
    except KeyboardInterrupt:
        file = folder / CHECKPOINT
        message = f"interrupted; {_kept(file)}"  # wherever it was: also while samples are drawn
        if file.exists():
            message += f"; to go on: {args.command}{'' if args.resume else ' --resume'}"
        raise KeyboardInterrupt(message) from None
    settings, seconds = recipe.settings, about["seconds"]
    results = {
        "loss": _recent(about["losses"]),
        "seconds": seconds,
        "images_per_second": settings.steps * settings.batch / seconds,
        "cpu_seconds": about["cpu_seconds"],
        **comparison.distances,
    }
    _report(args, model, results, folder / "run.json")
    print(f"{folder} holds {CHECKPOINT}, loss.png, samples.png, sampling.gif and run.json")


def _fresh(args: argparse.Namespace, name: str, folder: Path) -> tuple["Recipe", None]:
    from ddpm_lib import recipes

    if (folder / CHECKPOINT).exists():
        raise ValueError(
            f"{folder / CHECKPOINT} is there already: --resume goes on with it, and --out names "
            "another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)  # fails now, where it cannot be written to
    recipe = recipes.find(name)
    given = {key: getattr(args, key) for key in ("steps", "seed")}
    given = {key: value for key, value in given.items() if value is not None}
    return replace(recipe, settings=replace(recipe.settings, **given)), None


def _resumed(args: argparse.Namespace, name: str, folder: Path) -> tuple["Recipe", "Checkpoint"]:
    recipe, checkpoint = _load(folder)
    asked = {"recipe": args.recipe, "steps": args.steps, "seed": args.seed}
    settings = recipe.settings
    for key, there in ("recipe", recipe.name), ("steps", settings.steps), ("seed", settings.seed):
        if asked[key] not in (None, there):
            raise ValueError(
                f"the run in {folder} has {key} {there}, not {asked[key]}: it can only go on as "
                "it began"
            )
    return recipe, checkpoint


def _train(
    recipe: "Recipe",
    checkpoint: "Checkpoint | None",
    examples: "Examples",
    file: Path,
    device: "torch.device",
) -> tuple["Model", dict[str, Any]]:
    """Take the steps that are left, and return the averaged network and what is worth telling."""
    from tqdm import tqdm

    from ddpm_lib import checkpoints, recipes, training

    settings = recipe.settings
    schedule, network, parameterization = recipes.build(recipe)
    run = training.Run(network.to(device), settings)
    about: dict[str, Any] = {"recipe": recipes.to_json(recipe), "losses": []}
    about |= {"seconds": 0.0, "cpu_seconds": 0.0}
    if checkpoint is not None:
        checkpoints.restore(run, checkpoint)
        about = checkpoint.about
    every = max(1, settings.steps // NOTED)
    records = training.train(
        run, schedule, parameterization, examples.train.to(device), prepare=recipes.prepare
    )
    records = _noted(records, about, every)
    records = checkpoints.checkpointed(records, run, file, every=SAVED * every, about=about)
    with tqdm(records, recipe.name, settings.steps, initial=run.step, unit="step") as bar:
        for record in bar:
            if record.step % every == 0:
                speed = f"{record.images_per_second:.0f} images/s"
                bar.set_postfix_str(f"loss {_recent(about['losses']):.4f}, {speed}", refresh=False)
    return recipes.trained(recipe, run.average.state_dict(), device), about


def _noted(records: Iterator["Record"], about: dict[str, Any], every: int) -> Iterator["Record"]:
    """The same records; `about` learns the mean loss of each `every` steps, and the time spent.

    Before a checkpoint is written, so that its curve goes to its step and a resumed run has it all.
    """
    total: float | Tensor = 0.0
    before = about["seconds"], about["cpu_seconds"]
    start = time.perf_counter(), time.process_time()
    for record in records:
        total = total + record.loss_on_device
        if record.step % every == 0:
            _ = record.loss  # raises where it is no number
            about["losses"].append([record.step, float(total) / every])
            total = 0.0
        about["seconds"] = before[0] + time.perf_counter() - start[0]
        about["cpu_seconds"] = before[1] + time.process_time() - start[1]
        yield record


def _recent(losses: list[list[float]]) -> float:
    """The mean of the last twentieth of what was noted, since single batches differ a lot."""
    last = [loss for _, loss in losses[-max(1, len(losses) // 20) :]]
    return sum(last) / len(last)


def _kept(file: Path) -> str:
    from ddpm_lib import checkpoints

    return (
        f"{file} holds step {checkpoints.load(file).step}"
        if file.exists()
        else "nothing was saved yet"
    )


# ddpm sample


def sample(args: argparse.Namespace) -> None:
    """Draw from a run, as a picture and perhaps a film."""
    from ddpm_lib import plotting, recipes

    recipe, checkpoint = _load(args.folder)
    if args.sampler is not None:
        recipe = replace(recipe, sampler=recipes.Part(args.sampler))
    model = recipes.trained(recipe, checkpoint.average, _device(args.device))
    walk = list(recipes.walk(model, args.n, args.seed, args.steps))
    plotting.style()
    _save_picture(model, walk, args.out)
    if args.gif is not None:
        _save_film(model, walk, args.gif)


def _save_picture(model: "Model", walk: "list[Tensor]", file: Path) -> None:
    import torch

    from ddpm_lib import plotting, recipes

    if model.recipe.pictures:
        figure = plotting.grid(walk[-1])
    else:
        figure = plotting.trajectories(
            torch.stack(walk), recipes.examples(model.recipe).train[:500]
        )
    print(plotting.save(figure, file))


def _save_film(model: "Model", walk: "list[Tensor]", file: Path) -> None:
    from ddpm_lib import plotting

    frames = _short(walk)
    pictures = frames if model.recipe.pictures else [_density(points) for points in frames]
    print(plotting.gif(pictures, file))


def _short(walk: "list[Tensor]") -> "list[Tensor]":
    """At most 60 evenly spaced frames, three seconds, of which the last is the last."""
    return walk[:: -math.ceil(len(walk) / 60)][::-1]


def _density(points: "Tensor") -> "Tensor":
    """How many points lie where, as a picture of [-3, 3]^2.  (N, 2) -> (1, 64, 64)"""
    import torch

    counts, _ = torch.histogramdd(points.cpu().float(), [64, 64], range=[-3.0, 3.0, -3.0, 3.0])
    return 2 * (counts.mT.flip(0) / 4).clamp(max=1)[None] - 1  # white from four points on


# ddpm evaluate


def evaluate(args: argparse.Namespace) -> None:
    """Measure a run in every way there is here."""
    import torch

    from ddpm_lib import bound, evaluation, recipes

    recipe, checkpoint = _load(args.folder)
    model = recipes.trained(recipe, checkpoint.average, _device(args.device))
    examples = recipes.examples(recipe)
    found = _compare(model, examples, args.n)
    among, known = evaluation.precision_recall(found.real, found.fake)
    among_floor, known_floor = evaluation.precision_recall(found.real, found.other)
    train, test = (recipes.prepare(x) for x in (examples.train, examples.test))
    values = math.prod(recipe.shape)
    copies, news = (
        float(evaluation.nearest(x, train).distance.median()) / math.sqrt(values)
        for x in (found.x.cpu(), test[: args.n])
    )
    bits = evaluation.bits_per_dim(
        model.schedule,
        model.denoise,
        test[:32].to(model.device),
        likelihood=bound.discretized if recipe.pictures else bound.density,
        randn=partial(torch.randn, generator=torch.Generator().manual_seed(0)),
    )
    results = found.distances | {
        "precision": among,
        "precision_real": among_floor,
        "recall": known,
        "recall_real": known_floor,
        "nearest_training_example": copies,
        "nearest_training_example_of_test": news,
        "bits_per_dim": bits.value,
        "bits_per_dim_stderr": bits.stderr,
    }
    _report(args, model, results, args.folder / "evaluation.json")


class Comparison(NamedTuple):
    """Samples beside two sets of real examples, as many of each, so that they compare."""

    x: "Tensor"
    fake: "Tensor"  # features, (n, d)
    real: "Tensor"
    other: "Tensor"  # real too: what a perfect model would be
    distances: dict[str, float]


def _compare(model: "Model", examples: "Examples", n: int) -> Comparison:
    """The Fréchet distance of n samples, or of half as many as there are training examples."""
    import torch

    from ddpm_lib import evaluation, recipes

    train = recipes.prepare(examples.train)
    n = min(n, len(train) // 2)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    sets = [train[which] for which in order[: 2 * n].split(n)]
    # With other seeds than the picture of the run: what was looked at is not what is measured.
    parts = enumerate(sets[0].split(250), start=1000)
    x = torch.cat([list(recipes.walk(model, len(part), seed))[-1] for seed, part in parts])
    if examples.labels is None:
        features: evaluation.Features = torch.nn.Identity()
    else:
        features = evaluation.train_classifier(
            train.to(model.device), examples.labels.to(model.device)
        ).features
    fake, real, other = (evaluation.extract(features, y.to(model.device)) for y in (x, *sets))
    distance = evaluation.frechet(real, fake)
    floor = evaluation.frechet_distance(*map(evaluation.moments, (real, other)))
    return Comparison(
        x,
        fake,
        real,
        other,
        {
            "frechet_distance": distance.value,
            "frechet_distance_bias": distance.bias,
            "frechet_distance_real": floor,
            "compared": n,
        },
    )


# ddpm data


def show_data(args: argparse.Namespace) -> None:
    """Print what is where, or fetch a data set."""
    from ddpm_lib import data

    folder = data.data_folder()
    sources = {source.folder: source for source in (data.MNIST, data.FASHION_MNIST, data.CIFAR10)}
    if args.name is not None and args.name not in sources:
        raise ValueError(f"nothing to download is named {args.name!r}, only: {', '.join(sources)}")
    print(f"downloads are kept in {folder} (the environment variable DDPM_DATA names another)")
    for name, source in sources.items():
        files = source.sums.split()[1::2]
        if name == args.name:
            for file in files:
                data.fetch(source, file)
        missing = sum(not (folder / name / file).exists() for file in files)
        there = f"{missing} of {len(files)} files missing: ddpm data {name}" if missing else "there"
        print(f"{name:15}{there}")
    print(f"{'everything else':15} is drawn, or comes with scikit-learn")


# What the commands have in common


def _load(folder: Path) -> "tuple[Recipe, Checkpoint]":
    from ddpm_lib import checkpoints, recipes

    file = folder / CHECKPOINT
    if not file.exists():
        raise ValueError(
            f"{folder} holds no {CHECKPOINT}: a run is a folder that `ddpm train` has made, such "
            "as runs/digits"
        )
    checkpoint = checkpoints.load(file)
    if not isinstance(checkpoint.about, dict) or "recipe" not in checkpoint.about:
        raise ValueError(f"{file} has no recipe: it was not written by `ddpm train`")
    return recipes.from_json(checkpoint.about["recipe"]), checkpoint


def _device(name: str | None) -> "torch.device":
    import torch

    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("torch finds no CUDA device here: leave out --device, or say cpu")
    return device


def _report(
    args: argparse.Namespace, model: "Model", results: dict[str, float], file: Path
) -> None:
    """Print the results, and write them with all that is needed to get them again."""
    import torch

    from ddpm_lib import __version__, checkpoints, recipes

    for name, value in results.items():
        print(f"{name.replace('_', ' '):35}{value:>10.4g}")
    facts = {
        "command": args.command,
        "results": results,
        "recipe": recipes.to_json(model.recipe),
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "versions": {
            "ddpm_lib": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
    }
    checkpoints.replace(file, json.dumps(facts, indent=2).encode() + b"\n")
    print(file)


def _loss_figure(losses: list[list[float]]) -> "Figure":
    """The loss of every few steps, and means of fifty of them, which show the trend."""
    import torch
    from matplotlib.figure import Figure

    from ddpm_lib import plotting

    step, loss = torch.tensor(losses).T
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
    ax.plot(step, loss, color=plotting.GRAY, lw=0.5, alpha=0.5)
    if means := [part.mean(1) for part in torch.tensor(losses).T.split(50, dim=1)]:
        ax.plot(*torch.stack(means, 1), "-", color=plotting.MODEL)
    return figure


# Reading the command line

OVERVIEW = """\
Train denoising diffusion models, sample from them, and measure how good they are.

  ddpm train                       digits, in about two minutes on two CPU cores
  ddpm sample runs/digits --n 64 --sampler ddim --steps 50 --out grid.png
  ddpm evaluate runs/digits

A run is a folder: a checkpoint, pictures, and a JSON of settings and results."""
TRAIN = """\
examples:
  ddpm train                       the recipe digits, into runs/digits
  ddpm train shapes --steps 500    fewer steps than the recipe has
  ddpm train --resume              go on where runs/digits was last saved

Resumed on a CPU, a run ends with the numbers of one that was never stopped."""
SAMPLE = """\
examples:
  ddpm sample runs/digits --n 64 --sampler ddim --steps 50 --out grid.png
  ddpm sample runs/digits --sampler ddpm --gif sampling.gif

One seed starts all samplers from the same noise."""
EVALUATE = """\
example:
  ddpm evaluate runs/digits

Prints the Fréchet distance in features of a classifier, its bias, and what two sets of real
examples have; precision and recall; how far the nearest training example is; bits/dim with its
standard error on 32 test examples. Writes RUN/evaluation.json."""
FETCH = """\
examples:
  ddpm data                        what is there, and where
  ddpm data mnist                  fetch MNIST, if it is not there"""


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def _parser() -> Parser:
    parser = Parser("ddpm", description=OVERVIEW, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    device: dict[str, Any] = {"help": "cpu, cuda, cuda:1 ... (default: cuda if there is one)"}
    folder: dict[str, Any] = {
        "metavar": "RUN",
        "type": Path,
        "help": "the folder of a run, such as runs/digits",
    }
    command("recipes", list_recipes, "list the systems that can be trained")

    add = command("train", train, "train a recipe", TRAIN).add_argument
    add("recipe", metavar="RECIPE", nargs="?", type=_recipe, help="its name (default: digits)")
    add("--steps", type=_count, help="of training (default: the recipe's)")
    add("--seed", type=_seed, help="of the weights and of all chance (default: 0)")
    add("--out", metavar="FOLDER", type=Path, help="of the run (default: runs/RECIPE)")
    add("--resume", action="store_true", help="go on with the run in that folder")
    add("--device", **device)

    add = command("sample", sample, "draw samples from a run", SAMPLE).add_argument
    add("folder", **folder)
    add("--n", type=_count, default=64, help="how many (default: 64)")
    add("--sampler", type=_sampler, help="ddpm, ddim or heun (default: the recipe's)")
    add("--steps", type=_count, help="of sampling (default: ddpm 1000, ddim 50, heun 25)")
    add("--seed", type=_seed, default=0, help="of the noise (default: 0)")
    add("--out", metavar="PNG", type=_png, default="samples.png", help="(default: samples.png)")
    add("--gif", metavar="GIF", type=_gif, help="a film of the sampling, too")
    add("--device", **device)

    add = command("evaluate", evaluate, "measure how good a run is", EVALUATE).add_argument
    add("folder", **folder)
    add("--n", type=_count, default=COMPARED, help=f"samples to compare (default: {COMPARED})")
    add("--device", **device)

    add = command("data", show_data, "show or fetch data sets", FETCH).add_argument
    add("name", metavar="NAME", nargs="?", help="mnist, fashion_mnist or cifar10")
    return parser


def _recipe(name: str) -> str:
    from ddpm_lib.recipes import RECIPES

    return _one_of(RECIPES, name)


def _sampler(name: str) -> str:
    from ddpm_lib.recipes import SAMPLERS

    return _one_of(SAMPLERS, name)


def _one_of(names: Iterable[str], name: str) -> str:
    if name not in names:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(names)}")
    return name


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2^63 - 1")
    return int(text)


def _png(text: str) -> Path:
    return _file(text, ".png")


def _gif(text: str) -> Path:
    return _file(text, ".gif")


def _file(text: str, suffix: str) -> Path:
    if Path(text).suffix.lower() != suffix:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {suffix}, as what it gets does")
    return Path(text)
