"""The interactive figures in a browser: their mathematics against ddpm_lib, and their handling."""

import math
import re
from datetime import datetime

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import DARK, EXPLORABLES, document, problems_on_screens, randn, show, swipe, uniform

from ddpm_lib import data, diffusion
from ddpm_lib.course import explore
from ddpm_lib.course.explore import explorable
from ddpm_lib.schedules import linear

T = 1000
DIGITS = data.digits().pixels[:10]  # the data set begins with 0, 1, ..., 9
LOW, HIGH = -1.5, 1.5  # black and white in the explorable of chapter 2


# ------------------------------------------------------------------------------ pages to look at


def output(digits=DIGITS):
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot(linear(T).alpha_bar)
    values = {"T": T, "beta_1": 1e-4, "beta_T": 0.02, "digits": digits}
    return explorable("forward", values, still=still)


@pytest.fixture(scope="module")
def forward():
    return output()._repr_html_()


# -------------------------------------------------------------------------------------- numbers


def test_pictures_are_unpacked_as_the_library_scales_them(modules):
    got = modules("core", "m.unpack(input).map((x) => [...x])", explore._packed(DIGITS))
    np.testing.assert_allclose(got, data.scale(DIGITS).flatten(1), atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_random_numbers_repeat_in_python(modules, seed):
    got = modules(
        "core",
        "(() => { const next = m.random(input); return Array.from({length: 50}, next) })()",
        seed,
    )
    assert got == uniform(seed, 50).tolist()
    normal = modules("core", "[...m.randn(m.random(input), 51)]", seed)
    np.testing.assert_allclose(normal, randn(seed, 51), rtol=1e-12)


def test_normal_numbers_are_normal():
    """Of the Python twin, which the test above ties to the page's numbers."""
    sample = randn(7, 40_000)
    assert abs(sample.mean()) < 5 / 200
    assert abs(sample.var() - 1) < 5 * math.sqrt(2) / 200
    assert abs((sample**4).mean() - 3) < 5 * math.sqrt(96) / 200


def test_numbers_are_written_as_in_the_text(modules):
    numbers = [0, 1.0963, -1.5, 0.00004036, 9999.4, 0.5, math.inf]
    want = ["0", "1.1", "−1.5", "0.0000404", "9999", "0.5", "∞"]
    assert modules("core", "input.map(m.format)", numbers) == want


def test_a_template_becomes_text_and_symbols(modules):
    script = "(() => { const node = document.createElement('p'); node.append(...m.say(...input));"
    holes = {"t": 5, "what": "noise"}
    html = modules(
        "words", f"{script} return node.innerHTML; }})()", ["At {t}, $x_t$ is {what}, $ε$.", holes]
    )
    x_t, eps = (f"<i>{name}</i><sub>{index}</sub>" for name, index in [("x", "t"), ("ε", "")])
    span = '<span class="ex-symbol">'
    assert html == f"At 5, {span}{x_t}</span> is noise, {span}{eps}</span>."
    assert modules("words", "m.tell(...input)", ["At {t}: {what}", holes]) == "At 5: noise"


@pytest.mark.parametrize(
    ("template", "holes", "message"),
    [
        ("At {t} of {T}", {"t": 5}, "nothing for the hole {T} of “At {t} of {T}”"),
        ("At {t}", {"t": 5, "u": 1}, "no hole {u} in “At {t}”"),
    ],
)
def test_a_hole_without_words_and_words_without_a_hole_are_errors(
    modules, template, holes, message
):
    script = "(() => { try { m.say(...input) } catch (error) { return error.message } })()"
    assert modules("words", script, [template, holes]) == message


# ----------------------------------------------------------------------------- the figure in a page


def pixels(page):
    """The gray levels of the equation's pictures: x_t, x_0, eps."""
    return page.locator(".ex-equation canvas").evaluate_all(
        "(all) => all.map((node) => [...node.getContext('2d').getImageData(0, 0, 8, 8).data]"
        ".filter((_, i) => i % 4 === 0))"
    )


def gray(x):
    return np.clip((np.asarray(x) - LOW) / (HIGH - LOW), 0, 1) * 255


def expected(t, digit=3, seed=1):
    """The three pictures that ddpm_lib makes for this setting."""
    x_0 = data.scale(DIGITS[digit]).double().flatten()[None]
    eps = torch.from_numpy(randn(seed, 64))[None]
    return [gray(x[0]) for x in (diffusion.add_noise(linear(T), x_0, t, eps), x_0, eps)]


def assert_shows(page, t, **setting):
    np.testing.assert_allclose(pixels(page), expected(t, **setting), atol=1)  # a byte, rounded
    controls = page.evaluate(
        """() => {
          const slider = document.querySelector("input[type=range]");
          const marker = document.querySelector(".ex-handle");
          return [slider.value, slider.ariaValueText, marker.ariaValueText, marker.ariaValueNow];
        }"""
    )
    assert controls == [str(t), f"{t} of {T}", f"{t} of {T}", str(t)]


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def test_the_slider_moves_the_picture(new_page, forward):
    page = show(new_page(), forward)
    assert_shows(page, 250)
    for t in (0, 1, 700, T):
        page.get_by_role("slider", name="step t", exact=True).fill(str(t))
        assert_shows(page, t)
    assert not page.locator(".ex-still").count()


def test_the_sentence_says_what_is_shown(new_page, forward):
    page = show(new_page(), forward)
    assert sentence(page) == (
        "At t = 250 of 1000, xt is 0.72 times the digit plus 0.69 times the noise; "
        f"the signal-to-noise ratio is {linear(T).snr[250]:.3g}."
    )
    page.locator("input[type=range]").fill("0")
    assert sentence(page) == "At t = 0 of 1000, there is no noise yet: this is the digit itself."


def test_the_sentence_is_read_out_when_the_slider_rests(new_page, forward):
    page = new_page()
    page.clock.install(time=datetime(2020, 6, 16, 12))
    show(page, forward)
    page.clock.pause_at(datetime(2020, 6, 16, 13))  # from here on, time passes only by run_for
    heard = page.locator("[aria-live=polite]")
    assert "t = 250" in heard.text_content()  # found by a reader who comes by, not read out
    for t in (300, 400):
        page.locator("input[type=range]").fill(str(t))
        page.clock.run_for(400)
        assert "t = 250" in heard.text_content()
    page.clock.run_for(200)
    assert "t = 400" in heard.text_content()


def test_what_a_page_comes_with_is_not_read_out(modules):
    """A sentence said before its figure is on the page is there at once, not announced later."""
    spoken = "(() => { const { node, show } = m.liveSentence(); show([input]); return node; })()"
    assert modules("words", f"{spoken}.lastChild.textContent", "t = 250") == "t = 250"


def test_another_digit_and_new_noise(new_page, forward):
    page = show(new_page(), forward)
    page.get_by_role("button", name="digit 7").click()
    assert_shows(page, 250, digit=7)
    assert page.locator("[aria-pressed=true]").get_attribute("aria-label") == "digit 7"
    page.get_by_role("button", name="New noise").click()
    assert_shows(page, 250, digit=7, seed=2)


def test_the_marker_follows_the_keyboard(new_page, forward):
    page = show(new_page(height=400), forward)
    page.locator(".ex-handle").focus()
    before = page.evaluate("scrollY")
    keys = ["ArrowRight", "ArrowUp", "PageUp", "ArrowLeft", "ArrowDown", "PageDown", "Home", "End"]
    for key, t in zip(keys, [251, 252, 262, 261, 260, 250, 0, T], strict=True):
        page.keyboard.press(key)
        assert_shows(page, t)
    page.keyboard.press("ArrowRight")  # there is no t after T
    assert_shows(page, T)
    assert page.evaluate("scrollY") == before


def place_of(page, t):
    """Where the plot has t, halfway up, in pixels of the window."""
    return page.evaluate(
        """([t, T]) => {
          document.querySelector(".ex-plot").scrollIntoView({ block: "center" });
          const box = document.querySelector(".ex-grip").getBoundingClientRect();
          return [box.left + (box.width * t) / T, box.top + box.height / 2];
        }""",
        [t, T],
    )


def test_the_marker_follows_the_mouse(new_page, forward):
    page = show(new_page(), forward)
    page.mouse.move(*place_of(page, 400))
    page.mouse.down()
    assert_shows(page, 400)
    page.mouse.move(*place_of(page, 600))
    assert_shows(page, 600)
    left, top = place_of(page, T)
    page.mouse.move(left + 300, top)  # beyond the end of the axis
    assert_shows(page, T)
    page.mouse.up()
    page.mouse.move(*place_of(page, 100))
    assert_shows(page, T)


def test_the_marker_follows_a_finger(new_page, forward):
    page = show(new_page(360, 640, has_touch=True, is_mobile=True), forward)
    swipe(page, place_of(page, 250), place_of(page, 750))
    assert_shows(page, 750)
    page.touchscreen.tap(*place_of(page, 500))
    assert_shows(page, 500)


def test_a_finger_that_scrolls_does_not_move_the_marker(new_page, forward):
    more = "<p style='height: 640px'>More to read.</p>"
    page = show(new_page(360, 640, has_touch=True, is_mobile=True), forward + more)
    left, top = place_of(page, 600)
    before = page.evaluate("scrollY")
    swipe(page, (left, top), (left, top - 150))
    page.wait_for_function("(before) => scrollY > before", arg=before)
    assert_shows(page, 250)


def test_the_thumb_stands_over_the_marker(new_page, forward):
    """Where the slider is pressed, its thumb goes: so press it where the plot has t."""
    page = show(new_page(), forward)
    slider = page.locator("input[type=range]")
    for t in (30, 500, T - 30):
        left, _ = place_of(page, t)
        page.mouse.click(left, slider.bounding_box()["y"] + 22)
        assert float(slider.input_value()) == pytest.approx(t, abs=2)  # a pixel is 1.5 steps wide


# ------------------------------------------------------------------------------------ the guessing


def hidden_digit(page):
    """Which digit is hidden: x_t at t = 0 tells."""
    page.locator("input[type=range]").fill("0")
    seen, *_ = pixels(page)
    distances = [np.abs(gray(data.scale(x).flatten()) - seen).max() for x in DIGITS]
    return int(np.argmin(distances))


def test_a_hidden_digit_is_hidden(new_page, forward):
    page = show(new_page(), forward)
    page.get_by_role("button", name="Hide the digit").click()
    assert page.locator("input[type=range]").input_value() == str(T)
    pictures = page.locator(".ex-equation canvas")
    assert [pictures.nth(i).is_visible() for i in range(3)] == [True, False, False]
    assert page.locator("[aria-pressed=true]").count() == 0
    assert page.get_by_role("group", name="Which digit is it?").is_visible()
    assert page.get_by_role("button", name="New noise").is_disabled()
    labels = page.locator(".ex-equation canvas").evaluate_all(
        "(all) => all.map((x) => x.ariaLabel)"
    )
    assert not any(re.search(r"the digit \d", label) for label in labels)
    assert sentence(page).endswith("Go left until you can read it, then answer above.")


def test_a_right_and_a_wrong_answer(new_page, forward):
    page = show(new_page(), forward)
    page.get_by_role("button", name="Hide the digit").click()
    digit = hidden_digit(page)
    page.locator("input[type=range]").fill("200")
    page.get_by_role("button", name=f"digit {digit}").click()
    assert_shows(page, 200, digit=digit, seed=2)
    ratio = f"{linear(T).snr[200]:.3g}"
    assert sentence(page) == (
        f"It is a {digit}, and you read it at t = 200, where the signal-to-noise ratio is {ratio}. "
        "The filled dot on the axis marks it."
    )
    page.get_by_role("button", name="Hide another").click()
    digit = hidden_digit(page)
    page.locator("input[type=range]").fill("900")
    page.get_by_role("button", name=f"digit {(digit + 1) % 10}").click()
    assert f"It is a {digit}, and you took it for a {(digit + 1) % 10} at t = 900" in sentence(page)
    assert sentence(page).endswith("So far you have read 1 of 2, the noisiest at t = 200.")
    dots = page.locator(".ex-right, .ex-wrong").evaluate_all(
        "(all) => all.map((x) => [x.getAttribute('class'), x.getBoundingClientRect()])"
    )
    for (look, box), (kind, t) in zip(dots, [("right", 200), ("wrong", 900)], strict=True):
        assert look.endswith(kind)
        assert box["x"] + box["width"] / 2 == pytest.approx(place_of(page, t)[0], abs=0.6)


def test_revealing_is_no_answer(new_page, forward):
    page = show(new_page(), forward)
    page.get_by_role("button", name="Hide the digit").click()
    digit = hidden_digit(page)
    page.get_by_role("button", name="Reveal it").click()
    assert sentence(page) == f"It is a {digit}."
    assert page.locator(".ex-equation canvas").nth(1).is_visible()
    page.locator("input[type=range]").fill("30")
    assert sentence(page).startswith("At t = 30 of 1000")
    assert page.get_by_role("button", name="Hide the digit").is_visible()
    assert page.locator(".ex-right, .ex-wrong").count() == 0


# ----------------------------------------------------------------------- wherever the output stands


def test_two_on_a_page_and_one_of_them_twice(new_page, forward):
    other = output(DIGITS.flip(0))._repr_html_()
    page = show(new_page(), forward + other + forward)
    assert page.locator(".ex-stage").count() == 3
    sliders = page.locator("input[type=range]")
    sliders.nth(0).fill("10")
    sliders.nth(2).fill("30")
    assert [sliders.nth(i).input_value() for i in range(3)] == ["10", "250", "30"]
    assert page.locator(".ex-still").count() == 0


def test_inserted_as_jupyterlab_does_it(new_page, forward):
    """Its renderer sets innerHTML, then puts copies for the scripts, which run; then a rerun."""
    page = new_page()
    page.set_content(document("<div></div>"))
    for _ in range(2):
        page.evaluate(
            """(html) => {
              const host = document.createElement("div");
              host.innerHTML = html;
              for (const script of host.querySelectorAll("script")) {
                const copy = document.createElement("script");
                copy.textContent = script.textContent;
                script.replaceWith(copy);
              }
              document.querySelector("main > div").replaceChildren(host); // attached only now
            }""",
            forward,
        )
        page.wait_for_selector(".ex-axes text", state="attached")
        assert_shows(page, 250)
        page.locator("input[type=range]").fill("800")
        assert_shows(page, 800)


def test_jupyterlab_leaves_the_keys_to_the_controls(new_page, forward):
    """Its notebook goes to another cell for an arrow key, unless the target itself objects."""
    page = show(new_page(), forward)
    focusable = page.locator(".ex-stage :is(button, input, [tabindex])")
    marked = page.locator(".ex-stage [data-lm-suppress-shortcuts=true]")
    assert focusable.count() == marked.count() == 14


def test_without_javascript_the_still_remains(new_page, forward):
    page = new_page(360, java_script_enabled=False)
    page.set_content(document(forward))
    assert page.get_by_alt_text("an interactive figure").is_visible()
    assert page.get_by_text("This figure is interactive where JavaScript runs.").is_visible()


def test_the_still_remains_when_the_script_fails(new_page, forward):
    page = new_page()
    page.set_content(document(forward.replace('"base64": "', '"base64": "?')))
    assert page.get_by_alt_text("an interactive figure").is_visible()
    assert page.locator(".ex-stage").count() == 0
    assert page.trouble and all(text.startswith("error:") for text in page.trouble)
    page.trouble.clear()


# ------------------------------------------------------------------------ sizes, colors, and access


def boxes(page, selector):
    return page.locator(selector).evaluate_all("(all) => all.map((x) => x.getBoundingClientRect())")


def test_it_fits_every_screen(new_page, forward):
    page = show(new_page(), forward + output(DIGITS.flip(0))._repr_html_())
    [stage, _] = boxes(page, ".ex-stage")
    assert stage["width"] == 720
    page.get_by_role("button", name="Hide the digit").first.click()  # one hidden, one open
    assert problems_on_screens(page, widths=(1280, 560, 360, 320)) == []


def test_a_plot_follows_the_width_of_the_page(new_page, forward):
    page = show(new_page(360), forward)
    for width, t in ((800, 500), (360, 700)):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("new Promise((go) => requestAnimationFrame(() => setTimeout(go)))")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.mouse.click(*place_of(page, t))
        assert_shows(page, t)


LUMINANCE = """() => [...document.querySelectorAll(
    ".ex-note, .ex-factor b, .ex-factor .ex-root, .ex-value, .ex-title, .ex-key, .ex-sentence p, " +
    ".ex-axes text, .ex-button, .ex-question")].map((node) => {
  const look = getComputedStyle(node);
  const color = node instanceof SVGElement ? look.fill : look.color;
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255)
    .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
  return [node.className, 0.2126 * r + 0.7152 * g + 0.0722 * b];
})"""


@pytest.mark.parametrize(
    ("look", "luminance"),
    [
        ({}, 1.0),
        ({"theme": DARK[0], "background": "#121212", "color": "#ced6dd"}, 0.0060),  # the site
        ({"theme": DARK[1], "background": "#383838", "color": "#d5d5d5"}, 0.0395),  # Colab
        ({"theme": DARK[2], "background": "#212121", "color": "#e0e0e0"}, 0.0152),  # JupyterLab
    ],
)
def test_words_are_legible(new_page, forward, look, luminance):
    page = show(new_page(), forward, **look)
    for name, own in page.evaluate(LUMINANCE):
        light, dark = max(own, luminance), min(own, luminance)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def test_a_light_page_stays_light_for_a_reader_who_prefers_dark(new_page, forward):
    colors = [
        show(new_page(color_scheme=scheme), forward).evaluate(LUMINANCE)
        for scheme in ("light", "dark")
    ]
    assert colors[0] == colors[1]


# ------------------------------------------------------------ the parts that chapter 2 does not use

DEMO = """<figure class="explorable"><div class="ex-stage"></div></figure><script type="module">
import { draggable, heatMap, plot } from "/plots.js";
const area = plot({
  name: "a Gaussian and its mean",
  x: { range: [-2, 2], label: "first" },
  y: { range: [-1, 1], label: "second" },
});
const grid = { rows: 20, columns: 40, range: [0, 1], name: "density" };
const density = heatMap(area, "data", grid);
const onMove = (mean) => {
  const cell = (i) => [((i % 40) + 0.5) / 10 - 2, (Math.floor(i / 40) + 0.5) / 10 - 1];
  const distance = ([x, y]) => (x - mean[0]) ** 2 + (y - mean[1]) ** 2;
  density(Float64Array.from({ length: 800 }, (_, i) => Math.exp(-4 * distance(cell(i)))));
  handle(mean, `mean ${mean.map((x) => x.toFixed(2)).join(", ")}`);
};
const look = { kind: "model", along: "xy", step: 0.1, name: "mean", position: [0, 0] };
const handle = draggable(area, { ...look, onMove });
onMove([0.05, 0.05]);
document.querySelector(".ex-stage").append(area.node);
</script>"""


@pytest.fixture
def demo(new_page, serve):
    page, address = new_page(), serve(EXPLORABLES)
    style = (EXPLORABLES / "explorables.css").read_text()
    body = document(f"<style>{style}</style>{DEMO}")
    page.route(f"{address}/demo", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(f"{address}/demo")
    page.wait_for_selector(".ex-axes text", state="attached")
    return page


def shades(page):
    """The heat map's colors, (20, 40, 4), from its top row down."""
    values = page.locator(".ex-heat").evaluate(
        "(node) => [...node.getContext('2d').getImageData(0, 0, 40, 20).data]"
    )
    return np.array(values).reshape(20, 40, 4)


def where(page):
    return page.locator(".ex-handle").get_attribute("aria-valuetext")


def peak(page):
    """The center of the darkest cell, in the plot's coordinates."""
    row, column = np.unravel_index(shades(page)[..., 3].argmax(), (20, 40))
    return (column + 0.5) / 10 - 2, 1 - (row + 0.5) / 10


def test_a_heat_map_shows_its_values(demo):
    y, x = np.mgrid[0.95:-0.96:-0.1, -1.95:1.96:0.1]
    want = 255 * np.exp(-4 * ((x - 0.05) ** 2 + (y - 0.05) ** 2))
    got = shades(demo)
    np.testing.assert_allclose(got[..., 3], want, atol=1)
    assert got[9, 20, :3].tolist() == [0x00, 0x72, 0xB2]
    label = demo.locator(".ex-heat").get_attribute("aria-label")
    assert label == "density; clear is 0, full color is 1"
    assert demo.locator(".ex-key").inner_text().split() == ["0", "1"]


def test_a_heat_map_follows_the_theme(demo):
    demo.evaluate("document.documentElement.dataset.theme = 'dark'")
    demo.evaluate("new Promise(requestAnimationFrame)")
    assert shades(demo)[9, 20, :3].tolist() == [0x6C, 0xBC, 0xF0]


def test_a_point_is_dragged_in_two_directions(demo):
    box = demo.locator(".ex-grip").bounding_box()
    plot = demo.locator(".ex-heat").bounding_box()
    demo.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    demo.mouse.down()
    demo.mouse.move(plot["x"] + plot["width"] * 0.75, plot["y"] + plot["height"] * 0.25)
    demo.mouse.up()
    assert [float(x) for x in re.findall(r"[-\d.]+", where(demo))] == pytest.approx(
        [1, 0.5], abs=0.02
    )
    assert peak(demo) == pytest.approx((1, 0.5), abs=0.06)


def test_a_point_follows_a_finger_up_and_down(demo):
    box, plot = demo.locator(".ex-grip").bounding_box(), demo.locator(".ex-heat").bounding_box()
    start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    demo.set_viewport_size({"width": 1280, "height": 300})  # a page to scroll
    swipe(demo, start, (start[0], plot["y"]))
    assert where(demo) == "mean 0.05, 1.00"


def test_a_point_follows_the_arrow_keys(demo):
    demo.locator(".ex-handle").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        demo.keyboard.press(key)
    assert where(demo) == "mean 0.25, 0.15"
    assert peak(demo) == pytest.approx((0.25, 0.15))
    for _ in range(12):
        demo.keyboard.press("ArrowDown")
    demo.keyboard.press("PageDown")
    assert where(demo) == "mean 0.25, -1.00"  # the edge


def test_the_demo_is_accessible(demo):
    assert problems_on_screens(demo) == []
