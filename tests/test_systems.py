"""A system: what training and sampling share is stated once."""

import pytest
import torch

from ddpm_lib import training
from ddpm_lib.diffusion import EPS, V
from ddpm_lib.networks.tiny import MLP
from ddpm_lib.sampling import ddim, denoiser, heun, sample, strided
from ddpm_lib.schedules import cosine, linear
from ddpm_lib.settings import Settings
from ddpm_lib.systems import System, learn, walk
from ddpm_lib.training import Run

SETTINGS = Settings(steps=12, batch=8)
POINTS = torch.linspace(-1, 1, 40).reshape(20, 2)


def mlp() -> MLP:
    torch.manual_seed(0)
    return MLP(width=8)


@pytest.mark.parametrize(("schedule", "parameterization"), [(cosine(20), V), (linear(20), EPS)])
def test_a_system_learns_and_draws_with_its_own_schedule_and_parameterization(
    schedule, parameterization, capsys
):
    system = learn(System(schedule, mlp(), parameterization, clip=2.0), POINTS, SETTINGS)
    assert "loss" in capsys.readouterr().err  # the bar
    run = Run(mlp(), SETTINGS)
    for _ in training.training_steps(run, schedule, parameterization, POINTS):
        pass
    for learned, wanted in zip(system.network.parameters(), run.average.parameters(), strict=True):
        assert torch.equal(learned, wanted)
    x_T = torch.randn(5, 2, generator=torch.Generator().manual_seed(3))
    denoise = denoiser(schedule, run.average, parameterization, 2.0)
    want = [x_T, *sample(ddim(), schedule, denoise, x_T, strided(20, 4))]
    got = list(walk(system, (5, 2), steps=4, seed=3))
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    *_, other = walk(system, (5, 2), step=heun(), steps=4, seed=3)
    assert not torch.equal(other, want[-1])


def test_pictures_are_scaled_as_they_are_learned():
    """A network that answers zero pays the mean square of x_0 if it is to predict x_0 at t = T."""
    black = torch.zeros(20, 1, 4, 4, dtype=torch.uint8)
    seen = []

    class Zero(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x_t, t):
            seen.append(x_t.detach()[t == 1])
            return self.weight * x_t

    learn(System(linear(2), Zero(), V), black, Settings(steps=20, batch=8))
    assert torch.cat(seen).mean() == pytest.approx(-1, abs=0.02)  # noise of std 0.01
