"""Figures with a palette: a fraction of the bytes, and nothing to see of it."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from ddpm_book import pictures
from ddpm_lib.plotting import DATA, MODEL, NOISE, style


@pytest.fixture
def site(tmp_path):
    """A site with one figure: two clouds of points, with many shades at their edges."""
    style()
    rng = np.random.default_rng(0)
    fig, ax = plt.subplots()
    for color, count in ((DATA, 3000), (NOISE, 3000), (MODEL, 3)):  # one of them is rare
        ax.scatter(*rng.normal(size=(2, count)), s=3, color=color, alpha=0.7)
    (tmp_path / "_images").mkdir()
    fig.savefig(tmp_path / "_images" / "figure.png")
    plt.close(fig)
    return tmp_path


def reduce(site, exception=None):
    app = SimpleNamespace(outdir=site, builder=SimpleNamespace(format="html"))
    pictures.reduce(app, exception)


def test_a_figure_weighs_less_and_looks_the_same(site):
    path = site / "_images" / "figure.png"
    before, weight = np.asarray(Image.open(path).convert("RGB")).astype(int), path.stat().st_size
    reduce(site)
    after = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert path.stat().st_size < 0.6 * weight
    off = np.abs(after - before).max(2)  # of 255
    assert off.mean() < 1 and off.max() <= 16
    assert list(path.parent.iterdir()) == [path]


def test_it_is_done_once(site):
    reduce(site)
    path = site / "_images" / "figure.png"
    before = path.stat().st_mtime_ns
    reduce(site)
    assert path.stat().st_mtime_ns == before


def test_a_failed_build_is_left_alone(site):
    before = (site / "_images" / "figure.png").read_bytes()
    reduce(site, ValueError("no"))
    assert (site / "_images" / "figure.png").read_bytes() == before
