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
            `forward` somebody has replaced. Weights may change later, but not behind autograd's
            back (`weight.data.add_(...)`): such a change of a laid-out weight is not seen.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers: list[nn.Linear] = [part for part in model.modules() if _can_be_taken(part)]
        weights = [layer.weight for layer in self._layers]
        size = sum(weight.numel() * weight.element_size() for weight in weights)
        self._lays_out = size <= LAID_OUT_BYTES
        self._laid_out: dict[int, tuple[tuple[int, ...], Tensor]] = {}

    @contextmanager
    def taken_over(self) -> Iterator[None]:
        """Lets oneDNN do the products, and leaves the layers as they were afterwards."""
        layers = [layer for layer in self._layers if _can_be_taken(layer)]
        product = torch.ops.mkldnn._linear_pointwise
        try:
            for at, layer in enumerate(layers):
                own = partial(_apply, product, self._weight(at, layer), layer.bias)
                layer.__dict__["forward"] = own
            yield
        finally:
            for layer in layers:
                layer.__dict__.pop("forward", None)

    def _weight(self, at: int, layer: nn.Linear) -> Tensor:
        """A layer's weight, laid out anew where it is another than before."""
        weight = layer.weight
        if not self._lays_out:
            return weight
        state = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        if at not in self._laid_out or self._laid_out[at][0] != state:
            self._laid_out[at] = state, torch.ops.mkldnn._reorder_linear_weight(weight.detach())
        return self._laid_out[at][1]


def _can_be_taken(part: nn.Module) -> TypeGuard[nn.Linear]:
    return (
        type(part) is nn.Linear
        and "forward" not in part.__dict__
        and part.weight.device.type == "cpu"
        and part.weight.dtype in _DTYPES
        and torch.backends.mkldnn.is_available()
        and (part.weight.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def _apply(product: Any, weight: Tensor, bias: Tensor | None, states: Tensor) -> Tensor:
    return product(states, weight, bias, "none", [], "")
