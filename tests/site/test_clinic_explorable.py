"""The bedside of chapter 15: its diagnoses are those of ddpm_lib, and its handling."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
import torch
from bare_page import problems_on_screens, show

from ddpm_lib.course.checks.clinic import write
from ddpm_lib.course.clinic.patients import BUGS, NAMES
from ddpm_lib.course.clinic.ward import CHECKS, Check, distance, passes
from ddpm_lib.course.explore import explorable

# Outcomes that need no training: each bug deviates in one check, by its own amount.
HEALTHY = {
    name: (0.05 if check.log else sum(check.healthy) / 2) if check.healthy[1] < 9 else 0.3
    for name, check in CHECKS.items()
}


def outcomes(i):
    values = dict(HEALTHY)
    name = list(CHECKS)[i % len(CHECKS)]
    if i:
        shifted = values[name] + (2.013 + i) * CHECKS[name].apart
        values[name] = 1e-7 if CHECKS[name].log else shifted
    return list(values.values())


def values():
    return {
        "checks": [{"name": name, **check_data(check)} for name, check in CHECKS.items()],
        "bugs": [
            {"name": name, "repair": bug.repair, "outcomes": outcomes(i)}
            for i, (name, bug) in enumerate(BUGS.items())
        ],
        "patients": [
            {"number": n, "bug": list(BUGS).index(NAMES[n]), "losses": [1.0, 0.2, 0.1]}
            for n in range(3, 24)
        ],
        "frames": torch.randint(256, (21, 4, 3, 2, 16), dtype=torch.uint8),
    }


def check_data(check: Check):
    return {
        "says": check.says,
        "healthy": check.healthy,
        "apart": check.apart,
        "log": check.log,
    }


@pytest.fixture(scope="module")
def clinic():
    torch.manual_seed(0)
    still, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    return explorable("clinic", values(), still=still)


def test_numbers_are_those_of_the_library(modules):
    given = [0, 3e-5, -0.0217, 0.5, 0.894, 1.92, 12, 99.6, 255, 2112]
    assert modules("clinic", "input.map(m.twoDigits)", given) == [write(v) for v in given]
    pairs = [[0.0, 0.3], [0.05, 0.5], [1e-9, 0.2], [1.0, 4.01], [255, 1]]
    for name, check in CHECKS.items():
        got = modules(
            "clinic",
            "input.pairs.map(([a, b]) => "
            "[m.distance(input.check, a, b), m.passes(input.check, a)])",
            {"check": check_data(check), "pairs": pairs},
        )
        for (a, b), (far, good) in zip(pairs, got, strict=True):
            assert far == pytest.approx(distance(name, a, b), rel=1e-9)
            assert good == passes(name, a)


def test_what_rules_a_diagnosis_out(modules):
    """The sentence of checks.clinic.contradiction, for a table of outcomes."""
    data = values() | {"frames": None}
    rows = [bug["outcomes"] for bug in data["bugs"]]
    for here, there in [(0, 5), (5, 0), (3, 14), (20, 7)]:
        far = [
            distance(name, a, b) for name, a, b in zip(CHECKS, rows[here], rows[there], strict=True)
        ]
        i = max(range(len(far)), key=far.__getitem__)
        name = list(CHECKS)[i]
        want = (
            f"with “{data['bugs'][there]['name']}”, {CHECKS[name].says} would be "
            f"{write(rows[there][i])}, and here it is {write(rows[here][i])} (check “{name}”)."
        )
        got = modules(
            "clinic", "m.contradiction(input[0], input[1], input[2])", [data, here, there]
        )
        assert got == want
    same = "m.ruledOut(input.checks, input.bugs[0].outcomes, input.bugs[0].outcomes)"
    assert modules("clinic", same, data) == -1


def sentence(page):
    return page.locator(".ex-sentence p").first.inner_text()


def test_from_patient_to_diagnosis(new_page, clinic):
    page = show(new_page(), clinic._repr_html_())
    assert sentence(page).startswith("Patient 3: 0 checks run, no diagnosis yet.")
    page.get_by_role("button", name="patient 7", exact=True).click()
    page.get_by_role("button", name="step mean", exact=True).focus()
    page.keyboard.press("Enter")
    assert "step mean: the error of a reverse step's mean" in sentence(page)
    assert page.locator(".ex-results li").count() == 1
    page.get_by_role("button", name="Is it?").click()
    assert sentence(page).startswith("Choose a diagnosis first.")
    answer = page.get_by_label("Diagnosis")
    right = NAMES[7]
    wrong = next(name for name in BUGS if name != right)
    answer.select_option(label=wrong)
    page.get_by_role("button", name="Is it?").click()
    assert sentence(page).startswith(f"✗ Patient 7: with “{wrong}”, ")
    answer.select_option(label=right)
    page.get_by_role("button", name="Is it?").click()
    assert sentence(page).startswith(f"✓ Patient 7 has “{right}”.")
    assert sentence(page).endswith("Solved: 1 of 21. Checks run for these: 1. Wrong diagnoses: 1.")
    page.get_by_role("button", name="patient 8", exact=True).click()
    assert page.locator(".ex-results li").count() == 0
    assert answer.input_value() == ""


def test_it_fits_every_screen(new_page, clinic):
    page = show(new_page(), clinic._repr_html_())
    for name in ("gradient", "noise", "end"):
        page.get_by_role("button", name=name, exact=True).click()
    assert problems_on_screens(page) == []
