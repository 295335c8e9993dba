"""The checks of chapter 11: each passes the right answer and names each mistake it knows."""

import pytest
from torch.nn import functional as F

from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import unet as check


def test_next_size():
    check.next_size(112)
    for wrong, message in [
        (100, "halved twice"),
        (104, "three times"),
        (96, "smaller than"),
        (128, "power of 2"),
        (12, "pixels to add"),
        (116, "None of the usual"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.next_size(wrong)


def test_kernel_five(capsys):
    check.kernel_five(2, 1, 3, 2)
    assert capsys.readouterr().out.count("✓") == 2
    for wrong, message in [
        ((2, 0, 3, 2), "one pixel is missing"),
        ((1, 0, 3, 2), "one pixel too many"),
        ((1.5, 0, 3, 2), "whole number"),
        ((1, -1, 3, 2), "not negative"),
        ((3, 3, 3, 2), "below the stride"),
        ((2, 2, 3, 2), "keeps its size"),
        ((2, 1, 2, 3), "other way round"),
        ((2, 1, 2.5, 2.5), "average"),
        ((2, 1, 9, 4), "root of them"),
        ((2, 1, 5, 5), "All five"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.kernel_five(*wrong)


def reach(layers, width=lambda k, d: (k - 1) * d, late=False):
    r = j = 1
    for k, s, d in layers:
        r, j = r + width(k, d) * (j * s if late else j), j * s
    return r


def test_dilation():
    check.dilation(reach)
    for width, message in [
        (lambda k, d: k - 1, "does nothing"),
        (lambda k, d: k * d, "not k d"),
        (lambda k, d: k * d - 1, "after the last tap"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.dilation(lambda layers, width=width: reach(layers, width))
    with pytest.raises(Mistake, match="not for its own"):
        check.dilation(lambda layers: reach(layers, late=True))


def at_any_size(network, x_t, t, missing=lambda n: -n % 4, **how):
    H, W = x_t.shape[2:]
    return network(F.pad(x_t, (0, missing(W), 0, missing(H)), **how), t)[:, :, :H, :W]


def test_any_size(capsys):
    check.any_size(at_any_size)
    assert "✓" in capsys.readouterr().out
    with pytest.raises(Mistake, match="needs no zeros"):
        check.any_size(lambda *x: at_any_size(*x, missing=lambda n: 4 - n % 4))
    with pytest.raises(Mistake, match="four more"):
        check.any_size(lambda *x: at_any_size(*x, missing=lambda n: -n % 4 + 4))
    with pytest.raises(Mistake, match="repeated"):
        check.any_size(lambda *x: at_any_size(*x, mode="replicate"))

    def pad(x_t):
        H, W = x_t.shape[2:]
        return F.pad(x_t, (0, -W % 4, 0, -H % 4))

    def last(y, x_t):
        H, W = x_t.shape[2:]
        return y[:, :, -H:, -W:]

    with pytest.raises(Mistake, match="still there"):
        check.any_size(lambda network, x_t, t: network(pad(x_t), t))
    with pytest.raises(Mistake, match="taken off at the left"):
        check.any_size(lambda network, x_t, t: last(network(pad(x_t), t), x_t))
    with pytest.raises(Mistake, match="these are at the left"):
        check.any_size(
            lambda network, x_t, t: last(network(pad(x_t.flip(2, 3)).flip(2, 3), t), x_t)
        )
