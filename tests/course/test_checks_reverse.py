"""The checks of chapter 5: right answers pass, and each wrong one is told its mistake."""

import pytest
import torch

from ddpm_lib.course.checks import Mistake, reverse
from ddpm_lib.schedules import linear

alpha_bar = linear().alpha_bar


def test_two_points():
    reverse.two_points(1, 0.862)
    reverse.two_points(..., 0.8621)
    for wrong, message in [(0, "either point"), (0.25, "0 and 1"), (0.6036, "turn it round")]:
        with pytest.raises(Mistake, match=message):
            reverse.two_points(wrong, ...)
    for wrong, message in [
        (0.0952, "if x_0 were known"),
        (0.0952 + 0.8757, "squared"),
        (1.0952, "factor c_0"),
        (0.7669, "doubt alone"),
        (0.5581, "way forward"),
    ]:
        with pytest.raises(Mistake, match=message):
            reverse.two_points(..., wrong)


def weights(x_t, a_t, w, m, width, *, own=1.0, noise=1.0, shrink=0.5, factor=0.5, axis=1, power=2):
    v = own * a_t * width**power + noise * (1 - a_t)
    parts = w * torch.exp(-((x_t[:, None] - a_t**shrink * m) ** 2) / (2 * v)) / v**factor
    return parts / parts.sum(axis, keepdim=True)


def test_responsibilities():
    reverse.responsibilities(weights)

    def says(message, **changes):
        with pytest.raises(Mistake, match=message):
            reverse.responsibilities(lambda *arguments: weights(*arguments, **changes))

    says("over the points", axis=0)
    says("factor 1/√v", factor=0)
    says("shrunk", shrink=0)
    says("not only the noise", own=0)
    says("square it", power=1)
    with pytest.raises(Mistake, match="let x_t speak"):
        reverse.responsibilities(lambda x_t, a_t, w, m, width: w.expand(len(x_t), 3))
    with pytest.raises(Mistake, match="equally frequent"):
        reverse.responsibilities(lambda x_t, a_t, w, m, width: weights(x_t, a_t, 1.0, m, width))
    with pytest.raises(Mistake, match="noise has widened"):
        reverse.responsibilities(
            lambda x_t, a_t, w, m, width: weights(x_t, a_t, w, m, width / a_t.sqrt(), noise=0)
        )


def test_valley():
    def curvature(a_t, width, m=None):
        v = a_t * width**2 + 1 - a_t
        return -1 / v + a_t * (1 - width**2 if m is None else m) / v**2

    reverse.valley(curvature)
    with pytest.raises(Mistake, match="one hump alone"):
        reverse.valley(lambda a_t, width: curvature(a_t, width, m=0.0))
    with pytest.raises(Mistake, match="sign"):
        reverse.valley(lambda a_t, width: -curvature(a_t, width))
    with pytest.raises(Mistake, match="not at ±√alpha_bar"):
        reverse.valley(lambda a_t, width: curvature(a_t, width, m=1.0))
    with pytest.raises(Mistake, match="not at ±m"):
        reverse.valley(lambda a_t, width: curvature(a_t, width, m=(1 - width**2) / a_t))


def test_the_curvature_is_that_of_a_mixture():
    """The right answer of `valley` against autograd on the density itself."""
    a_t, width = alpha_bar[300], 0.2
    m, v = (1 - width**2) ** 0.5, a_t * width**2 + 1 - a_t
    x = torch.zeros((), dtype=torch.float64, requires_grad=True)
    humps = [torch.exp(-((x - sign * a_t.sqrt() * m) ** 2) / (2 * v)) for sign in (-1, 1)]
    (slope,) = torch.autograd.grad(sum(humps).log(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope, x)
    torch.testing.assert_close(bend, (1 - 2 * v) / v**2)


def test_budget():
    reverse.budget(7810, 7.9e6)
    for wrong, message in [(61_000, "root of the factor"), (3936, "T of them"), (7.8, "times")]:
        with pytest.raises(Mistake, match=message):
            reverse.budget(wrong, ...)
    for wrong, message in [(88_900, "like 1/T,"), (7900, "times more")]:
        with pytest.raises(Mistake, match=message):
            reverse.budget(..., wrong)
