"""The interactive figure of chapter 3: its tables against ddpm_lib, and its handling."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import problems_on_screens, show

from ddpm_lib.bound import bits_per_dim, prior_term
from ddpm_lib.course.explore import explorable
from ddpm_lib.schedules import cosine, linear

SECOND_MOMENT = 0.7168


@pytest.fixture(scope="module")
def designer():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot(linear().alpha_bar)
    values = {"second_moment": SECOND_MOMENT}
    output = explorable("designer", values, still=still)
    return output._repr_html_()


# -------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("setting", "schedule"),
    [
        ({"shape": "linear", "T": 100, "beta_1": 1e-4, "beta_T": 0.12}, linear(100, 1e-4, 0.12)),
        ({"shape": "linear", "T": 1000, "beta_1": 1e-4, "beta_T": 0.002}, linear(beta_T=0.002)),
        ({"shape": "cosine", "T": 200, "beta_1": 1e-4, "beta_T": 0.02}, cosine(200)),
    ],
)
def test_its_numbers_are_those_of_the_library(modules, setting, schedule):
    beta = modules("designer", "[...m.designBeta(input)]", setting)
    np.testing.assert_allclose(beta, schedule.beta, rtol=1e-9, atol=1e-15)
    x_0 = torch.full((1, 1), SECOND_MOMENT**0.5, dtype=torch.float64)
    got = modules(
        "designer", "m.priorBits(...input)", [schedule.alpha_bar[-1].item(), SECOND_MOMENT]
    )
    want = bits_per_dim(prior_term(schedule, x_0), x_0).item()
    assert got == pytest.approx(want, rel=1e-9, abs=1e-15)
    ratios = [0, *schedule.snr[1:].tolist()]  # what stands at t = 0 is no step
    ends = modules("designer", "m.stepsAtTheEnds(input)", ratios)
    snr = schedule.snr[1:]
    assert ends == {"clean": int((snr > 100).sum()), "noisy": int((snr < 0.01).sum())}


# ----------------------------------------------------------------------------------- in a page


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def paths(page):
    return page.locator(".ex-curve.ex-data").evaluate_all("(all) => all.map((x) => x.outerHTML)")


def test_the_sentence_says_what_is_shown(new_page, designer):
    page = show(new_page(), designer)
    assert sentence(page) == (
        "100 steps, linear from 0.0001 to 0.02: xT holds 0.603 times the picture, 0.252 bits a "
        "pixel from pure noise. 9 of the steps end with an SNR above 100, 0 with one below 0.01."
    )
    page.get_by_role("button", name="As in chapter 2").click()
    assert sentence(page).startswith("1000 steps, linear from 0.0001 to 0.02: xT holds 0.00635")
    assert page.get_by_role("slider", name="steps T").get_attribute("aria-valuetext") == "1000"


def test_the_arrow_keys_change_the_schedule(new_page, designer):
    page = show(new_page(), designer)
    before = paths(page)
    page.get_by_role("slider", name="last βT").focus()
    for _ in range(6):  # 0.03, 0.04, 0.05, 0.07, 0.1, 0.12
        page.keyboard.press("ArrowRight")
    assert "linear from 0.0001 to 0.12" in sentence(page)
    assert "0.000987 bits" in sentence(page)
    assert all(new != old for new, old in zip(paths(page), before, strict=True))


def test_the_curve_is_the_schedule(new_page, designer):
    """The last point of alpha bar's curve stands at its height in the plot."""
    page = show(new_page(), designer)
    height = page.evaluate(
        """() => {
          const path = document.querySelector(".ex-plot .ex-curve.ex-data").getAttribute("d");
          const y = Number(path.split(" ").at(-1));
          const [low, , high] = [...document.querySelectorAll(".ex-plot .ex-axes line")]
            .filter((line) => line.closest(".ex-plot") === document.querySelector(".ex-plot"))
            .map((line) => Number(line.getAttribute("y1")));
          return (y - low) / (high - low);
        }"""
    )
    assert height == pytest.approx(linear(100).alpha_bar[-1].item(), abs=2e-3)


def test_the_cosine_has_no_betas_to_choose(new_page, designer):
    page = show(new_page(), designer)
    before = paths(page)
    page.get_by_role("button", name="cosine").click()
    assert sentence(page).startswith("100 steps, cosine: xT holds 0.000493 times the picture")
    assert page.get_by_role("slider").count() == 1
    assert paths(page) != before
    page.get_by_role("slider", name="steps T").fill("9")  # the longest
    assert "less than 0.000001 bits" in sentence(page)
    page.get_by_role("slider", name="steps T").fill("3")
    page.get_by_role("button", name="linear").click()
    assert page.get_by_role("slider").count() == 3
    assert paths(page) == before


def test_it_fits_every_screen(new_page, designer):
    page = show(new_page(), designer)
    page.get_by_role("slider", name="steps T").fill("0")  # 10 steps: the shortest
    assert problems_on_screens(page, widths=(1280, 560, 360, 320)) == []
