"""Recipes: they describe what they say, survive JSON, and refuse what they do not know."""

import json
import tomllib
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import torch

from ddpm_lib import data, examples, named, recipes, sampling, settings
from ddpm_lib.course.recipes import SMALL_DIGITS
from ddpm_lib.named.digits import DIGITS as digits
from ddpm_lib.named.points import RING as ring
from ddpm_lib.networks.tiny import MLP
from ddpm_lib.settings import Part

ROOT = Path(__file__).parents[1]
DOWNLOADED = ("mnist", "fashion_mnist", "cifar10")
RECIPES = named.recipes() | {"small_digits": SMALL_DIGITS}
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda r: r.name)
embedded = pytest.mark.parametrize(
    "recipe", [r for r in RECIPES.values() if r.name not in DOWNLOADED], ids=lambda r: r.name
)


def test_the_recipes_that_are_promised_are_there():
    assert {"digits", "shapes", *DOWNLOADED} < RECIPES.keys()
    assert all(name == recipe.name for name, recipe in RECIPES.items())


@every_recipe
def test_a_recipe_survives_json(recipe):
    there_and_back = settings.from_json(json.loads(json.dumps(settings.to_json(recipe))))
    assert there_and_back == recipe


@every_recipe
def test_all_names_are_in_the_tables_and_the_network_takes_one_example(recipe):
    schedule, network, parameterization, clip = recipes.build(recipe)
    assert recipe.data.name in recipes.DATA
    assert recipe.sampler.name in recipes.SAMPLERS.keys() & settings.SAMPLERS.keys()
    x_t = torch.zeros(2, *recipe.shape)
    with torch.no_grad():
        out = network(x_t, torch.tensor([1, schedule.T]))
    assert out.shape == x_t.shape
    assert parameterization in (recipes.EPS, recipes.X_0, recipes.V)
    assert clip == (1 if recipe.pictures else None)


@embedded
def test_the_data_is_what_the_recipe_says_and_nothing_is_in_both_parts(recipe):
    found = recipes.examples(recipe)
    assert found.train.shape[1:] == found.test.shape[1:] == recipe.shape
    x = data.prepare(found.train)
    assert x.dtype == torch.float32
    if recipe.pictures:
        assert x.min() == -1
        assert 0.9 < x.max() <= 1
        assert found.labels is not None
        assert len(found.labels) == len(found.train)
    else:
        assert not (found.train[:100, None] == found.test).all(2).any()


def test_digits_are_parted_at_random_with_their_labels():
    from ddpm_lib import data

    found, whole = recipes.examples(digits), data.digits()
    assert len(found.train) + len(found.test) == len(whole.pixels)
    assert found.labels is not None
    every, parts = (torch.cat(x) for x in ([whole.pixels], [found.train, found.test]))
    rows = lambda x: sorted(map(bytes, x.flatten(1).numpy()))
    assert rows(every) == rows(parts)  # each digit once
    of = {bytes(p.numpy()): int(y) for p, y in zip(every, whole.labels, strict=True)}
    assert [of[bytes(p.numpy())] for p in found.train] == found.labels.tolist()
    assert found.labels.bincount().min() > 100  # no class is only in the test part


def test_a_tenth_of_the_digits_is_kept_apart():
    found = recipes.DATA["digits"]()
    assert (len(found.train), len(found.test)) == (1618, 179)


def test_published_sets_keep_their_own_test_pictures_apart():
    def load(test=False):
        pixels = torch.full((3, 1, 4, 4), 7 if test else 5, dtype=torch.uint8)
        return data.Pictures(pixels, torch.arange(3), ("a", "b", "c"))

    found = examples.published(load)()
    assert (found.train == 5).all() and (found.test == 7).all()


def test_flips_are_the_mirror_images_with_the_same_labels():
    plain, both = recipes.examples(digits), recipes.examples(replace(digits, flips=True))
    n = len(plain.train)
    assert torch.equal(both.train[:n], plain.train) and torch.equal(both.test, plain.test)
    assert torch.equal(both.train[n:, :, :, 0], plain.train[:, :, :, -1])
    assert plain.labels is not None and torch.equal(both.labels, plain.labels.repeat(2))
    with pytest.raises(ValueError, match=r"flips are for pictures .*, not for \(20000, 2\)"):
        recipes.examples(replace(ring, flips=True))


def test_examples_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 28, 28\).*digits has \(1, 8, 8\)"):
        recipes.examples(replace(digits, shape=(1, 28, 28)))


def test_the_seed_makes_the_weights_and_leaves_the_callers_chance_alone():
    state = torch.get_rng_state()
    one, same = recipes.build(digits).network, recipes.build(digits).network
    other = recipes.build(replace(digits, settings=replace(digits.settings, seed=1))).network
    assert torch.equal(torch.get_rng_state(), state)
    weights = [next(network.parameters()) for network in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("kind", ["network", "schedule", "parameterization"])
def test_a_part_that_does_not_exist_is_named_beside_those_that_do(kind):
    wrong = replace(digits, **{kind: Part("os.system")})
    with pytest.raises(ValueError, match=rf"no {kind} is named 'os.system', only: \w+"):
        recipes.build(wrong)


def test_wrong_arguments_of_a_part_are_named():
    wrong = replace(digits, network=Part("unet", {"layers": 3}))
    with pytest.raises(ValueError, match=r"network unet cannot be made with .*layers.*layers"):
        recipes.build(wrong)


def test_an_unknown_recipe_is_named():
    assert named.find("digits") is digits
    with pytest.raises(ValueError, match="no recipe is named 'digit', only: digits"):
        named.find("digit")


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("network"),
        lambda values: values.update(color="red"),
        lambda values: values["settings"].update(epochs=3),
        lambda values: values.update(data="digits"),
    ],
    ids=["missing", "unknown", "unknown setting", "of another type"],
)
def test_json_of_something_else_is_refused(change):
    values = settings.to_json(digits)
    change(values)
    with pytest.raises(ValueError, match="no recipe of this version"):
        settings.from_json(values)


def test_json_of_an_older_version_is_read():
    """As it stands in checkpoints from before there were flips."""
    old = """{"name": "ring", "shape": [2], "data": {"name": "ring", "arguments": {}}, "network":
    {"name": "mlp", "arguments": {"dim": 2, "width": 128}}, "settings": {"steps": 4000, "batch":
    512, "learning_rate": 0.002, "warmup": 50, "final": 0.0, "clip": 1.0, "ema": 0.999, "seed": 0,
    "accumulate": 1, "bfloat16": false, "channels_last": false, "compile": false}, "schedule":
    {"name": "cosine", "arguments": {}}, "parameterization": {"name": "v", "arguments": {}},
    "sampler": {"name": "ddim", "arguments": {}}, "clip": null, "cpu_seconds": 30}"""
    assert settings.from_json(json.loads(old)) == ring


def test_json_that_is_no_object_is_refused():
    with pytest.raises(ValueError, match="no recipe of this version"):
        settings.from_json(None)


def _model(**changes) -> recipes.Model:
    recipe = replace(ring, network=Part("mlp", {"width": 8}), **changes)
    torch.manual_seed(3)
    network = MLP(width=8)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return recipes.trained(recipe, network.state_dict(), torch.device("cpu"))


def test_a_walk_starts_from_the_noise_of_its_seed_and_takes_the_steps_it_is_asked_for():
    walk = list(recipes.walk(_model(), 5, seed=7, steps=4))
    assert [x.shape for x in walk] == [(5, 2)] * 5
    assert torch.equal(walk[0], torch.randn(5, 2, generator=torch.Generator().manual_seed(7)))
    assert all(
        torch.equal(x, y)
        for x, y in zip(walk, recipes.walk(_model(), 5, seed=7, steps=4), strict=True)
    )
    assert not torch.equal(walk[-1], list(recipes.walk(_model(), 5, seed=8, steps=4))[-1])


def test_a_walk_is_the_samplers():
    model = _model()
    want = list(
        sampling.sample(
            sampling.ddim(),
            model.schedule,
            model.denoise,
            torch.randn(3, 2, generator=torch.Generator().manual_seed(0)),
            sampling.strided(1000, 50),
        )
    )
    got = list(recipes.walk(model, 3, seed=0))
    assert len(got) == 51
    assert torch.equal(got[-1], want[-1])
    other = list(
        recipes.walk(model._replace(recipe=replace(model.recipe, sampler=Part("heun"))), 3, 0)
    )
    assert len(other) == 26
    assert not torch.equal(got[-1], other[-1])


def test_the_usual_number_of_steps_is_no_more_than_there_are():
    model = _model(schedule=Part("linear", {"T": 10}), sampler=Part("ddpm"))
    assert len(list(recipes.walk(model, 2, seed=0))) == 11


def test_another_package_adds_recipes_by_an_entry_point(tmp_path, monkeypatch):
    """As pyproject.toml does it for the course; without the metadata, these are lacking."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    (line,) = (f"{name} = {module}" for name, module in groups[named.GROUP].items())
    monkeypatch.setattr(named, "entry_points", lambda group: [])
    assert "small_digits" not in named.recipes()
    (tmp_path / "toy-1.dist-info").mkdir()
    (tmp_path / "toy-1.dist-info" / "METADATA").write_text("Name: toy\nVersion: 1\n")
    (tmp_path / "toy-1.dist-info" / "entry_points.txt").write_text(f"[{named.GROUP}]\n{line}\n")
    there = metadata.PathDistribution(tmp_path / "toy-1.dist-info").entry_points
    monkeypatch.setattr(named, "entry_points", lambda group: there.select(group=group))
    assert named.find("small_digits") is SMALL_DIGITS
