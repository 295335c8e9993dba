"""The slider over pictures that stands for a live panel: its words, and its handling."""

import base64
import re

import imageio.v3 as iio
import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from bare_page import document, misfits, problems_on_screens, swipe

from ddpm_lib.course import live
from ddpm_lib.course.live import Drawing

GRAYS = [10, 120, 230]
STEPS = ["1 of 100", "10 of 100", "100 of 100"]


@pytest.fixture(scope="module")
def scrubber():
    shades = [np.full((120, 400), gray, np.uint8) for gray in GRAYS]
    drawings = [
        Drawing(iio.imwrite("<bytes>", shade, extension=".png"), f"The gray of x_0 is {gray}.")
        for shade, gray in zip(shades, GRAYS, strict=True)
    ]
    page = live.page(drawings, label="steps", values=STEPS)
    return page._repr_html_()


def show(page, html, **look):
    page.set_content(document(html, **look))
    page.wait_for_selector(".ex-film img:not([hidden])")
    return page


def assert_shows(page, i):
    """The i-th picture, alone, and its words."""
    seen = page.locator(".ex-film img:visible")
    assert seen.count() == 1
    png = base64.b64decode(re.search(r"base64,(.*)", seen.get_attribute("src"))[1])
    assert (iio.imread(png, extension=".png") == GRAYS[i]).all()
    assert seen.get_attribute("alt") == f"an interactive figure; steps {STEPS[i]}"
    assert page.locator(".ex-sentence p").first.inner_text() == f"The gray of x0 is {GRAYS[i]}."
    assert page.locator(".ex-value").inner_text() == STEPS[i]
    slider = page.get_by_role("slider", name="steps")
    assert slider.get_attribute("aria-valuetext") == STEPS[i]
    assert slider.input_value() == str(i)


def test_it_begins_where_the_panel_does_and_follows_the_slider(new_page, scrubber):
    page = show(new_page(), scrubber)
    assert_shows(page, 2)
    for i in (0, 1, 2, 1):
        page.get_by_role("slider", name="steps").fill(str(i))
        assert_shows(page, i)


def test_it_follows_keys(new_page, scrubber):
    page = show(new_page(), scrubber)
    page.get_by_role("slider", name="steps").focus()
    for key, i in (("ArrowLeft", 1), ("Home", 0), ("ArrowLeft", 0), ("ArrowUp", 1), ("End", 2)):
        page.keyboard.press(key)
        assert_shows(page, i)


def test_it_follows_mouse_and_finger(new_page, scrubber):
    page = show(new_page(360, has_touch=True), scrubber)
    box = page.get_by_role("slider", name="steps").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + box["width"] / 2, y)
    assert_shows(page, 1)
    swipe(page, (box["x"] + box["width"] / 2, y), (box["x"] + 2, y))
    assert_shows(page, 0)


def test_nothing_below_moves_with_the_slider(new_page, scrubber):
    page = show(new_page(), f"{scrubber}<p id='below'>Below.</p>")
    tops = set()
    for i in range(3):
        page.get_by_role("slider", name="steps").fill(str(i))
        tops.add(page.locator("#below").bounding_box()["y"])
    assert len(tops) == 1


def test_it_fits_every_screen(new_page, scrubber):
    page = show(new_page(), scrubber)
    for width in (1280, 360, 320):
        assert misfits(page, [width]) == []
        picture = page.locator(".ex-film img:visible").bounding_box()
        assert picture["width"] == min(400, page.locator(".ex-stage").bounding_box()["width"])
        assert picture["height"] == pytest.approx(picture["width"] * 120 / 400, abs=1)
    assert problems_on_screens(page) == []


def test_an_index_is_written_as_one(modules):
    sentence = "ᾱ_T of x_T, x_t and x_0, but _, snake_case, x_10 and a_ b."
    assert modules("scrubber", "m.words(input)", sentence) == [
        "", ["ᾱ", "T"], " of ", ["x", "T"], ", ", ["x", "t"], " and ", ["x", "0"],
        ", but _, snake_case, x_10 and a_ b.",
    ]  # fmt: skip
    html = live.as_words(sentence)
    assert re.sub(r"<i>(.)</i><sub>(.)</sub>", r"\1_\2", html) == sentence
    assert html.count("<sub>") == 4


def test_without_a_script_the_last_picture_stands_there(new_page, scrubber):
    page = new_page(java_script_enabled=False)
    page.set_content(document(scrubber))
    still = page.get_by_role("img", name="an interactive figure")
    assert still.is_visible()
    png = base64.b64decode(re.search(r"base64,(.*)", still.get_attribute("src"))[1])
    pixels = iio.imread(png, extension=".png")
    height, width = pixels.shape[:2]
    assert (pixels[height // 2, width // 2, :3] == GRAYS[-1]).all()
