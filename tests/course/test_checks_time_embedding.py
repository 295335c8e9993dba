"""The checks of chapter 10: right answers pass, and mistakes are named."""

import math

import pytest
import torch

from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import time_embedding as check


def embed(t, d, periods=lambda j, n: 4 * 1000 ** (j / (n - 1)), turn=2 * math.pi):
    n = d // 2
    angles = t[:, None] * turn / periods(torch.arange(n).double(), n)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def test_right_answers_pass(capsys):
    check.neighbors(4 * (math.sin(0.5) ** 2 + math.sin(0.005) ** 2))
    check.slowest(318.3)
    check.embed(embed)
    check.lost(48)
    assert capsys.readouterr().out.count("✓") == 4


def test_any_order_of_the_entries_is_right(capsys):
    check.embed(lambda t, d: embed(t, d)[:, torch.randperm(d)])
    assert "✓" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "says"),
    [(0.9589, "for its square"), (1.54, "inner product"), (1.0001, "not small"), (0.4597, "half")],
)
def test_neighbors_names_the_mistake(answer, says):
    with pytest.raises(Mistake, match=says):
        check.neighbors(answer)


@pytest.mark.parametrize(
    ("answer", "says"),
    [(159.15, "all around"), (636.6, "quarter"), (1000, "no half turn"), (0.00314, "inverse")],
)
def test_slowest_names_the_mistake(answer, says):
    with pytest.raises(Mistake, match=says):
        check.slowest(answer)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda t, d: embed(t, d, turn=1), "you have 1/P"),
        (lambda t, d: embed(t, d, lambda j, n: 1 / (4 * 1000 ** (j / (n - 1))), 1), "as the freq"),
        (lambda t, d: embed(t, d, lambda j, n: 4 * 1000 ** (j / n)), "last is 4000"),
        (lambda t, d: embed(t, d, lambda j, n: 4 + 3996 * j / (n - 1)), "equal steps"),
        (lambda t, d: 3, "shape"),
        (lambda t, d: embed(t, d)[:, :6], "Not right yet"),
    ],
)
def test_embed_names_the_mistake(function, says):
    with pytest.raises(Mistake, match=says):
        check.embed(function)


@pytest.mark.parametrize(("answer", "says"), [(16, "are lost"), (64, "has a mean"), (0, "not all")])
def test_lost_names_the_mistake(answer, says):
    with pytest.raises(Mistake, match=says):
        check.lost(answer)
