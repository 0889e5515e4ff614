"""How near to the machine's limit a model runs: its multiplications over those of plain products.

    flops = 2 * (body * tokens run + head * positions read)

`body` are the weights that every token meets, `head` those of the projection to the vocabulary,
which only positions with a scored token meet. Attention, whose cost grows with the context, is not
counted, nor is anything that is no product of matrices: so the share says what part of the time the
weights alone would need.
"""

import time
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from flr.engines.linear import Linears

SIZES = {"cpu": ((1024, 576, 1536), (2048, 2048, 2048)), "cuda": ((8192, 8192, 8192),)}
"""Rows, inner and outer width of the products that are timed, by kind of device."""

TIMES = 8
"""How often each is timed."""

_PACKED = (torch.int8, torch.uint8, torch.int32)

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """The best rate of some products, FLOP/s, measured now: no model can be faster."""
    return max(_rate(size, dtype, device) for size in SIZES.get(device.type, SIZES["cpu"]))


@torch.inference_mode()
def _rate(size: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> float:
    """The rate of the fastest of some equal products, FLOP/s."""
    rows, inner, outer = size
    states = torch.randn(rows, inner, device=device, dtype=dtype)
    layer = nn.Linear(inner, outer, bias=False, device=device, dtype=dtype)
    with Linears(layer).taken_over():  # as the engine multiplies
        seconds = min(_seconds(layer, states) for _ in range(TIMES))
    return 2 * rows * inner * outer / seconds


def _seconds(layer: nn.Module, states: Tensor) -> float:
    begun = time.perf_counter()
    if layer(states).is_cuda:
        torch.cuda.synchronize(states.device)
    return time.perf_counter() - begun


def flops(model: PreTrainedModel, tokens: int, positions: int) -> float | None:
    """Floating-point operations of a model's weights on some tokens.

    Args:
        model: any causal language model.
        tokens: how many went through it.
        positions: how many of them met the vocabulary.

    Returns:
        None where they cannot be counted: for a model of experts, of which a token meets a few
        only; for one that sees or hears, too; and for packed weights.
    """
    config: Any = model.config.get_text_config()
    head = model.get_output_embeddings()
    of_parts = config is not model.config or any(getattr(config, name, None) for name in _EXPERTS)
    if of_parts or head is None or any(_is_packed(part) for part in model.modules()):
        return None
    body = sum(
        weight.numel()
        for part in model.modules()
        if part is not head and not isinstance(part, nn.Embedding)
        for weight in part.parameters(recurse=False)
        if weight.dim() > 1
    )
    weight: Any = head.weight
    return 2.0 * (body * tokens + weight.numel() * positions)


def _is_packed(part: nn.Module) -> bool:
    """Whether a part holds a matrix of small integers, as its weight or beside it."""
    held = (*part.parameters(recurse=False), *part.buffers(recurse=False))
    return any(one.dim() > 1 and one.dtype in _PACKED for one in held)
