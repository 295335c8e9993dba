"""The explorable of chapter 4: what x_0 and x_t say about x_u."""

import math
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch
from bare_page import problems_on_screens, show, swipe

from ddpm_lib import diffusion
from ddpm_lib.course.explore import explorable
from ddpm_lib.schedules import linear

schedule = linear()
START = {"t": 500, "u": 250, "x_0": 1.5, "x_t": -1.0}


@pytest.fixture(scope="module")
def bayes():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot(schedule.alpha_bar)
    data = {"T": 1000, "beta_1": 1e-4, "beta_T": 0.02, **START}
    return explorable("bayes", data, still=still)._repr_html_()


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def handle(page, name):
    return page.get_by_role("slider", name=name, exact=True)


def test_the_witnesses_are_those_of_the_library(modules):
    for x_0, x_t, t, u in [(1.5, -1, 500, 250), (0.3, 2, 2, 1), (-1, 0.5, 1000, 999)]:
        bars = [schedule.alpha_bar[k].item() for k in (t, u)]
        got = modules("bayes", "m.witnesses(...input)", [x_0, x_t, *bars])
        points = (torch.tensor([[x]], dtype=torch.float64) for x in (x_0, x_t))
        want = diffusion.posterior(schedule, *points, t, u)
        assert got["together"]["mean"] == pytest.approx(want.mean.item(), rel=1e-9)
        assert got["together"]["variance"] == pytest.approx(want.var.item(), rel=1e-9)
        prior, likelihood = got["prior"], got["likelihood"]
        assert prior["mean"] == pytest.approx(schedule.alpha_bar[u].sqrt().item() * x_0)
        assert prior["variance"] == pytest.approx(schedule.one_minus_alpha_bar[u].item())
        precisions = 1 / prior["variance"], 1 / likelihood["variance"]
        assert 1 / got["together"]["variance"] == pytest.approx(sum(precisions), rel=1e-9)
        average = (precisions[0] * prior["mean"] + precisions[1] * likelihood["mean"]) / sum(
            precisions
        )
        assert got["together"]["mean"] == pytest.approx(average, rel=1e-9)
        assert got["pull"] == pytest.approx(precisions[0] / sum(precisions), rel=1e-9)
        assert got["pull"] == pytest.approx(1 - (schedule.snr[t] / schedule.snr[u]).item())


def test_a_bell_is_a_normal_density(modules):
    bell = {"mean": 0.4, "variance": 0.09}
    corners = modules("bayes", "m.bell(input, 0.04)", bell)
    assert corners == sorted(corners)
    for x, y in corners:
        density = math.exp(-((x - 0.4) ** 2) / 0.18) / math.sqrt(2 * math.pi * 0.09)
        assert y == pytest.approx(density * math.sqrt(2 * math.pi * 0.04), rel=1e-9, abs=1e-15)
    assert max(y for _, y in corners) == pytest.approx(0.2 / 0.3)
    assert corners[0][0] == -3
    assert corners[-1][0] == 3


def test_the_sliders_change_the_sentence_and_the_picture(new_page, bayes):
    page = show(new_page(), bayes)
    assert sentence(page) == (
        "From t = 500 back to u = 250: x0 says 1.09 ± 0.69, xt says −2.58 ± 2.38, together they "
        "say 0.802 ± 0.663. x0 pulls with 92 %, xt with 7.7 %; the SNR is 1.1 at u and 0.0853 at t."
    )
    curves = page.locator(".ex-plot .ex-curve")
    before = curves.evaluate_all("(all) => all.map((x) => x.getAttribute('d'))")
    page.get_by_role("slider", name="look back to u").fill("413")
    after = curves.evaluate_all("(all) => all.map((x) => x.getAttribute('d'))")
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert "From t = 500 back to u = 413" in sentence(page)


def test_equal_pulls_are_announced_where_one_ratio_is_twice_the_other(new_page, bayes):
    page = show(new_page(), bayes)
    u = int((schedule.snr - 2 * schedule.snr[500]).abs().argmin())
    page.get_by_role("slider", name="look back to u").fill(str(u))
    assert "Both pull equally" in sentence(page)
    at_u, at_t = map(
        float, re.findall(r"SNR is ([\d.]+) at u and ([\d.]+) at t", sentence(page))[0]
    )
    assert at_u == pytest.approx(2 * at_t, rel=0.01)


def test_u_stays_earlier_than_t(new_page, bayes):
    page = show(new_page(), bayes)
    page.get_by_role("slider", name="seen at t").fill("100")
    assert "From t = 100 back to u = 99:" in sentence(page)
    page.get_by_role("slider", name="look back to u").fill("700")
    assert "From t = 701 back to u = 700:" in sentence(page)
    page.get_by_role("slider", name="seen at t").fill("900")
    page.get_by_role("button", name="One step: u = t − 1").click()
    assert "From t = 900 back to u = 899:" in sentence(page)


def test_the_ends_follow_the_keyboard_and_the_mouse(new_page, bayes):
    page = show(new_page(), bayes)
    x_0 = handle(page, "x_0")
    x_0.focus()
    for key, value in [("ArrowRight", "1.55"), ("ArrowDown", "1.5"), ("End", "2.5")]:
        page.keyboard.press(key)
        assert x_0.get_attribute("aria-valuetext") == value
    x_t = handle(page, "x_t")
    box = x_t.locator(".ex-grip").bounding_box()
    left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + 100, top - 60)
    page.mouse.up()
    assert float(x_t.get_attribute("aria-valuetext").replace("−", "-")) > -0.5
    assert x_0.get_attribute("aria-valuetext") == "2.5"  # each handle moves its own end
    after = x_t.locator(".ex-grip").bounding_box()
    assert after["y"] == pytest.approx(box["y"], abs=0.5)  # along x only


def test_a_finger_drags_an_end(new_page, bayes):
    page = show(new_page(360, 640, has_touch=True, is_mobile=True), bayes)
    x_0 = handle(page, "x_0")
    x_0.scroll_into_view_if_needed()
    box = x_0.locator(".ex-grip").bounding_box()
    start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    swipe(page, start, (start[0] - 120, start[1] - 30))
    assert float(x_0.get_attribute("aria-valuetext").replace("−", "-")) < 0


def test_it_fits_every_screen(new_page, bayes):
    page = show(new_page(), bayes)
    assert problems_on_screens(page) == []
    handle(page, "x_0").focus()
    page.keyboard.press("End")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
