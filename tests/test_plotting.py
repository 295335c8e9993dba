"""Figures: any count, a stated range, nothing rescaled unasked, films that end as they should."""

import base64
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from ddpm_lib import plotting


@pytest.fixture(autouse=True)
def course_style():
    with plt.rc_context():
        plotting.style()
        yield


def canvas(figure: Figure) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


def caption(figure: Figure) -> str:
    return figure.axes[0].get_xlabel()


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


# The style


def test_style_sets_white_cards_and_tells_curves_apart_without_color():
    assert plt.rcParams["savefig.facecolor"] == plt.rcParams["axes.facecolor"] == "white"
    cycle = plt.rcParams["axes.prop_cycle"].by_key()
    assert len(cycle["color"]) >= 6
    assert len({str(line) for line in cycle["linestyle"]}) == len(cycle["color"])
    first = [f"#{color.lstrip('#')}" for color in cycle["color"][:3]]
    assert first == [plotting.DATA, plotting.NOISE, plotting.MODEL]


def test_style_in_a_notebook_draws_twice_the_pixels_at_the_same_size():
    pytest.importorskip("IPython")
    code = """
import base64, struct, sys, torch
from ddpm_lib import plotting
plotting.style()
print("IPython" not in sys.modules)  # a script does not pay for it
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
plotting.style()
data, metadata = shell.display_formatter.format(plotting.grid(torch.zeros(3, 1, 8, 8)))
width, height = struct.unpack(">II", base64.b64decode(data["image/png"])[16:24])
shown = metadata["image/png"]
print(width // 2 == shown["width"], height // 2 == shown["height"])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["True", "True", "True"]


# Grids


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    N=st.integers(1, 130), C=st.sampled_from([1, 3]), rows=st.one_of(st.none(), st.integers(1, 9))
)
def test_a_grid_shows_every_picture_once_in_reading_order(N, C, rows):
    x = torch.arange(N * C).reshape(N, C, 1, 1).expand(N, C, 2, 3) / (N * C) * 2 - 1
    pixels, clipped = plotting.to_pixels(x)
    shown = canvas(plotting.grid(x, rows)).reshape(-1, 1 if C == 1 else 3)
    columns = -(-N // rows) if rows else None
    height = width = 0
    assert clipped == 0
    # each value fills 2x3 pixels; what is not a picture is white
    found = [tuple(pixel) for pixel in shown if tuple(pixel) != (255,) * C]
    expected = [tuple(pixel) for pixel in pixels.reshape(-1, C) if tuple(pixel) != (255,) * C]
    assert sorted(found) == sorted(expected)
    corner = canvas(plotting.grid(x, rows))
    height, width = corner.shape[:2]
    assert height % 3 == 0 and (width + 1) % 4 == 0  # a gap of one above each row, between columns
    if columns:
        assert (width + 1) // 4 == columns
    corner = corner.reshape(height, width, C)[1::3, ::4].reshape(-1, C)
    assert (corner[:N] == pixels[:, 0, 0]).all() and (corner[N:] == 255).all()


@settings(deadline=None, max_examples=50, derandomize=True)
@given(N=st.integers(1, 3000))
def test_a_grid_without_rows_is_nearly_full_and_never_a_ribbon(N):
    columns = plotting._columns(N)
    rows = -(-N // columns)
    assert rows <= columns <= max(3, 6.25 * rows + 5)
    assert rows * columns - N < columns
    root = round(N**0.5)
    assert root * root != N or columns == root  # squares stay square


def test_the_range_is_stated_and_values_beyond_it_are_clipped_and_counted():
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 1.02, torch.inf, -1 - 1e-6, 0.5]).reshape(1, 1, 2, 4)
    figure = plotting.grid(x)
    assert canvas(figure)[1:].tolist() == [[0, 0, 128, 255], [255, 255, 0, 191]]
    assert caption(figure) == "−1 black … 1 white · 38 % of the values clipped"
    assert caption(plotting.grid(torch.zeros(1, 1, 2, 2))) == "−1 black … 1 white"
    assert caption(plotting.grid(torch.zeros(1, 3, 2, 2), scale_range=(0, 0.5))) == (
        "each channel 0 dark … 0.5 full"
    )


def test_a_grid_is_drawn_in_the_gray_of_its_pixels_without_smoothing():
    image = plotting.grid(torch.zeros(1, 1, 2, 2)).axes[0].images[0]
    assert image.get_clim() == (0, 255) and image.get_cmap().name == "gray"
    assert image.get_interpolation() == "nearest"


def test_a_montage_reads_row_by_row():
    pixels = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    expected = [[255, 255, 255], [0, 255, 1], [255, 255, 255], [2, 255, 255]]
    assert plotting.montage(pixels, columns=2, space=1)[..., 0].tolist() == expected


def test_a_faded_picture_looks_faded_unless_stretching_is_asked_for():
    x = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    both = torch.cat([x, 0.1 * x + 0.7])
    plain, _ = plotting.to_pixels(both)
    assert plain[0].min() == 0 and plain[1].min() == 204 and plain[1].max() == 230
    stretched, clipped = plotting.to_pixels(both, scale_range=None)
    assert (stretched[0] == stretched[1]).all() and clipped == 0
    assert "its own minimum" in caption(plotting.grid(both, scale_range=None))


def test_a_constant_picture_can_be_stretched():
    pixels, _ = plotting.to_pixels(torch.full((2, 1, 3, 3), 0.3), scale_range=None)
    assert (pixels == 0).all()


def test_labels_stand_over_all_pictures_or_over_the_first_row():
    x = torch.zeros(6, 1, 8, 8)
    assert labels(plotting.grid(x, 2, labels=list("abcdef"))) == list("abcdef")
    assert labels(plotting.grid(x, 2, labels=list("abc"))) == list("abc")
    tall = canvas(plotting.grid(x, 2, labels=list("abcdef"))).shape[0]
    middle = canvas(plotting.grid(x, 2, labels=list("abc"))).shape[0]
    assert tall > middle > canvas(plotting.grid(x, 2)).shape[0]
    with pytest.raises(ValueError, match="got 2 labels"):
        plotting.grid(x, 2, labels=["a", "b"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_float_can_be_shown_also_with_a_gradient(dtype):
    x = torch.tensor([-1.0, 0.5, 1.0], dtype=dtype).reshape(1, 1, 1, 3).requires_grad_()
    assert plotting.to_pixels(x)[0].ravel().tolist() == [0, 191, 255]
    assert plotting.to_pixels(x.detach().float().numpy())[0].ravel().tolist() == [0, 191, 255]


@pytest.mark.parametrize(
    ("images", "error", "match"),
    [
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), TypeError, "uint8: data.scale"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.bool), TypeError, "bool"),
        (torch.zeros(2, 3, 4), ValueError, r"\(2, 3, 4\)"),
        (torch.zeros(2, 4, 4, 3), ValueError, r"\(2, 4, 4, 3\)"),
        (torch.zeros(0, 1, 4, 4), ValueError, r"\(0, 1, 4, 4\)"),
        (torch.tensor([[[[0.0, torch.nan]]]]), ValueError, "1 of 2 values are NaN"),
    ],
)
def test_what_cannot_be_shown_is_refused(images, error, match):
    with pytest.raises(error, match=match):
        plotting.grid(images)


def test_wrong_rows_and_ranges_are_refused():
    x = torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match="at least one row, got 0"):
        plotting.grid(x, rows=0)
    with pytest.raises(ValueError, match="from black to white, got 1 to 1"):
        plotting.grid(x, scale_range=(1, 1))


# Films


def fading(frames: int, *shape: int) -> list[torch.Tensor]:
    return [torch.full(shape, -1 + 2 * k / frames) for k in range(frames)]


@pytest.mark.parametrize("C", [1, 3])
def test_a_gif_loops_and_holds_its_last_frame(tmp_path, C):
    path = plotting.gif(fading(5, C, 8, 8), tmp_path / "new" / "folder" / "x.gif", fps=10, hold=3)
    film = iio.imread(path, index=None)
    assert film.shape[:3] == (5, 8 * 32 + 32, 8 * 32)  # 32 times enlarged, a gap above
    assert film[:, -1, 0, 0].tolist() == [0, 51, 102, 153, 204]
    metadata = [iio.immeta(path, index=k) for k in range(5)]
    assert [frame["duration"] for frame in metadata] == [100, 100, 100, 100, 3000]
    assert metadata[0]["loop"] == 0


def test_gif_frames_of_noise_are_stored_exactly_when_gray(tmp_path):
    x = torch.rand(4, 1, 300, 300, generator=torch.Generator().manual_seed(0)) * 2 - 1
    film = iio.imread(plotting.gif(x, tmp_path / "x.gif"), index=None)
    assert (film[:, -300:] == plotting.to_pixels(x)[0].squeeze(3)).all()


def test_a_constant_film_is_a_film(tmp_path):
    for value in (-1.0, 0.3, 1.0):
        path = plotting.gif([torch.full((1, 8, 8), value)] * 4, tmp_path / "x.gif")
        assert iio.imread(path, index=0)[-1, 0, 0] == round((value + 1) * 127.5)


def test_batches_become_grids_in_every_frame(tmp_path):
    path = plotting.gif(fading(3, 7, 1, 40, 40), tmp_path / "x.gif")
    assert iio.imread(path, index=0).shape[:2] == (2 * 42, 4 * 42 - 2)


def test_a_gif_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "x.gif"
    plotting.gif(fading(2, 1, 8, 8), path)
    before = path.read_bytes()

    def disk_full(file):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space"):
        plotting.gif(fading(5, 1, 8, 8), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_films_refuse_what_makes_no_film(tmp_path):
    path = tmp_path / "x.gif"
    with pytest.raises(ValueError, match="at least one frame"):
        plotting.gif([], path)
    with pytest.raises(ValueError, match="all of one shape"):
        plotting.gif([torch.zeros(1, 8, 8), torch.zeros(1, 9, 9)], path)
    with pytest.raises(ValueError, match="at most 50"):
        plotting.gif(fading(2, 1, 8, 8), path, fps=60)
    assert not path.exists()


def embedded(page: str) -> list[np.ndarray]:
    data = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    return [iio.imread(base64.b64decode(png), extension=".png", index=None) for png in data]


@pytest.mark.parametrize("C", [1, 3])
def test_an_animation_carries_exact_pixels_and_a_still_last_frame(C):
    x = torch.rand(6, 5, C, 8, 8, generator=torch.Generator().manual_seed(0)) * 2.2 - 1.1
    shown = plotting.animation(list(x), alt='Noise < "digits"')
    still, film = embedded(shown._repr_html_())
    assert film.shape[:3] == (6, 9, 5 * 9 - 1)
    pixels = plotting.to_pixels(x[3])[0]
    assert (film[3].reshape(9, 44, -1)[1:, 9:17, :C] == pixels[1]).all()
    assert (still.reshape(film[5].shape) == film[5]).all()


def test_an_animation_says_what_it_shows_and_asks_no_other_host():
    shown = plotting.animation(fading(3, 1, 8, 8), alt='Noise < "digits"')
    page = shown._repr_html_()
    assert 'alt="Noise &lt; &quot;digits&quot;"' in page
    assert "−1 black … 1 white" in page and "prefers-reduced-motion" in page
    assert "http" not in page and "<script" not in page
    assert len(repr(shown)) < 100
    with pytest.raises(ValueError, match="alt is empty"):
        plotting.animation(fading(3, 1, 8, 8), alt=" ")


def test_the_caption_of_an_animation_counts_over_all_frames():
    shown = plotting.animation([torch.zeros(1, 2, 2), torch.full((1, 2, 2), 2.0)], alt="x")
    assert "50 % of the values clipped" in shown.html


# Paths


def test_trajectories_begin_at_noise_and_end_at_samples():
    paths = torch.randn(11, 7, 2, generator=torch.Generator().manual_seed(0))
    figure = plotting.trajectories(paths, data=torch.zeros(3, 2))
    data, lines, x_T, x_0 = figure.axes[0].collections
    assert len(data.get_offsets()) == 3
    assert len(lines.get_paths()) == 7
    assert (lines.get_paths()[4].vertices == paths[:, 4].numpy()).all()
    assert (x_T.get_offsets() == paths[0].numpy()).all()
    assert (x_0.get_offsets() == paths[-1].numpy()).all()
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["data", "$x_T$", "$x_0$"]
    assert len(plotting.trajectories(paths).axes[0].collections) == 3


def test_all_paths_lie_within_the_axes():
    paths = torch.tensor([[[0.0, 0.0]], [[9.0, -9.0]], [[0.0, 0.0]]])  # there and back again
    ax = plotting.trajectories(paths).axes[0]
    assert ax.get_xlim()[1] >= 9 and ax.get_ylim()[0] <= -9


@pytest.mark.parametrize("shape", [(5, 2), (5, 4, 3), (0, 4, 2)])
def test_paths_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="steps, N, 2"):
        plotting.trajectories(torch.zeros(shape))


def test_figures_are_saved_with_a_white_ground_and_left_out_of_pyplot():
    before = plt.get_fignums()
    figure = plotting.grid(torch.zeros(3, 1, 8, 8))
    assert plt.get_fignums() == before
    with tempfile.TemporaryDirectory() as folder:
        path = plotting.save(figure, Path(folder) / "new" / "x.png")
        head = path.read_bytes()[:24]
        assert struct.unpack(">I", head[16:20])[0] > 300
        assert iio.imread(path)[0, 0, :3].tolist() == [255, 255, 255]
