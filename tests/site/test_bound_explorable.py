"""The explorable of chapter 6: its terms against ddpm_lib, and its handling."""

import math

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import problems_on_screens, show

from ddpm_lib import bound, diffusion, exact
from ddpm_lib.course.explore import explorable
from ddpm_lib.schedules import cosine

KINDS = [{"name": "one Gaussian", "m": 0.0, "width": 0.5}]
KINDS.append({"name": "two Gaussians", "m": 1.0, "width": 0.2})
T = [2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000]


def data_of(kind):
    means = torch.tensor([[-kind["m"]], [kind["m"]]], dtype=torch.float64)
    return exact.isotropic(torch.tensor([0.5, 0.5]), means, kind["width"])


@pytest.fixture(scope="module")
def output():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.bar([0, 1], [1, 2])
    values = {"T": T, "start": 30, "data": KINDS}
    return explorable("bound", values, still=still)._repr_html_()


def best(schedule, t, u):
    """The variance that the page calls best, for two Gaussians, with the library's V_t."""
    data = data_of(KINDS[1])
    x_t = torch.linspace(-6, 6, 2001, dtype=torch.float64)[:, None]
    share = exact.log_density(exact.noised(schedule, data, t), x_t).exp() * 12 / 2000
    left = exact.covariance(exact.reverse(schedule, data, x_t, t, 0))[:, 0, 0]
    bar = schedule.alpha_bar
    factor = bar[u].sqrt() * schedule.beta[t] / schedule.one_minus_alpha_bar[t]
    return schedule.beta_tilde[t] + factor**2 * (share * left).sum()


def small(schedule, t, u):
    return (
        diffusion.posterior_variance(schedule, t, u)
        if t > 1
        else diffusion.kernel_variance(schedule, t, u)
    )


VARIANCES = {"beta": diffusion.kernel_variance, "small": small, "best": best}


def averaged(schedule, data, variance):
    """Every term of ddpm_lib.bound, averaged by sums over x_0 and over the noise."""
    x_0 = torch.linspace(-3, 3, 241, dtype=torch.float64)
    weights = exact.log_density(data, x_0[:, None]).exp() * 6 / 240
    eps = torch.linspace(-7, 7, 141, dtype=torch.float64)
    density = torch.exp(-(eps**2) / 2) / math.sqrt(2 * math.pi) * 0.1
    pairs = (weights[:, None] * density).flatten()
    x, e = (grid.reshape(-1, 1) for grid in torch.meshgrid(x_0, eps, indexing="ij"))
    denoise = exact.exact_denoiser(schedule, data)
    last = bound.data_term(
        schedule, denoise, x, eps=e, likelihood=bound.normal_log_density, variance=variance
    )
    rows = [last]
    for t in range(2, schedule.T + 1):
        rows.append(bound.step_term(schedule, denoise, x, t=t, eps=e, variance=variance))
    rows.append(bound.prior_term(schedule, x))
    return torch.stack([(row * pairs).sum() for row in rows])


@pytest.mark.parametrize("variance", list(VARIANCES))
def test_the_terms_are_those_of_the_library(modules, variance):
    schedule, kind = cosine(5), KINDS[1]
    got = modules(
        "bound",
        "(async () => { const s = await import('/schedules.js');"
        " return [...m.averageTerms(input.kind, s.cosineBeta(5), input.variance)]; })()",
        {"kind": kind, "variance": variance},
    )
    want = averaged(schedule, data_of(kind), VARIANCES[variance])
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_the_entropies_are_known(modules):
    gaussian, two = (modules("bound", "m.entropy(input)", kind) for kind in KINDS)
    assert gaussian == pytest.approx(math.log(2 * math.pi * math.e * 0.25) / 2, abs=1e-9)
    x = torch.linspace(-4, 4, 8001, dtype=torch.float64)[:, None]
    log = exact.log_density(data_of(KINDS[1]), x)
    assert two == pytest.approx(-(log.exp() * log).sum().item() * 0.001, abs=1e-9)


def test_the_bars_add_up_to_the_bound(modules):
    terms = [-1.0, 0.5, 0.25, 2.0, 0.125]
    stack = modules("bound", "m.bars(Float64Array.from(input))", terms)
    assert len(stack) == 12
    assert stack[0] == {"kind": "noise", "left": 1, "from": 0, "to": 0.125}
    assert stack[-1]["to"] == pytest.approx(sum(terms))
    assert stack[-1]["from"] - stack[0]["to"] == pytest.approx(2.75)
    assert [bar["from"] for bar in stack[1:]] == [bar["to"] for bar in stack[:-1]]


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def heights(page):
    return page.locator(".ex-bound-bars rect").evaluate_all(
        "(all) => all.map((bar) => Number(bar.getAttribute('height')))"
    )


def test_the_controls_change_sentence_and_bars(new_page, output):
    page = show(new_page(), output)
    assert sentence(page).startswith("With 30 steps on two Gaussians: ")
    assert sentence(page).endswith("the entropy 0.503: the excess is 0.127.")
    before = heights(page)
    assert len(before) == 12
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    assert sentence(page).startswith("With 50 steps")
    assert heights(page) != before
    page.get_by_role("slider").fill("11")
    page.get_by_role("button", name="one Gaussian").click()
    page.get_by_role("button", name="best").click()
    assert sentence(page).startswith("With 1000 steps on one Gaussian: ")
    assert "the entropy 0.726" in sentence(page)
    assert sentence(page).endswith("the excess is below 0.000001.")
    page.get_by_role("button", name="beta tilde").click()
    assert sentence(page).endswith("the excess is 0.402.")


def test_the_line_is_the_entropy(new_page, output):
    """The last bar ends above it, by the excess."""
    page = show(new_page(), output)
    [path] = page.locator(".ex-truth").evaluate_all("(all) => all.map((x) => x.getAttribute('d'))")
    level = float(path.split("L")[0][1:].split()[1])
    bottom = page.locator(".ex-bound-bars rect").last.evaluate(
        "(bar) => Number(bar.getAttribute('y')) + Number(bar.getAttribute('height'))"
    )
    assert 1 < level - bottom < 8  # 0.127 nats, of 8 on 214 pixels


def test_it_fits_every_screen(new_page, output):
    assert problems_on_screens(show(new_page(), output)) == []
