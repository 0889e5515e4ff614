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
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from flr.errors import ModelError


@final
class Head:
    """A causal language model, cut in two: the body (tokens to hidden states) and the rest.

    Args:
        model: any causal language model of transformers, in evaluation mode.
        elements: most logits held at once.

    Raises:
        ModelError: no part of the model gives hidden states.
    """

    def __init__(self, model: PreTrainedModel, elements: int) -> None:
        self.model = model
        self.body = _body(model)
        self.chunk = max(1, elements // model.config.get_text_config().vocab_size)

    def read(
        self,
        tokens: Int[Tensor, "row token"],
        node: Int[np.ndarray, " read"],
        ids: Int[np.ndarray, " read"],
        **inputs: Tensor,
    ) -> Float[np.ndarray, "2 read"]:
        """Runs the body once and reads a few numbers of the logits.

        Args:
            tokens: what is run.
            node: positions in `tokens`, counted through its rows one after the other.
            ids: vocabulary id that is read at each of them.
            inputs: what else the body takes, shaped as `tokens`.

        Returns:
            Two rows, fp32: the logit of `ids[i]` at `node[i]`, and the log-sum-exp of all logits
            there (nats).
        """
        unique, place = np.unique(node, return_inverse=True)
        order = np.argsort(place, kind="stable")
        result = np.empty((2, len(node)), np.float32)
        for at, logits in enumerate(self.logits(tokens, unique, **inputs)):
            first = at * self.chunk
            begin, stop = np.searchsorted(place[order], [first, first + self.chunk])
            reads = order[begin:stop]
            result[:, reads] = _pick(logits, place[reads] - first, ids[reads])
        return result

    def logits(
        self, tokens: Int[Tensor, "row token"], node: Int[np.ndarray, " read"], **inputs: Tensor
    ) -> Iterator[Float[Tensor, "part vocabulary"]]:
        """Runs the body once and gives all logits at some positions, a chunk of them at a time.

        Args:
            tokens: what is run.
            node: positions in `tokens`, counted through its rows one after the other.
            inputs: what else the body takes, shaped as `tokens`.

        Yields:
            The logits of the next `chunk` positions, fp32.
        """
        device = self.model.device
        inputs = {name: value.to(device) for name, value in inputs.items()}
        output = self.body(input_ids=tokens.to(device), use_cache=False, **inputs)
        hidden = output.last_hidden_state.flatten(0, 1)
        for first in range(0, len(node), self.chunk):
            chunk = torch.from_numpy(node[first : first + self.chunk])
            yield self._logits(output, hidden[chunk.to(hidden.device)])

    def _logits(
        self, output: ModelOutput, states: Float[Tensor, "node width"]
    ) -> Float[Tensor, "node vocabulary"]:
        """The model's own logits for some hidden states, its body's output otherwise unchanged."""
        output = copy.copy(output)
        output.last_hidden_state = states[None]
        tokens = torch.zeros(1, len(states), dtype=torch.long, device=self.model.device)
        with _returning(self.body, output):
            return self.model(input_ids=tokens, use_cache=False).logits[0].float()


@torch.inference_mode()
def _body(model: PreTrainedModel) -> nn.Module:
    """The outermost part of the model that gives hidden states, found by watching one token pass.

    By name it cannot be found: `base_model` is not the part that every model's forward calls.
    """
    found: list[nn.Module] = []

    def note(part: nn.Module, _: object, output: object) -> None:
        if hasattr(output, "last_hidden_state"):
            found.append(part)

    hooks = [part.register_forward_hook(note) for part in model.modules() if part is not model]
    try:
        model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise ModelError(
            f"{type(model).__name__}: no part of it gives hidden states (last_hidden_state); "
            "a causal language model of transformers was expected"
        )
    return found[-1]


def _pick(
    logits: Float[Tensor, "node vocabulary"],
    node: Int[np.ndarray, " read"],
    ids: Int[np.ndarray, " read"],
) -> Float[np.ndarray, "2 read"]:
    """The logits asked for, and the log-sum-exp beside each.

    One fused pass over the vocabulary gives log p = logit - log-sum-exp; `logsumexp` makes six.
    """
    here, there = (torch.from_numpy(index).to(logits.device) for index in (node, ids))
    asked = logits[here, there]
    return torch.stack([asked, asked - logits.log_softmax(-1)[here, there]]).cpu().numpy()


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
