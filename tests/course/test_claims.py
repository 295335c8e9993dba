"""A claim passes when the equation holds; it fails when not, or when a wrong version would pass."""

import pytest
import sympy
import torch

from ddpm_lib.course import claims
from ddpm_lib.course.claims import Estimate, claim, mean, variance


def test_exact_claim_prints_one_line(capsys):
    claim(
        "eq:sum",
        got=torch.tensor(0.1, dtype=torch.float64) + 0.2,
        want=0.1 + 0.2,
        rejects={"product": 0.02},
    )
    line = capsys.readouterr().out
    assert line.startswith("✓ eq:sum · |got − want| = ") and line.endswith(
        "· rejects 1 wrong version\n"
    )


def test_exact_claim_fails_when_the_check_fails():
    with pytest.raises(AssertionError, match=r"eq:x fails: \|got − want\| = 1e-06"):
        claim("eq:x", got=1.0, want=1 + 1e-6, rejects={"two": 2.0})


def test_claim_fails_when_a_wrong_version_would_pass():
    with pytest.raises(
        AssertionError, match="eq:x proves nothing: the wrong version “a hair more”"
    ):
        claim("eq:x", got=1.0, want=1.0, rejects={"two": 2.0, "a hair more": 1 + 1e-15})


def test_claim_without_a_wrong_version_is_refused():
    with pytest.raises(ValueError, match="at least one wrong version"):
        claim("eq:x", got=1.0, want=1.0, rejects={})


def test_tolerance_follows_the_dtype():
    third = torch.tensor(1 / 3)
    claim("eq:x", got=third, want=1 / 3, rejects={"half": 0.5})  # float32: off by 1e-8
    with pytest.raises(AssertionError, match="fails"):
        claim("eq:x", got=third.double(), want=1 / 3, rejects={"half": 0.5})


def test_broadcasting_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 1\) and want \(3,\)"):
        claim("eq:x", got=torch.zeros(3, 1), want=torch.zeros(3), rejects={"one": 1.0})


def test_nan_fails_and_a_wrong_version_of_nan_is_rejected():
    with pytest.raises(AssertionError, match="fails"):
        claim("eq:x", got=torch.nan, want=torch.nan, rejects={"one": 1.0})
    claim("eq:x", got=1.0, want=1.0, rejects={"0 / 0": torch.nan})


def test_one_wrong_element_is_enough_to_fail_or_to_reject():
    table = torch.arange(5.0)
    other = table.clone()
    other[3] += 1
    claim("eq:x", got=table, want=table.clone(), rejects={"one entry off": other})
    with pytest.raises(AssertionError, match="= 1 >"):
        claim("eq:x", got=table, want=other, rejects={"all off": table + 1})


def test_symbolic_claim(capsys):
    a, b = sympy.symbols("a b")
    claim(
        "eq:square",
        got=(a + b) ** 2,
        want=a**2 + 2 * a * b + b**2,
        rejects={"freshman": a**2 + b**2},
    )
    assert "simplifies to 0" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="fails"):
        claim("eq:square", got=(a + b) ** 2, want=a**2 + b**2, rejects={"one": sympy.S(1)})
    with pytest.raises(AssertionError, match="proves nothing"):
        claim("eq:square", got=a + a, want=2 * a, rejects={"the same again": sympy.S(2) * a})


def test_standard_errors_are_those_of_repeated_experiments():
    """The spread of an estimate over 2000 repetitions is the standard error that each reports."""
    generator = torch.Generator().manual_seed(0)
    x = -torch.rand(1000, 2000, dtype=torch.float64, generator=generator).log()  # skewed
    for statistic in (mean, variance):
        estimate = statistic(x)
        spread = estimate.value.std()
        assert 0.9 < float(estimate.stderr.mean() / spread) < 1.1, statistic


def test_monte_carlo_tolerance_shrinks_with_the_sample():
    generator = torch.Generator().manual_seed(1)
    few, many = (torch.randn(n, generator=generator) for n in (1000, 100_000))
    claim("eq:zero", got=mean(few), want=0.0, rejects={"one": 1.0})
    with pytest.raises(AssertionError, match="proves nothing"):  # 0.02 is within 5 / sqrt(1000)
        claim("eq:zero", got=mean(few), want=0.0, rejects={"slightly off": 0.02})
    claim("eq:zero", got=mean(many), want=0.0, rejects={"slightly off": 0.02})
    claim("eq:one", got=variance(many), want=1.0, rejects={"slightly off": 1.03})


def test_monte_carlo_compares_each_element_with_its_own_error():
    estimate = Estimate(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.001]))
    with pytest.raises(AssertionError, match="fails"):
        claim("eq:x", got=estimate, want=torch.tensor([0.0, 0.1]), rejects={"far": 100.0})


def test_monte_carlo_needs_samples_and_takes_no_tolerance():
    with pytest.raises(ValueError, match="at least 100 samples"):
        mean(torch.randn(10))
    with pytest.raises(ValueError, match="computes its tolerance"):
        claim("eq:x", got=mean(torch.zeros(100)), want=0.0, rejects={"one": 1.0}, atol=1.0)


def test_numbers_of_a_downloaded_notebook_replace_labels(capsys, monkeypatch):
    monkeypatch.setitem(claims.numbers, "eq:x", "2.7")
    claim("eq:x", got=1.0, want=1.0, rejects={"two": 2.0})
    assert capsys.readouterr().out.startswith("✓ (2.7) ·")
