"""The explorable of chapter 7: its weights against ddpm_lib's, and its handling."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bare_page import misfits, problems_on_screens, show

from ddpm_lib import bound, diffusion
from ddpm_lib.course.explore import explorable
from ddpm_lib.schedules import cosine, linear

T = 1000
SCHEDULES = [("linearBeta", (T, 1e-4, 0.02), linear()), ("cosineBeta", (T,), cosine())]
VARIANCES = [diffusion.posterior_variance, diffusion.kernel_variance]  # in the order of the page
WEIGHTS = {"eps": bound.eps_weight, "x_0": bound.x_0_weight, "v": bound.v_weight}


@pytest.fixture(scope="module")
def figure():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.semilogy(bound.eps_weight(linear())[2:])
    values = {"T": T, "beta_1": 1e-4, "beta_T": 0.02}
    output = explorable("weights", values, still=still)
    return output._repr_html_()


@pytest.mark.parametrize(("beta", "arguments", "schedule"), SCHEDULES)
@pytest.mark.parametrize("variance", [0, 1])
def test_weights_are_those_of_the_library(modules, beta, arguments, schedule, variance):
    alpha_bar = modules(
        "schedules", f"[...m.alphaBar(m.{beta}(...input))]", arguments
    )  # as the page has it: a few digits fewer than the library's
    got = modules(
        "weights",
        "(() => { const tables = m.weightTables(Float64Array.from(input[0]), input[1]);"
        "const lists = Object.entries(tables).map(([name, table]) => [name, [...table.slice(2)]]);"
        "return { ...Object.fromEntries(lists), simple: m.simpleLevel(tables) }; })()",
        [alpha_bar, variance],
    )
    for name, table in WEIGHTS.items():
        want = table(schedule, VARIANCES[variance])[2:]
        np.testing.assert_allclose(got[name], want, rtol=1e-8)
    assert got["simple"] == pytest.approx(float(np.mean(got["eps"][:-1])), rel=1e-12)


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def numbers(page):
    """What the sentence says: t, the weights of x_0, eps and v, the SNR, the level of L_simple."""
    text = sentence(page).replace("·10", "e").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    pattern = (
        r"At t = (\d+) of 1000, the bound weighs the squared error of \S+ by (\S+), of \S+ by "
        r"(\S+), of \S+ by (\S+)\. The first is (\S+) times the second, .* by (\S+), "
    )
    return [float(x) for x in re.match(pattern, text).groups()]


def assert_says(page, t, schedule, variance):
    want = [float(WEIGHTS[name](schedule, variance)[t]) for name in ("x_0", "eps", "v")]
    level = float(bound.eps_weight(schedule, variance)[2:-1].mean())
    assert numbers(page) == pytest.approx([t, *want, float(schedule.snr[t]), level], rel=5.1e-3)


def heights(page):
    """The weights at which the three points stand, read from the picture."""
    return page.evaluate(
        """() => {
          const grip = document.querySelector(".ex-grip").getBoundingClientRect();
          const level = (kind) => {
            const dot = document.querySelector(`.ex-point.ex-${kind}`).getBoundingClientRect();
            return 4 - (11 * (dot.top + dot.height / 2 - grip.top)) / grip.height;
          };
          return ["data", "noise", "model"].map(level);
        }"""
    )


def test_slider_and_choices_change_sentence_and_picture(new_page, figure):
    page = show(new_page(), figure)
    assert_says(page, 20, linear(), diffusion.posterior_variance)
    ticks = page.locator(".ex-axes text").all_text_contents()
    assert ticks[:6] == ["10⁻⁶", "10⁻⁴", "10⁻²", "1", "10²", "10⁴"]
    for t in (2, 260, T):
        page.get_by_role("slider", name="step t", exact=True).fill(str(t))
        assert_says(page, t, linear(), diffusion.posterior_variance)
        want = [float(WEIGHTS[name](linear())[t].log10()) for name in ("x_0", "eps", "v")]
        assert heights(page) == pytest.approx(want, abs=0.05)
    page.get_by_role("button", name="cosine schedule").click()
    page.get_by_role("button", name="variance beta", exact=True).click()
    assert_says(page, T, cosine(), diffusion.kernel_variance)
    page.get_by_role("slider", name="step t", exact=True).fill("0")  # no weight before t = 2
    assert_says(page, 2, cosine(), diffusion.kernel_variance)
    assert page.locator("[aria-pressed=true]").count() == 2


def test_the_marker_follows_keyboard_and_mouse(new_page, figure):
    page = show(new_page(360), figure)
    page.locator(".ex-handle").focus()
    for key, t in [("ArrowRight", 21), ("PageUp", 31), ("ArrowDown", 30), ("Home", 2)]:
        page.keyboard.press(key)
        assert_says(page, t, linear(), diffusion.posterior_variance)
    box = page.locator(".ex-grip").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert numbers(page)[0] == pytest.approx(500, abs=3)


def test_it_fits_every_screen(new_page, figure):
    page = show(new_page(), figure)
    for name in ("linear schedule", "cosine schedule"):
        page.get_by_role("button", name=name).click()
        assert misfits(page) == []
    assert problems_on_screens(page) == []
