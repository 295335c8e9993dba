"""Data: pixels survive, drawn pictures follow their distribution, broken files are refused."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Generator

from ddpm_lib import data

# Scaling


def test_every_pixel_value_survives_scaling():
    pixels = torch.arange(256, dtype=torch.uint8)
    x = data.scale(pixels)
    assert (x.min(), x.max()) == (-1, 1) and x.dtype == torch.float32
    assert (data.unscale(x) == pixels).all()
    assert (data.unscale(x.double()) == pixels).all()


def test_values_outside_are_clamped_instead_of_wrapping_around():
    x = torch.tensor([1.02, -1.02, 300.0, -torch.inf, torch.inf])
    assert data.unscale(x).tolist() == [255, 0, 255, 0, 255]


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.floats(-3, 3), st.sampled_from([torch.float16, torch.bfloat16, torch.float64]))
def test_unscale_is_the_nearest_pixel(value, dtype):
    x = torch.tensor(value, dtype=dtype)
    exact = min(max((float(x) + 1) * 127.5, 0), 255)
    assert abs(int(data.unscale(x)) - exact) <= 0.5 + 1e-4


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_only_bytes_are_scaled(dtype):
    with pytest.raises(TypeError, match="pixels are uint8"):
        data.scale(torch.zeros(3, dtype=dtype))


def test_unscale_refuses_what_has_no_pixel():
    with pytest.raises(TypeError, match="floats"):
        data.unscale(torch.zeros(3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="1 of 3 values are NaN"):
        data.unscale(torch.tensor([0.0, torch.nan, 1.0]))


# Drawn or embedded


def test_digits_are_the_embedded_ones():
    pixels, labels, names = data.digits()
    assert pixels.shape == (1797, 1, 8, 8) and pixels.dtype == torch.uint8
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert names[labels[0]] == "0" and (pixels.min(), pixels.max()) == (0, 255)


@pytest.fixture(scope="module")
def drawn() -> data.Pictures:
    return data.shapes(3000, size=48, seed=1)


def test_every_caption_is_equally_likely(drawn):
    counts = drawn.labels.bincount(minlength=18).double()
    assert len(drawn.names) == len(counts) == 18
    assert ((counts - 3000 / 18) ** 2 / (3000 / 18)).sum() < 45  # chi squared, p = 2e-4


def test_captions_name_the_color(drawn):
    for picture, label in zip(drawn.pixels[:200], drawn.labels[:200], strict=True):
        brightest = picture.flatten(1).long().sum(0).argmax()
        color = drawn.names[label].split()[1]
        assert tuple(picture.flatten(1)[:, brightest].tolist()) == data.COLORS[color]


def test_captions_name_the_shape(drawn):
    """A circle fills pi / 4 of its bounding box, a square all of it, a triangle half of it."""
    fill: dict[str, list[float]] = {shape: [] for shape in data.SHAPES}
    for picture, label in zip(drawn.pixels[:300], drawn.labels[:300], strict=True):
        inside = picture.amax(0) > 100
        rows, columns = inside.any(1).nonzero(), inside.any(0).nonzero()
        box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        fill[drawn.names[label].split()[2]].append(float(inside.sum() / box))
    for shape, expected in (("circle", math.pi / 4), ("square", 1), ("triangle", 0.5)):
        assert np.mean(fill[shape]) == pytest.approx(expected, abs=0.04), shape


def test_size_and_amount_of_color_do_not_tell_the_shape(drawn):
    full = torch.tensor([max(color) for color in data.COLORS.values()])[drawn.labels % 6]
    cover = drawn.pixels.amax(1).flatten(1).sum(1) / full / 48**2
    expected = math.pi * (0.2**3 - 0.12**3) / 3 / 0.08  # the mean of pi r^2
    for kind in range(3):
        area = cover[drawn.labels // 6 == kind]
        assert area.mean() == pytest.approx(expected, rel=0.04)
        assert area.min() > 0.9 * math.pi * 0.12**2 and area.max() < 1.1 * math.pi * 0.2**2


def test_no_shape_is_cut_off_and_all_places_are_used(drawn):
    ink = drawn.pixels.amax(1).float()
    for edge in (ink[:, 0], ink[:, -1], ink[:, :, 0], ink[:, :, -1]):
        assert (edge > 0).sum(1).max() <= 2  # a corner may touch it
    place = (torch.arange(48) + 0.5) / 48
    x, y = ((ink.sum(axis) * place).sum(1) / ink.sum((1, 2)) for axis in (1, 2))
    for mean in (x, y):
        assert mean.mean() == pytest.approx(0.5, abs=0.008)
        assert mean.min() < 0.25 and mean.max() > 0.75
    assert torch.stack([x, y]).corrcoef()[0, 1].abs() < 0.08


def test_shapes_repeat_with_their_seed_at_any_size():
    one, two, other = data.shapes(20, 9), data.shapes(20, 9), data.shapes(20, 9, seed=1)
    assert (one.pixels == two.pixels).all() and not (one.pixels == other.pixels).all()
    assert data.shapes(2, 1).pixels.shape == (2, 3, 1, 1)


@pytest.mark.parametrize("draw", [data.shapes, data.ring, data.moons, data.swiss_roll])
def test_counts_are_positive_integers(draw):
    with pytest.raises(ValueError, match="at least one picture, point or pixel, got 0"):
        draw(0)
    with pytest.raises(TypeError, match=r"got 2\.5"):
        draw(2.5)


# Points


def points(draw, n=4000, **settings):
    x = draw(n, generator=Generator().manual_seed(0), **settings)
    assert x.shape == (n, 2) and x.dtype == torch.float32
    assert (x == draw(n, generator=Generator().manual_seed(0), **settings)).all()
    assert not (x == draw(n, **settings)).all()
    return x.double()


def test_the_ring_is_the_mixture_that_it_names():
    exact = pytest.importorskip("ddpm_lib.exact")
    x = points(data.ring, std=0.2)
    mixture = exact.isotropic(torch.ones(8) / 8, data.ring_centers(), 0.2)
    same = exact.draw(mixture, 4000, Generator().manual_seed(1))
    log_p, log_q = exact.log_density(mixture, x), exact.log_density(mixture, same)
    stderr = math.sqrt((log_p.var() + log_q.var()) / 4000)
    assert abs(log_p.mean() - log_q.mean()) < 4 * stderr
    assert torch.allclose(x.mul(x).mean(0), exact.covariance(mixture).diagonal(), atol=0.06)
    nearest = torch.cdist(x, data.ring_centers()).argmin(1).bincount()
    assert (nearest - 500).abs().max() < 90  # four standard deviations


def test_ring_centers_are_evenly_spaced():
    centers = data.ring_centers(modes=5, radius=2)
    assert torch.allclose(centers.norm(dim=1), torch.tensor(2.0, dtype=torch.float64))
    gaps = (centers - centers.roll(1, 0)).norm(dim=1)
    assert torch.allclose(gaps, torch.full_like(gaps, 4 * math.sin(math.pi / 5)))


def test_moons_are_two_half_circles():
    x = points(data.moons, std=0.0) / 1.2
    above = (x - torch.tensor([-0.5, -0.25])).norm(dim=1) - 1
    below = (x - torch.tensor([0.5, 0.25])).norm(dim=1) - 1
    assert torch.minimum(above.abs(), below.abs()).max() < 1e-6
    assert (above.abs() < 1e-6).double().mean() == pytest.approx(0.5, abs=0.04)
    upper = x[above.abs() < 1e-6]
    assert upper[:, 1].min() >= -0.25 - 1e-6 and x[below.abs() < 1e-6][:, 1].max() <= 0.25 + 1e-6
    assert x.mean(0).abs().max() < 0.06
    assert points(data.moons, std=0.3).std() > x.std()


def test_the_swiss_roll_winds_outward():
    x = points(data.swiss_roll, std=0.0)
    radius, angle = x.norm(dim=1), torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi)
    winding = radius - angle  # a whole number of turns everywhere on the spiral
    assert (winding - winding.round()).abs().max() < 1e-5
    assert (
        radius.min() >= 0.5 and radius.max() <= 2 and radius.mean() == pytest.approx(1.25, abs=0.03)
    )


def test_the_checkerboard_is_uniform_on_the_dark_fields():
    x = points(data.checkerboard)
    column, row = (x + 2).floor().long().T
    assert column.min() == row.min() == 0 and column.max() == row.max() == 3
    assert ((column + row) % 2 == 0).all()
    counts = (4 * row + column).bincount(minlength=16)
    assert (counts[counts > 0] - 500).abs().max() < 90 and (counts > 0).sum() == 8
    assert (x - x.floor()).mean() == pytest.approx(0.5, abs=0.02)


# A folder of pictures


def read(folder: Path, name: str, size: int = 8) -> np.ndarray:
    """One picture of the folder, read alone.  (H, W, 3)"""
    pictures = data.image_folder(folder, size)
    files = sorted(file.name for file in folder.iterdir())
    return pictures.pixels[files.index(name)].permute(1, 2, 0).numpy()


GRADIENT = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def test_gray_palette_and_color_pictures_come_out_right(tmp_path):
    color = np.stack([GRADIENT, GRADIENT.T, 255 - GRADIENT], 2)
    Image.fromarray(color).save(tmp_path / "color.png")
    Image.fromarray(GRADIENT).save(tmp_path / "gray.png")
    Image.fromarray(GRADIENT > 100).save(tmp_path / "one-bit.png")
    palette = Image.fromarray(GRADIENT // 4).convert("P")
    palette.putpalette([c for k in range(64) for c in (k, 2 * k, 3 * k)])
    palette.save(tmp_path / "palette.png")
    assert (read(tmp_path, "color.png") == color).all()
    assert (read(tmp_path, "gray.png") == GRADIENT[..., None]).all()
    assert (read(tmp_path, "one-bit.png") == 255 * (GRADIENT > 100)[..., None]).all()
    assert (read(tmp_path, "palette.png") == GRADIENT[..., None] // 4 * np.array([1, 2, 3])).all()


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    deep = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    expected = np.rint(deep / 257)[..., None]
    assert (read(tmp_path, "deep.png") == expected).all()
    assert (read(tmp_path, "deep.tif") == expected).all()


def test_what_is_transparent_lies_on_white(tmp_path):
    rgba = np.zeros((8, 8, 4), np.uint8)  # hidden black
    rgba[:4] = (200, 100, 0, 255)
    rgba[4] = (0, 0, 0, 128)
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    Image.fromarray(rgba[..., [0, 3]], "LA").save(tmp_path / "gray-alpha.png")
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([10, 20, 30] * 4)
    palette.save(tmp_path / "palette.gif", transparency=3)
    for name, color in (("alpha.png", (200, 100, 0)), ("gray-alpha.png", (200, 200, 200))):
        picture = read(tmp_path, name)
        assert (picture[:4] == color).all() and (picture[5:] == 255).all()
        assert abs(picture[4].astype(int) - 127).max() <= 1
    assert (read(tmp_path, "palette.gif") == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_however_the_camera_was_held(tmp_path, orientation):
    upright = np.zeros((16, 16), np.uint8)
    upright[:8, :8], upright[:8, 8:], upright[8:, :8] = 250, 150, 60
    undo = {  # what the camera stored for each tag, by the EXIF standard
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation]))
    stored.save(tmp_path / "photo.png", exif=exif)
    assert (read(tmp_path, "photo.png", 16) == upright[..., None]).all()


def test_the_middle_square_is_kept_and_resized(tmp_path):
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.T.copy()).save(tmp_path / "tall.png")
    assert (read(tmp_path, "wide.png", 10) == 200).all()
    small = read(tmp_path, "tall.png", 5)  # the filter reaches over the square's edges a little
    assert (abs(small[1:-1].astype(int) - 200) <= 5).all() and (small[[0, -1]] > 150).all()
    noise = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8) * 255
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert read(tmp_path, "noise.png", 8).std() < 40  # averaged over the pixels left out


def test_labels_are_the_folders(tmp_path):
    for place in ("b/1.png", "b/deep/er/2.png", "a/3.jpg", ".hidden/4.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(GRADIENT).save(tmp_path / place)
    pixels, labels, names = data.image_folder(tmp_path, 4)
    assert pixels.shape == (3, 3, 4, 4) and names == ("a", "b")
    assert labels.tolist() == [0, 1, 1] and labels.dtype == torch.int64
    Image.fromarray(GRADIENT).save(tmp_path / "5.png")
    assert data.image_folder(tmp_path, 4).names == ("", "a", "b")


def test_unreadable_files_are_skipped_counted_and_named(tmp_path):
    for k in range(13):
        (tmp_path / f"bad{k:02d}.jpg").write_bytes(b"<!doctype html><title>Please log in</title>")
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "float.tif")
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8)).save(
        buffer, "JPEG"
    )
    (tmp_path / "truncated.jpg").write_bytes(buffer.getvalue()[:2000])
    (tmp_path / "good.jpg").write_bytes(buffer.getvalue())
    with pytest.warns(UserWarning, match="16 of the 17 files") as caught:
        pictures = data.image_folder(tmp_path, 8)
    assert len(pictures.pixels) == len(pictures.labels) == 1
    message = str(caught[0].message)
    assert "bad00.jpg" in message and "bad09.jpg" in message and "and 6 more" in message
    for file in tmp_path.glob("bad*"):
        file.unlink()
    with pytest.warns(UserWarning, match="unknown range") as caught:
        data.image_folder(tmp_path, 8)
    message = str(caught[0].message)
    assert all(name in message for name in ("empty.png", "truncated.jpg", "float.tif"))


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="among the 0 files"):
        data.image_folder(tmp_path, 8)
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="among the 1 files"):
        data.image_folder(tmp_path, 8)
    with pytest.raises(ValueError, match="not one"):
        data.image_folder(tmp_path / "nowhere", 8)
    with pytest.raises(ValueError, match="at least one"):
        data.image_folder(tmp_path, 0)
