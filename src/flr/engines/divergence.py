"""How far one model's predictions are from another's, at contexts that are given.

    KL(p || q) after a context c = sum_v p(v | c) (log p(v | c) - log q(v | c))            nats

The sum goes over the whole vocabulary: the divergence itself, not an estimate of it from the tokens
that were drawn. Log-softmax in fp32; logits are held a chunk of contexts at a time. Rows go through
both models one at a time, so what stands beside a row changes no bit.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from flr.engines.head import Head
from flr.engines.hf import HEAD_ELEMENTS
from flr.engines.sharing import reset_rope
from flr.errors import ModelError


def kl(
    logits: Float[Tensor, "context vocabulary"], others: Float[Tensor, "context vocabulary"]
) -> Float[Tensor, " context"]:
    """KL(p || q) of each row, nats.

    Args:
        logits: of p, fp32.
        others: of q.

    Example:
        >>> kl(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0986123]]))  # 1/2, 1/2; 1/4, 3/4
        tensor([0.1438])
    """
    p, q = logits.log_softmax(-1), others.log_softmax(-1)
    terms = torch.where(p.isneginf(), 0.0, p.exp() * (p - q))  # what p never gives counts 0
    return terms.sum(-1).clamp_min(0.0)  # no divergence is negative; a sum of roundings may be


@final
class Divergence:
    """Two causal language models over one vocabulary.

    Args:
        model: p, in whose contexts the two are compared; on its device, in evaluation mode.
        reference: q, likewise.
        elements: most logits of one model held at once; None for the device's default.

    Raises:
        ModelError: their vocabularies are not of one size.
    """

    def __init__(
        self, model: PreTrainedModel, reference: PreTrainedModel, elements: int | None = None
    ) -> None:
        sizes = [one.config.get_text_config().vocab_size for one in (model, reference)]
        if sizes[0] != sizes[1]:
            raise ModelError(
                f"the models have vocabularies of {sizes[0]} and {sizes[1]} tokens; a divergence "
                "needs one vocabulary"
            )
        kind = "cuda" if model.device.type == "cuda" else "cpu"
        most = elements or HEAD_ELEMENTS[kind] // 4  # two models, and what is made of both
        self._model, self._reference = Head(model, most), Head(reference, most)

    @torch.inference_mode()
    def after(self, tokens: Sequence[int], start: int, stop: int) -> list[float]:
        """The divergence after each beginning of a row, `tokens[:i]` for i from start to stop - 1.

        Args:
            tokens: a row.
            start: length of the shortest context, at least 1.
            stop: length of the longest context and 1.

        Returns:
            `stop - start` numbers, nats, 0 or more.

        Raises:
            ModelError: a number that is not finite.
        """
        assert 1 <= start <= stop <= len(tokens) + 1, "contexts are beginnings of the row"
        if start == stop:
            return []
        row = torch.tensor([tokens[: stop - 1]])
        nodes = np.arange(start - 1, stop - 1)
        for head in (self._model, self._reference):
            reset_rope(head.model)
        both = zip(self._model.logits(row, nodes), self._reference.logits(row, nodes), strict=True)
        found = [kl(logits, others.to(logits.device)) for logits, others in both]
        values = torch.cat(found).tolist()
        if not np.isfinite(values).all():
            raise ModelError(
                f"the models' predictions are no finite numbers in {self._model.model.dtype}; "
                "try another --dtype (bf16 or fp32)"
            )
        return values
