"""The interactive figure of chapter 16 in a browser, and its mathematics beside ddpm_lib's."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import problems_on_screens, show

from ddpm_lib.course.explore import explorable
from ddpm_lib.evaluation import Moments, frechet_distance


@pytest.fixture(scope="module")
def figure():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    values = {"N": 200, "d": 16, "true_distance": 0.05}
    return explorable("frechet", values, still=still)._repr_html_()


@pytest.mark.parametrize("d", [1, 3, 20])
def test_the_distance_is_that_of_the_library(modules, d):
    generator = torch.Generator().manual_seed(d)
    roots = torch.randn(2, d, d, generator=generator, dtype=torch.float64).tril()
    got = modules("frechet", "m.spreadDistance(input[0], input[1])", roots.tolist())
    zero = torch.zeros(d, dtype=torch.float64)
    want = frechet_distance(*(Moments(zero, L @ L.mT) for L in roots))
    assert got == pytest.approx(want, rel=1e-9, abs=1e-10)


def test_singular_values_of_any_matrix(modules):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    got = modules("frechet", "m.singularSum(input)", a.T.tolist())
    assert got == pytest.approx(float(torch.linalg.svdvals(a).sum()), rel=1e-9)


RANDOM = """(() => {
  let state = 1;  // a linear congruential generator, good enough here and free of imports
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
})()"""


def test_drawn_covariances_are_those_of_pictures(modules):
    """Mean C, and the variance C_ij^2 of an entry times 1 / (N - 1), twice that on the diagonal."""
    d, N, many = 3, 30, 3000
    expression = f"""(() => {{
      const uniform = {RANDOM};
      return Array.from({{ length: {many} }}, () => m.covarianceFactor(uniform, {d}, {N})
        .map((row) => Array.from(row)));
    }})()"""
    L = np.array(modules("frechet", expression, None))
    C = L @ L.transpose(0, 2, 1) * d  # of N(0, I)
    assert np.all(L[:, 0, 1:] == 0)
    spread = np.sqrt(2 / (N - 1) / many)
    np.testing.assert_allclose(C.mean(0), np.eye(d), atol=5 * spread)
    np.testing.assert_allclose(C.var(0), (1 + np.eye(d)) / (N - 1), rtol=0.15)


def test_the_bias_is_the_one_of_the_chapter(modules):
    """(1/N + 1/N) (3/2 tr C + sum over pairs), equation eq:fd-bias, and what the draws give."""
    for d, N in [(2, 1000), (8, 1000)]:
        lam = np.full(d, 1 / d)
        pairs = np.triu(lam[:, None] * lam / (lam[:, None] + lam), 1).sum()
        want = 2 / N * (1.5 * lam.sum() + pairs)
        assert modules("frechet", f"m.expectedBias({d}, {N})", None) == pytest.approx(want)
        setting = {"d": d, "N": N, "truth": 0.1, "repeats": 200}
        got = modules("frechet", "m.evaluations(input)", setting)
        same, other = np.array(got["same"]), np.array(got["other"])
        error = same.std() / len(same) ** 0.5
        assert abs(same.mean() - want) < 5 * error
        assert abs(other.mean() - want - 0.1) < 5 * other.std() / len(same) ** 0.5
        assert want > 5 * error  # the test can tell the bias from none


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text()


def numbers(page):
    return [float(x) for x in re.findall(r"\d+\.?\d*", sentence(page))]


def test_it_says_what_it_shows(new_page, figure):
    page = show(new_page(), figure)
    said = numbers(page)
    assert said[:2] == [200, 16]
    same, other = said[2], said[5]
    assert same == pytest.approx(2 / 200 * (1.5 + 15 / 4), rel=0.2)
    assert other - same == pytest.approx(0.05, abs=0.03)
    assert said[8] == pytest.approx(0, abs=0.01)  # extended: 1/N = 0 comes before
    assert page.locator(".ex-frechet-marks circle").count() == 24
    assert page.locator(".ex-frechet-marks .ex-cross").count() == 24
    assert not page.locator(".ex-still").count()


def test_sliders_change_sentence_and_picture(new_page, figure):
    page = show(new_page(), figure)
    assert "looks worse" in sentence(page)
    before = page.locator(".ex-curve.ex-data").get_attribute("d")
    page.get_by_role("slider", name="pictures N").press("End")
    assert sentence(page).startswith("With 5000 pictures and 16 features")
    assert "looks better" in sentence(page)
    assert page.locator(".ex-curve.ex-data").get_attribute("d") != before
    page.get_by_role("slider", name="features d").press("ArrowRight")
    assert sentence(page).startswith("With 5000 pictures and 32 features")
    page.get_by_role("slider", name="true distance").press("ArrowLeft")
    assert "at a true distance of 0.02" in sentence(page)
    page.get_by_role("slider", name="pictures N").press("Home")
    assert sentence(page).startswith("With 150 pictures and 32 features")


def test_the_axis_fits_what_it_shows(new_page, figure, modules):
    ends = modules("frechet", "input.map((v) => m.axisEnd([1, 2, 5], [0, v]))", [0.1, 1, 1.1, 4, 6])
    assert ends == [1, 1, 2, 5, 5]
    page = show(new_page(), figure)
    for slider, key in [("pictures N", "Home"), ("features d", "End"), ("pictures N", "End")]:
        page.get_by_role("slider", name=slider).press(key)
        page.wait_for_function("document.querySelectorAll('.ex-frechet-marks > *').length === 48")
        plot = page.locator(".ex-plot").bounding_box()
        heights = page.locator(".ex-frechet-marks > *").evaluate_all(
            "(all) => all.map((x) => x.getBoundingClientRect().top)"
        )
        widths = page.locator(".ex-frechet-marks > *").evaluate_all(
            "(all) => all.map((x) => x.getBoundingClientRect().right)"
        )
        assert 0 < min(heights) - plot["y"] < 0.5 * plot["height"]
        assert 0.4 * plot["width"] < max(widths) - plot["x"] <= plot["width"]
        assert page.locator(".ex-plot").count() == 1


def test_it_fits_every_screen(new_page, figure):
    assert problems_on_screens(show(new_page(), figure)) == []
