"""The digits of chapter 14: each layer of the page is that of ddpm_lib, and so are its pictures."""

import base64
import itertools
import json
import math
import os
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import document, problems_on_screens, randn
from torch import nn

from ddpm_lib import data, diffusion, recipes, sampling
from ddpm_lib.course import explore
from ddpm_lib.course.explore import explorable
from ddpm_lib.course.quantization import dequantize, quantize
from ddpm_lib.course.recipes import SMALL_DIGITS
from ddpm_lib.networks import embedding, unet
from ddpm_lib.schedules import cosine

T, SIDE = 1000, 8
SCHEDULE = cosine(T)
SITE = Path(os.environ.get("SITE") or Path(__file__).parents[2] / "_build/html").resolve()
PAGE = SITE / "chapters" / "14_sampling.html"
WIDE = 4 * (SIDE + 2) - 2  # pixels of the canvas of 16 digits


def packed(network):
    """What the page gets of a network, as the browser reads it."""
    return json.loads(json.dumps(quantize(network), default=explore._packed))


def as_in_the_page(network):
    """The same network with the weights that the page has, in float64."""
    network.load_state_dict(dequantize(quantize(network)), strict=False)
    network.double().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, embedding.Sinusoidal):
            half = len(module.frequencies)
            exponents = torch.arange(half).double() / (half - 1)
            module.frequencies = torch.exp(-math.log(10_000) * exponents)
    return network


def some(module, seed=0):
    """A module whose weights are all away from zero."""
    generator = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        weight.data = 0.3 * torch.randn(weight.shape, generator=generator)
    return module


def small():
    return unet.UNet(widths=(8, 16), blocks=1)


@pytest.fixture(scope="module")
def network():
    """The kind of network that the course has, narrow, trained for a moment."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = small()
        adam = torch.optim.Adam(network.parameters(), 5e-3)
        digits = data.scale(data.digits().pixels)
        for _ in range(60):
            x_0 = digits[torch.randint(len(digits), (32,))]
            t, eps = torch.randint(1, T + 1, (32,)), torch.randn(x_0.shape)
            loss = diffusion.loss(SCHEDULE, network, diffusion.EPS, x_0, t=t, eps=eps)
            adam.zero_grad()
            loss.mean().backward()
            adam.step()
    return network


@pytest.fixture(scope="module")
def weights(network):
    return packed(network)


@pytest.fixture(scope="module")
def twin(network, weights):
    return as_in_the_page(network)


@pytest.fixture(scope="module")
def html(weights):
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    values = {"T": T, "weights": weights}
    figure = explorable("digits", values, still=still)
    return figure._repr_html_()


# --------------------------------------------------------------------------------- layer by layer


def batch(seed, count, channels, side=SIDE):
    shape = (count, channels, side, side)
    return torch.from_numpy(randn(seed, math.prod(shape))).reshape(shape)


def to_page(x):
    """(B, C, H, W) as the page has it: all channels of a pixel together."""
    values = x.permute(0, 2, 3, 1).flatten().tolist()
    return {"data": values, "side": x.shape[2], "channels": x.shape[1]}


def from_page(got):
    side, channels = got["side"], got["channels"]
    values = torch.tensor(got["data"], dtype=torch.float64)
    return values.reshape(-1, side, side, channels).permute(0, 3, 1, 2)


@pytest.fixture
def layer(modules):
    """layer(expression, x, module, more): what the layers of the page make of pictures x."""

    def compute(expression, x, module=None, **more):
        given = {"x": to_page(x), "layers": packed(module or nn.ModuleDict()), **more}
        got = modules(
            "network",
            f"""(async () => {{
              const files = ["network", "convolution", "products"];
              const found = await Promise.all(files.map((file) => import(`/${{file}}.js`)));
              const m = Object.assign({{}}, ...found);
              const layers = m.unpackLayers(input.layers);
              const x = {{ ...input.x, data: Float64Array.from(input.x.data) }};
              const out = {expression};
              return {{ ...out, data: [...out.data] }};
            }})()""",
            given,
        )
        return from_page(got)

    return compute


def same(got, want):
    assert want.abs().max() > 0.1
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-11)


def test_the_weights_are_those_of_dequantize(modules, network, weights):
    got = modules(
        "network",
        """Object.fromEntries(Object.entries(m.unpackLayers(input)).map(([name, layer]) =>
          [name, Object.fromEntries(Object.entries(layer).map(([k, v]) => [k, [...v]]))]))""",
        weights,
    )
    for name, want in dequantize(quantize(network)).items():
        layer, part = name.rsplit(".", 1)
        assert got[layer].pop(part) == want.double().flatten().tolist()
    assert not any(got.values())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rows", "outputs"), [(8, 8), (7, 6), (1, 96), (4, 1)])
def test_linear(modules, rows, outputs, bias):
    module = some(nn.Linear(10, outputs, bias=bias)).double()
    x = torch.from_numpy(randn(1, rows * 10)).reshape(rows, 10)
    got = modules(
        "products",
        "[...m.linear(input.layer, Float64Array.from(input.x), 10)]",
        {
            "layer": {name: w.flatten().tolist() for name, w in module.named_parameters()},
            "x": x.flatten().tolist(),
        },
    )
    same(torch.tensor(got, dtype=x.dtype).reshape(rows, outputs), module(x))


@pytest.mark.parametrize(
    ("channels", "outputs", "side", "stride"),
    [
        (24, 48, 8, 1),
        (5, 3, 2, 1),
        (1, 24, 8, 1),
        (24, 1, 4, 1),
        (24, 48, 8, 2),
        (3, 2, 7, 1),
        (3, 2, 7, 2),
    ],
)
def test_convolution(layer, channels, outputs, side, stride):
    conv = nn.Conv2d(channels, outputs, 3, padding=1, stride=stride)
    module = as_in_the_page(some(nn.ModuleDict({"a": conv})))
    x = batch(channels, 3, channels, side)
    got = layer("m.conv3x3(layers.a, x, input.stride)", x, module, stride=stride)
    same(got, module["a"](x))


def test_silu(layer):
    x = 30 * batch(2, 2, 3)
    same(layer("{ ...x, data: m.silu(x.data) }", x), nn.functional.silu(x))


@pytest.mark.parametrize("channels", [4, 24, 48, 5, 64])
def test_group_norm(layer, channels):
    module = as_in_the_page(some(nn.ModuleDict({"a": embedding.group_norm(channels)})))
    x = 3 + 2 * batch(3, 2, channels)
    same(layer("m.groupNorm(layers.a, x)", x, module), module["a"](x))
    same(layer("m.groupNorm({}, x)", x), embedding.group_norm(channels, affine=False).double()(x))


def test_scale_and_shift(layer):
    x, (scale, shift) = batch(4, 2, 6), torch.randn(2, 6).double()
    got = layer(
        "m.scaleShift(x, input.scale, input.shift)",
        x,
        scale=scale.tolist(),
        shift=shift.tolist(),
    )
    same(got, x * (1 + scale[:, None, None]) + shift[:, None, None])


def test_upsampling_and_concatenation(layer):
    x = batch(5, 2, 3, side=5)
    same(layer("m.upsample(x)", x), nn.functional.interpolate(x, scale_factor=2.0))
    two = layer("m.concat(x, { ...x, data: x.data.map((value) => -value) })", x)
    same(two, torch.cat([x, -x], dim=1))


@pytest.mark.parametrize("sharpness", [1, 100])  # the second has scores whose exp is infinite
def test_attention(layer, sharpness):
    module = some(nn.ModuleDict({"a": unet.Attention(48)}))
    module["a"].qkv.weight.data *= sharpness
    module = as_in_the_page(module)
    x = batch(6, 3, 48, side=4)
    same(layer('m.attention(layers, "a", x)', x, module), module["a"](x))


@pytest.mark.parametrize("t", [1, 37, 1000])
def test_the_time(modules, twin, weights, t):
    got = modules("time", "[...m.sinusoidal(32, input)]", t)
    np.testing.assert_allclose(got, twin.time[0](torch.tensor([t]))[0], atol=1e-12)
    got = modules("network", "[...m.timeVector(m.unpackLayers(input[0]), input[1])]", [weights, t])
    np.testing.assert_allclose(got, twin.time(torch.tensor([t]))[0], atol=1e-12)


@pytest.mark.parametrize(("c_in", "c_out"), [(24, 24), (48, 24)])
def test_residual_block(layer, c_in, c_out):
    block = unet.ResidualBlock(c_in, c_out, 96, embedding.ScaleShift)
    module = as_in_the_page(some(nn.ModuleDict({"a": block})))
    x, emb = batch(7, 2, c_in), torch.from_numpy(randn(8, 96))
    got = layer('m.residualBlock(layers, "a", x, input.emb)', x, module, emb=emb.tolist())
    same(got, module["a"](x, emb.expand(2, -1)))


def test_level(layer):
    level = unet.Level(24, 48, True, blocks=2, dim=96, condition=embedding.ScaleShift)
    module = as_in_the_page(some(nn.ModuleDict({"a": level})))
    x, emb = batch(9, 2, 24, side=4), torch.from_numpy(randn(10, 96))
    got = layer('m.level(layers, "a", x, input.emb)', x, module, emb=emb.tolist())
    same(got, module["a"](x, emb.expand(2, -1)))


@pytest.mark.parametrize("t", [1, 500, 1000])
def test_the_network(layer, twin, t):
    x = batch(t, 5, 1)
    same(layer(f"m.unet(layers, x, {t})", x, twin), twin(x, torch.full((5,), t)))


@pytest.mark.parametrize(
    "build",
    [
        lambda: recipes.build(SMALL_DIGITS).network,
        lambda: unet.UNet(widths=(8, 12, 16), blocks=2, attention=(1, -1)),
    ],
    ids=["of the course", "deeper"],
)
def test_other_networks(layer, build):
    module = as_in_the_page(some(build()))
    x = batch(11, 2, 1)
    same(layer("m.unet(layers, x, 7)", x, module), module(x, torch.full((2,), 7)))


# ----------------------------------------------------------------------------------- the pictures


def page_draws(modules, weights, settings, seed, count):
    got = modules(
        "drawing",
        """(async () => {
          const { alphaBar, cosineBeta } = await import("/schedules.js");
          const { unet, unpackLayers } = await import("/network.js");
          const layers = unpackLayers(input.weights);
          const predict = (data, t) => unet(layers, { data, side: 8, channels: 1 }, t).data;
          const model = { alpha_bar: alphaBar(cosineBeta(1000)), predict };
          const run = m.drawing(model, input.settings, input.seed, input.count);
          return Array.from(run, ({ t, x_t, x_0 }) => ({ t, x_t: [...x_t], x_0: [...x_0] }));
        })()""",
        {"weights": weights, "settings": settings, "seed": seed, "count": count},
    )
    assert [frame["t"] for frame in got] == sampling.strided(T, settings["n"])
    frames = torch.tensor([[frame["x_t"], frame["x_0"]] for frame in got], dtype=torch.float64)
    return frames.reshape(len(got), 2, count, 1, SIDE, SIDE)


VARIANCES = {
    "beta_tilde": diffusion.posterior_variance,
    "beta": diffusion.kernel_variance,
    "zero": lambda schedule, t, u: torch.zeros(()),
}


def library_draws(network, settings, seed, count, dtype=torch.float64):
    """x_t and the predicted x_0 at every time of the run, with the noise of the page."""
    shape = (count, 1, SIDE, SIDE)
    stream = torch.from_numpy(randn(seed, math.prod(shape) * (settings["n"] + 1))).to(dtype)
    draws = iter(stream.reshape(-1, *shape))
    step = (
        sampling.ddim(settings["eta"])
        if settings["sampler"] == "ddim"
        else sampling.ddpm(VARIANCES[settings["variance"]])
    )
    decode = sampling.denoiser(
        SCHEDULE, network, diffusion.EPS, clip=1.0 if settings["clip"] == "x_0" else None
    )
    guesses = []

    def denoise(x_t, t):
        guesses.append(decode(x_t, t))
        return guesses[-1]

    times = sampling.strided(T, settings["n"])
    path = [next(draws)]
    for t, u in itertools.pairwise(times):
        stride = sampling.Stride(SCHEDULE, denoise, path[-1], t, u, lambda shape: next(draws))
        x_u = step(stride)
        path.append(x_u.clamp(-1, 1) if settings["clip"] == "x_t" else x_u)
    x_0 = [*(guess.x_0 for guess in guesses), path[-1]]
    return torch.stack([torch.stack(path), torch.stack(x_0)], dim=1).double()


FIRST = {"sampler": "ddim", "n": 20, "eta": 0, "variance": "beta_tilde", "clip": "x_0"}


@pytest.mark.parametrize(
    "change",
    [
        {"n": 50},
        {"eta": 0.5, "clip": "none"},
        {"eta": 1, "n": 5},
        {"sampler": "ddpm", "n": 100},
        {"sampler": "ddpm", "variance": "beta", "clip": "x_t"},
        {"sampler": "ddpm", "variance": "zero", "clip": "none"},
        {"n": 1},
    ],
    ids=str,
)
def test_the_page_draws_the_pictures_of_the_library(modules, twin, weights, change):
    settings = FIRST | change
    got = page_draws(modules, weights, settings, seed=3, count=2)
    want = library_draws(twin, settings, seed=3, count=2)
    scale = want.abs().flatten(1).amax(1)[:, None, None, None, None, None]
    assert ((got - want).abs() <= 1e-6 * scale.clamp(min=1)).all()


def test_32_bits_draw_them_too(modules, twin, weights):
    """The library as it is used, in float32: within a thousandth of a gray."""
    network = small()
    network.load_state_dict({name: value.float() for name, value in twin.state_dict().items()})
    for change in ({"n": 50}, {"sampler": "ddpm", "n": 100}):
        got = page_draws(modules, weights, FIRST | change, seed=1, count=2)
        want = library_draws(network, FIRST | change, seed=1, count=2, dtype=torch.float32)
        torch.testing.assert_close(got, want.detach(), rtol=0, atol=1e-3)


def test_pictures_side_by_side(modules):
    pictures = torch.from_numpy(randn(1, 16 * 64)).reshape(4, 4, SIDE, SIDE)
    got = modules("drawing", "[...m.mosaic(input, 16)]", pictures.flatten().tolist())
    want = torch.full((4, SIDE + 2, 4, SIDE + 2), -1.0).double()
    want[:, :SIDE, :, :SIDE] = pictures.permute(0, 2, 1, 3)
    assert got == want.reshape(4 * (SIDE + 2), -1)[:WIDE, :WIDE].flatten().tolist()


def test_the_distance_is_a_root_mean_square(modules):
    assert modules("drawing", "m.distance([1, 2, 3, 4], [1, 2, 3, 8])") == 2


# ----------------------------------------------------------------------------- the figure in a page


def show(page, html, **look):
    page.set_content(document(html, **look))
    drawn(page)
    return page


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text()


def drawn(page, start="Step "):
    """Wait for the end of a run."""
    page.wait_for_function(
        """(start) => {
          const text = document.querySelector('.ex-sentence p').innerText;
          const run = document.querySelector('.ex-buttons button').textContent;
          return text.startsWith(start) && text.includes('between') && run === 'Run';
        }""",
        arg=start,
        timeout=60_000,
    )
    return page


def grays(page, i=0):
    """The pixels of a canvas, (H, W)."""
    return np.array(
        page.locator(".ex-fork canvas")
        .nth(i)
        .evaluate(
            """(node) => {
              const { data } = node.getContext('2d').getImageData(0, 0, node.width, node.height);
              return Array.from({ length: node.height }, (_, y) =>
                Array.from({ length: node.width }, (_, x) => data[4 * (y * node.width + x)]));
            }"""
        )
    )


def library_grays(network, settings, seed):
    """What the canvas shows at the end of a run."""
    x_0 = library_draws(network, settings, seed, 16)[-1, 0].clamp(-1, 1)
    cells = torch.full((4, SIDE + 2, 4, SIDE + 2), -1.0).double()
    cells[:, :SIDE, :, :SIDE] = x_0.reshape(4, 4, SIDE, SIDE).permute(0, 2, 1, 3)
    return (127.5 * (cells.reshape(4 * (SIDE + 2), -1)[:WIDE, :WIDE] + 1)).numpy()


def test_the_first_pictures_come_by_themselves_and_are_right(new_page, html, twin):
    page = show(new_page(), html)
    assert sentence(page).startswith("Step 20 of 20: 16 digits from seed 1, 20 steps, DDIM, η = 0.")
    np.testing.assert_allclose(grays(page), library_grays(twin, FIRST, 1), atol=0.51)
    label = page.locator(".ex-fork canvas").first.get_attribute("aria-label")
    assert label == "16 digits, x_t at t = 0; −1 is black, 1 is white"


def test_the_keys_go_through_the_steps(new_page, html):
    page = show(new_page(), html)
    end = grays(page)
    steps = page.get_by_role("slider", name="step of the run")
    steps.focus()
    page.keyboard.press("Home")
    assert sentence(page).startswith("Step 0 of 20")
    assert steps.get_attribute("aria-valuetext") == "0 of 20, t = 1000"
    noise = grays(page)
    page.get_by_role("button", name="predicted x 0").click()
    assert "x_0 at t = 1000" in page.locator("canvas").first.get_attribute("aria-label")
    assert not (grays(page) == noise).all() and not (noise == end).all()
    steps.focus()
    page.keyboard.press("ArrowRight")
    assert steps.get_attribute("aria-valuetext") == "1 of 20, t = 950"
    page.keyboard.press("End")
    assert (grays(page) == end).all()  # of the last step, x_t is the prediction


def with_steps(page, i, stop=False):
    """Move the slider, look at the button and the progress, and perhaps stop, all at one time."""
    return page.get_by_role("slider", name="number of steps").evaluate(
        """(slider, [i, stop]) => {
          slider.value = i;
          slider.dispatchEvent(new Event('input'));
          const run = document.querySelector('.ex-buttons button');
          const progress = getComputedStyle(document.querySelector('progress'));
          const seen = [run.textContent, progress.visibility];
          if (stop) run.click();
          return seen;
        }""",
        [i, stop],
    )


def test_a_run_can_be_stopped_and_a_setting_begins_another(new_page, html):
    page = show(new_page(), html)
    with_steps(page, 10, stop=True)  # 1000 of them take more than the first slice
    done, total = map(int, re.search(r"; (\d+) of (\d+) network", sentence(page)).groups())
    assert done < total == 1000
    with_steps(page, 10)
    with_steps(page, 3)
    drawn(page, "Step 5 of 5")
    assert page.get_by_role("slider", name="step of the run").input_value() == "5"
    before = grays(page)
    page.get_by_role("button", name="New noise").click()
    drawn(page, "Step 5 of 5: 16 digits from seed 2")
    assert not (grays(page) == before).all()
    page.get_by_role("button", name="Run", exact=True).click()
    drawn(page, "Step 5 of 5: 16 digits from seed 2")


def test_one_digit_by_all_steps(new_page, html):
    page = show(new_page(), html)
    page.locator("summary").click()
    page.get_by_role("button", name="one digit").click()
    page.get_by_role("button", name="DDPM").click()
    assert with_steps(page, 10) == ["Stop", "visible"]
    drawn(page, "Step 1000 of 1000: one digit from seed 1, 1000 steps, DDPM, σ² = β̃.")
    assert grays(page).shape == (SIDE, SIDE)
    assert (
        page.locator("progress").evaluate("(node) => getComputedStyle(node).visibility") == "hidden"
    )


def test_a_fork_begins_with_the_same_noise(new_page, html, twin):
    page = show(new_page(), html)
    page.get_by_role("slider", name="number of steps").fill("3")
    drawn(page, "Step 5 of 5")
    page.get_by_role("button", name="Fork").click()
    drawn(page, "Step 5 of 5")
    assert re.search(r"B, with 20 steps, DDPM, σ² = β̃, is 0\.\d+ away from A", sentence(page))
    a, b = FIRST | {"n": 5}, FIRST | {"sampler": "ddpm"}
    for i, settings in enumerate((a, b)):
        np.testing.assert_allclose(grays(page, i), library_grays(twin, settings, 1), atol=0.51)
    assert page.get_by_role("button", name="of B").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="DDIM").click()
    page.get_by_role("slider", name="number of steps").fill("3")
    drawn(page, "Step 5 of 5")
    assert "B, with 5 steps, DDIM, η = 0, is 0 away from A" in sentence(page)
    page.locator("summary").click()
    page.get_by_role("slider", name="fresh noise").fill("1")
    drawn(page, "Step 5 of 5: 16 digits from seed 1, 5 steps, DDIM, η = 0.")
    assert "B, with 5 steps, DDIM, η = 1, is 0." in sentence(page)
    page.get_by_role("slider", name="step of the run").fill("0")
    assert (grays(page, 0) == grays(page, 1)).all()
    page.get_by_role("button", name="No fork").click()
    drawn(page, "Step 5 of 5")
    assert page.locator("canvas:visible").count() == 1 and "away" not in sentence(page)


def test_without_motion_only_the_end_is_shown(new_page, html):
    page = show(new_page(reduced_motion="reduce"), html)
    page.get_by_role("button", name="New noise").click()
    assert sentence(page).startswith("Step 20 of 20: 16 digits from seed 2")
    drawn(page)
    assert page.get_by_role("slider", name="step of the run").input_value() == "20"


def test_it_fits_every_screen(new_page, html):
    page = show(new_page(), html)
    page.locator("summary").click()
    page.get_by_role("slider", name="number of steps").fill("1")
    page.get_by_role("button", name="Fork").click()
    drawn(page)
    assert problems_on_screens(page) == []


def test_the_page_is_light(html):
    still = re.search(r"base64,([^\"]+)", html)[1]
    assert len(html.encode()) - len(still) <= 320_000


def test_without_a_script_the_still_remains(new_page, html):
    page = new_page(360, java_script_enabled=False)
    page.set_content(document(html))
    assert page.get_by_alt_text("an interactive figure").is_visible()


# -------------------------------------------------------------------------------- the built chapter


def test_the_chapter_draws_the_pictures_of_its_own_weights(new_page, modules):
    if not PAGE.is_file():
        pytest.skip(f"there is no {PAGE}: run `make book` first")
    values = re.search(r'^mount\("\S+", digits, (.*)\);$', PAGE.read_text("utf-8"), re.M)[1]
    weights = json.loads(values)["weights"]
    network = recipes.build(SMALL_DIGITS).network
    network.load_state_dict(dequantize(unpacked(weights)), strict=False)
    network = as_in_the_page(network)
    for change in ({"n": 50}, {"sampler": "ddpm", "n": 50}):
        got = page_draws(modules, weights, FIRST | change, seed=1, count=2)
        want = library_draws(network, FIRST | change, seed=1, count=2)
        torch.testing.assert_close(got, want, rtol=0, atol=1e-3)
    page = new_page()
    page.goto(PAGE.as_uri(), timeout=60_000)
    figure = page.locator("[data-explorable^='digits']")
    figure.scroll_into_view_if_needed()
    figure.get_by_text("Step 20 of 20: 16 digits from seed 1, 20 steps, DDIM").first.wait_for()
    figure.get_by_role("button", name="Run", exact=True).wait_for(timeout=60_000)
    np.testing.assert_allclose(grays(figure), library_grays(network, FIRST, 1), atol=0.51)


def unpacked(weights):
    def tensor(entry):
        raw = np.frombuffer(base64.b64decode(entry["base64"]), np.uint8)
        return torch.from_numpy(raw.copy()).reshape(entry["shape"])

    return {
        name: {part: tensor(entry) for part, entry in entries.items()}
        for name, entries in weights.items()
    }
