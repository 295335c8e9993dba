"""The checks of chapter 16: each passes the right answer and names each mistake it knows."""

import pytest

from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import evaluation as check


@pytest.mark.parametrize(
    ("exercise", "right", "wrong"),
    [
        (
            check.on_a_line,
            2,
            {10: "is 2", 4: "the variances were", 1: "alone", 2**0.5: "no root", 6: "Independent"},
        ),
        (
            check.floor,
            (1 / 800 + 1 / 800) * (1.5 * 64 + 64 * 63 / 4),
            {
                22.08: "800 first",
                0.16: "means alone",
                0.24: "pairs are missing",
                1.38: "Both sets",
                5.28: "i < j",
                0: "infinitely many",
            },
        ),
        (check.limit, 8, {26: "wrong way", 17: "mean of the two", 6: "at 1000", 14: "once more"}),
        (
            check.gray,
            0.492,
            {0.508: "kept", 0.01235: "single pixel", 0.969: "That is S", 0.795: "belongs into S"},
        ),
    ],
)
def test_numbers(exercise, right, wrong, capsys):
    exercise(right)
    assert "✓" in capsys.readouterr().out
    for answer, message in wrong.items():
        with pytest.raises(Mistake, match=message):
            exercise(answer)


def test_diagonal(capsys):
    def right(p, q):
        return (p.mean(0) - q.mean(0)).square().sum() + (p.std(0) - q.std(0)).square().sum()

    check.diagonal(right)
    assert "✓" in capsys.readouterr().out
    for wrong, message in [
        (
            lambda p, q: (
                (p.mean(0) - q.mean(0)).square().sum() + (p.var(0) - q.var(0)).square().sum()
            ),
            "not variances",
        ),
        (lambda p, q: (p.std(0) - q.std(0)).square().sum(), "means are missing"),
        (lambda p, q: (p.mean(0) - q.mean(0)).square().sum(), "widths are missing"),
        (lambda p, q: right(p, q).sqrt(), "take no root"),
        (lambda p, q: right(p, q) / 3, "do not average"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.diagonal(wrong)
