"""The explorable of chapter 12: its numbers against torch's, and its handling."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bare_page import problems_on_screens

from ddpm_lib.course.explore import explorable

T, TIMES = 1000, [50, 450, 900]
SIDES = {
    "x_t": (1, 8),
    "stem": (24, 8),
    "down": (24, 8),
    "shrink": (48, 4),
    "block": (48, 4),
    "attention": (48, 4),
    "grow": (24, 8),
    "up": (24, 8),
    "eps": (1, 8),
}
ROWS = 2 * len(TIMES)  # digits, and the times of each


def bytes_of(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator)


def weights():
    """(ROWS, 16, 16) in bytes of 1/510, the largest of pixel 5 at itself, but for one row."""
    A = bytes_of(ROWS, 16, 16, seed=1) // 4
    A[:, 5, 5] = 200
    A[1, 5, 14] = 250
    return A


LAYERS = [
    {
        "name": name,
        "channels": channels,
        "side": side,
        "limit": 2.5,
        "maps": bytes_of(ROWS, min(channels, 12), side, side, seed=i),
    }
    for i, (name, (channels, side)) in enumerate(SIDES.items(), start=2)
]
SHARES = [[round(0.9 - 0.3 * j - 0.02 * i, 3) for j in range(3)] for i in range(9)]


@pytest.fixture(scope="module")
def layers():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    values = {
        "T": T,
        "times": TIMES,
        "digits": bytes_of(2, 8, 8, seed=0),
        "names": ["3", "7"],
        "layers": LAYERS,
        "shares": SHARES,
        "attention": weights(),
    }
    return explorable("layers", values, still=still)


def packed(values):
    import base64

    return {
        "shape": list(values.shape),
        "base64": base64.b64encode(values.numpy().tobytes()).decode(),
    }


def test_the_maps_are_the_stored_ones(modules):
    script = (
        "await import('/core.js').then((core) => m.channels({ ...input.layer, "
        "maps: core.unpack(input.layer.maps) }, input.row).map((values) => [...values]))"
    )
    layer = {**LAYERS[3], "maps": packed(LAYERS[3]["maps"])}
    got = modules("layers", script, {"layer": layer, "row": 4})
    want = 2.5 * (LAYERS[3]["maps"][4].double() / 127.5 - 1)
    np.testing.assert_allclose(got, want.flatten(1), rtol=1e-12, atol=1e-12)


def test_the_weights_are_those_of_the_pixel(modules):
    script = "await import('/core.js').then((core) => [...m.listens(core.unpack(input)[2], 7)])"
    got = modules("layers", script, packed(weights()))
    np.testing.assert_allclose(got, weights()[2, 7].double() / 510, rtol=1e-12)
    assert modules("layers", "m.largest(input)", [0.1, 0.4, 0.4, 0.2]) == 1


def show(page, layers):
    from bare_page import document

    page.set_content(document(layers._repr_html_()))
    page.wait_for_selector(".ex-layers-grid canvas")
    return page


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text().replace("\n", "")


def pixels(page, index):
    """The first channel of a picture, as it is drawn."""
    return (
        page.locator(".ex-layers-grid canvas")
        .nth(index)
        .evaluate(
            """(canvas) => {
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          return Array.from(data).filter((_, i) => i % 4 === 0);
        }"""
        )
    )


def test_layer_time_and_digit_change_the_maps(new_page, layers):
    page = show(new_page(), layers)
    assert sentence(page).startswith("At t = 450 of 1000, the digit decides 48 % of what")
    assert "in grow (of xt itself: 60 %)" in sentence(page)
    np.testing.assert_allclose(pixels(page, 3), LAYERS[6]["maps"][1, 3].flatten(), atol=1)
    page.get_by_role("slider").fill("2")
    page.get_by_role("button", name="shrink").click()
    page.get_by_role("button", name="digit 7").click()
    assert page.locator(".ex-layers-grid canvas").count() == 12
    assert page.locator(".ex-layers-maps .ex-title").inner_text() == (
        "shrink: 12 of its 48 channels of 4×4"
    )
    np.testing.assert_allclose(pixels(page, 0), LAYERS[3]["maps"][5, 0].flatten(), atol=1)
    assert "At t = 900 of 1000, the digit decides 24 % of what varies in shrink" in sentence(page)


def test_arrow_keys_walk_along_the_u(new_page, layers):
    page = show(new_page(), layers)
    page.get_by_role("button", name="grow").focus()
    for _ in range(5):  # the last one has nowhere to go
        page.keyboard.press("ArrowRight")
    assert "in the output ε̂" in sentence(page)
    assert page.locator(".ex-layers-grid canvas").count() == 1
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    assert re.search(r"in the input x\s*t, and", sentence(page))


def test_a_pixel_is_picked(new_page, layers):
    page = show(new_page(), layers)
    assert "row 2, column 2, listens most to the one in row 4, column 3" in sentence(page)
    assert "with a weight of 0.49." in sentence(page)
    page.get_by_role("slider").fill("0")
    assert "listens most to itself, with a weight of 0.39." in sentence(page)
    page.get_by_role("button", name="row 2, column 2").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")  # not around the edge
    assert "The picked pixel, row 3, column 4, listens" in sentence(page)


def test_it_fits_every_screen(new_page, layers):
    assert problems_on_screens(show(new_page(), layers)) == []
