"""Networks against closed forms: geometry of the embedding, gradients, symmetries, refusals."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_lib.networks.embedding import (
    Ignore,
    Learned,
    ScaleShift,
    Shift,
    Sinusoidal,
    TimePlane,
    group_norm,
)
from ddpm_lib.networks.tiny import MLP, TinyUNet, tiny
from ddpm_lib.networks.unet import Attention, ResidualBlock, UNet

examples = settings(deadline=None, max_examples=30, derandomize=True)
SMALL = {"widths": (8, 12), "blocks": 1}


def randomize(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights everywhere, in float64: at initialization the zeros would hide everything."""
    g = torch.Generator().manual_seed(seed)
    for parameter in network.double().parameters():
        size = parameter[0].numel() if parameter.ndim > 1 else 4
        drawn = torch.randn(parameter.shape, generator=g, dtype=torch.float64) / size**0.5
        parameter.data.copy_(drawn + (parameter.ndim == 1))
    return network


def batch(*shape: int, T: int = 1000, seed: int = 1) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    x_t = torch.randn(shape, generator=g, dtype=torch.float64)
    return x_t, torch.randint(1, T + 1, shape[:1], generator=g)


NETWORKS = {
    "scale and shift": (lambda: UNet(**SMALL), (3, 1, 8, 8)),
    "shift": (lambda: UNet(**SMALL, condition=Shift), (3, 1, 8, 8)),
    "ignore": (lambda: UNet(**SMALL, condition=Ignore), (3, 1, 8, 8)),
    "learned": (lambda: UNet(**SMALL, embedding=partial(Learned, T=50)), (3, 1, 8, 8)),
    "odd widths": (lambda: UNet(3, (5, 7, 11), attention=(0, -1)), (2, 3, 12, 4)),
    "one level": (lambda: UNet(2, (6,), attention=()), (2, 2, 3, 5)),
    "plane": (lambda: TimePlane(UNet(**SMALL, extra=1, condition=Ignore)), (3, 1, 8, 8)),
    "tiny": (lambda: tiny(3, 5), (2, 3, 8, 12)),
    "mlp": (lambda: MLP(2, 16), (5, 2)),
    "mlp learned": (lambda: MLP(3, 15, partial(Learned, T=50)), (5, 3)),
}
each_network = pytest.mark.parametrize("make, shape", NETWORKS.values(), ids=NETWORKS.keys())


# The embedding


@examples
@given(half=st.integers(2, 64), t=st.integers(0, 4000), u=st.integers(0, 4000))
def test_sinusoidal_geometry(half: int, t: int, u: int) -> None:
    """|e|^2 = d/2 at every t, and <e(t), e(u)> = sum_j cos(w_j (t - u)): a function of t - u."""
    embed = Sinusoidal(2 * half).double()
    w = embed.frequencies
    e_t, e_u = embed(torch.tensor([t, u]))
    tolerance = 1e-13 * half * max(1, t, u)  # the rounding of the angles
    assert (e_t @ e_t - half).abs() < 1e-13 * half
    assert (e_t @ e_u - torch.cos(w * (t - u)).sum()).abs() < tolerance
    shifted = embed(torch.tensor([t + 100, u + 100]))
    assert (shifted[0] @ shifted[1] - e_t @ e_u).abs() < tolerance + 1e-11 * half


@pytest.mark.parametrize("dim", [4, 6, 100, 128])
def test_sinusoidal_frequencies(dim: int) -> None:
    """From 1 down to 1/10000, each the same fraction of the one before."""
    w = Sinusoidal(dim).frequencies
    expected = [10_000.0 ** (-j / (dim // 2 - 1)) for j in range(dim // 2)]
    assert torch.allclose(w, torch.tensor(expected), rtol=3e-7, atol=0)
    e = Sinusoidal(dim)(torch.tensor([3]))
    assert torch.allclose(e[0, : dim // 2], torch.sin(3 * w))
    assert torch.allclose(e[0, dim // 2 :], torch.cos(3 * w))


def test_sinusoidal_tells_all_times_apart() -> None:
    e = Sinusoidal(32)(torch.arange(1, 1001)).double()
    assert torch.cdist(e, e).fill_diagonal_(math.inf).min() > 0.3


@pytest.mark.parametrize("dim", [0, 2, 3, 7])
def test_sinusoidal_needs_pairs(dim: int) -> None:
    with pytest.raises(ValueError, match=f"even number from 4, got {dim}"):
        Sinusoidal(dim)


def test_learned_is_indexed_by_t_itself() -> None:
    embed = Learned(6, T=10)
    t = torch.tensor([0, 3, 10])
    assert torch.equal(embed(t), embed.table.weight[[0, 3, 10]])
    with pytest.raises(IndexError):
        embed(torch.tensor([11]))


# Where time enters


def normalized(h: Tensor, groups: int) -> Tensor:
    """(h - mean) / std in each group, written out."""
    g = h.reshape(len(h), groups, -1)
    g = (g - g.mean(2, keepdim=True)) / (g.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
    return g.reshape(h.shape)


def test_shift_is_added_before_the_norm() -> None:
    condition = randomize(Shift(8, 5))
    h, emb = batch(3, 8, 4, 4)[0], batch(3, 5)[0]
    shift = emb @ condition.project.weight.T + condition.project.bias
    expected = normalized(h + shift[:, :, None, None], groups=2)
    norm = condition.norm
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    assert torch.allclose(condition(h, emb), expected, rtol=0, atol=1e-13)


def test_scale_and_shift_come_after_the_norm() -> None:
    condition = randomize(ScaleShift(8, 5))
    h, emb = batch(3, 8, 4, 4)[0], batch(3, 5)[0]
    both = emb @ condition.project.weight.T + condition.project.bias
    scale, shift = both[:, :8, None, None], both[:, 8:, None, None]
    expected = normalized(h, groups=2) * (1 + scale) + shift
    assert torch.allclose(condition(h, emb), expected, rtol=0, atol=1e-13)


def test_ignore_is_only_a_norm() -> None:
    condition = Ignore(8, 5).double()
    h, emb = batch(3, 8, 4, 4)[0], batch(3, 5)[0]
    assert torch.allclose(condition(h, emb), normalized(h, groups=2), rtol=0, atol=1e-13)
    assert torch.equal(condition(h, emb), condition(h, -emb))


@pytest.mark.parametrize("channels", [*range(2, 130), 192, 256, 320, 512, 1000])
def test_groups_fit_any_width_and_are_never_single_channels(channels: int) -> None:
    groups = group_norm(channels).num_groups
    assert channels % groups == 0 and groups <= 8
    assert groups == 1 or channels // groups >= 4
    if channels % 32 == 0:
        assert groups == 8


def test_one_channel_cannot_be_normalized() -> None:
    with pytest.raises(ValueError, match=r"at least 2 channels.*: 1"):
        UNet(widths=(1, 2))


def test_time_plane_adds_one_channel_from_minus_one_to_one() -> None:
    seen = []
    network = TimePlane(lambda x, t: seen.append((x, t)) or x[:, :2], T=200)  # type: ignore[arg-type]
    x_t, t = batch(3, 2, 4, 6, T=200)
    assert torch.equal(network(x_t, t), x_t)
    x, passed = seen[0]
    assert torch.equal(x[:, :2], x_t) and torch.equal(passed, t)
    assert torch.allclose(
        x[:, 2], (t.double() / 100 - 1)[:, None, None].expand(3, 4, 6), atol=1e-15
    )


# Every network


@each_network
def test_output_is_zero_at_initialization(make, shape) -> None:
    network = make().double()
    x_t, t = batch(*shape, T=50)
    assert network(x_t, t).shape == shape
    assert torch.count_nonzero(network(x_t, t)) == 0


@each_network
def test_every_parameter_receives_a_gradient(make, shape) -> None:
    network = randomize(make())
    x_t, t = batch(*shape, T=50)
    F.mse_loss(network(x_t, t), torch.ones(shape, dtype=torch.float64)).backward()
    assert network(x_t, t).dtype == torch.float64
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, f"{name} is never used"
        size = parameter.grad.abs().max() / parameter.grad.numel()
        assert size > 1e-9, f"{name} is used, and does not matter: {size:.1e}"


@each_network
def test_examples_of_a_batch_do_not_touch(make, shape) -> None:
    network = randomize(make())
    x_t, t = batch(*shape, T=50)
    alone = torch.cat([network(x_t[i : i + 1], t[i : i + 1]) for i in range(len(t))])
    assert torch.allclose(network(x_t, t), alone, rtol=0, atol=1e-11)
    order = torch.arange(len(t)).roll(1)
    assert torch.allclose(network(x_t[order], t[order]), alone[order], rtol=0, atol=1e-11)


def trained(network: nn.Module, steps: int, shape: tuple[int, ...]) -> nn.Module:
    x_t, t = batch(*shape, T=50)
    optimizer = torch.optim.Adam(network.double().parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(network(x_t, t), x_t).backward()
        optimizer.step()
    return network


@each_network
def test_time_matters_once_trained(make, shape) -> None:
    """After one step the head is no longer zero, after two the blocks, and with them time."""
    torch.manual_seed(0)
    network = trained(make(), 2, shape)
    x_t = batch(*shape)[0]
    early, late = (network(x_t, torch.full(shape[:1], t)) for t in (2, 49))
    difference = (early - late).abs().max()
    if isinstance(network, UNet) and isinstance(network.bottom.blocks[0].condition, Ignore):
        assert difference == 0
    else:
        assert difference > 1e-6


# The residual UNet


def test_attention_is_softmax_written_out() -> None:
    attention = randomize(Attention(12))
    x = batch(2, 12, 3, 4)[0]
    h = attention.norm(x)
    q_w, k_w, v_w = attention.qkv.weight.reshape(3, 12, 12)
    out = torch.empty_like(x)
    for b in range(2):
        pixels = h[b].reshape(12, 12)  # C, HW
        q, k, v = q_w @ pixels, k_w @ pixels, v_w @ pixels
        weights = torch.zeros(12, 12, dtype=torch.float64)  # of query, key
        for i in range(12):
            score = torch.stack([q[:, i] @ k[:, j] / 12**0.5 for j in range(12)])
            weights[i] = score.exp() / score.exp().sum()
        mixed = v @ weights.T
        out[b] = (attention.out.weight @ mixed + attention.out.bias[:, None]).reshape(12, 3, 4)
    assert torch.allclose(attention(x), x + out, rtol=0, atol=1e-12)


def test_attention_knows_no_places() -> None:
    attention = randomize(Attention(8))
    x = batch(2, 8, 3, 4)[0]
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    move = lambda y: y.flatten(2)[:, :, order].reshape(y.shape)
    assert torch.allclose(attention(move(x)), move(attention(x)), rtol=0, atol=1e-12)


def test_levels_that_attend() -> None:
    def attending(**options) -> list[bool]:
        network = UNet(widths=(8, 8, 8), **options)
        levels = [*network.down, network.bottom, *network.up]
        return [any(isinstance(a, Attention) for a in level.attention) for level in levels]

    assert attending() == [False, False, True, False, False]
    assert attending(attention=()) == [False] * 5
    assert attending(attention=(1,)) == [False, True, False, True, False]
    assert attending(attention=(0, -1)) == [True, False, True, False, True]
    with pytest.raises(ValueError, match="levels of widths"):
        attending(attention=(3,))


def test_blocks_begin_as_their_shortcut() -> None:
    x, emb = batch(2, 8, 4, 4)[0], batch(2, 6)[0]
    block = ResidualBlock(8, 8, 6, ScaleShift).double()
    assert torch.equal(block(x, emb), x)
    block = ResidualBlock(8, 12, 6, ScaleShift).double()
    assert torch.equal(block(x, emb), block.shortcut(x))


def test_unet_moves_with_the_picture() -> None:
    """With circular padding, a move by a multiple of the coarsest pixel moves the output."""
    network = randomize(UNet(2, (8, 12, 16), blocks=1, attention=(1, 2)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "circular"
    x_t, t = batch(2, 2, 16, 8)
    out = network(x_t, t)
    moved = network(x_t.roll((4, -4), (2, 3)), t)
    assert torch.allclose(moved, out.roll((4, -4), (2, 3)), rtol=0, atol=1e-11)
    assert not torch.allclose(network(x_t.roll(1, 2), t), out.roll(1, 2), rtol=0, atol=1e-3)


def test_unet_sees_the_mean_color_and_the_scale() -> None:
    """InstanceNorm, in the stem or on a shortcut, would remove both."""
    network = randomize(UNet(3, (8, 12)))
    x_t, t = batch(2, 3, 8, 8)
    out = network(x_t, t)
    color = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)[:, None, None]
    assert (network(x_t + color, t) - out).mean((2, 3)).abs().max() > 1e-2
    assert (network(1.5 * x_t, t) - out).abs().max() > 1e-2


def test_the_branch_of_a_block_sees_color_too() -> None:
    """Not only its shortcut: a group holds several channels, and their differences survive."""
    block = randomize(ResidualBlock(8, 8, 6, ScaleShift))
    x, emb = batch(2, 8, 4, 4)[0], batch(2, 6)[0]
    color = torch.linspace(-1, 1, 8, dtype=torch.float64)[:, None, None]
    branch = lambda x: block(x, emb) - block.shortcut(x)
    assert (branch(x + color) - branch(x)).abs().max() > 1e-2


def test_skips_carry_each_level_across() -> None:
    """With the bottom cut off, the output still depends on the input, through the skips alone."""
    for network in (UNet(widths=(8, 8, 8), attention=()), TinyUNet(1, 4)):
        randomize(network)
        network.bottom.forward = lambda x, *_: torch.zeros_like(x)  # type: ignore[method-assign]
        x_t, t = batch(1, 1, 8, 8)
        outs = [network(x, t) for x in (x_t, -x_t)]
        assert (outs[0] - outs[1]).abs().max() > 1e-3


def test_unet_compiles_to_one_graph() -> None:
    network = randomize(UNet(**SMALL))
    x_t, t = batch(2, 1, 8, 8)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(x_t, t), network(x_t, t), rtol=0, atol=1e-12)


# What is refused


@examples
@given(shape=st.lists(st.integers(0, 9), min_size=0, max_size=5), levels=st.integers(1, 3))
def test_unet_takes_what_fits_and_names_the_sizes_of_the_rest(shape: list, levels: int) -> None:
    network = UNet(2, (8,) * levels, attention=(), blocks=1)
    m = 2 ** (levels - 1)
    x_t, t = torch.zeros(shape), torch.ones(shape[:1], dtype=torch.int64)
    fits = len(shape) == 4 and shape[1] == 2 and shape[2] % m == shape[3] % m == 0 and all(shape)
    if fits:
        assert network(x_t, t).shape == x_t.shape
    else:
        with pytest.raises(ValueError) as error:
            network(x_t, t)
        assert str(tuple(shape)) in str(error.value)
        assert "(B, 2, H, W)" in str(error.value) and f"multiples of {m}" in str(error.value)


@pytest.mark.parametrize("make, shape", [(tiny, (4, 1, 16, 16)), (MLP, (64, 2))])
def test_the_signal_keeps_its_size_where_no_norm_does_it(make, shape) -> None:
    """Weights too small or too large would let it vanish or explode."""
    torch.manual_seed(0)
    network, sizes = make(), []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.register_forward_hook(lambda module, x, out: sizes.append(out.std().item()))
    network(torch.randn(shape), torch.full(shape[:1], 500))
    *sizes, head = sizes
    assert head == 0 and min(sizes) > 0.5 and max(sizes) < 3


@pytest.mark.parametrize("size", [(6, 8), (8, 6), (28, 30), (0, 4)])
def test_tiny_needs_multiples_of_four(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"multiples of 4, got \(2, 2, {size[0]}, {size[1]}\)"):
        tiny()(torch.zeros(2, 1, *size), torch.ones(2, dtype=torch.int64))


@each_network
def test_times_are_whole_numbers_one_for_each_example(make, shape) -> None:
    network = make().double()
    x_t, t = batch(*shape, T=50)
    wrong = [t / 50, t[:1], t[:, None], torch.tensor(3), torch.cat([t, t])]
    for bad in wrong:
        with pytest.raises(ValueError, match=rf"the {len(t)} examples.*got {bad.dtype}"):
            network(x_t, bad)


@each_network
def test_pictures_are_floats(make, shape) -> None:
    x_t, t = batch(*shape, T=50)
    for dtype in (torch.uint8, torch.int64, torch.bool):
        with pytest.raises(TypeError, match=f"floats.*got {dtype}"):
            make()(x_t.to(dtype), t)


@pytest.mark.parametrize("shape", [(3,), (0, 2), (4, 3), (4, 2, 1)])
def test_mlp_takes_points(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(B, 2\).*got \(" + str(shape[0])):
        MLP(2, 8)(torch.zeros(shape), torch.ones(shape[:1], dtype=torch.int64))


@pytest.mark.parametrize("options", [{"widths": ()}, {"blocks": 0}])
def test_unet_has_a_level_and_a_block(options: dict) -> None:
    with pytest.raises(ValueError, match="at least one level and one block"):
        UNet(**options)
