"""The checks of chapter 12: each passes the right answer and names each mistake it knows."""

import pytest
import torch

from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks import blocks as check


def test_equal_cost():
    check.equal_cost(160)
    for wrong, message in [
        (288, "four matrices of the attention"),
        (320, "Two products"),
        (576, "scores alone"),
        (160**0.5, "side"),
        (192, "not three"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.equal_cost(wrong)


def test_rooted():
    check.rooted(0.00098)
    for wrong, message in [
        (2.0**-20, "divides by 2"),
        (1, "without the roots"),
        (0.5**0.5, "single block"),
        (1024, "all paths"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.rooted(wrong)


def attention(q, k, v, width=None, dim=-1):
    size = (width or q.shape[-1]) ** 0.5
    return torch.softmax(q @ k.transpose(-1, -2) / size, dim=dim) @ v


def by_parts(q, k, v, heads, **slip):
    parts = zip(*(x.chunk(heads, dim=2) for x in (q, k, v)), strict=True)
    return [attention(*part, **slip) for part in parts]


def test_heads():
    check.heads(lambda *given: torch.cat(by_parts(*given), dim=2))

    def mixed(q, k, v, heads):
        B, n, C = q.shape
        cut = [x.reshape(B * heads, n, C // heads) for x in (q, k, v)]
        return attention(*cut).reshape(B, n, C)

    def stacked(*given):
        return torch.stack(by_parts(*given), dim=1).reshape(given[0].shape)

    for wrong, message in [
        (lambda q, k, v, heads: attention(q, k, v), "one head"),
        (lambda *given: torch.cat(by_parts(*given, width=given[0].shape[2]), 2), "of one head"),
        (mixed, "without a transpose"),
        (stacked, "Undo the transpose"),
        (lambda *given: torch.cat(by_parts(*given, dim=-2), 2), "over the queries"),
        (lambda *given: (sum(by_parts(*given)) / given[3]).repeat(1, 1, given[3]), "averaged"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.heads(wrong)


def silent(network, loss, steps=3):
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    reached = set()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(network).backward()
        reached |= {
            name for name, w in network.named_parameters() if w.grad is not None and w.grad.any()
        }
        optimizer.step()
    return {name for name, _ in network.named_parameters()} - reached


def test_silent():
    check.silent(silent)
    check.silent(lambda network, loss: sorted(silent(network, loss, steps=5)))
    for wrong, message in [
        (lambda n, loss: silent(n, loss, steps=1), "one step"),
        (lambda n, loss: silent(n, loss, steps=2), "Two steps"),
        (
            lambda n, loss: {name for name, _ in n.named_parameters()} - silent(n, loss),
            "The others are asked for",
        ),
        (lambda n, loss: [], "None is found"),
        (lambda n, loss: "unused", "as a list or a set"),
        (lambda n, loss: ["nothing.weight"], "no name of a parameter"),
        (lambda n, loss: [name for name, _ in n.named_parameters()], "None of the usual"),
    ]:
        with pytest.raises(Mistake, match=message):
            check.silent(wrong)
