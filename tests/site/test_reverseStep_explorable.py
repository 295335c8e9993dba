"""The interactive figure of chapter 5 in a browser."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch
from bare_page import problems_on_screens, show

from ddpm_lib import exact
from ddpm_lib.course.explore import explorable
from ddpm_lib.schedules import linear

schedule = linear()
WEIGHTS, MEANS, STDS = (0.5, 0.5), ([-1.0], [1.0]), (0.2, 0.2)
PAGE = {"weights": WEIGHTS, "means": MEANS, "variances": [std**2 for std in STDS]}
MIXTURE = exact.isotropic(*(torch.tensor(x).double() for x in (WEIGHTS, MEANS, STDS)))


@pytest.fixture(scope="module")
def figure():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    values = {"T": 1000, "beta_1": 1e-4, "beta_T": 0.02, "mixture": PAGE}
    return explorable("reverseStep", values, still=still)._repr_html_()


def kernel(x, t, u):
    return exact.reverse(schedule, MIXTURE, torch.tensor([[x]]).double(), t, u)


def expected(x, t, u):
    """Mean, variance, kurtosis and the KL to the best Gaussian, by the library and quadrature."""
    back = kernel(x, t, u)
    mean, var = exact.mean(back)[0, 0], exact.covariance(back)[0, 0, 0]
    points = mean + var.sqrt() * torch.linspace(-12, 12, 4001).double()
    one = exact.Mixture(back.weights[0], back.means[0], back.variances[0], back.axes)
    log_q = exact.log_density(one, points[:, None])
    log_b = torch.distributions.Normal(mean, var.sqrt()).log_prob(points)
    kurtosis = torch.trapezoid(log_q.exp() * (points - mean) ** 4, points) / var**2
    kl = torch.trapezoid(log_q.exp() * (log_q - log_b), points)
    return [number.item() for number in (mean, var, kurtosis, kl)]


@pytest.mark.parametrize(
    ("x", "t", "u"),
    [(0.0, 600, 100), (0.5, 300, 100), (0.0, 100, 0), (1.0, 1000, 999), (2.5, 9, 0)],
)
def test_moments_and_gap_are_those_of_the_library(modules, x, t, u):
    back = kernel(x, t, u)
    page = {
        "weights": back.weights[0].tolist(),
        "means": back.means[0].tolist(),
        "variances": back.variances.reshape(-1, 2, 1)[0, :, 0].tolist(),
    }
    got = modules(
        "reverseStep",
        "(({ mean, variance, kurtosis }) => [mean, variance, kurtosis, m.gap(input)])"
        "(m.moments(input))",
        page,
    )
    mean, var, kurtosis, kl = expected(x, t, u)
    assert got[:3] == pytest.approx([mean, var, kurtosis], rel=1e-9)
    assert got[3] == pytest.approx(kl, rel=1e-6, abs=1e-12)


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def path(page, kind):
    return page.locator(f".ex-curve.ex-{kind}").get_attribute("d")


def lowest(page, kind):
    """The top of a curve: the smallest of its vertical coordinates."""
    return min(float(y) for _, y in re.findall(r"([-\d.]+) ([-\d.]+)", path(page, kind)))


def assert_says(page, x, t, u):
    _, _, kurtosis, kl = expected(x, t, u)
    said = sentence(page)
    assert f"at step {t} back to step {u}:" in said
    assert f"the right hump has the weight {kernel(x, t, u).weights[0, 1]:.2f}," in said
    assert f"the kurtosis is {kurtosis:.2f} " in said
    if kl < 0.001:
        assert "off by less than 0.001 nats." in said
    else:
        assert float(re.search(r"off by ([\d.]+) nats", said)[1]) == pytest.approx(kl, rel=6e-3)
    assert said.endswith("visibly wrong.") == (kl > 0.1)


def test_it_starts_where_the_gaussian_is_wrong(new_page, figure):
    page = show(new_page(), figure)
    assert_says(page, 0, 600, 100)
    assert lowest(page, "data") + 40 < lowest(page, "best")  # two humps stand above one bell
    assert not page.locator(".ex-still").count()


def test_the_sliders_change_the_step(new_page, figure):
    page = show(new_page(), figure)
    start, back = (page.get_by_role("slider", name=f"{n} step") for n in ("from", "back to"))
    before = path(page, "data")
    back.fill("590")
    assert_says(page, 0, 600, 590)
    assert path(page, "data") != before
    assert abs(lowest(page, "data") - lowest(page, "best")) < 1
    start.fill("100")  # u = 590 would be later: it comes along
    assert_says(page, 0, 100, 99)
    assert back.get_attribute("aria-valuetext") == "99 (one step)"
    back.fill("400")
    assert back.input_value() == "99"
    start.press("Home")
    assert_says(page, 0, 1, 0)


def test_the_pixel_follows_keys_and_mouse(new_page, figure):
    page = show(new_page(), figure)
    page.get_by_role("slider", name="from step").fill("100")
    page.get_by_role("slider", name="back to step").fill("0")
    assert_says(page, 0, 100, 0)
    handle = page.locator(".ex-handle")
    handle.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert_says(page, 0.2, 100, 0)
    assert handle.get_attribute("aria-valuetext") == "x_t = 0.2"
    box = page.locator(".ex-grip").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert_says(page, -1.5, 100, 0)
    page.keyboard.press("End")
    assert_says(page, 3, 100, 0)


def test_it_fits_every_screen(new_page, figure):
    assert problems_on_screens(show(new_page(), figure)) == []
