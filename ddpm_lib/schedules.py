"""Noise schedules: beta_1 .. beta_T and the tables that follow from them (Ho et al. 2020, sec. 2).

The index of a table counts noising steps, and x_0 is data. Tables have T + 1 entries and are
indexed by t itself, with beta_0 = 0 and alpha_bar_0 = 1, so that alpha_bar_{t-1} is
`alpha_bar[t - 1]` also at t = 1. They are float64 on the CPU: alpha_bar is a product of a thousand
factors near one, and 1 - alpha_bar at t = 1 would lose half its digits in float32.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ddpm_lib.arguments import describe


@dataclass(frozen=True, eq=False)
class Schedule:
    """A table of beta and what follows from it, each of shape (T + 1,)."""

    beta: Tensor  # (T+1,) float64

    def __post_init__(self) -> None:
        beta = self.beta
        if not isinstance(beta, Tensor) or beta.dtype != torch.float64 or beta.ndim != 1:
            raise TypeError(f"beta is a float64 tensor of shape (T+1,), got {describe(beta)}")
        if beta.device.type != "cpu":
            raise TypeError(f"tables stay on the CPU, got beta on {beta.device}: use beta.cpu()")
        if len(beta) < 2 or beta[0] != 0:
            raise ValueError(
                "beta has T+1 entries and beta[0] = 0 (no noise has been added to x_0); "
                "Schedule.from_betas puts that zero in front of beta_1 .. beta_T"
            )
        wrong = ~((beta[1:] > 0) & (beta[1:] < 1))  # also true for NaN
        if wrong.any():
            t = int(wrong.nonzero()[0, 0]) + 1
            raise ValueError(f"every beta_t lies in (0, 1), got beta_{t} = {beta[t].item():g}")

    @classmethod
    def from_betas(cls, betas: Tensor) -> "Schedule":
        """The schedule of beta_1 .. beta_T.  betas: (T,)"""
        betas = torch.as_tensor(betas, dtype=torch.float64, device="cpu")
        if betas.ndim != 1:
            raise TypeError(f"betas is a vector beta_1 .. beta_T, got {describe(betas)}")
        return cls(torch.cat([betas.new_zeros(1), betas]))

    @property
    def T(self) -> int:
        """The number of noising steps."""
        return len(self.beta) - 1

    @cached_property
    def alpha(self) -> Tensor:
        """1 - beta_t.  (T+1,)"""
        return 1 - self.beta

    @cached_property
    def alpha_bar(self) -> Tensor:
        """The product of alpha_1 .. alpha_t (Ho et al., eq. 4).  (T+1,)"""
        return self.alpha.cumprod(0)

    @cached_property
    def log_alpha_bar(self) -> Tensor:
        """The sum of log alpha_1 .. log alpha_t.  (T+1,)"""
        return torch.log1p(-self.beta).cumsum(0)

    @cached_property
    def one_minus_alpha_bar(self) -> Tensor:
        """The variance of q(x_t | x_0) (Ho et al., eq. 4).  (T+1,)"""
        # Through the logarithm: the difference of two numbers near one would lose the digits of a
        # small beta, and all of them below 1e-16, where beta_tilde would read 0 / 0. And `0 -`
        # rather than a bare minus, which would make the first entry -0.0 and the SNR there -inf.
        return 0 - torch.expm1(self.log_alpha_bar)

    @cached_property
    def beta_tilde(self) -> Tensor:
        """The variance of q(x_{t-1} | x_t, x_0) (Ho et al., eq. 7); zero at t = 1.  (T+1,)"""
        beta_tilde = torch.zeros_like(self.beta)  # at t = 0 too, which no step leads away from
        before, now = self.one_minus_alpha_bar[:-1], self.one_minus_alpha_bar[1:]
        beta_tilde[1:] = before / now * self.beta[1:]
        return beta_tilde

    @cached_property
    def snr(self) -> Tensor:
        """The signal-to-noise ratio alpha_bar / (1 - alpha_bar); infinite at t = 0.  (T+1,)"""
        return self.alpha_bar / self.one_minus_alpha_bar


def linear(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> Schedule:
    """Evenly spaced betas from beta_1 to beta_T (Ho et al. 2020, sec. 4)."""
    return Schedule.from_betas(torch.linspace(beta_1, beta_T, _steps(T), dtype=torch.float64))


def cosine(T: int = 1000, s: float = 0.008, beta_max: float = 0.999) -> Schedule:
    """alpha_bar as a squared cosine, beta cut at beta_max (Nichol & Dhariwal 2021, eq. 17)."""
    progress = torch.arange(_steps(T) + 1, dtype=torch.float64) / T
    f = torch.cos((progress + s) / (1 + s) * torch.pi / 2) ** 2
    return Schedule.from_betas((1 - f[1:] / f[:-1]).clamp(max=beta_max))


def _steps(T: int) -> int:
    if isinstance(T, bool) or not isinstance(T, int):
        raise TypeError(f"T counts noising steps and is an int, got {T!r}")
    if T < 1:
        raise ValueError(f"T counts noising steps and is at least 1, got {T}")
    return T
