"""Pictures of one's own: a network that fits any size, and settings that are said once."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from ddpm_lib import own, recipes
from ddpm_lib.named.digits import MNIST
from ddpm_lib.named.points import RING
from ddpm_lib.settings import Part


@pytest.mark.parametrize(
    ("size", "levels"), [(8, 2), (16, 2), (28, 3), (32, 3), (36, 3), (48, 4), (64, 4), (256, 6)]
)
def test_the_network_fits_the_size(size, levels):
    recipe = own.pictures("photos", size)
    assert len(recipe.network.arguments["widths"]) == levels
    network = recipes.build(replace(own.changed(recipe, {"width": 8}))).network
    assert size % network.multiple == 0 and 4 <= size // network.multiple <= 12
    if size <= 64:
        x_t = torch.zeros(1, *recipe.shape)
        assert network(x_t, torch.tensor([1])).shape == x_t.shape


@pytest.mark.parametrize(
    ("size", "better"), [(1, "8 or 9"), (33, "32 or 36"), (50, "44 or 48"), (100, "88 or 96")]
)
def test_a_size_that_cannot_be_halved_is_refused_with_those_that_can(size, better):
    with pytest.raises(ValueError, match=f"pictures of {size} pixels .* take {better}"):
        own.pictures("photos", size)


def test_what_is_given_replaces_what_the_recipe_says():
    given = {"steps": 7, "batch": 3, "learning_rate": 1e-3, "seed": 5, "flips": True, "width": 48}
    recipe = own.changed(MNIST, given)
    assert {name: own.value(recipe, name) for name in given} == given
    assert recipe.network.arguments == {"channels": 1, "widths": [48, 96, 144]}
    assert own.changed(recipe, {"width": 32, "flips": False}) == replace(
        MNIST, settings=recipe.settings
    )
    assert own.changed(RING, {"width": 64}).network == Part("mlp", {"dim": 2, "width": 64})
    assert own.changed(MNIST, {}) == MNIST


def save(folder, count, start=0):
    folder.mkdir(parents=True, exist_ok=True)
    modes = ["L", "RGB", "RGBA"]  # gray, colored, transparent
    for i in range(start, start + count):
        Image.new(modes[i % 3], (40 + i, 30), i).save(folder / f"{i}.png")


def test_a_folder_of_any_pictures_is_read_and_a_tenth_is_kept_apart(tmp_path):
    save(tmp_path / "photos", 21)
    found = recipes.examples(own.pictures(tmp_path / "photos", 8))
    assert found.train.shape == (19, 3, 8, 8) and found.test.shape == (2, 3, 8, 8)
    assert found.labels is None  # one class is none
    save(tmp_path / "photos" / "more", 9, start=21)
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    with pytest.warns(UserWarning, match=r"1 of the 31 files .* notes.txt"):
        found = recipes.examples(own.pictures(tmp_path / "photos", 8))
    assert found.labels is not None and found.labels.unique().tolist() == [0, 1]


def test_a_folder_of_three_pictures_is_too_small(tmp_path):
    save(tmp_path / "few", 3)
    with pytest.raises(ValueError, match="few has 3 pictures that can be read: 20 are needed"):
        recipes.examples(own.pictures(tmp_path / "few", 8))
    with pytest.raises(ValueError, match=r"reads a folder of pictures, .*nowhere is not one"):
        recipes.examples(own.pictures(tmp_path / "nowhere", 8))
