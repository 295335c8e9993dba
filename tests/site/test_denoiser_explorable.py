"""The explorable of chapter 8: its numbers against ddpm_lib, and its handling."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import problems_on_screens, show

from ddpm_lib import exact
from ddpm_lib.course.explore import explorable
from ddpm_lib.schedules import linear

T = 1000
POINTS = [[-1.5, 0.7], [-0.3, 1.1], [1.4, 0.6], [0.9, -0.9], [-0.9, -0.8]]
START = [0.45, 0.3]
SCHEDULE = linear(T)
MIXTURE = exact.isotropic(
    torch.full((5,), 0.2, dtype=torch.float64), torch.tensor(POINTS, dtype=torch.float64), 0.0
)


@pytest.fixture(scope="module")
def denoiser():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    values = {"T": T, "beta_1": 1e-4, "beta_T": 0.02, "points": POINTS, "start": START}
    return explorable("denoiser", values, still=still)


def best(x, t):
    """The library's two guesses and the points' probabilities, for one place."""
    x_t = torch.tensor([x], dtype=torch.float64)
    prediction = exact.exact_denoiser(SCHEDULE, MIXTURE)(x_t, t)
    weights = exact.reverse(SCHEDULE, MIXTURE, x_t, t, 0).weights[0]
    return prediction.x_0[0], prediction.eps[0], weights


@pytest.mark.parametrize("t", [1, 50, 250, 1000])
@pytest.mark.parametrize("x", [START, [-1.9, -1.4]])
def test_the_guesses_are_those_of_the_library(modules, x, t):
    alpha_bar = SCHEDULE.alpha_bar[t].item()
    got = modules(
        "denoiser", "m.insight(m.pointMasses(input[0]), input[1], input[2])", [POINTS, x, alpha_bar]
    )
    x_0, eps, weights = best(x, t)
    close = {"rtol": 1e-7, "atol": 1e-9}
    np.testing.assert_allclose(got["x_0"], x_0, **close)
    np.testing.assert_allclose(got["eps"], eps, **close)
    np.testing.assert_allclose(got["weights"], weights, **close)
    np.testing.assert_allclose(got["tip"], alpha_bar**0.5 * x_0, **close)
    assert got["count"] == pytest.approx(torch.special.entr(weights).sum().exp().item(), rel=1e-7)


def test_the_shading_is_the_density(modules):
    got = modules(
        "denoiser",
        "m.landscape(m.pointMasses(input.points), input.alpha_bar, { x: [-2, 2], y: [-1.5, 1.5] },"
        "{ rows: 3, columns: 4 })",
        {"points": POINTS, "alpha_bar": SCHEDULE.alpha_bar[250].item()},
    )
    places = torch.tensor([[x, y] for y in (-1, 0, 1) for x in (-1.5, -0.5, 0.5, 1.5)]).double()
    want = exact.log_density(exact.noised(SCHEDULE, MIXTURE, 250), places)
    np.testing.assert_allclose(got, (want - want.max()).exp(), rtol=1e-9)


def test_directions_are_counted_from_the_right(modules):
    ways = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, -0.1], [-1, -1], [0, -1], [1, -1]]
    assert modules("denoiser", "input.map(m.heading)", ways) == list(range(8))


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def numbers(pair):
    return "(" + ", ".join(f"{round(float(v), 2):.3g}".replace("-", "−") for v in pair) + ")"


def arrow(page):
    """Where the arrow starts and ends, in the plot's coordinates."""
    path, box = page.evaluate(
        """() => {
          const plane = document.querySelector(".ex-plane");
          const heat = plane.querySelector("canvas").style;
          return [plane.querySelector(".ex-arrow").getAttribute("d"),
            ["left", "top", "width", "height"].map((side) => parseFloat(heat[side]))];
        }"""
    )
    left, top, width, height = box
    pixels = [float(x) for x in re.findall(r"-?[\d.]+", path)][:4]
    return [
        (-2 + 4 * (x - left) / width, 1.5 - 3 * (y - top) / height)
        for x, y in (pixels[:2], pixels[2:])
    ]


def assert_shows(page, x, t):
    x_0, eps, weights = best(x, t)
    said = sentence(page)
    assert said.startswith(f"At t = {t} of {T}, the arrow points to the ")
    assert f"the predicted noise is {numbers(eps)}." in said
    assert f"the best guess of x0 is {numbers(x_0)}." in said
    assert f"has a probability of {round(weights.max().item(), 2):g}," in said
    start, tip = arrow(page)
    np.testing.assert_allclose(start, x, atol=0.01)
    np.testing.assert_allclose(tip, SCHEDULE.alpha_bar[t].sqrt() * x_0, atol=0.01)
    radii = page.locator(".ex-spot").evaluate_all("(all) => all.map((x) => x.getAttribute('r'))")
    np.testing.assert_allclose(np.array(radii, float) ** 2, 12 + 240 * weights.numpy(), rtol=1e-6)


def test_the_slider_turns_the_arrow(new_page, denoiser):
    page = show(new_page(), denoiser._repr_html_())
    assert_shows(page, START, 600)
    for t in (T, 250, 50, 1):
        page.get_by_role("slider", name="step t", exact=True).fill(str(t))
        assert_shows(page, START, t)
    page.get_by_role("slider", name="step t", exact=True).fill("800")
    assert "to the lower left" in sentence(page)  # the center
    page.get_by_role("slider", name="step t", exact=True).fill("50")
    assert "to the right" in sentence(page)  # the nearest point


def test_the_point_follows_keys_and_mouse(new_page, denoiser):
    page = show(new_page(), denoiser._repr_html_())
    page.locator(".ex-plane .ex-handle").focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    assert_shows(page, [0.35, 0.25], 600)
    heat = page.locator(".ex-heat").bounding_box()
    grip = page.locator(".ex-plane .ex-grip").bounding_box()
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    page.mouse.down()
    page.mouse.move(heat["x"] + heat["width"] / 4, heat["y"] + heat["height"] / 3)
    page.mouse.up()
    start, _ = arrow(page)
    np.testing.assert_allclose(start, (-1, 0.5), atol=0.02)
    page.locator(".ex-handle").last.focus()  # t, in the lower plot
    page.keyboard.press("PageUp")
    assert sentence(page).startswith("At t = 610 of 1000")
    page.keyboard.press("Home")  # there is no noise to predict at t = 0
    assert sentence(page).startswith("At t = 1 of 1000")


def test_it_fits_every_screen(new_page, denoiser):
    page = show(new_page(), denoiser._repr_html_())
    page.locator(".ex-plane .ex-handle").focus()
    for _ in range(4):
        page.keyboard.press("End")  # to the right edge, where the name of x_t stands
    assert problems_on_screens(page) == []
