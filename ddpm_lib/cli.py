"""The command line: train a recipe, sample from it, evaluate it.

This module imports no torch, so that help and errors come at once; the commands are in `commands`.
"""

import argparse
import math
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ddpm_lib import named
from ddpm_lib.settings import SAMPLERS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code: 0, or 1 for failure, 130 for Ctrl-C."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    args = _parser().parse_args(words)  # exits with 2 where it does not understand
    args.command = shlex.join(["ddpm", *words])
    first = os.environ.get("RANK", "0") == "0"  # of several processes
    if not first:
        os.environ["TQDM_DISABLE"] = "1"  # read by tqdm when it is imported
    try:
        from ddpm_lib.commands import COMMANDS

        COMMANDS[args.verb](args)
    except KeyboardInterrupt as error:
        return _fail(error, 130) if first else 130
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        return _fail(error, 1)
    return 0


def _fail(error: BaseException, code: int) -> int:
    print(f"ddpm: {' '.join(str(error).split()) or 'interrupted'}", file=sys.stderr)
    return code


OVERVIEW = """\
Train denoising diffusion models, sample from them, and measure how good they are.

  ddpm train                       digits, in about two minutes on two CPU cores
  ddpm train --data photos         pictures of your own
  ddpm sample runs/digits --n 64 --sampler ddim --steps 50 --out grid.png
  ddpm evaluate runs/digits

A run is a folder: a checkpoint, pictures, and a JSON of settings and results."""
TRAIN = """\
examples:
  ddpm train                       the recipe digits, into runs/digits
  ddpm train shapes --steps 500    fewer steps than the recipe has
  ddpm train --data photos --size 32 --flips
                                   all pictures in and below photos, into runs/photos
  ddpm train --resume              go on where runs/digits was last saved

Pictures of your own can be of any size, gray, colored or transparent: each is cut to its middle
square. All that a run will do is printed before it starts.

Several GPUs, or several machines, share each batch:
  accelerate launch -m ddpm_lib train cifar10        after `accelerate config` on each machine
  torchrun --nproc-per-node 2 -m ddpm_lib train cifar10
The first process writes, so --out is a folder of the first machine; to --resume with several
machines, it must be one that all can read. A run goes on with any number of processes.

Resumed on a CPU, a run ends with the numbers of one that was never stopped."""
SAMPLE = """\
examples:
  ddpm sample runs/digits --n 64 --sampler ddim --steps 50 --out grid.png
  ddpm sample runs/digits --sampler ddpm --gif sampling.gif

One seed starts all samplers from the same noise."""
EVALUATE = """\
examples:
  ddpm evaluate runs/digits
  ddpm evaluate runs/photos --inception inception-2015-12-05.pt

Prints the Fréchet distance in features of a classifier, its bias, and what two sets of real
examples have; precision and recall; how far the nearest training example is; bits/dim with its
standard error on 32 test examples. Writes RUN/evaluation.json.

Pictures without classes have no classifier. The features of Inception, of which published distances
are made, are for any pictures: give NVIDIA's file inception-2015-12-05.pt. It is a program, so take
it only from a source that you trust."""
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
    commands = parser.add_subparsers(metavar="COMMAND", dest="verb", required=True)

    def command(name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    device: dict[str, Any] = {"help": "cpu, cuda, cuda:1 ... (default: cuda if there is one)"}
    folder: dict[str, Any] = {
        "metavar": "RUN",
        "type": Path,
        "help": "the folder of a run, such as runs/digits",
    }
    command("recipes", "list the systems that can be trained")

    train = command("train", "train a recipe, or on pictures of your own", TRAIN)
    what = train.add_mutually_exclusive_group().add_argument
    what("recipe", metavar="RECIPE", nargs="?", type=_recipe, help="its name (default: digits)")
    what("--data", metavar="FOLDER", type=Path, help="or pictures of your own, any number below it")
    add = train.add_argument
    add("--size", type=_count, default=32, help="of their squares, in pixels (default: 32)")
    add("--steps", type=_count, help="of training (default: the recipe's, like all that follow)")
    add("--batch", type=_count, help="examples for one step, over all processes")
    add("--learning-rate", "--lr", metavar="RATE", type=_positive, help="at its highest")
    add("--width", type=_count, help="of the network's first level; the others keep in proportion")
    add("--flips", action=argparse.BooleanOptionalAction, help="learn from mirror images, too")
    add("--seed", type=_seed, help="of the weights and of all chance")
    add("--out", metavar="FOLDER", type=Path, help="of the run (default: runs/RECIPE)")
    add("--resume", action="store_true", help="go on with the run in that folder")
    add("--device", **device)

    add = command("sample", "draw samples from a run", SAMPLE).add_argument
    add("folder", **folder)
    add("--n", type=_count, default=64, help="how many (default: 64)")
    add("--sampler", type=_sampler, help=f"{_either(SAMPLERS)} (default: the recipe's)")
    usual = ", ".join(f"{name} {steps}" for name, steps in SAMPLERS.items())
    add("--steps", type=_count, help=f"of sampling (default: {usual})")
    add("--seed", type=_seed, default=0, help="of the noise (default: 0)")
    add("--out", metavar="PNG", type=_png, default="samples.png", help="(default: samples.png)")
    add("--gif", metavar="GIF", type=_gif, help="a film of the sampling, too")
    add("--device", **device)

    add = command("evaluate", "measure how good a run is", EVALUATE).add_argument
    add("folder", **folder)
    add("--n", type=_count, help="samples to compare (default: 1000)")
    add("--inception", metavar="FILE", type=Path, help="of Inception (see below)")
    add("--device", **device)

    add = command("data", "show or fetch data sets", FETCH).add_argument
    add("name", metavar="NAME", nargs="?", help="mnist, fashion_mnist or cifar10")
    return parser


def _recipe(name: str) -> str:
    return _one_of(named.recipes(), name)


def _sampler(name: str) -> str:
    return _one_of(SAMPLERS, name)


def _one_of(names: Iterable[str], name: str) -> str:
    if name not in names:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(names)}")
    return name


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


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
