"""What a page carries of a network: a quarter of its bytes, and nearly the same outputs."""

import pytest
import torch
from torch import nn

from ddpm_lib import recipes
from ddpm_lib.course.quantization import dequantize, quantize
from ddpm_lib.course.recipes import SMALL_DIGITS


@pytest.fixture(scope="module")
def network():
    network = recipes.build(SMALL_DIGITS).network
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():  # some begin at zero
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network.requires_grad_(False)


def test_no_weight_moves_by_more_than_half_a_level(network):
    weights = dequantize(quantize(network))
    assert weights.keys() == dict(network.named_parameters()).keys()
    for name, parameter in network.named_parameters():
        assert weights[name].shape == parameter.shape and weights[name].dtype == torch.float32
        if parameter.ndim < 2:
            assert torch.equal(weights[name], parameter)
            continue
        off, largest = (x.flatten(1).abs().amax(1) for x in (weights[name] - parameter, parameter))
        assert (off <= largest / 127 / 2 * 1.0001).all()
        assert off.max() > 0


def test_a_row_has_a_scale_of_its_own():
    layer = nn.Linear(2, 3)
    layer.weight.data = torch.tensor([[127.0, 1.0], [1e-4, -5e-5], [0.0, 0.0]])
    weight = dequantize(quantize(layer))["weight"]
    torch.testing.assert_close(weight[0], torch.tensor([127.0, 1.0]))
    torch.testing.assert_close(weight[1], torch.tensor([1e-4, -64 / 127 * 1e-4]))
    assert torch.equal(weight[2], torch.zeros(2))


def test_twice_is_once(network):
    weights = dequantize(quantize(network))
    network.load_state_dict(weights)
    for name, again in dequantize(quantize(network)).items():
        torch.testing.assert_close(again, weights[name], rtol=1e-6, atol=0)


def test_all_is_bytes_and_a_quarter_of_them(network):
    parts = [part for entry in quantize(network).values() for part in entry.values()]
    assert {part.dtype for part in parts} == {torch.uint8}
    assert sum(part.numel() for part in parts) < 0.27 * 4 * sum(
        parameter.numel() for parameter in network.parameters()
    )
