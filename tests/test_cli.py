"""The command line: a whole round, resumed runs, errors in one line, exit codes."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image

from ddpm_lib import (
    checkpoints,
    cli,
    commands,
    evaluation,
    figures,
    measuring,
    named,
    plotting,
    recipes,
    runs,
    settings,
    training,
)
from ddpm_lib.named import digits, points
from ddpm_lib.settings import Part, Settings

LEFT = {"checkpoint.safetensors", "loss.png", "samples.png", "sampling.gif", "run.json"}


@pytest.fixture(autouse=True)
def _small(tmp_path, monkeypatch):
    """A folder to be in, and recipes that take no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DDPM_DATA", str(tmp_path / "data"))
    few = Part("cosine", {"T": 20})
    quick = Settings(steps=12, batch=8, learning_rate=1e-2, warmup=1)
    for module, name, network in (
        (digits, "DIGITS", Part("tiny", {"width": 4, "T": 20})),
        (points, "RING", Part("mlp", {"width": 8})),
    ):
        recipe = replace(getattr(module, name), network=network, schedule=few, settings=quick)
        monkeypatch.setattr(module, name, recipe)
    monkeypatch.setattr(runs, "SAVED", 4)  # to have several checkpoints of so short a run
    monkeypatch.setattr(measuring, "COMPARED", 100)
    quick = partial(evaluation.train_classifier, steps=3)
    monkeypatch.setattr(evaluation, "train_classifier", quick)


def run(command: str) -> int:
    return cli.main(command.split())


def fails(command: str, capsys) -> tuple[int, str]:
    """The exit code and the one line that it says."""
    try:
        code = run(command)
    except SystemExit as error:  # argparse
        code = error.code
    lines = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line and "\r" not in line and "step/s" not in line  # the bar
    ]
    assert len(lines) == 1, lines
    return code, lines[0]


def frames(path: str | Path) -> int:
    with Image.open(path) as film:
        return film.n_frames


# A whole round


@pytest.fixture
def trained(tmp_path, capsys) -> Path:
    assert run("train") == 0
    capsys.readouterr()
    return Path("runs/digits")


def test_a_whole_round_of_pictures(capsys):
    assert run("train --seed 5") == 0
    said = capsys.readouterr()
    assert "loss" in said.err and "images/s" in said.err  # the bar
    folder = Path("runs/digits")
    assert {file.name for file in folder.iterdir()} == LEFT
    facts = json.loads((folder / "run.json").read_text())
    assert facts["command"] == "ddpm train --seed 5"
    assert facts["recipe"]["settings"]["seed"] == 5
    assert settings.from_json(facts["recipe"]).network == Part("tiny", {"width": 4, "T": 20})
    assert facts["versions"]["torch"] == torch.__version__
    results = facts["results"]
    assert results["frechet_distance"] > results["frechet_distance_real"] > 0
    assert results["seconds"] > 0
    assert results["images_per_second"] == pytest.approx(12 * 8 / results["seconds"])
    assert frames(folder / "sampling.gif") == 21  # x_T and what follows, T = 20

    assert run("sample runs/digits --n 4 --sampler heun --steps 3 --out g.png --gif f.gif") == 0
    assert frames("f.gif") == 4
    assert Path("g.png").read_bytes().startswith(b"\x89PNG")
    assert run("evaluate runs/digits --n 100") == 0
    facts = json.loads((folder / "evaluation.json").read_text())
    assert facts["results"]["compared"] == 100
    assert facts["results"].keys() >= {
        "precision", "recall", "nearest_training_example", "bits_per_dim", "bits_per_dim_stderr",
    }  # fmt: skip
    assert all(isinstance(value, int | float) for value in facts["results"].values())
    assert "bits per dim" in capsys.readouterr().out


def test_a_whole_round_of_points():
    assert run("train ring --out points") == 0
    assert {file.name for file in Path("points").iterdir()} == LEFT
    assert run("sample points --n 5 --out g.png --gif f.gif") == 0
    assert run("evaluate points --n 100") == 0
    results = json.loads(Path("points/evaluation.json").read_text())["results"]
    assert run("evaluate points --n 100") == 0  # the same again
    assert json.loads(Path("points/evaluation.json").read_text())["results"] == results
    assert results["frechet_distance_real"] < 0.1 < results["frechet_distance"]


def test_a_whole_round_of_your_own_pictures(tmp_path, capsys):
    """Without classes there is no Fréchet distance, and nobody prints one."""
    (tmp_path / "photos").mkdir()
    for i in range(40):
        Image.new("RGB", (9, 8), (i, 2 * i, 255)).save(tmp_path / "photos" / f"{i}.png")
    options = "--steps 3 --batch 4 --lr 0.001 --width 8 --flips --seed 2"
    assert run(f"train --data photos --size 8 {options}") == 0
    said = capsys.readouterr().out
    for told in (
        f"image_folder path={tmp_path}/photos, size=8",
        "3×8×8, and its mirror image",
        "widths=[8, 16]",
        "steps=3, batch=4, learning_rate=0.001",
        "seed=2",
        "no Fréchet distance, precision or recall",
        "--inception FILE",
    ):
        assert told in said
    assert "frechet distance" not in said
    facts = json.loads(Path("runs/photos/run.json").read_text())
    assert not [name for name in facts["results"] if "frechet" in name]
    assert settings.from_json(facts["recipe"]).flips
    code, line = fails("train --data photos --size 16 --resume", capsys)
    assert code == 1 and "'size': 8" in line and "it can only go on as it began" in line
    assert run("train --data photos --size 8 --resume") == 0
    assert run("evaluate runs/photos --n 9") == 0
    results = json.loads(Path("runs/photos/evaluation.json").read_text())["results"]
    assert "bits_per_dim" in results and "precision" not in results


def test_a_run_shows_as_many_as_fit_its_picture(monkeypatch):
    counts, walk = [], recipes.walk
    monkeypatch.setattr(recipes, "walk", lambda m, n, *rest: counts.append(n) or walk(m, n, *rest))
    assert run("train") == run("train ring") == 0
    assert counts[0] == 64 and 512 in counts


def test_numbers_are_taken_up_to_their_ends():
    options = cli._parser().parse_args(["sample", "runs/x", "--steps", "1"])
    assert (options.n, options.seed, options.steps) == (64, 0, 1)
    options = cli._parser().parse_args(["train", "--seed", str(2**63 - 1)])
    torch.Generator().manual_seed(options.seed)
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["train", "--seed", str(2**63)])


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "not measured"),
        (599, "599 s"),
        (600, "10 min"),
        (35_990, "600 min"),
        (36_000, "10 h"),
    ],
)
def test_a_time_is_told_in_a_unit_that_fits(seconds, told):
    assert commands._duration(seconds) == told


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, there, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert commands._device(None)[0] == torch.device(device)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, line = fails("train --device cuda:1", capsys)
    assert code == 1 and line.startswith("ddpm: torch finds no CUDA device here")


def test_samples_are_those_of_the_seed_and_of_the_average(trained):
    for options in ("--seed 3 --out a.png", "--seed 3 --out b.png", "--seed 4 --out c.png"):
        assert run(f"sample {trained} --n 4 {options}") == 0
    a, b, c = (Path(name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c
    checkpoint = checkpoints.load(trained / runs.CHECKPOINT)
    name = "network.head.weight"
    assert not torch.equal(checkpoint.network[name], checkpoint.average[name])
    recipe = settings.from_json(checkpoint.about["recipe"])
    model = recipes.trained(recipe, checkpoint.average, torch.device("cpu"))
    plotting.save(plotting.grid(list(recipes.walk(model, 4, 3))[-1]), "d.png")
    assert Path("d.png").read_bytes() == a


# Stopped and resumed


def _stop_at(step: int, monkeypatch) -> None:
    """Let Ctrl-C come in the midst of that step."""
    whole = training._follow
    calls = iter(range(1, 100))

    def follow(*args, **memory):
        if next(calls) == step:
            raise KeyboardInterrupt
        whole(*args, **memory)

    monkeypatch.setattr(training, "_follow", follow)


def test_a_resumed_run_equals_one_that_was_never_stopped(monkeypatch, capsys):
    assert run("train --out whole") == 0
    with monkeypatch.context() as patch:
        _stop_at(11, patch)
        capsys.readouterr()
        code, said = fails("train --out stopped", capsys)
    assert code == 130
    assert "interrupted; stopped/checkpoint.safetensors holds step 8" in said
    assert said.endswith("; to go on: ddpm train --out stopped --resume")
    assert run("train --resume --out stopped") == 0
    one, other = (checkpoints.load(Path(f) / runs.CHECKPOINT) for f in ("whole", "stopped"))
    assert one.step == other.step == 12
    for group in ("network", "average", "optimizer", "random"):
        a, b = getattr(one, group), getattr(other, group)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
    assert one.about["losses"] == other.about["losses"]
    assert [step for step, _ in one.about["losses"]] == list(range(1, 13))
    results = [
        json.loads((Path(f) / "run.json").read_text())["results"] for f in ("whole", "stopped")
    ]
    assert results[0]["frechet_distance"] == results[1]["frechet_distance"]


def test_ctrl_c_outside_a_step_names_the_checkpoint_too(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "draw", interrupted)
    code, said = fails("train", capsys)
    assert code == 130
    assert "runs/digits/checkpoint.safetensors holds step 12, loss.png, samples.png, samp" in said
    assert said.endswith("; to go on: ddpm train --resume")
    assert {file.name for file in Path("runs/digits").iterdir()} == LEFT - {"run.json"}


def test_ctrl_c_while_measuring_keeps_what_is_measured(trained, monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "nearest", interrupted)
    monkeypatch.setattr(evaluation, "precision_recall", lambda *args: (1, 1))
    code, said = fails("evaluate runs/digits", capsys)
    assert code == 130
    assert "evaluation.json holds what was measured until then; all of it: ddpm evaluate" in said
    results = json.loads((trained / "evaluation.json").read_text())["results"]
    assert results.keys() >= {"frechet_distance", "recall"} and "bits_per_dim" not in results
    (trained / "evaluation.json").unlink()
    monkeypatch.setattr(measuring, "draw", interrupted)
    code, said = fails("evaluate runs/digits", capsys)
    assert code == 130 and "nothing was measured" in said


def test_ctrl_c_before_anything_was_saved(monkeypatch, capsys):
    _stop_at(2, monkeypatch)
    code, said = fails("train", capsys)
    assert code == 130
    assert "nothing was saved yet" in said and "--resume" not in said


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(monkeypatch, capsys):
    monkeypatch.setattr(training, "learning_rate", lambda _, step: torch.nan if step == 10 else 0)
    code, said = fails("train", capsys)
    assert code == 1
    assert "from step 11 on" in said and "holds step 8" in said
    assert checkpoints.load("runs/digits/checkpoint.safetensors").step == 8


# What is refused


def test_a_finished_run_is_not_overwritten(trained, capsys):
    before = (trained / runs.CHECKPOINT).read_bytes()
    code, said = fails("train", capsys)
    assert code == 1
    assert "is there already" in said and "--resume" in said and "--out" in said
    assert (trained / runs.CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize(
    "options",
    ["ring", "--steps 13", "--seed 1", "--batch 9", "--lr 1", "--width 5", "--flips", "--data ."],
)
def test_a_run_goes_on_as_it_began(options, trained, capsys):
    code, said = fails(f"train {options} --resume --out {trained}", capsys)
    assert code == 1
    assert "it can only go on as it began" in said


def test_resuming_with_the_same_options_is_welcome(trained):
    options = "--steps 12 --seed 0 --batch 8 --lr 0.01 --width 4 --no-flips"
    assert run(f"train digits {options} --resume --out {trained}") == 0


@pytest.mark.parametrize(
    "command",
    [
        "",
        "paint",
        "train digit",
        "train --steps 0",
        "train --steps many",
        "train --seed -1",
        "train --color red",
        "train --lr 0",
        "train --lr inf",
        "train digits --data photos",
        "train --size 0",
        "sample",
        "sample runs/digits --sampler euler",
        "sample runs/digits --out grid.jpg",
        "sample runs/digits --gif film.mp4",
        "evaluate",
    ],
)
def test_misuse_is_one_line_and_two(command, capsys):
    code, said = fails(command, capsys)
    assert code == 2
    assert said.startswith("ddpm") and "--help says more" in said


@pytest.mark.parametrize(
    "command, message",
    [
        ("sample nowhere", "nowhere holds no checkpoint.safetensors"),
        ("evaluate nowhere", "nowhere holds no checkpoint.safetensors"),
        ("train --resume", "runs/digits holds no checkpoint.safetensors"),
        ("train --device toaster", "toaster"),
        ("train --out /dev/null/run", "/dev/null"),
        ("train --data photos --size 33", "take 32 or 36"),
        ("train --data nowhere", "image_folder reads a folder of pictures"),
        ("train ring --flips", "flips are for pictures"),
        ("data nowhere", "nothing to download is named 'nowhere', only: mnist"),
    ],
)
def test_failure_is_one_line_and_one(command, message, capsys):
    code, said = fails(command, capsys)
    assert code == 1
    assert said.startswith("ddpm: ") and message in said


def test_a_checkpoint_that_is_damaged_or_has_no_recipe_is_refused(trained, capsys):
    file = trained / runs.CHECKPOINT
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    code, said = fails(f"sample {trained}", capsys)
    assert code == 1 and "damaged" in said
    network = torch.nn.Linear(2, 2)
    checkpoints.save(training.Run(network, Settings()), file, about="mine")
    code, said = fails(f"sample {trained}", capsys)
    assert code == 1 and "has no recipe" in said


def test_too_many_strides_are_refused(trained, capsys):
    code, said = fails(f"sample {trained} --steps 21", capsys)
    assert code == 1 and "T = 20" in said
    assert not Path("samples.png").exists()


# Lists


def test_every_recipe_is_listed(capsys):
    assert run("recipes") == 0
    said = capsys.readouterr().out
    assert all(f"\n{name} " in said for name in named.recipes())


def test_the_data_that_is_there_is_said_to_be(capsys, tmp_path, monkeypatch):
    from ddpm_lib import downloads

    assert run("data") == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "data") in said
    assert "4 of 4 files missing: ddpm data mnist" in said

    def fetch(source, file):
        path = downloads.data_folder() / source.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    monkeypatch.setattr(downloads, "fetch", fetch)
    assert run("data cifar10") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["cifar10"] == "there"
    assert "4 of 4 files missing" in lines["mnist"]


def test_a_film_is_short_and_ends_with_the_last_frame(monkeypatch):
    for n in (1, 2, 51, 60, 61, 1001):
        frames = figures._short([torch.tensor(i) for i in range(n)])
        assert len(frames) <= 61 and frames[-1] == n - 1
        assert len({int(b - a) for a, b in pairwise(frames)}) <= 1


def test_the_density_of_points_is_upright():
    picture = figures._density(torch.tensor([[2.9, 2.9]] * 4))  # right and above
    assert picture.shape == (1, 64, 64)
    assert picture[0, 1, 62] == 1
    assert picture.sum() == 1 - (64 * 64 - 1)


# As a program


def test_help_is_quick_and_the_module_is_the_command():
    code = (
        "import sys, ddpm_lib.cli as cli\n"
        "try: cli.main(['train', '--help'])\n"
        "finally: assert not {'torch', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    module = [sys.executable, "-m", "ddpm_lib"]
    help = subprocess.run([*module, "--help"], check=True, capture_output=True, text=True)
    assert "ddpm sample runs/digits --n 64 --sampler ddim --steps 50 --out grid.png" in help.stdout
    assert subprocess.run([*module, "paint"], capture_output=True, check=False).returncode == 2
    failed = subprocess.run([*module, "sample", "nowhere"], capture_output=True, check=False)
    assert failed.returncode == 1 and b"Traceback" not in failed.stderr
