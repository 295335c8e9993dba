"""Exercises of chapter 11, the first UNet."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_lib.course.checks import Exercise, judge
from ddpm_lib.course.checks.cases import given, normal, whole
from ddpm_lib.networks.embedding import TimePlane
from ddpm_lib.networks.tiny import TinyUNet

next_size = Exercise(
    name="unet.next_size",
    see="Which sizes fit",
    right=112,
    wrong={
        "100 can be halved twice: 100, 50, 25. The UNet halves four times.": 100,
        "104 can be halved three times: 104, 52, 26, 13. One more is needed.": 104,
        "96 fits, but it is smaller than the pictures: padding makes them larger.": 96,
        "128 fits. It need not be a power of 2, though: a smaller size does as well.": 128,
        "That is how many pixels to add. The question is for the size.": 12,
    },
    praise="A multiple of 16, the next one.",
)

kernel_five_size = Exercise(
    name="unet.kernel_five_size",
    see="Its size",
    right=[2, 1],
    wrong={
        "2H − 1: one pixel is missing. The output padding adds it.": [2, 0],
        "2H + 1: one pixel too many, and the output padding cannot take it away.": [1, 0],
        "The equation is satisfied, but a padding is a whole number.": [1.5, 0],
        "The equation is satisfied, but an output padding is not negative.": [1, -1],
        "The equation is satisfied, but PyTorch wants an output padding below the stride.": [3, 3],
        "That is the padding of a convolution which keeps its size, and nothing for the doubling: "
        "insert it into 2(H − 1) − 2p + 5 + o.": [2, 2],
    },
    praise="Every size is doubled.",
)

kernel_five_taps = Exercise(
    name="unet.kernel_five_taps",
    see="Checkerboards",
    right=[3, 2],
    wrong={
        "The other way round: at j = 0 the remainder is 0, and the taps are 0, 2 and 4.": [2, 3],
        "5 / 2 is the average. Each pixel has a whole number of taps.": [2.5, 2.5],
        "Those are the taps of a picture. A line has the root of them.": [9, 4],
        "All five taps reach every other pixel only if the stride is 1.": [5, 5],
    },
    praise="And the taps are 3 and 2 in turn: a checkerboard.",
)


def kernel_five(padding: Any, output_padding: Any, taps_even: Any, taps_odd: Any) -> None:
    if judge(kernel_five_size, [padding, output_padding]):
        judge(kernel_five_taps, [taps_even, taps_odd])


def _reach(
    layers: list[tuple[int, int, int]],
    *,
    width: Callable[[int, int], int] = lambda k, d: (k - 1) * d,
    own_stride: bool = False,
) -> int:
    r = j = 1
    for k, s, d in layers:
        r += width(k, d) * (j * s if own_stride else j)
        j *= s
    return r


def _layers(chance: torch.Generator) -> tuple[Any, ...]:
    return ([tuple(whole(chance, 2, 5) for _ in "ksd") for _ in range(4)],)


dilation = Exercise(
    name="unet.dilation",
    see="How far does a pixel see?",
    right=_reach,
    wrong={
        "The dilation does nothing here: the taps are d neighbors apart.": {
            "width": lambda k, d: k - 1
        },
        "k taps have k − 1 gaps between them: (k − 1) d, not k d.": {"width": lambda k, d: k * d},
        "k d − 1 would count the hole after the last tap. It is (k − 1) d.": {
            "width": lambda k, d: k * d - 1
        },
        "Nearly: a stride counts for the later layers, not for its own.": {"own_stride": True},
    },
    praise="Right for holes of any width.",
    cases=(
        given([(3, 2, 1), (5, 1, 3), (4, 3, 2), (2, 1, 5)]),
        given([(3, 1, 1), (3, 1, 2), (3, 1, 4)]),
        given([(1, 2, 7), (3, 2, 2)]),
        _layers,
    ),
)


def _any_size(
    network: nn.Module,
    x_t: Tensor,
    t: Tensor,
    *,
    missing: Callable[[int], int] = lambda n: -n % 4,
    before: bool = False,
    mode: str = "constant",
    crop: Callable[[Tensor, int, int], Tensor] = lambda y, H, W: y[:, :, :H, :W],
) -> Tensor:
    H, W = x_t.shape[2:]
    sides = (missing(W), 0, missing(H), 0) if before else (0, missing(W), 0, missing(H))
    return crop(network(F.pad(x_t, sides, mode=mode), t), H, W)


def _last(y: Tensor, H: int, W: int) -> Tensor:
    return y[:, :, -H:, -W:]


def _picture(chance: torch.Generator, H: int, W: int) -> tuple[Any, ...]:
    """A network of random weights, two pictures and their times."""
    network = TimePlane(TinyUNet(1, 4, extra=1)).double()
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(0.3 * torch.randn(weights.shape, generator=chance))
    return network, normal(chance, 2, 1, H, W), torch.tensor([10, 900])


any_size = Exercise(
    name="unet.any_size",
    see="Which sizes fit",
    right=_any_size,
    wrong={
        "The zeros are still there: take them off the result.": {"crop": lambda y, H, W: y},
        "The zeros were added at the right and at the bottom, but taken off at the left and at the "
        "top.": {"crop": _last},
        "The zeros belong to the right and to the bottom, these are at the left and at the top.": (
            {"before": True, "crop": _last}
        ),
        "The edge is repeated here. The exercise asks for zeros.": {"mode": "replicate"},
        "There are more zeros than needed: four more on each side.": {
            "missing": lambda n: -n % 4 + 4
        },
        "A size that fits needs no zeros: 4 − H % 4 is 4 there, −H % 4 is 0.": {
            "missing": lambda n: 4 - n % 4
        },
    },
    praise="The size of the picture comes back, and a size that fits is left alone.",
    cases=(
        lambda chance: _picture(torch.Generator().manual_seed(0), 6, 9),
        lambda chance: _picture(chance, 8, 4),
        lambda chance: _picture(chance, whole(chance, 5, 12), whole(chance, 5, 12)),
    ),
)
