"""The sampler of chapter 9: the page draws the points of ddpm_lib, with the same weights."""

import math
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import document, problems_on_screens, randn, show, uniform

from ddpm_lib import diffusion, exact, sampling
from ddpm_lib.course import explore
from ddpm_lib.course.explore import explorable
from ddpm_lib.data import ring_centers
from ddpm_lib.networks.tiny import MLP
from ddpm_lib.schedules import linear

T, HIDDEN, POINTS = 200, 64, 320
SCHEDULE = linear(T, 5e-4, 0.1)
UNIT = math.sqrt(1.5**2 / 2 + 0.15**2)
MEANS, WIDTH = ring_centers() / UNIT, 0.15 / UNIT
RING = exact.isotropic(torch.ones(8) / 8, MEANS, WIDTH)


@pytest.fixture(scope="module")
def weights():
    """What a page carries, (2 N,) uint8: here of a network trained for a moment."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MLP(2, HIDDEN)
        adam = torch.optim.Adam(network.parameters(), 5e-3)
        for _ in range(200):
            x_0 = exact.draw(RING, 256)
            t, eps = torch.randint(1, T + 1, (256,)), torch.randn(256, 2)
            loss = diffusion.loss(SCHEDULE, network, diffusion.EPS, x_0.float(), t=t, eps=eps)
            adam.zero_grad()
            loss.mean().backward()
            adam.step()
    flat = torch.cat([w.detach().flatten() for w in network.parameters()])
    return flat.half().view(torch.uint8)


@pytest.fixture(scope="module")
def network(weights):
    """The library's network with the weights of the page, in float64."""
    network = MLP(2, HIDDEN).double()
    exponents = torch.arange(HIDDEN // 2).double() / (HIDDEN // 2 - 1)
    network.time.frequencies = torch.exp(-math.log(10_000) * exponents)
    flat = weights.view(torch.float16).double()
    torch.nn.utils.vector_to_parameters(flat, network.parameters())
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def data(weights):
    return {
        "T": T,
        "beta_1": 5e-4,
        "beta_T": 0.1,
        "means": MEANS.tolist(),
        "width": WIDTH,
        "hidden": HIDDEN,
        "weights": weights,
    }


@pytest.fixture(scope="module")
def html(data):
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    figure = explorable("sampler", data, still=still)
    return figure._repr_html_()


# -------------------------------------------------------------------------------------- numbers


def test_halves_are_the_numbers_of_torch(modules):
    numbers = torch.tensor([0.0, 1.0, -2.5, 1e-7, -6e-5, 65504.0, 0.1, 3.14159]).half()
    got = modules("mlp", "[...m.halves(input)]", explore._packed(numbers.view(torch.uint8)))
    assert got == numbers.double().tolist()


@pytest.mark.parametrize("t", [1, 37, 200])
def test_the_network_is_that_of_the_library(modules, network, weights, t):
    x_t = torch.from_numpy(randn(t, 40)).reshape(20, 2)
    got = modules(
        "mlp",
        "[...m.mlp(m.halves(input.weights), input.hidden)(Float64Array.from(input.x), input.t)]",
        {
            "weights": explore._packed(weights),
            "hidden": HIDDEN,
            "x": x_t.flatten().tolist(),
            "t": t,
        },
    )
    want = network(x_t, torch.full((20,), t))
    assert want.abs().max() > 0.1
    np.testing.assert_allclose(np.reshape(got, (20, 2)), want, atol=1e-10)


@pytest.mark.parametrize("t", [1, 37, 200])
def test_the_best_denoiser_is_the_exact_one(modules, t):
    x_t = 2 * torch.from_numpy(randn(t, 40)).reshape(20, 2)
    got = modules(
        "clouds",
        "[...m.bestDenoiser(input.means, input.width, input.bar)(Float64Array.from(input.x), 1)]",
        {
            "means": MEANS.tolist(),
            "width": WIDTH,
            "bar": [1, SCHEDULE.alpha_bar[t].item()],
            "x": x_t.flatten().tolist(),
        },
    )
    want = exact.exact_denoiser(SCHEDULE, RING)(x_t, t).eps
    np.testing.assert_allclose(np.reshape(got, (20, 2)), want, atol=1e-9)


def twin(denoise, n, variance, seed=1, count=POINTS):
    """The path that ddpm_lib walks with the noise of the page."""
    # Every draw of the page begins with a fresh pair of uniform numbers; 2 count is even.
    stream = torch.from_numpy(randn(seed, 2 * count * (n + 1))).reshape(-1, count, 2)
    draws = iter(stream)
    x_T = next(draws)
    walk = sampling.sample(
        sampling.ddpm(variance),
        SCHEDULE,
        denoise,
        x_T,
        sampling.strided(T, n),
        randn=lambda shape: next(draws),
    )
    return torch.stack([x_T, *walk])


VARIANCES = {
    "beta_tilde": diffusion.posterior_variance,
    "beta": diffusion.kernel_variance,
    "zero": lambda schedule, t, u: torch.zeros(()),
}


@pytest.mark.parametrize(
    ("predict", "n", "variance"),
    [
        ("network", 200, "beta_tilde"),
        ("network", 20, "beta"),
        ("network", 30, "zero"),
        ("exact", 50, "beta_tilde"),
        ("exact", 7, "beta"),
    ],
)
def test_the_page_draws_the_points_of_the_library(  # noqa: PLR0917
    modules, network, data, predict, n, variance
):
    got = modules(
        "clouds",
        """(async () => {
          const { alphaBar, linearBeta } = await import("/schedules.js");
          const { strided } = await import("/time.js");
          const { halves, mlp } = await import("/mlp.js");
          const { T, beta_1, beta_T, means, width, hidden, weights, n, variance } = input;
          const alpha_bar = alphaBar(linearBeta(T, beta_1, beta_T));
          const predict = input.predict === "network"
            ? mlp(halves(weights), hidden) : m.bestDenoiser(means, width, alpha_bar);
          const times = strided(T, n);
          return m.paths({ alpha_bar, predict, times, variance, seed: 1, count: 320 })
            .map((x) => [...x]);
        })()""",
        {**data, "weights": explore._packed(data["weights"]), "predict": predict}
        | {"n": n, "variance": variance},
    )
    denoise = (
        sampling.denoiser(SCHEDULE, network, diffusion.EPS, clip=None)
        if predict == "network"
        else exact.exact_denoiser(SCHEDULE, RING)
    )
    want = twin(denoise, n, VARIANCES[variance])
    np.testing.assert_allclose(np.reshape(got, want.shape), want, atol=1e-6)


def drawn(count, seed):
    """Points of the data, as the page draws them."""
    which = (uniform(seed, count) * 8).astype(int)
    pairs = uniform(seed, count + 2 * count)[count:].reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log(1 - pairs[:, 0])), 2 * np.pi * pairs[:, 1]
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return MEANS.numpy()[which] + WIDTH * z


def test_the_distance_is_that_of_the_chapter(modules):
    x, y = drawn(100, 1), drawn(100, 2) + 0.3
    got = modules(
        "clouds",
        "m.slicedDistance(Float64Array.from(input[0]), Float64Array.from(input[1]), 32)",
        [x.ravel().tolist(), y.ravel().tolist()],
    )
    angle = np.pi * np.arange(32) / 32
    ways = np.stack([np.cos(angle), np.sin(angle)])
    want = np.abs(np.sort(x @ ways, axis=0) - np.sort(y @ ways, axis=0)).mean()
    assert got == pytest.approx(want, rel=1e-12)


def test_data_are_drawn_and_counted(modules):
    points = modules("clouds", "[...m.drawData(input, 0.14, 320, 1000, true)]", MEANS.tolist())
    found = modules(
        "clouds",
        "m.census(Float64Array.from(input[0]), input[1], 0.14)",
        [[*points, 0.0, 0.0, 9.0, 9.0], MEANS.tolist()],
    )
    assert found == {"counts": [40] * 8, "strays": 2}
    got = modules("clouds", f"[...m.drawData(input, {WIDTH}, 100, 1)]", MEANS.tolist())
    np.testing.assert_allclose(np.reshape(got, (100, 2)), drawn(100, 1), atol=1e-12)


# ----------------------------------------------------------------------------- the figure in a page


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text()


def cloud(page):
    return page.locator(".ex-cloud").get_attribute("d")


def test_steps_noise_and_denoiser_change_what_is_shown(new_page, html):
    page = show(new_page(), html)
    assert sentence(page).startswith("After step 50 of 50, at t = 0")
    seen = {cloud(page)}
    page.get_by_role("slider", name="number of steps").fill("3")
    assert "After step 5 of 5" in sentence(page)
    seen.add(cloud(page))
    for name in ("New noise", "the exact denoiser", "zero: no fresh noise"):
        page.get_by_role("button", name=name).click()
        seen.add(cloud(page))
    assert len(seen) == 5
    held = page.get_by_role("button", name="the exact denoiser")
    assert held.get_attribute("aria-pressed") == "true"


def test_the_slider_over_the_steps_goes_back_to_noise(new_page, html):
    page = show(new_page(), html)
    steps = page.get_by_role("slider", name="step of the run")
    steps.focus()
    page.keyboard.press("Home")
    assert sentence(page).startswith("After step 0 of 50, at t = 200")
    assert steps.get_attribute("aria-valuetext") == "0 of 50, t = 200"
    page.keyboard.press("ArrowRight")
    assert sentence(page).startswith("After step 1 of 50, at t = 196")
    counts = [int(text) for text in page.locator(".ex-count").all_inner_texts()]
    strays = int(re.search(r"(\d+) lie far", sentence(page))[1])
    assert len(counts) == 8 and sum(counts) + strays == POINTS


def test_a_run_ends_with_the_samples(new_page, html):
    page = show(new_page(), html)
    end = cloud(page)
    page.get_by_role("button", name="Run").click()
    assert sentence(page).startswith("After step 0")
    page.get_by_role("button", name="Stop").wait_for()
    page.wait_for_function("document.querySelector('.ex-sentence p').innerText.includes('50 of')")
    page.get_by_role("button", name="Run").wait_for()
    assert cloud(page) == end
    calm = show(new_page(reduced_motion="reduce"), html)
    calm.get_by_role("slider", name="step of the run").fill("3")
    calm.get_by_role("button", name="Run").click()
    assert sentence(calm).startswith("After step 50 of 50")


def test_all_steps_can_be_taken_and_new_noise_gives_other_points(new_page, html):
    page = show(new_page(), html)
    page.get_by_role("slider", name="number of steps").fill("11")
    assert "After step 200 of 200" in sentence(page)
    before = cloud(page)
    page.get_by_role("button", name="New noise").click()
    assert "After step 200 of 200" in sentence(page) and cloud(page) != before


def test_it_fits_every_screen(new_page, html):
    page = show(new_page(), html)
    assert problems_on_screens(page) == []
    box = page.locator(".ex-plot svg").bounding_box()
    assert box["height"] == pytest.approx(box["width"] + 18, abs=2)  # squares are square


def test_the_page_is_light(html):
    still = re.search(r"base64,([^\"]+)", html)[1]
    assert len(html.encode()) - len(still) <= 120_000


def test_without_a_script_the_still_remains(new_page, html):
    page = new_page(360, java_script_enabled=False)
    page.set_content(document(html))
    assert page.get_by_alt_text("an interactive figure").is_visible()
