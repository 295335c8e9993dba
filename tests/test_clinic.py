"""The clinic: every bug fails its check, its repair passes, and each wrong diagnosis is refuted."""

import pytest
import torch

from ddpm_lib import diffusion, exact
from ddpm_lib.checks import Mistake
from ddpm_lib.checks.clinic import diagnose
from ddpm_lib.clinic.patients import BUGS, NAMES
from ddpm_lib.clinic.program import HEALTHY, WIDTH, known, patterns, ribbons
from ddpm_lib.clinic.ward import (
    CHECKS,
    evidence,
    healthy,
    outcome,
    passes,
    patient,
    ruled_out,
)

# The check that names the bug. Healthy programs pass all of them: that is the repaired patient.
NAMED = {
    "two noises": "cheat",
    "no bars": "end",
    "no roots": "noise",
    "broadcast along the width": "others",
    "t not used": "gradient",
    "t drawn inside the network": "repeat",
    "one channel for each group": "color",
    "norm after the shift": "t",
    "frequencies not in pairs": "embedding",
    "a norm that is never used": "gradient",
    "beta ends at a tenth": "end",
    "T lowered, betas kept": "end",
    "no average of the weights": "drift",
    "wrong coefficient": "step mean",
    "z left out": "step variance",
    "shifted table": "step variance",
    "noise in the last step": "last step",
    "told t - 1": "step mean",
    "x_t clipped": "step mean",
    "bytes that wrap": "overflow",
    "each frame stretched": "frames",
    "a score of 100 pictures": "score",
}


def test_the_ward_has_each_bug_once():
    assert sorted(NAMES.values()) == sorted(BUGS)
    assert set(NAMED) == set(BUGS) - {"nothing"}
    for number, name in NAMES.items():
        replaced = [
            field
            for field in HEALTHY.__dataclass_fields__
            if getattr(patient(number), field) != getattr(HEALTHY, field)
        ]
        assert replaced == list(BUGS[name].part)


def test_known_is_the_exact_denoiser():
    mixture = exact.isotropic(torch.ones(4) / 4, patterns(), WIDTH)
    x_0 = ribbons(8, 0)
    for t in (1, 30, 100):
        x_t = diffusion.noise(HEALTHY.schedule, x_0, t, torch.randn(x_0.shape).double())
        ours, theirs = (
            denoise(x_t, t)
            for denoise in (
                known(HEALTHY.schedule),
                exact.exact_denoiser(HEALTHY.schedule, mixture),
            )
        )
        torch.testing.assert_close(ours.eps, theirs.eps, atol=1e-9, rtol=0)
        torch.testing.assert_close(ours.x_0, theirs.x_0, atol=1e-9, rtol=0)


def test_the_healthy_program_passes_all_checks():
    assert [check for check in CHECKS if not passes(check, outcome("nothing", check))] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_bug_fails_its_check(name):
    assert not passes(NAMED[name], outcome(name, NAMED[name]))


COLUMNS = 44  # of a phone


def refusal(number, answer):
    """What is said of a wrong diagnosis, in one line."""
    with pytest.raises(Mistake) as caught:
        diagnose(number, answer)
    lines = f"✗ {caught.value}".splitlines()
    assert max(map(len, lines)) <= COLUMNS
    return " ".join(lines)


def test_every_wrong_diagnosis_is_refuted_by_a_number(capsys):
    for number, name in NAMES.items():
        for answer in BUGS:
            if answer == name:
                diagnose(number, answer)
                continue
            check, here, there = ruled_out(number, answer)
            assert here == evidence(number)[check]
            assert there == outcome(answer, check)
            assert " would be " in refusal(number, answer)
    out = capsys.readouterr().out
    assert out.count("✓") == len(NAMES)
    assert max(map(len, out.splitlines())) <= COLUMNS


def test_a_diagnosis_that_is_none(capsys):
    diagnose(3, ...)
    assert "not tried" in capsys.readouterr().out
    assert "The ward knows “nothing”, “two noises”" in refusal(3, "a gremlin")
    assert "patients 1 to 23" in refusal(24, "nothing")


def test_ranges_in_words():
    assert [healthy(check) for check in ("end", "others", "t", "overflow")] == [
        *("-0.05 to 0.05", "0", "above 0.005", "255")
    ]
