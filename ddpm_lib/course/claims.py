"""Claims: an equation of the text, executed, together with the wrong versions that it must reject.

A check that would also pass for the usual mistake proves nothing. So `claim` compares what was
computed with what the equation says, and then makes sure that each known wrong version differs from
the computation by more than the same tolerance. There are three kinds, told apart by what `got` is:

exact         numbers: the tolerance is a multiple of the rounding error of their dtype
symbolic      sympy expressions: the difference simplifies to zero
Monte Carlo   an `Estimate`, made by `mean` or `variance`: the tolerance is five standard errors of
              the sample (six where there are many at once), so it follows from the sample size
"""

import sys
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Filled by the first cell of a downloaded notebook, where the equations carry these numbers. The
# site knows them by itself.
numbers: dict[str, str] = {}


class Estimate(NamedTuple):
    """A number estimated from samples, with its standard error."""

    value: Tensor
    stderr: Tensor


def mean(samples: Tensor) -> Estimate:
    """The mean over the first axis.  samples: (N, ...)  ->  (...)"""
    samples = _samples(samples)
    return Estimate(samples.mean(0), samples.std(0) / len(samples) ** 0.5)


def variance(samples: Tensor) -> Estimate:
    """The variance over the first axis; its own is (m_4 - s^4) / N.  samples: (N, ...) -> (...)"""
    samples = _samples(samples)
    centered = samples - samples.mean(0)
    m_2, m_4 = centered.square().mean(0), centered.pow(4).mean(0)
    return Estimate(samples.var(0), ((m_4 - m_2**2) / len(samples)).sqrt())


class Comparison(NamedTuple):
    """How far two values lie apart, where that is worst in terms of the tolerance."""

    error: float
    tolerance: float

    @property
    def equal(self) -> bool:
        return self.error <= self.tolerance


def claim(
    label: str, *, got: Any, want: Any, rejects: Mapping[str, Any], atol: float | None = None
) -> None:
    """Check that `got` equals `want` and that no wrong version in `rejects` would have passed.

    label: of the equation, such as "eq:jump";  atol: for exact claims whose sums lose more digits
    """
    if not rejects:
        raise ValueError(f"{label}: name at least one wrong version that the claim rejects")
    kind, compare = _kind(label, got, want, atol)
    right = compare(want)
    if not right.equal:
        raise AssertionError(
            f"{label} fails: |got − want| = {right.error:.3g} > {right.tolerance:.3g}"
        )
    wrong = {name: compare(value) for name, value in rejects.items()}
    for name, comparison in wrong.items():
        if comparison.equal:
            raise AssertionError(
                f"{label} proves nothing: the wrong version “{name}” would pass too, "
                f"|got − wrong| = {comparison.error:.3g} ≤ {comparison.tolerance:.3g}"
            )
    _show(label, kind, right, {name: comparison.error for name, comparison in wrong.items()})


def _kind(
    label: str, got: Any, want: Any, atol: float | None
) -> tuple[str, Callable[[Any], Comparison]]:
    """What kind of claim this is, and the function that compares any value with `got`."""
    sympy = sys.modules.get("sympy")  # imported by the chapter, if it has symbols at all
    if sympy is not None and isinstance(got, sympy.Basic | sympy.MatrixBase):
        return "symbolic", lambda other: _compare_symbols(sympy, got, other)
    value = _float64(got.value if isinstance(got, Estimate) else got)
    target = _float64(want)
    if target.ndim and target.shape != value.shape:
        raise ValueError(
            f"{label}: got has shape {tuple(value.shape)} and want {tuple(target.shape)}; "
            "broadcasting one against the other would hide a mistake"
        )
    if isinstance(got, Estimate):
        if atol is not None:
            raise ValueError(f"{label}: a Monte Carlo claim computes its tolerance, leave out atol")
        tolerance = (5 if value.numel() <= 100 else 6) * _float64(got.stderr)
        return "Monte Carlo", lambda other: _compare(value, other, tolerance)
    if atol is None:
        rounding = max(torch.finfo(_dtype(x)).eps for x in (got, want))
        atol = 1000 * rounding * max(1.0, float(target.abs().max()))
    return "exact", lambda other: _compare(value, other, torch.tensor(atol))


def _compare(value: Tensor, other: Any, tolerance: Tensor) -> Comparison:
    error = (value - _float64(other)).abs().nan_to_num(nan=torch.inf).flatten()
    tolerance = tolerance.double().expand(value.shape).flatten()
    worst = (error / tolerance).argmax()
    return Comparison(float(error[worst]), float(tolerance[worst]))


def _compare_symbols(sympy: Any, got: Any, other: Any) -> Comparison:
    difference = sympy.simplify(got - other)
    zero = difference.is_zero_matrix if hasattr(difference, "is_zero_matrix") else difference == 0
    return Comparison(0.0 if zero else 1.0, 0.0)


def _show(label: str, kind: str, right: Comparison, wrong: dict[str, float]) -> None:
    """Print one line; in a notebook, attach the figures to it, for the book's ledger."""
    number = f"({numbers[label]})" if label in numbers else label
    size = (
        "got − want simplifies to 0"
        if kind == "symbolic"
        else f"|got − want| = {right.error:.1e} ≤ {right.tolerance:.1e}"
    )
    count = f"{len(wrong)} wrong version{'s' if len(wrong) > 1 else ''}"
    line = f"✓ {number} · {size} · rejects {count}"
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(line)
        return
    # Pairs, since notebooks sort the keys of a dict; and JSON has no infinity.
    pairs = [(name, error if isfinite(error) else None) for name, error in wrong.items()]
    data = {"label": label, "kind": kind, **right._asdict(), "rejects": pairs}
    ipython.display.publish_display_data({"text/plain": line}, metadata={"claim": data})


def _samples(samples: Tensor) -> Tensor:
    if not isinstance(samples, Tensor) or samples.ndim == 0 or len(samples) < 100:
        raise ValueError(
            "a Monte Carlo claim needs a tensor with at least 100 samples along axis 0"
        )
    return samples.double()


def _float64(value: Any) -> Tensor:
    value = value.cpu() if isinstance(value, Tensor) else value  # where it is, may be no float64
    return torch.as_tensor(value, dtype=torch.float64, device="cpu")


def _dtype(value: Any) -> torch.dtype:
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.dtype if floating else torch.float64
