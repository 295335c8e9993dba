"""The checks of chapter 13: each passes the right answer and names each mistake it knows."""

import pytest
import torch

from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import training as check


def test_per_pixel():
    check.per_pixel(0.03)
    for wrong, message in [
        (92.16 / 1024, "colors count"),
        (92.16 / 96, "height is missing"),
        (92.16 / 32, "side alone"),
        (92.16 * 3072, "Divide"),
        (0.03**0.5, "No root"),
        (0.034 * 3072, "unit of the second"),
        (0.04, "None of the usual"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.per_pixel(wrong)


def test_memory():
    check.memory(20 / 21)
    for wrong, message in [
        (0.95, "19 steps"),
        (1 / 21, "share of the newest"),
        (0.5**0.05, "half-life"),
        (20, "other way round"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.memory(wrong)


def length(parts):
    return sum(part.square().sum() for part in parts).sqrt()


def clip(parts, longest):
    return [(longest / length(parts)).clamp(max=1) * part for part in parts]


def test_clip(capsys):
    check.clip(clip)
    assert "✓" in capsys.readouterr().out
    for wrong, message in [
        (lambda g, c: [x * (c / x.norm()).clamp(max=1) for x in g], "own length"),
        (lambda g, c: [x.clamp(-c, c) for x in g], "each number"),
        (lambda g, c: [x * c / length(g) ** 2 for x in g], "root is missing"),
        (lambda g, c: [x / length(g) for x in g], "not `longest`"),
        (lambda g, c: g, "Nothing was shortened"),
        (lambda g, c: [x * c / length(g) for x in g], "stretched"),
        (lambda g, c: length(g), r"shape is \(\), it should be \[\(2, 2\), \(2,\)\]"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.clip(wrong)


def test_velocity_reference():
    def noise(lam, a2):
        return (a2 * lam / (a2 * lam + 1 - a2)).mean()

    check.velocity_reference(lambda lam, a2: (lam / (a2 * lam + 1 - a2)).mean())
    for wrong, message in [
        (noise, "for the noise"),
        (lambda lam, a2: noise(lam, a2) / a2 * (1 - a2), "for x_0"),
        (lambda lam, a2: noise(lam, a2) / a2**0.5, "not by its root"),
        (lambda lam, a2: noise(lam, a2) * a2, "other way round"),
        (lambda lam, a2: len(lam) * noise(lam, a2) / a2, "take the mean"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.velocity_reference(wrong)


def test_sixteen(capsys):
    check.sixteen(torch.tensor(0.2), 0.5)
    assert "2.5 times" in capsys.readouterr().out
    for wrong, message in [
        ((0.5, 0.2), "in this order"),
        ((0.7, 0.9), "hardly anything"),
        ((0.30, 0.31), "these sixteen alone"),
        ((14.0, 20.0), "per pixel"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.sixteen(*wrong)
