"""The engine under the exercises: the order of judgment, what is noticed, and what is undone."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from ddpm_lib.course.checks import Exercise, Mistake, judge, outcomes, progress
from ddpm_lib.course.checks.cases import always, given, normal, single


def weighted(x, n, *, factor=2.0, power=1, by=lambda x: 1.0):
    return factor * x**power * n / by(x)


def draw(chance):
    return 1 + normal(chance, 2, 3).abs(), int(torch.randint(3, 9, (), generator=chance))


def first(chance):
    return always(draw)(chance)[0], 2


TWICE = Exercise(
    name="test.twice",
    see="Doubling",
    praise="Twice.",
    right=weighted,
    wrong={
        "Once is not twice.": {"factor": 1.0},
        "That is a square.": {"power": 2},
        "This is a mean.": {"by": len},
        "The sum is missing.": lambda x, n: x.sum(),
    },
    cases=(first, draw, single(draw)),
)
NUMBER = Exercise(
    name="test.number",
    see="Numbers",
    praise="Eight thirds.",
    right=8 / 3,
    wrong={"That is x_{t-1}.": 5, "Nearly five.": 5.0004},
    rtol=1e-3,
)


def said(exercise, answer):
    with pytest.raises(Mistake) as caught:
        judge(exercise, answer)
    return str(caught.value)


def right(x, n):
    return 2 * n * x


def test_what_is_right_is_praised(capsys):
    assert judge(TWICE, right)
    assert judge(TWICE, lambda x, n: (x + x) * n)
    assert judge(TWICE, lambda x, n: (x.float() * n * 2 + 300) - 300)  # as well as float32 can
    assert judge(NUMBER, 2.6667)
    assert judge(NUMBER, torch.tensor(8 / 3, requires_grad=True))
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "✓ Twice.",
        "✓ Twice.",
        "✓ Twice.",
        "✓ Eight thirds.",
        "✓ Eight thirds.",
    ]


def test_what_is_not_written_passes(capsys):
    dots = "· Not tried yet: put your answer in place of the dots."

    def stub(x, n):
        raise NotImplementedError

    for exercise, answer, reminder in [
        (NUMBER, ..., dots),
        (TWICE, ..., dots),
        (TWICE, lambda x, n: ..., dots),
        (TWICE, lambda x, n: [x, ...], dots),
        (TWICE, lambda x, n: None, "· The function returns nothing: is its last line a `return`?"),
        (TWICE, stub, "· Not written yet."),
    ]:
        assert judge(exercise, answer) is False
        assert capsys.readouterr().out.splitlines() == [reminder]


def test_a_mistake_is_shown_without_traceback():
    assert Mistake("{n} too many", n=2)._render_traceback_() == ["✗ 2 too many"]
    assert str(Mistake("x_{t-1}")) == "x_{t-1}"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x, n: x * n, "Once is not twice."),
        (lambda x, n: 2 * x**2 * n, "That is a square."),
        (
            lambda x, n: x**2 * n,
            "Two things at once. Once is not twice. And: That is a square.",
        ),
        (lambda x, n: x.sum(), "The sum is missing."),
        (lambda x, n: x * n / 2, "Two things at once. Once is not twice. And: This is a mean."),
        (lambda x, n: 2 * n * x[0], "The shape is (3,), it should be (2, 3). Read “Doubling”"),
        (lambda x, n: torch.ones(2, 3), "It gives the same for every input"),
        (lambda x, n: x, "It returns its argument number 1 unchanged."),
        (lambda x, n: -2 * n * x, "the sign is the other way round"),
        (lambda x, n: 4 * n * x, "it is twice what"),
        (lambda x, n: (2 * n * x) ** 2, "it is the square of what"),
        (lambda x, n: (2 * n * x).sqrt(), "it is the root of what"),
        (lambda x, n: 0.5 / (n * x), "it is one over what"),
        (lambda x, n: 6 * n * x, "all is 3 times what"),
        (lambda x, n: 2 * n * x + 0.001, "Nearly right: carry more digits"),
        (lambda x, n: 2 * n * x.double(), "type is torch.float64. It should be torch.float32"),
        (lambda x, n: 2 * n * x.exp(), "Not right yet. None of the usual mistakes"),
        (lambda x, n: "two", "The answer is a number or a tensor, got 'two'."),
        (2.0, "The answer is a function, got 2.0."),
    ],
)
def test_a_function_is_told_what_is_wrong(answer, message):
    assert message in said(TWICE, answer)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (5, "That is x_{t-1}."),
        (5.0004, "Nearly five."),  # the nearest, if several are near enough
        (-8 / 3, "the sign is the other way round. Read “Numbers” again."),
        (4 / 3, "it is half of what"),
        (0.375, "it is one over what"),
        (2.68, "Nearly right: carry more digits"),
        (7, "Not right yet, it is 7. None of the usual mistakes"),
        ([1, 2], "The shape is (2,), it should be ()."),
        (right, "The answer is a number or a tensor, got <function right"),
    ],
)
def test_a_number_is_told_what_is_wrong(answer, message):
    assert message in said(NUMBER, answer)


def test_an_answer_made_for_the_first_input_is_told_for_which_it_fails():
    x, n = first(None)
    assert "right for the first input, but not for (2, 3), " in said(
        TWICE, lambda x, _: right(x, n)
    )
    assert "the same for every input" in said(TWICE, lambda *_: right(x, n))


def test_an_exception_is_explained():
    message = said(TWICE, lambda x, n: x @ x * n)
    assert "It stops with RuntimeError: mat1 and mat2 shapes cannot be multiplied" in message
    assert "The line is `message = said(TWICE, lambda x, n: x @ x * n)`" in message
    assert message.endswith("and it was given (2, 3), 2.")
    assert "It stops with TypeError" in said(TWICE, lambda x: x)
    inside = said(TWICE, lambda x, n: torch.nn.functional.interpolate(x))
    assert "The line is `inside = said(" in inside  # the learner's own, not one of torch
    with pytest.raises(KeyboardInterrupt):
        judge(TWICE, interrupted)


def interrupted(x, n):
    raise KeyboardInterrupt


def test_an_exception_after_the_first_input_leaves_known_mistakes_known():
    """A slip in the shapes may stop where they do not fit; the first input is chosen to let it."""
    square = given(torch.eye(2), torch.tensor([1.0, 2.0]))
    long = given(torch.ones(3, 2), torch.tensor([1.0, 2.0, 3.0]))
    exercise = Exercise(
        name="test.rows",
        see="Rows",
        praise="Each row has its own.",
        right=lambda x, each: x * each[:, None] + 1,
        wrong={"Row b got the number of column b.": lambda x, each: x + each},
        cases=(square, long),
    )
    assert said(exercise, lambda x, each: x + each) == "Row b got the number of column b."
    assert "It stops with RuntimeError" in said(exercise, lambda x, each: x * each + 1)


def test_a_change_in_place_is_noticed_and_stays_without_effect():
    shared = torch.ones(2, 3)
    exercise = Exercise(
        name="test.shared", see="", praise="", right=lambda x: [2 * x[0]], cases=(given([shared]),)
    )
    assert "changes its argument number 1 in place" in said(exercise, lambda x: [x[0].mul_(2)])
    assert "changes its argument number 1 in place" in said(TWICE, lambda x, n: x.mul_(2 * n))
    assert shared.eq(1).all()


def test_noise_of_its_own_is_noticed_where_there_should_be_none():
    assert "draws random numbers of its own" in said(TWICE, lambda x, n: x + torch.randn(2, 3))
    drawing = Exercise(
        name="test.drawing", see="", praise="", right=lambda: torch.randn(3), cases=(given(),)
    )
    assert "draws" not in said(drawing, lambda: torch.randn(4))


def test_inputs_are_drawn_anew_but_for_the_first():
    one, other = (outcomes(TWICE, right, seed) for seed in (1, 2))
    assert torch.equal(one[0][0], other[0][0])
    assert not torch.equal(one[1][0], other[1][0])


def test_what_is_the_same_for_all_inputs_may_be_right():
    same = Exercise(
        name="test.same", see="", praise="", right=lambda n: 5, cases=(given(1), given(2))
    )
    assert "the same for every input" not in said(same, lambda n: 4)


def test_the_world_is_as_before_whatever_an_answer_does(capsys):
    seen = []

    def wild(x, n):
        seen.append(torch.get_default_dtype())
        for k in range(4):
            print("line", k)
        torch.manual_seed(1), random.seed(1), np.random.seed(1)
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        return right(x, n)

    def state():
        return torch.rand(2).tolist(), random.random(), np.random.rand(), torch.is_grad_enabled()

    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(7)
    want = state()
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(7)
    torch.set_default_dtype(torch.float64)
    judge(TWICE, wild)
    assert torch.get_default_dtype() == torch.float64
    assert seen[0] == torch.float32
    torch.set_default_dtype(torch.float32)
    assert state() == want
    out = capsys.readouterr().out.splitlines()
    assert out == ["line 0", "line 1", "line 2", "line 3", "line 0", "✓ Twice."]


def test_a_probe_measures_and_its_praise_says_what():
    def probe(answer):
        if answer < 1:
            raise Mistake("Too small.")
        return {"size": answer}

    exercise = Exercise(name="test.probe", see="", praise="It has {size:.1f}.", probe=probe)
    assert said(exercise, 0.5) == "Too small."
    assert judge(exercise, ...) is False


def test_tries_are_noted_and_points_never_fall(tmp_path, monkeypatch):
    judge(TWICE, right)  # without a file, nothing is noted
    book = tmp_path / "new folder" / "progress.json"
    monkeypatch.setenv(progress.VARIABLE, str(book))
    judge(TWICE, ...)
    assert not book.exists()
    said(TWICE, lambda x, n: x)
    assert json.loads(book.read_text()) == {"test.twice": {"tries": 1, "best": 0}}
    judge(TWICE, right)
    assert progress.read(book)["test.twice"]["passed"].startswith("20")
    once = {"tries": 2, "best": 1, "passed": "2026-01-01T00:00:00"}
    book.write_text(json.dumps({"test.twice": once}))
    judge(TWICE, right)
    progress.note("test.twice", 0.5)
    said(TWICE, lambda x, n: x)
    assert progress.read(book) == {"test.twice": {**once, "tries": 5}}


def test_a_book_that_cannot_be_written_does_not_hide_the_verdict(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "file" / "progress.json"))
    assert judge(TWICE, right)
    assert "Once" in said(TWICE, lambda x, n: x * n)
    assert capsys.readouterr().out.count("· This try is not noted: ") == 2


@pytest.mark.parametrize(
    "damage", ["{broken", "[]", '{"a": 1}', '{"a": {"tries": "x", "best": 0}}']
)
def test_a_damaged_book_is_set_aside(tmp_path, monkeypatch, damage):
    book = tmp_path / "progress.json"
    book.write_text(damage)
    monkeypatch.setenv(progress.VARIABLE, str(book))
    progress.note("test.twice", 1)
    assert progress.read(book)["test.twice"]["tries"] == 1
    assert (tmp_path / "progress.json.damaged").read_text() == damage


def test_the_right_values_may_be_bytes():
    of = Exercise(
        name="test.bytes",
        see="Bytes",
        praise="Bytes.",
        right=lambda x: (x > 0).to(torch.uint8),
        cases=(given(torch.tensor([1.0, -1.0])),),
    )
    assert "should be torch.uint8" in said(of, lambda x: (x > 0).long())
    true = replace(of, right=lambda x: x > 0)
    assert "None of the usual" in said(true, lambda x: x < 0)


def test_two_who_note_at_once_lose_nothing(tmp_path, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    book = tmp_path / "progress.json"
    monkeypatch.setenv(progress.VARIABLE, str(book))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(progress.note, ["a", "b"] * 20, [1] * 40))
    assert {name: entry["tries"] for name, entry in progress.read(book).items()} == {
        "a": 20,
        "b": 20,
    }
