"""The explorable of chapter 1 in a browser: its mathematics against ddpm_lib, and its handling."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import misfits, problems_on_screens, show

from ddpm_lib import bound
from ddpm_lib.course.explore import explorable
from ddpm_lib.diffusion import Gaussian

START = {"q": {"mean": -1.0, "std": 0.7}, "p": {"mean": 1.0, "std": 1.4}}
PAIRS = [
    (START["q"], START["p"]),
    ({"mean": 0.3, "std": 0.5}, {"mean": 0.3, "std": 0.5}),
    ({"mean": -4, "std": 0.4}, {"mean": 4, "std": 2.5}),
]


def gaussian(normal):
    return Gaussian(
        *(torch.tensor(x, dtype=torch.float64) for x in (normal["mean"], normal["std"] ** 2))
    )


@pytest.fixture(scope="module")
def figure():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    output = explorable("gaussians", START, still=still)
    return output._repr_html_()


# -------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(("q", "p"), PAIRS)
def test_divergences_are_those_of_the_library(modules, q, p):
    got = modules("gaussians", "[m.divergence(...input), m.divergence(input[1], input[0])]", [q, p])
    want = [bound.kl(gaussian(q), gaussian(p)), bound.kl(gaussian(p), gaussian(q))]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("q", "p"), PAIRS)
def test_densities_products_and_integrands_are_those_of_the_library(modules, q, p):
    x = torch.linspace(
        -40, 40, 16_001, dtype=torch.float64
    )  # wide and fine enough for sums to be integrals
    step = x[1] - x[0]
    got = modules(
        "gaussians",
        "(() => { const [q, p, points] = input; return {"
        "q: points.map((x) => m.logNormal(q, x)), adds: points.map((x) => m.adds(q, p, x)),"
        "product: m.productOf(q, p), peak: m.peak(q) }; })()",
        [q, p, x.tolist()],
    )
    log_q, log_p = (bound.normal_log_density(x, gaussian(normal)) for normal in (q, p))
    np.testing.assert_allclose(got["q"], log_q, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got["adds"], log_q.exp() * (log_q - log_p), atol=1e-12)
    kl = bound.kl(gaussian(q), gaussian(p)).item()
    assert np.sum(got["adds"]) * step.item() == pytest.approx(kl, rel=1e-9, abs=1e-12)
    weights = (log_q + log_p).softmax(0)
    mean = (weights * x).sum()
    std = (weights * (x - mean) ** 2).sum().sqrt()
    assert got["product"]["mean"] == pytest.approx(mean.item(), abs=1e-9)
    assert got["product"]["std"] == pytest.approx(std.item(), rel=1e-9)
    at_mean = bound.normal_log_density(
        torch.tensor(q["mean"], dtype=torch.float64), gaussian(q)
    ).exp()
    assert got["peak"] == pytest.approx(at_mean.item())


# ----------------------------------------------------------------------------- the figure in a page


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def peaks(page):
    """What the two handles say of themselves: (mean, width) of q and of p."""
    texts = page.locator(".ex-handle").evaluate_all("(all) => all.map((x) => x.ariaValueText)")
    number = r"−?[\d.]+"
    return [tuple(float(x.replace("−", "-")) for x in re.findall(number, t)) for t in texts]


def handle_at(page, i):
    box = page.locator(".ex-handle .ex-point").nth(i).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def curves(page):
    return page.locator(".ex-curve").evaluate_all("(all) => all.map((x) => x.getAttribute('d'))")


def test_sliders_change_the_sentence_and_the_picture(new_page, figure):
    page = show(new_page(), figure)
    assert sentence(page) == (
        "q has mean −1, width 0.7; p has mean 1, width 1.4; the product has mean −0.6, "
        "width 0.626, narrower than both. Of the two divergences KL(p ‖ q) is larger, "
        "3.65 times the other."
    )
    numbers = page.locator(".ex-kl").all_inner_texts()
    ahead = bound.kl(gaussian(START["q"]), gaussian(START["p"]))
    assert numbers[0].replace("\n", "") == f"KL(q ‖ p) = {ahead:.3g} nats"
    before = curves(page)
    page.get_by_role("slider", name="mean of q", exact=True).fill("1")
    page.get_by_role("slider", name="width of q", exact=True).fill("1.4")
    assert peaks(page) == [(1, 1.4), (1, 1.4)]
    assert sentence(page).endswith("The two divergences agree.")
    after = curves(page)
    assert [a == b for a, b in zip(after, before, strict=True)] == [
        False,  # q
        True,  # p
        False,  # their product
        True,  # the zero line
        False,  # what each x adds to KL(q || p)
        False,
    ]
    assert after[0] == after[1]


def test_a_peak_follows_the_mouse(new_page, figure):
    page = show(new_page(), figure)
    left, top = handle_at(page, 1)
    before = page.locator("svg").first.bounding_box()
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left, before["y"] - 50)  # above the plot: as narrow as it gets
    page.mouse.up()
    assert peaks(page)[1] == (1, 0.4)
    assert page.get_by_role("slider", name="width of p", exact=True).input_value() == "0.4"
    left, top = handle_at(page, 1)
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(before["x"] + before["width"] + 90, before["y"] + 900)  # out, and down
    page.mouse.up()
    assert peaks(page)[1] == (3, 2.5)


def test_a_peak_follows_the_arrow_keys(new_page, figure):
    page = show(new_page(height=500), figure)
    page.locator(".ex-handle").first.focus()
    page.keyboard.press("ArrowRight")
    assert peaks(page)[0] == (-0.9, 0.7)
    page.keyboard.press("ArrowUp")  # higher by 0.1 is narrower
    height = 1 / (np.sqrt(2 * np.pi) * 0.7) + 0.1
    assert peaks(page)[0] == (-0.9, round(1 / (np.sqrt(2 * np.pi) * height), 2))
    page.keyboard.press("PageDown")
    assert peaks(page)[0] == (-0.9, 2.5)
    page.keyboard.press("End")
    assert peaks(page)[0] == (3, 2.5)


def test_it_fits_every_screen(new_page, figure):
    page = show(new_page(), figure)
    for mean in ("-3", "3"):  # where the notes come nearest to the edges
        page.get_by_role("slider", name="mean of q", exact=True).fill(mean)
        page.get_by_role("slider", name="mean of p", exact=True).fill(mean)
        assert misfits(page) == []
    assert problems_on_screens(page) == []
