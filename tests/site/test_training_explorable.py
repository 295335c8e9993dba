"""The explorable of chapter 13: its numbers against torch's, and its handling."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import problems_on_screens, show

from ddpm_lib.course.explore import explorable

T = 1000
STEPS = [100, 200, 300, 400, 500, 600]
# Losses that fall in the middle at once, at small t slowly, and at large t late.
MIDDLE = (torch.arange(20) + 0.5) / 20
LINEAR = 0.8 * (1 - MIDDLE) ** 1.5
LOSSES = torch.stack(
    [
        LINEAR * (0.8 + 0.5 * MIDDLE) + (0.5 * (1 - MIDDLE) + 0.3 * MIDDLE**3) / k**2
        for k in range(1, 7)
    ]
)


@pytest.fixture(scope="module")
def training():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    values = {
        "T": T,
        "steps": STEPS,
        "losses": LOSSES.tolist(),
        "linear": LINEAR.tolist(),
        "memorizer": (LINEAR * MIDDLE**3).tolist(),
    }
    return explorable("training", values, still=still)


def test_the_numbers_are_those_of_torch(modules):
    got = modules(
        "training",
        "[m.ending(input), m.settled(input[2], m.ending(input)), m.overall(input[2])]",
        LOSSES.tolist(),
    )
    end = LOSSES[-3:].mean(0)
    np.testing.assert_allclose(got[0], end, rtol=1e-6)
    assert got[1] == (LOSSES[2] <= 1.1 * end).tolist()
    assert got[2] == pytest.approx(LOSSES[2].mean().item(), rel=1e-6)


def test_ranges_of_t(modules):
    got = modules(
        "training",
        "input.map((chosen) => m.ranges(chosen, 1000))",
        [
            [False] * 4,
            [True] * 4,
            [True, False, True, True],
            [False, True, False, False],
        ],
    )
    assert got == [[], [[1, 1000]], [[1, 250], [501, 1000]], [[251, 500]]]


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text()


def heights(page):
    """The visible model curve, as heights in the plot's pixels."""
    path = page.locator(".ex-plot:visible path.ex-model").first.get_attribute("d")
    return [float(corner.split()[1]) for corner in path[1:].split("L")]


def test_the_slider_goes_through_the_training(new_page, training):
    page = show(new_page(), training._repr_html_())
    assert sentence(page).startswith(f"After 300 steps the mean loss is {LOSSES[2].mean():.3g}.")
    before = heights(page)
    step = page.get_by_role("slider", name="training step")
    step.focus()
    page.keyboard.press("ArrowRight")
    assert sentence(page).startswith("After 400 steps")
    assert all(now >= then for now, then in zip(heights(page), before, strict=True))  # lower loss
    page.keyboard.press("End")
    done = int((LOSSES[-1] <= 1.1 * LOSSES[-3:].mean(0)).sum())
    assert f"Of 20 bins, {done} are within a tenth" in sentence(page)
    worse = (LOSSES[-1] > LINEAR).nonzero()[:, 0]
    assert f"{int(worse[0]) * 50 + 1} to 1000." in sentence(page)


def test_the_other_view_shows_the_ratio(new_page, training):
    page = show(new_page(), training._repr_html_())
    assert page.locator(".ex-plot:visible").count() == 1
    before = heights(page)
    page.get_by_role("button", name="over the linear denoiser").click()
    assert page.locator(".ex-plot:visible").count() == 1
    page.wait_for_function(
        "[...document.querySelectorAll('.ex-plot path.ex-model')].every((x) => x.getAttribute('d'))"
    )
    ratio = (LOSSES[2] / LINEAR).log10()
    place = np.array(heights(page))
    assert len(place) == 20
    # Both are heights on one axis: the same up to a shift and a scale.
    assert np.corrcoef(place, -ratio)[0, 1] > 1 - 1e-4  # paths are rounded
    assert heights(page) != before


def test_it_fits_every_screen(new_page, training):
    assert problems_on_screens(show(new_page(), training._repr_html_())) == []
