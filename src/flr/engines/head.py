"""From hidden states to the few numbers that a request reads of the logits.

A vocabulary is large and most of a row is never scored, so the hidden states of a forward pass are
kept, and only those that predict a scored token meet the vocabulary: a chunk at a time, of each
chunk just the logits asked for and the log-sum-exp, in fp32. What a model does between its last
hidden state and its logits (scaling, soft-capping, a bias) stays the model's own: its forward is
called with the body replaced by one that returns the chunk.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel


@final
class Head:
    """A causal language model, cut in two: the body (tokens to hidden states) and the rest.

    Args:
        model: any causal language model whose `base_model` gives `last_hidden_state`.
        elements: most logits held at once.
    """

    def __init__(self, model: PreTrainedModel, elements: int) -> None:
        self.model = model
        self.body: nn.Module = model.base_model
        self.elements = elements
        self._output: Any = None

    def states(
        self, tokens: Int[Tensor, "row token"], **inputs: Tensor
    ) -> Float[Tensor, "row token width"]:
        """Hidden states of one forward pass of the body."""
        device = self.model.device
        inputs = {name: value.to(device) for name, value in inputs.items()}
        self._output = self.body(input_ids=tokens.to(device), use_cache=False, **inputs)
        return self._output.last_hidden_state

    def read(
        self,
        hidden: Float[Tensor, "node width"],
        node: Int[np.ndarray, " read"],
        ids: Int[np.ndarray, " read"],
    ) -> Float[np.ndarray, "2 read"]:
        """Logit of `ids[i]` at `node[i]`, and the log-sum-exp of all logits there.

        Returns:
            Two rows, fp32: logits, and log-sum-exps (nats).
        """
        unique, inverse = np.unique(node, return_inverse=True)
        result = np.empty((2, len(node)), np.float32)
        chunk = max(1, self.elements // self._vocabulary)
        order = np.argsort(inverse, kind="stable")
        bounds = np.searchsorted(inverse[order], np.arange(0, len(unique) + chunk, chunk))
        for first, begin, stop in zip(
            range(0, len(unique), chunk), bounds, bounds[1:], strict=False
        ):
            reads = order[begin:stop]
            states = hidden[torch.from_numpy(unique[first : first + chunk]).to(hidden.device)]
            logits = self._logits(states).float()
            here = torch.from_numpy(inverse[reads] - first).to(logits.device)
            wanted = logits[here, torch.from_numpy(ids[reads]).to(logits.device)]
            lse = logits.logsumexp(-1)[here]
            result[:, reads] = torch.stack([wanted, lse]).cpu().numpy()
        return result

    @property
    def _vocabulary(self) -> int:
        return self.model.config.get_text_config().vocab_size

    def _logits(self, states: Float[Tensor, "node width"]) -> Float[Tensor, "node vocabulary"]:
        """The model's own logits for these hidden states."""
        output = copy.copy(self._output)
        output.last_hidden_state = states[None]
        tokens = torch.zeros(1, len(states), dtype=torch.long, device=self.model.device)
        with _returning(self.body, output):
            return self.model(input_ids=tokens, use_cache=False).logits[0]


@contextmanager
def _returning(module: nn.Module, output: object) -> Iterator[None]:
    """Makes a module return `output`, whatever it is called with."""
    before = module.__dict__.get("forward")
    module.forward = lambda *_, **__: output
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before
