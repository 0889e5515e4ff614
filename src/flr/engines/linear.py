"""A model's linear layers on a CPU, by oneDNN with weights laid out for it once.

`nn.functional.linear` gives fp32 products to another library, and lays out the weights of every
bf16 product anew. The kernels are the same in bf16, to the bit; in fp32 the order of sums differs.
Weights that are laid out are a second copy: large models keep theirs as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeGuard, final

import torch
from torch import Tensor, nn

LAID_OUT_BYTES = 2**30
"""Most bytes of weights of which a second copy is made."""

_DTYPES = (torch.bfloat16, torch.float32)


@final
class Linears:
    """The linear layers of a model that oneDNN can take over.

    Args:
        model: in evaluation mode; only plain `nn.Linear` on a CPU is taken, and nothing whose
            `forward` somebody has replaced. Its weights may change later.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers: list[nn.Linear] = [part for part in model.modules() if _can_be_taken(part)]
        weights = [layer.weight for layer in self._layers]
        size = sum(weight.numel() * weight.element_size() for weight in weights)
        self._lays_out = size <= LAID_OUT_BYTES
        self._laid_out: dict[nn.Linear, tuple[Any, Tensor]] = {}

    @contextmanager
    def taken_over(self) -> Iterator[None]:
        """Lets oneDNN do the products, and leaves the layers as they were afterwards."""
        layers = [layer for layer in self._layers if _can_be_taken(layer)]
        try:
            for layer in layers:
                layer.__dict__["forward"] = partial(_product, self._weight(layer), layer.bias)
            yield
        finally:
            for layer in layers:
                layer.__dict__.pop("forward", None)

    def _weight(self, layer: nn.Linear) -> Tensor:
        """A layer's weight, laid out anew where it is another than before."""
        weight = layer.weight
        if not self._lays_out:
            return weight
        state = _state(weight)
        if layer not in self._laid_out or self._laid_out[layer][0] != state:
            laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.detach())
            self._laid_out[layer] = state, laid_out
        return self._laid_out[layer][1]


def _can_be_taken(part: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether this is a layer whose product oneDNN can do in its place."""
    return (
        type(part) is nn.Linear
        and "forward" not in part.__dict__
        and type(part.weight) is nn.Parameter  # no packed one, and none that a hook computes
        and part.weight.numel() > 0
        and part.weight.device.type == "cpu"
        and part.weight.dtype in _DTYPES
        and torch.backends.mkldnn.is_available()
        and (part.weight.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def _state(weight: Tensor) -> tuple[int, list[float]]:
    """What tells a weight from what it was: autograd's count of changes, and some elements.

    The count does not see changes through `weight.data`, as in merging an adapter; elements do.
    """
    rows, columns = (max(1, size // 8) for size in weight.shape)
    version = 0 if weight.is_inference() else weight._version
    return version, weight.detach()[::rows, ::columns].flatten().tolist()


def _product(weight: Tensor, bias: Tensor | None, states: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
