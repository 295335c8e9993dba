"""The clinic: every bug fails its check, its repair passes, and each wrong diagnosis is refuted."""

from dataclasses import replace

import pytest
import torch

from ddpm_lib import diffusion, exact
from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks.clinic import contradiction, diagnose
from ddpm_lib.course.clinic import examine, ward
from ddpm_lib.course.clinic.patients import BUGS, NAMES
from ddpm_lib.course.clinic.program import (
    HEALTHY,
    WIDTH,
    Trained,
    known,
    patterns,
    ribbons,
    trained,
)
from ddpm_lib.course.clinic.ward import (
    CHECKS,
    distance,
    evidence,
    healthy,
    outcome,
    passes,
    patient,
    ruled_out,
)
from ddpm_lib.sampling import Stride
from ddpm_lib.training import Settings

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
        x_t = diffusion.add_noise(HEALTHY.schedule, x_0, t, torch.randn(x_0.shape).double())
        ours, theirs = (
            denoise(x_t, t)
            for denoise in (
                known(HEALTHY.schedule),
                exact.exact_denoiser(HEALTHY.schedule, mixture),
            )
        )
        torch.testing.assert_close(ours.eps, theirs.eps, atol=1e-9, rtol=0)
        torch.testing.assert_close(ours.x_0, theirs.x_0, atol=1e-9, rtol=0)


def test_what_a_loss_makes_is_what_the_formulas_say():
    """The factor of x_0 at T, the variance of the noise at T/4, and the cheat's loss there."""
    schedule, second = HEALTHY.schedule, float(patterns().square().mean() + WIDTH**2)
    bar, alpha = schedule.alpha_bar, schedule.alpha
    right = bar[25].sqrt(), (1 - bar[25]).sqrt()
    made = {
        "nothing": (bar[100].sqrt(), *right),
        "no bars": (alpha[100].sqrt(), alpha[25].sqrt(), (1 - alpha[25]).sqrt()),
        "no roots": (bar[100], bar[25], 1 - bar[25]),
    }
    for name, (at_end, a, s) in made.items():
        program = BUGS[name].program
        cheat = ((a - right[0]) / right[1]) ** 2 * second + (s / right[1] - 1) ** 2
        noise = (s / right[1]) ** 2
        assert examine.signal_at_end(program) == pytest.approx(float(at_end), abs=0.04)
        assert examine.noise_in_middle(program) == pytest.approx(float(noise), rel=0.04)
        assert examine.loss_of_cheat(program) == pytest.approx(float(cheat), rel=0.04, abs=1e-9)
    assert examine.loss_of_cheat(BUGS["two noises"].program) == pytest.approx(2, rel=0.02)


def test_only_the_others_are_counted():
    def first_alone(schedule, network, _, x_0, *, t, eps):
        network(x_0 * t[:, None, None, None], t)

    def next_one_too(schedule, network, _, x_0, *, t, eps):
        network(x_0 * (t + t.roll(1))[:, None, None, None], t)

    for loss, share in ((first_alone, 0), (next_one_too, 1 / 15)):
        assert examine.others_changed(replace(HEALTHY, loss=loss)) == pytest.approx(share)


class Answer(torch.nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer, self.weight = answer, torch.nn.Parameter(torch.ones(()))
        self.idle = torch.nn.Parameter(torch.ones(7))

    def forward(self, x, t):
        return self.weight * self.answer(x, t[:, None, None, None])


@pytest.fixture
def examined(monkeypatch):
    """Examine a network with a given answer in place of the trained one."""

    def number(check, answer, earlier=None, program=HEALTHY, losses=None):
        made = Trained(Answer(answer), Answer(earlier or answer), losses)
        monkeypatch.setattr(examine, "trained", lambda _: made)
        return check(program)

    return number


def test_what_a_network_uses(examined):
    size = examined(examine.color_matters, lambda x, t: x)  # that of the tint over that of x_t
    second = HEALTHY.schedule.alpha_bar[40] * (patterns().square().mean() + WIDTH**2)
    second += 1 - HEALTHY.schedule.alpha_bar[40]
    assert size == pytest.approx(float((0.06 / second).sqrt()), rel=0.02)
    assert examined(examine.color_matters, lambda x, t: x - x.mean((2, 3), keepdim=True)) < 1e-6
    fewer = replace(HEALTHY, schedule=BUGS["T lowered, betas kept"].program.schedule)
    for program in (HEALTHY, fewer):
        assert examined(examine.t_matters, lambda x, t: x * t, program=program) == 0.5
    told = []
    examined(examine.t_matters, lambda x, t: told.append(int(t[0])) or x, program=fewer)
    assert told == [8, 4]  # of 20 steps: the same share of the way
    assert examined(examine.t_matters, lambda x, t: x + torch.randn_like(x)) == 0  # set back
    found = []
    for seed in (1, 2):  # whatever was drawn before
        torch.manual_seed(seed)
        found.append(examined(examine.color_matters, lambda x, t: x * torch.rand(1)))
    assert found[0] == found[1]
    assert examined(examine.repeats, lambda x, t: x * t) == 0
    noise = examined(examine.repeats, lambda x, t: torch.randn_like(x))
    assert noise == pytest.approx(2**0.5, rel=0.02)
    assert examined(examine.unreached, lambda x, t: x) == 7


def test_what_the_last_steps_moved(examined):
    color = torch.tensor([0.3, 0.0, -0.1])[:, None, None]
    way = examined(examine.color_drift, lambda x, t: x + color, lambda x, t: x)
    assert way == pytest.approx((0.1 / 3) ** 0.5, rel=1e-4)
    flicker = torch.ones(16)
    flicker[::2] = -1  # moves every pixel, and no mean color
    assert examined(examine.color_drift, lambda x, t: x + flicker, lambda x, t: x) < 1e-6
    losses = torch.cat([torch.ones(80), torch.full((40,), 0.25)])
    assert examined(examine.last_losses, lambda x, t: x, losses=losses) == 0.25


def test_the_earlier_network_is_that_of_ten_steps_before():
    def after(steps):
        settings = Settings(steps=steps, batch=16, learning_rate=1e-2, warmup=1, ema=0, final=1)
        return trained(replace(HEALTHY, settings=settings))

    earlier, then = after(12).earlier.state_dict(), after(2).network.state_dict()
    for name, value in then.items():
        torch.testing.assert_close(earlier[name], value)


def test_one_reverse_step_is_what_the_formulas_say():
    schedule = HEALTHY.schedule
    beta, small = schedule.beta, schedule.beta_tilde
    of = {name: bug.program for name, bug in BUGS.items()}
    ratio = float(beta[2] / small[2])
    assert examine.step_variance(of["shifted table"]) == pytest.approx(ratio)
    assert examine.step_variance(of["wrong coefficient"]) == pytest.approx(1)
    assert examine.last_noise(of["noise in the last step"]) == pytest.approx(float(small[2].sqrt()))
    errors = []  # of the mean, with sqrt(beta) in the place of beta / s
    for t in (5, 50):
        x_0 = ribbons(64, 3)
        chance = torch.Generator().manual_seed(3)
        eps = torch.randn(x_0.shape, generator=chance, dtype=x_0.dtype)
        guess = known(schedule)(diffusion.add_noise(schedule, x_0, t, eps), t).eps
        off = beta[t].sqrt() - beta[t] / schedule.one_minus_alpha_bar[t].sqrt()
        each = off / schedule.alpha[t].sqrt() * guess.square().mean().sqrt()
        errors.append(float(each / small[t].sqrt()))
    assert examine.step_mean(of["wrong coefficient"]) == pytest.approx(max(errors))


def test_the_network_is_told_one_step_earlier():
    told = []

    def denoise(x_t, t):
        told.append(t)
        return diffusion.Prediction(x_t, x_t)

    step = BUGS["told t - 1"].program.step
    for t in (5, 1):  # there is no earlier one than 1
        step(Stride(HEALTHY.schedule, denoise, ribbons(1, 0), t, t - 1, torch.zeros))
    assert told == [4, 1]


def test_the_width_is_that_of_the_recursion():
    """Equation eq:sampler-variance for one pattern, with v = WIDTH^2."""
    schedule, v = HEALTHY.schedule, WIDTH**2
    D = schedule.alpha_bar * v + schedule.one_minus_alpha_bar
    V = D[-1]
    for t in range(schedule.T, 0, -1):
        V = (schedule.alpha[t].sqrt() * D[t - 1] / D[t]) ** 2 * V
        V += schedule.beta_tilde[t] if t > 1 else 0
    want = float((V / v).sqrt())
    assert examine.pixel_width(HEALTHY) == pytest.approx(want, rel=0.01)


def test_pictures_and_scores():
    assert examine.overflow(HEALTHY) == 255
    assert examine.overflow(BUGS["bytes that wrap"].program) == 1
    x = ribbons(16, 5).clamp(-1, 1)
    bytes_apart = 127.5 * (x - (0.1 * x + 0.7)).abs().mean()
    assert examine.frames_differ(HEALTHY) == pytest.approx(float(bytes_apart), abs=0.5)
    assert HEALTHY.score(lambda n, seed: ribbons(n, 2)) == pytest.approx(0, abs=1e-9)
    pale = 0.04 * patterns().square().sum(1).mean()  # at least, since the mean is another
    assert HEALTHY.score(lambda n, seed: 0.8 * ribbons(n, seed)) > 0.5 * pale
    assert examine.score_of_data(HEALTHY) == pytest.approx(0.04, abs=0.005)


def test_what_is_near_rules_nothing_out(monkeypatch):
    monkeypatch.setattr(ward, "outcome", lambda name, _: 0.001 if name == "nothing" else 0)
    checks = {name: check for name, check in CHECKS.items() if not check.log}
    monkeypatch.setattr(ward, "CHECKS", checks)
    assert ruled_out(7, "nothing") is None
    assert contradiction(7, "nothing") == "Patient 7: nothing rules “nothing” out."


def test_what_counts_as_healthy_and_as_far():
    assert passes("noise", 0.95)
    assert passes("noise", 1.05)
    assert not passes("noise", 0.949)
    assert not passes("noise", 1.051)
    assert passes("gradient", 0)
    assert distance("noise", 1, 1.2) == distance("noise", 1.2, 1) == pytest.approx(2)
    assert distance("repeat", 0, 1e-6) == 0  # below is rounding
    assert distance("repeat", 1e-6, 1e-4) == pytest.approx(1)


def test_the_healthy_program_passes_all_checks():
    assert [check for check in CHECKS if not passes(check, outcome("nothing", check))] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_bug_fails_its_check(name):
    assert not passes(NAMED[name], outcome(name, NAMED[name]))


COLUMNS = 40  # of a phone


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
                assert ruled_out(number, answer) is None
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
