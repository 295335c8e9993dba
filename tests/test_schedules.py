"""The tables of a schedule against exact arithmetic, and everything that is not a schedule."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_lib.schedules import Schedule, cosine, linear

ROUNDING = {"rtol": 1e-13, "atol": 0}
betas_lists = st.lists(st.floats(1e-12, 0.999), min_size=1, max_size=20)
properties = settings(deadline=None, max_examples=50, derandomize=True)


@properties
@given(betas_lists)
def test_tables_agree_with_exact_fractions(betas: list[float]) -> None:
    schedule = Schedule.from_betas(torch.tensor(betas, dtype=torch.float64))
    alpha_bar = [Fraction(1)]
    for beta in betas:
        alpha_bar.append(alpha_bar[-1] * (1 - Fraction(beta)))
    rest = [1 - x for x in alpha_bar]
    beta_tilde = [0.0] + [
        float(rest[t - 1] / rest[t] * Fraction(beta)) for t, beta in enumerate(betas, 1)
    ]
    snr = [math.inf] + [float(x / y) for x, y in zip(alpha_bar[1:], rest[1:], strict=True)]
    for table, exact in [
        (schedule.beta, [0.0, *betas]),
        (schedule.alpha_bar, alpha_bar),
        (schedule.one_minus_alpha_bar, rest),
        (schedule.log_alpha_bar.exp(), alpha_bar),
        (schedule.beta_tilde, beta_tilde),
        (schedule.snr, snr),
    ]:
        expected = torch.tensor([float(x) for x in exact], dtype=torch.float64)
        torch.testing.assert_close(table, expected, **ROUNDING)
    assert len(betas) == schedule.T


def test_betas_below_the_rounding_of_one_keep_their_digits() -> None:
    schedule = Schedule.from_betas(torch.full((4,), 1e-20, dtype=torch.float64))
    t = torch.arange(5).double()
    torch.testing.assert_close(schedule.one_minus_alpha_bar, 1e-20 * t, **ROUNDING)
    torch.testing.assert_close(schedule.beta_tilde[1:], 1e-20 * (t[1:] - 1) / t[1:], **ROUNDING)
    assert schedule.snr[0] == math.inf  # and not minus infinity


def test_the_first_entries_are_those_of_data() -> None:
    schedule = linear(10)
    assert (schedule.beta[0], schedule.alpha_bar[0], schedule.beta_tilde[0]) == (0, 1, 0)
    assert schedule.beta_tilde[1] == 0  # x_1 is denoised to x_0 itself
    assert math.copysign(1, schedule.one_minus_alpha_bar[0]) == 1


def test_linear_is_that_of_ho() -> None:
    schedule = linear()
    assert schedule.T == 1000
    assert schedule.beta[1] == 1e-4
    assert schedule.beta[1000] == 0.02
    steps = schedule.beta[1:].diff()
    torch.testing.assert_close(steps, torch.full_like(steps, (0.02 - 1e-4) / 999))
    assert schedule.alpha_bar[-1].item() == pytest.approx(4.036e-5, rel=1e-3)


def test_cosine_is_that_of_nichol_and_dhariwal() -> None:
    schedule = cosine()
    f = lambda t: math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2
    for t in (1, 10, 500, 990):
        assert schedule.alpha_bar[t].item() == pytest.approx(f(t) / f(0), rel=1e-11)
    assert schedule.beta[1000] == 0.999  # and not 1, after which nothing of x_0 would be left
    assert (schedule.beta[1:1000] < 0.999).all()


@pytest.mark.parametrize("schedule", [linear(1), linear(7), cosine(1), cosine(7)])
def test_tables_are_float64_on_the_cpu_and_indexed_by_t(schedule: Schedule) -> None:
    names = "beta alpha alpha_bar log_alpha_bar one_minus_alpha_bar beta_tilde snr"
    for table in (getattr(schedule, name) for name in names.split()):
        assert table.shape == (schedule.T + 1,)
        assert table.dtype == torch.float64
        assert table.device.type == "cpu"


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1, 1.1, math.nan, math.inf])
def test_a_beta_outside_the_unit_interval_is_named(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"beta_2 = "):
        Schedule.from_betas(torch.tensor([0.1, wrong, 0.1]))


@pytest.mark.parametrize(
    ("betas", "error", "says"),
    [
        (torch.zeros(2, 3) + 0.1, TypeError, "a vector"),
        (torch.tensor(0.1), TypeError, "a vector"),
        (torch.tensor([]), ValueError, "T.1 entries"),
    ],
)
def test_what_is_not_a_vector_of_betas(
    betas: torch.Tensor, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Schedule.from_betas(betas)


@pytest.mark.parametrize(
    ("beta", "error", "says"),
    [
        (torch.tensor([0.0, 0.1]), TypeError, "float64"),
        ([0.0, 0.1], TypeError, "float64"),
        (torch.tensor([0.0, 0.1], dtype=torch.float64, device="meta"), TypeError, "CPU"),
        (torch.tensor([0.1, 0.1], dtype=torch.float64), ValueError, "from_betas"),
        (torch.tensor([0.0], dtype=torch.float64), ValueError, "from_betas"),
    ],
)
def test_what_is_not_a_table_of_beta(beta: torch.Tensor, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Schedule(beta)


@pytest.mark.parametrize("make", [linear, cosine])
@pytest.mark.parametrize(
    ("T", "error"), [(0, ValueError), (-3, ValueError), (True, TypeError), (10.0, TypeError)]
)
def test_T_counts_steps(make: object, T: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="T counts noising steps"):
        make(T)  # type: ignore[operator]


def test_a_shape_that_gives_no_betas_is_refused() -> None:
    for make in (lambda: cosine(s=math.nan), lambda: cosine(beta_max=1.0), lambda: linear(10, 0.0)):
        with pytest.raises(ValueError, match="every beta_t lies in"):
            make()
