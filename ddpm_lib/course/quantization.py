"""The weights of a network in a quarter of their bytes, for a page that carries them."""

import torch
from torch import Tensor, nn

LEVELS = 127  # of an int8, on either side of zero

Packed = dict[str, dict[str, Tensor]]


def quantize(network: nn.Module) -> Packed:
    """Matrices and kernels as integers with one scale for each output; float32 for what is short.

    All as bytes, (..., 4 n) uint8 for n floats, since that is what a page takes.
    """
    packed: Packed = {}
    for name, parameter in network.named_parameters():
        values = parameter.detach().float().cpu().contiguous()
        if values.ndim < 2:  # biases and norms: few, and added to everything
            packed[name] = {"values": values.view(torch.uint8)}
            continue
        rows = values.flatten(1)
        scale = (rows.abs().amax(1) / LEVELS).clamp(min=torch.finfo(rows.dtype).tiny)
        whole = (rows / scale[:, None]).round().to(torch.int8)
        packed[name] = {
            "values": whole.view(torch.uint8).reshape(values.shape),
            "scale": scale.view(torch.uint8),
        }
    return packed


def dequantize(packed: Packed) -> dict[str, Tensor]:
    """The weights that are left, in float32: what the page computes with, for load_state_dict."""
    return {name: _floats(**entry) for name, entry in packed.items()}


def _floats(values: Tensor, scale: Tensor | None = None) -> Tensor:
    if scale is None:
        return values.view(torch.float32)
    factor = scale.view(torch.float32).reshape(-1, *[1] * (values.ndim - 1))
    return values.view(torch.int8) * factor
