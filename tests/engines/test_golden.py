"""Numbers that can be computed by hand: weights set by us, the answer derived here in numpy."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from flr.engines.base import LogitRequest, Request
from flr.engines.hf import HFEngine

WIDTH = 4


def llama(vocabulary: int) -> Any:
    """One layer, one head of width 4, without its multi-layer perceptron."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=WIDTH,
        max_position_embeddings=64,
        rms_norm_eps=1e-12,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        tie_word_embeddings=False,
    )
    model: Any = LlamaForCausalLM(config)
    model.model.layers[0].mlp.down_proj.weight.data.zero_()
    return model


def put(module: Any, values: np.ndarray) -> None:
    module.weight.data.copy_(torch.from_numpy(values))


@pytest.mark.parametrize("share", [True, False])
def test_a_bigram_model(share):
    """Without attention a token's state is its one-hot embedding, normed to length 2."""
    follows = np.array([[4, 2, 1, 1], [1, 1, 4, 2], [2, 2, 2, 2], [1, 5, 1, 1]]) / 8
    model = llama(4)
    model.model.layers[0].self_attn.o_proj.weight.data.zero_()
    put(model.model.embed_tokens, np.eye(4))
    put(model.lm_head, np.log(follows).T / 2)
    engine = HFEngine(model, share=share)
    requests = [Request((0, 1, 2, 3, 1), 1, 5), Request((0, 1, 0), 2, 3), Request((3, 1), 1, 2)]
    answers = engine.loglikelihoods(requests)
    chances = [(2 / 8, 4 / 8, 2 / 8, 5 / 8), (1 / 8,), (5 / 8,)]
    for answer, each in zip(answers, chances, strict=True):
        assert answer.per_token == pytest.approx(np.log(each), abs=1e-6)
    assert answers[0].total == pytest.approx(np.log(2 * 4 * 2 * 5 / 8**4), abs=1e-6)
    (logit,) = engine.mean_logits([LogitRequest((2, 0), (0, 1))])
    assert logit == pytest.approx(np.log(1 / 2) / 2 + np.log(1 / 4) / 2, abs=1e-6)


def norm(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True))


def rotated(x: np.ndarray) -> np.ndarray:
    """Row t turned by t in the plane (0, 2) and by t / 10 in the plane (1, 3)."""
    angle = np.arange(len(x))[:, None] * np.array([1.0, 100.0**-0.5])
    first, second = x[:, :2], x[:, 2:]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], 1)


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("budget", [2, 64])
def test_one_layer_of_attention(share, budget):
    random = np.random.default_rng(7)
    embed, head = random.normal(size=(2, 6, WIDTH))
    w_q, w_k, w_v, w_o = random.normal(size=(4, WIDTH, WIDTH))
    model = llama(6)
    layer = model.model.layers[0].self_attn
    put(model.model.embed_tokens, embed)
    put(model.lm_head, head)
    for name, weight in {"q": w_q, "k": w_k, "v": w_v, "o": w_o}.items():
        put(getattr(layer, f"{name}_proj"), weight)

    def loglikelihood(tokens: tuple[int, ...], at: int) -> float:
        x = embed[list(tokens[:at])]
        q, k, v = rotated(norm(x) @ w_q.T), rotated(norm(x) @ w_k.T), norm(x) @ w_v.T
        weights = np.exp(q[-1] @ k.T / np.sqrt(WIDTH))
        state = norm(x[-1] + weights / weights.sum() @ v @ w_o.T)
        logits = head @ state
        return float(logits[tokens[at]] - np.log(np.exp(logits).sum()))

    rows = [(1, 2, 3, 4, 5, 0), (1, 2, 3, 5, 5), (1, 2, 3, 5), (0, 0, 0, 1)]
    requests = [Request(row, 1, len(row)) for row in rows]
    answers = HFEngine(model, share=share, batch_tokens=budget).loglikelihoods(requests)
    for row, answer in zip(rows, answers, strict=True):
        expected = [loglikelihood(row, at) for at in range(1, len(row))]
        assert answer.per_token == pytest.approx(expected, abs=1e-5)
