"""The explorable of chapter 10: the page's embedding is that of ddpm_lib, and its handling."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import problems_on_screens, show

from ddpm_lib.course.explore import explorable
from ddpm_lib.networks.embedding import Sinusoidal


@pytest.fixture(scope="module")
def figure():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    output = explorable("embedding", {}, still=still)
    return output._repr_html_()


def paired(t, dim, longest):
    """The library's, with frequencies in float64 as the page's."""
    layer = Sinusoidal(dim, longest)
    exponents = torch.arange(dim // 2).double() / (dim // 2 - 1)
    layer.frequencies = longest**-exponents
    return layer(torch.tensor(t).double())


def slip(t, dim, longest):
    angles = torch.tensor(t).double()[:, None] * longest ** (-2 * torch.arange(dim).double() / dim)
    even = torch.arange(dim) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos())


KINDS = {True: paired, False: slip}


@pytest.mark.parametrize("kind", [True, False], ids=["paired", "slip"])
@pytest.mark.parametrize(("dim", "longest"), [(4, 10), (64, 10_000), (128, 100_000)])
def test_the_embedding_and_its_similarity_are_those_of_the_library(modules, kind, dim, longest):
    times, settings = [0, 1, 37, 1000], [dim, longest, kind]
    got = modules(
        "embedding", "input[0].map((t) => m.embed(t, ...input[1]))", [times, [dim, longest, kind]]
    )
    want = KINDS[kind](times, dim, longest)
    np.testing.assert_allclose(got, want, atol=1e-9)
    got = modules(
        "embedding",
        "m.similarity(37, 1000, { dim: input[0], longest: input[1], paired: input[2] })",
        settings,
    )
    assert got == pytest.approx(float(want[2] @ want[3]) / (dim / 2), abs=1e-9)


def test_only_the_paired_ones_are_equally_long(modules):
    slips = slip(list(range(1001)), 64, 10_000).square().sum(1)
    for kind, want in ((True, [32, 32]), (False, [float(slips.min()), float(slips.max())])):
        got = modules("embedding", "m.lengths({ dim: 64, longest: 10000, paired: input })", kind)
        assert got == pytest.approx(want, abs=1e-9)


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def assert_says(page, t, near, far, *, dim=64, longest=10_000, kind=True):
    vectors = KINDS[kind](list(range(1001)), dim, longest)
    pattern = r"The similarity of t = (\d+) is (\S+) with (\d+), and (\S+) with (\d+)\. "
    text = sentence(page).replace("−", "-")
    said = [float(x) for x in re.match(pattern, text).groups()]
    like = [float(vectors[t] @ vectors[u]) / (dim / 2) for u in (near, far)]
    assert said == pytest.approx([t, like[0], near, like[1], far], abs=6e-3)
    assert not kind or text.endswith("for every time.")


def test_sliders_and_choice_change_sentence_and_picture(new_page, figure):
    page = show(new_page(), figure)
    assert_says(page, 500, 501, 0)
    curve = page.locator(".ex-curve.ex-model")
    before = curve.get_attribute("d")
    page.get_by_role("slider", name="time t", exact=True).fill("100")
    assert_says(page, 100, 101, 1000)
    assert curve.get_attribute("d") != before
    page.get_by_role("slider", name="slowest hand").fill("1")
    assert_says(page, 100, 101, 1000, longest=100)
    page.get_by_role("slider", name="numbers").fill("8")
    assert_says(page, 100, 101, 1000, dim=8, longest=100)
    page.get_by_role("button", name="the published slip").click()
    assert_says(page, 100, 101, 1000, dim=8, longest=100, kind=False)
    assert "goes from" in sentence(page)


def test_the_marker_follows_the_keyboard_to_both_ends(new_page, figure):
    page = show(new_page(360), figure)
    page.locator(".ex-handle").focus()
    for key, t, near, far in [
        ("ArrowRight", 501, 502, 0),
        ("PageDown", 491, 492, 1000),
        ("End", 1000, 999, 0),
        ("Home", 0, 1, 1000),
    ]:
        page.keyboard.press(key)
        assert_says(page, t, near, far)


def test_it_fits_every_screen(new_page, figure):
    assert problems_on_screens(show(new_page(), figure)) == []
