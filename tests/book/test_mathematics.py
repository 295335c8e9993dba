"""Formulas as the extension sets them, without a build."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_book import mathematics
from ddpm_book.mathematics import CannotBeSet, html, unset, with_formulas

KATEX = Path(__file__).resolve().parents[2] / "book/assets/katex"
VISIBLE = re.compile(r'<span class="katex-html".*', re.DOTALL)


def test_a_formula_is_html_with_mathml_for_screen_readers():
    formula = html("x_0")
    assert "<msub><mi>x</mi><mn>0</mn></msub>" in formula
    assert 'aria-hidden="true"' in VISIBLE.search(formula)[0]
    assert "katex-display" in html("x_0", display=True) and "katex-display" not in formula
    assert "annotation" not in html("a\nb")


@pytest.mark.parametrize(
    ("name", "tex"),
    [
        ("ᾱ_{t−1}", r"\bar\alpha_{t-1}"),
        ("√{1 − β̃}", r"\sqrt{1 - \tilde\beta}"),
        ("x̂_0 ∣ ϵ", r"\hat x_0 \mid \epsilon"),
        ("2σ² ≤ 1", r"2\sigma^{2} \le 1"),
    ],
)
def test_the_letters_of_a_claim_look_like_those_of_the_text(name, tex):
    assert VISIBLE.search(html(name))[0] == VISIBLE.search(html(tex))[0]


@pytest.mark.parametrize(
    ("tex", "reason"),
    [(r"\foo", "Undefined control sequence"), ("{x", "Expected '}'"), ("½", "unknownSymbol")],
)
def test_what_cannot_be_set_is_refused_with_a_short_reason(tex, reason):
    with pytest.raises(CannotBeSet, match=reason) as refusal:
        html(tex)
    assert len(str(refusal.value)) < 200


def test_dollars_in_a_name_hold_formulas():
    nodes = with_formulas("the root of $√α$, or $x_0$")
    assert [node.astext() for node in nodes] == ["the root of ", "√α", ", or ", "x_0", ""]
    assert [node.tagname for node in nodes] == ["#text", "math", "#text", "math", "#text"]


@pytest.mark.parametrize(
    "name", ["x_0 ignored", "the mean of ᾱ", "σ² for $σ$", "a price in $", "β̃"]
)
def test_mathematics_outside_of_dollars_is_seen(name):
    assert unset(name)
    assert not unset("the mean of $x_0$, 1 / 3 too small")


def test_a_process_that_set_formulas_ends():
    """The engine must be closed first: Python waits for its thread, which waits for Python."""
    code = r"""
from ddpm_book.mathematics import CannotBeSet, html
for tex in ["x", r"\foo"]:
    try:
        html(tex)
    except CannotBeSet:
        print("refused")
"""
    path = str(Path(mathematics.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr


def test_script_and_style_are_of_one_release_and_all_fonts_are_there():
    style = (KATEX / "katex.min.css").read_text("utf-8")
    version = mathematics.SCRIPT.read_text("utf-8")
    assert (
        re.search(r'version:"([\d.]+)"', version)[1] == re.search(r'content:"([\d.]+)"', style)[1]
    )
    fonts = set(re.findall(r"url\((fonts/[^)]+)\)", style))
    assert fonts == {f"fonts/{path.name}" for path in (KATEX / "fonts").iterdir()}
