"""The explorable of chapter 11: its numbers against PyTorch, and its handling."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch
from bare_page import problems_on_screens, show
from torch.nn import functional as F

from ddpm_lib.course.explore import explorable


def conv(kernel, stride, padding):
    return {"kind": "conv", "kernel": kernel, "stride": stride, "padding": padding}


def transposed(kernel, stride, padding, extra):
    return conv(kernel, stride, padding) | {"kind": "transposed", "extra": extra}


NEAREST = conv(3, 2, 1) | {"kind": "nearest"}
LAYERS = [
    *(conv(k, s, p) for k in (1, 3, 4, 5) for s in (1, 2, 3) for p in (0, 1)),
    *(transposed(k, s, p, o) for k in (3, 4, 5) for s in (2, 3) for p in (0, 1) for o in range(s)),
    NEAREST,
]


@pytest.fixture(scope="module")
def receptive():
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    values = {"size": 28, "levels": 2}
    return explorable("receptive", values, still=still)


def apply(layer, x):
    """The layer with all weights 1, by PyTorch.  x: (1, 1, n)"""
    ones = torch.ones(1, 1, layer["kernel"], dtype=x.dtype)
    if layer["kind"] == "nearest":
        return F.conv1d(F.interpolate(x, scale_factor=2), ones, padding=1)
    how = {"stride": layer["stride"], "padding": layer["padding"]}
    if layer["kind"] == "conv":
        return F.conv1d(x, ones, **how)
    return F.conv_transpose1d(x, ones, output_padding=layer["extra"], **how)


def test_sizes_and_taps_are_those_of_torch(modules):
    cases = [[n, layer] for n in (5, 6, 9) for layer in LAYERS]
    got = modules(
        "arithmetic", "input.map(([n, layer]) => [m.sizeAfter(n, layer), m.taps(n, layer)])", cases
    )
    for (n, layer), (size, taps) in zip(cases, got, strict=True):
        want = apply(layer, torch.ones(1, 1, n))[0, 0]
        assert size == len(want)
        assert taps == want.tolist()


def test_the_two_sizes_have_names(modules):
    down = "m.convSize(29, { kernel: 4, stride: 2, padding: 1 })"
    up = "m.transposedSize(7, { kernel: 3, stride: 2, padding: 1, extra: 1 })"
    assert modules("arithmetic", f"[{down}, {up}]") == [14, 14]


@pytest.mark.parametrize("size", [8, 28, 32])
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_what_reaches_a_pixel_is_what_torch_differentiates(modules, size, levels):
    options = {"levels": levels, "down": conv(4, 2, 1), "up": transposed(4, 2, 1, 0)}
    layers, sizes, sets = modules(
        "arithmetic",
        "(() => { const layers = m.chain(input.options);"
        "const { sizes } = m.sizesOf(input.size, layers);"
        "return [layers, sizes, m.reach(sizes, layers, input.i)]; })()",
        {"options": options, "size": size, "i": size // 2},
    )
    x = torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)
    y = x
    for one, n in zip(layers, sizes[1:], strict=True):
        y = apply(one["layer"], y)
        assert y.shape[2] == n
    (gradient,) = torch.autograd.grad(y[0, 0, size // 2], x)
    assert sets[0] == gradient[0, 0].nonzero().flatten().tolist()


def test_the_receptive_field_of_a_stack(modules):
    stack = [conv(3, 1, 0), conv(4, 2, 0), conv(3, 1, 0), conv(4, 2, 0), conv(3, 1, 0)]
    got = modules("arithmetic", "m.receptiveField(input)", stack)
    x = torch.ones(1, 1, 101, dtype=torch.float64, requires_grad=True)
    y = x
    for layer in stack:
        y = apply(layer, y)
    (gradient,) = torch.autograd.grad(y[0, 0, 9], x)
    assert got == {"size": int((gradient != 0).sum()), "jump": 4} == {"size": 24, "jump": 4}


@pytest.mark.parametrize(
    ("kernel", "size", "levels", "skip"),
    [(4, 30, 2, 15), (4, 28, 3, 7), (4, 30, 1, None), (3, 7, 1, 7)],  # the last comes up too wide
)
def test_a_size_that_does_not_fit_is_found(modules, kernel, size, levels, skip):
    options = {"levels": levels, "down": conv(kernel, 2, 1), "up": transposed(4, 2, 1, 0)}
    got = modules(
        "arithmetic",
        "m.sizesOf(input.size, m.chain(input.options))",
        {"options": options, "size": size},
    )
    assert got["clash"] == skip


def sentence(page):
    return re.sub(r"\s+", " ", page.locator(".ex-sentence p").first.inner_text())


def reached(page, k):
    """How many cells of the k-th strip are marked."""
    return page.locator(".ex-strip").nth(k).locator(".ex-reached, .ex-near").count()


def press(page, group, name):
    page.get_by_role("group", name=group).get_by_role("button", name=name, exact=True).click()


def test_choices_change_sizes_and_sentence(new_page, receptive):
    page = show(new_page(), receptive._repr_html_())
    assert sentence(page).startswith("28 → 14 → 7 → 14 → 28. ")
    assert "all × all of the 28 × 28 pixels, and 7 × 7 through" in sentence(page)
    assert sentence(page).endswith("4 taps at every inner pixel.")
    assert reached(page, 0) == 28
    press(page, "Levels below the first", "0")
    assert "hears from 5 × 5 of the" in sentence(page)
    assert reached(page, 0) == 5
    press(page, "Levels below the first", "1")
    press(page, "Size of the picture", "30")
    press(page, "Kernel on the way up", "transposed, 3 wide, output padding 1")
    assert sentence(page).endswith("1, 2 or 4 taps at a pixel: a checkerboard.")
    press(page, "Kernel on the way up", "transposed, 3 wide")
    assert "29 and 30 pixels cannot be joined" in sentence(page)
    press(page, "Kernel on the way up", "nearest, then a convolution 3 wide")
    assert sentence(page).endswith("9 taps at every inner pixel.")


def test_the_pixel_follows_keys_and_mouse(new_page, receptive):
    page = show(new_page(), receptive._repr_html_())
    column = page.get_by_role("slider", name="output pixel: column")
    column.focus()
    page.keyboard.press("ArrowLeft")
    assert "row 15, column 14 hears" in sentence(page)
    page.keyboard.press("Home")
    assert "row 15, column 1 hears from all × 18" in sentence(page)
    out = page.locator(".ex-out")
    box = out.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 9.5 / 28, box["y"] + 5)
    page.mouse.down()
    assert "column 10 hears" in sentence(page)
    page.mouse.move(box["x"] + box["width"] * 20.5 / 28, box["y"] + 5)
    page.mouse.up()
    assert "column 21 hears" in sentence(page)
    assert column.input_value() == "21"


def test_it_fits_every_screen(new_page, receptive):
    page = show(new_page(), receptive._repr_html_())
    press(page, "Size of the picture", "32")
    press(page, "Levels below the first", "3")
    assert problems_on_screens(page) == []
