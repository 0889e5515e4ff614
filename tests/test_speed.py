"""How much multiplying a model needs: counted by hand on tiny models."""

from typing import Any

import pytest
import torch

from flr import speed
from tests.engines.tiny import build


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_counted_where_a_token_meets_them(tied: bool):
    model: Any = build("llama", tie_word_embeddings=tied)
    config = model.config
    width, inner = config.hidden_size, config.intermediate_size
    keys = config.num_key_value_heads * config.head_dim
    queries = config.num_attention_heads * config.head_dim
    layer = 2 * width * queries + 2 * width * keys + 3 * width * inner
    body, head = config.num_hidden_layers * layer, config.vocab_size * width
    assert speed.flops(model, 1, 0) == 2 * body
    assert speed.flops(model, 0, 1) == 2 * head
    assert speed.flops(model, 7, 3) == 2 * (7 * body + 3 * head)


def test_of_experts_nothing_is_known():
    model: Any = build("llama")
    model.config.num_local_experts = 4
    assert speed.flops(model, 1, 1) is None


def test_of_packed_weights_nothing_is_known():
    """int8 in the weight's place, as bitsandbytes has it; int32 in a buffer, as GPTQ has it."""
    model: Any = build("llama")
    layer = model.model.layers[0].mlp.up_proj
    layer.register_buffer("qweight", torch.zeros(4, 8, dtype=torch.int32))
    assert speed.flops(model, 1, 1) is None
    del layer.qweight
    assert speed.flops(model, 1, 1)
    layer.weight = torch.nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    assert speed.flops(model, 1, 1) is None


def test_the_rate_is_a_finite_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed, "SIZES", {"cpu": ((8, 4, 2),)})
    assert 0 < speed.matrix_rate(torch.float32, torch.device("cpu")) < 1e15
