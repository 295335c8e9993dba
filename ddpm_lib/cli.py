"""The command line: train a recipe, sample from it, evaluate it.

What costs time to import is imported inside the commands, so that help and errors come at once.
"""

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import torch

    from ddpm_lib.checkpoints import Checkpoint
    from ddpm_lib.recipes import Recipe


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
    from ddpm_lib import plotting, recipes, runs

    name = args.recipe or "digits"
    folder = args.out or Path("runs") / name
    device = _device(args.device)
    try:
        recipe, checkpoint = (_resumed if args.resume else _fresh)(args, name, folder)
        examples = recipes.examples(recipe)
        model, about = runs.train(recipe, checkpoint, examples, folder / runs.CHECKPOINT, device)
        plotting.style()
        runs.save_losses(about["losses"], folder / "loss.png")
        walk = list(recipes.walk(model, 64 if recipe.pictures else 512, recipe.settings.seed))
        runs.save_picture(recipe, walk, folder / "samples.png")
        runs.save_film(recipe, walk, folder / "sampling.gif")
        comparison = runs.compare(model, examples, runs.COMPARED)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(args, folder)) from None  # wherever it was
    settings, seconds = recipe.settings, about["seconds"]
    results = {
        "loss": runs.recent(about["losses"]),
        "seconds": seconds,
        "images_per_second": settings.steps * settings.batch / seconds,
        "cpu_seconds": about["cpu_seconds"],
        **comparison.distances,
    }
    runs.report(results, args.command, recipe, device, folder / "run.json")
    print(f"{folder} holds {runs.CHECKPOINT}, loss.png, samples.png, sampling.gif and run.json")


def _fresh(args: argparse.Namespace, name: str, folder: Path) -> tuple["Recipe", None]:
    from ddpm_lib import recipes, runs

    runs.begin(folder)
    recipe = recipes.find(name)
    given = {key: getattr(args, key) for key in ("steps", "seed")}
    given = {key: value for key, value in given.items() if value is not None}
    return replace(recipe, settings=replace(recipe.settings, **given)), None


def _resumed(args: argparse.Namespace, name: str, folder: Path) -> tuple["Recipe", "Checkpoint"]:
    from ddpm_lib import runs

    recipe, checkpoint = runs.load(folder)
    asked = {"recipe": args.recipe, "steps": args.steps, "seed": args.seed}
    settings = recipe.settings
    for key, there in ("recipe", recipe.name), ("steps", settings.steps), ("seed", settings.seed):
        if asked[key] not in (None, there):
            raise ValueError(
                f"the run in {folder} has {key} {there}, not {asked[key]}: it can only go on as "
                "it began"
            )
    return recipe, checkpoint


def _interrupted(args: argparse.Namespace, folder: Path) -> str:
    """What Ctrl-C has left, and how to go on."""
    from ddpm_lib import checkpoints, runs

    file = folder / runs.CHECKPOINT
    if not file.exists():
        return "interrupted; nothing was saved yet"
    command = args.command if args.resume else f"{args.command} --resume"
    return f"interrupted; {file} holds step {checkpoints.load(file).step}; to go on: {command}"


# ddpm sample, ddpm evaluate


def sample(args: argparse.Namespace) -> None:
    """Draw from a run, as a picture and perhaps a film."""
    from ddpm_lib import plotting, recipes, runs

    recipe, checkpoint = runs.load(args.folder)
    if args.sampler is not None:
        recipe = replace(recipe, sampler=recipes.Part(args.sampler))
    model = recipes.trained(recipe, checkpoint.average, _device(args.device))
    walk = list(recipes.walk(model, args.n, args.seed, args.steps))
    plotting.style()
    print(runs.save_picture(recipe, walk, args.out))
    if args.gif is not None:
        print(runs.save_film(recipe, walk, args.gif))


def evaluate(args: argparse.Namespace) -> None:
    """Measure a run in every way there is here."""
    from ddpm_lib import recipes, runs

    recipe, checkpoint = runs.load(args.folder)
    model = recipes.trained(recipe, checkpoint.average, _device(args.device))
    results = runs.measure(model, recipes.examples(recipe), args.n or runs.COMPARED)
    runs.report(results, args.command, recipe, model.device, args.folder / "evaluation.json")


# ddpm data


def show_data(args: argparse.Namespace) -> None:
    """Print what is where, or fetch a data set."""
    from ddpm_lib import downloads

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


def _device(name: str | None) -> "torch.device":
    import torch

    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("torch finds no CUDA device here: leave out --device, or say cpu")
    return device


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
    add("--n", type=_count, help="samples to compare (default: 1000)")
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
