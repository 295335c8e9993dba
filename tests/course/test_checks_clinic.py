"""The checks of chapter 15: each passes the right answer and names each mistake it knows."""

import pytest
import torch

from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import clinic as check


def test_numbers_needed():
    check.numbers_needed(125_000)
    for wrong, message in [
        (5000, "single standard error"),
        (62_500, "factor 2"),
        (31_250, "standard deviation"),
        (2500, "squared"),
        (25_000, "square the five"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.numbers_needed(wrong)


def changed(make, same=True, pixels=False, first=1, move=True):
    x_0, eps = torch.randn(2, 16, 3, 2, 16)
    t = torch.full((16,), 50)
    other = t.clone()
    other[0] = 20 if move else 50
    after = make(x_0, other, eps if same else torch.randn(x_0.shape))
    differ = (make(x_0, t, eps) != after)[first:]
    return int(differ.sum() if pixels else differ.flatten(1).any(1).sum())


def test_own_time():
    check.own_time(changed)
    for wrong, message in [
        ({"first": 0}, "picture 0 too"),
        ({"pixels": True}, "pixels, not pictures"),
        ({"move": False}, "Nothing ever changes"),
        ({"same": False}, "the same eps"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.own_time(lambda make, wrong=wrong: changed(make, **wrong))
    with pytest.raises(Mistake, match="That is the share"):
        check.own_time(lambda make: changed(make) / 15)


def test_cheat_without_roots():
    noise = (0.75**0.5 - 1) ** 2
    check.cheat_without_roots(1 / 12 + noise)
    for wrong, message in [
        (1 / 12, "part of the signal"),
        (noise, "part of the noise"),
        (1 / 16 + noise, "divided by s²"),
        (1 / 12 + 1 / 16, "the root itself"),
        (-0.25 / 0.75**0.5 + 0.75**0.5 - 1, "Squares add"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.cheat_without_roots(wrong)


def test_separating_check(capsys):
    check.separating_check("step mean")
    check.separating_check("step variance")
    assert capsys.readouterr().out.count("✓") == 2
    for wrong, message in [
        ("width", "close to 1"),
        ("color", "in order"),
        ("a gremlin", "The checks are"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.separating_check(wrong)


def test_numbers_are_written_short():
    values = (0, 3e-5, -0.0217, 0.5, 1.92, 12, 99.6, 255, 2112)
    assert [check.write(v) for v in values] == [
        *("0", "0", "−0.022", "0.5", "1.9", "12", "100", "255", "2112")
    ]
