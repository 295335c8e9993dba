"""Claims: an equation of the text, executed, together with the wrong versions that it must reject.

A check that would also pass for the usual mistake proves nothing. So `claim` compares what was
computed with what the equation says, and then makes sure that each known wrong version differs from
the computation by more than the same tolerance. There are three kinds, told apart by what `got` is:

exact         numbers: the tolerance is a multiple of the rounding error of their dtype
symbolic      sympy expressions: the difference simplifies to zero
Monte Carlo   an `Estimate`, made by `mean` or `variance`: the tolerance is five standard errors of
              the sample (six for a large table of them), so it follows from the sample size
"""

import sys
from collections.abc import Mapping
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
    """The variance over the first axis, with Var[s^2] = (m_4 - s^4) / N.  samples: (N, ...) -> (...)"""
    samples = _samples(samples)
    centered = samples - samples.mean(0)
    m_2, m_4 = centered.square().mean(0), centered.pow(4).mean(0)
    return Estimate(samples.var(0), ((m_4 - m_2**2) / len(samples)).sqrt())


def claim(
    label: str, *, got: Any, want: Any, rejects: Mapping[str, Any], atol: float | None = None
) -> None:
    """Check that `got` equals `want` and that no wrong version in `rejects` would have passed.

    label: of the equation, "eq:name";  atol: in place of the computed tolerance, for exact claims
    """
    if not rejects:
        raise ValueError(f"{label}: name at least one wrong version that the claim rejects")
    kind, tolerance, distance = _measure(label, got, want, atol)
    error = distance(want)
    if not error <= tolerance:  # also for NaN
        raise AssertionError(f"{label} fails: |got − want| = {error:.3g} > {tolerance:.3g}")
    wrong = {name: distance(value) for name, value in rejects.items()}
    for name, apart in wrong.items():
        if apart <= tolerance:
            raise AssertionError(
                f"{label} proves nothing: the wrong version “{name}” would pass too, "
                f"|got − wrong| = {apart:.3g} ≤ {tolerance:.3g}"
            )
    _show(label, kind, error, tolerance, wrong)


def _measure(label: str, got: Any, want: Any, atol: float | None) -> tuple[str, float, Any]:
    """The kind of claim, its tolerance, and the function that measures how far a value is from got."""
    sympy = sys.modules.get("sympy")  # imported by the chapter, if it has symbols at all
    if sympy is not None and isinstance(got, sympy.Basic | sympy.MatrixBase):
        return "symbolic", 0.0, lambda other: _symbolic_distance(sympy, got, other)
    value, stderr = got if isinstance(got, Estimate) else (got, None)
    value, target = _float64(value), _float64(want)
    if target.ndim and target.shape != value.shape:
        raise ValueError(
            f"{label}: got has shape {tuple(value.shape)} and want {tuple(target.shape)}; "
            "broadcasting one against the other would hide a mistake"
        )

    def distance(other: Any) -> float:
        difference = (value - _float64(other)).abs()
        return float(difference.nan_to_num(nan=torch.inf).max())

    if stderr is not None:
        if atol is not None:
            raise ValueError(f"{label}: the tolerance of a Monte Carlo claim is its standard error")
        return "Monte Carlo", (5 if value.numel() <= 100 else 6) * float(stderr.max()), distance
    if atol is None:
        rounding = max(torch.finfo(_dtype(x)).eps for x in (got, want))
        atol = 1000 * rounding * max(1.0, float(target.abs().max()))
    return "exact", atol, distance


def _symbolic_distance(sympy: Any, got: Any, other: Any) -> float:
    difference = sympy.simplify(got - other)
    zero = difference.is_zero_matrix if hasattr(difference, "is_zero_matrix") else difference == 0
    return 0.0 if zero else 1.0


def _show(label: str, kind: str, error: float, tolerance: float, wrong: dict[str, float]) -> None:
    """Print one line; in a notebook, attach the figures to it, for the book's ledger."""
    number = f"({numbers[label]})" if label in numbers else label
    size = (
        "got − want simplifies to 0"
        if kind == "symbolic"
        else f"|got − want| = {error:.1e} ≤ {tolerance:.1e}"
    )
    count = f"{len(wrong)} wrong version{'s' if len(wrong) > 1 else ''}"
    line = f"✓ {number} · {size} · rejects {count}"
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(line)
        return
    data = dict(label=label, kind=kind, error=error, tolerance=tolerance, rejects=wrong)
    ipython.display.publish_display_data({"text/plain": line}, metadata={"claim": data})


def _samples(samples: Tensor) -> Tensor:
    if not isinstance(samples, Tensor) or samples.ndim == 0 or len(samples) < 100:
        raise ValueError("a Monte Carlo claim needs a tensor of at least 100 samples in its first axis")
    return samples.double()


def _float64(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device="cpu")


def _dtype(value: Any) -> torch.dtype:
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.dtype if floating else torch.float64
