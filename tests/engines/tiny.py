"""Tiny random models of many architectures, and the oracle that every engine is held to.

The weights are drawn wide enough that tokens differ by several nats: with a model's own
initialisation all logits are nearly equal, and a wrong attention would hardly show.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from flr.engines.base import LogLikelihood, Request

VOCABULARY = 64
CONTEXT = 256
"""Longest row of every tiny model, tokens."""

LONG = 48
"""Length from which rotary frequencies change, where they do, tokens."""

WINDOW = 24
"""Sliding window of the models that have one, tokens."""

_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}
_EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "norm_topk_prob": True,
}
_MIXED = ["sliding_attention", "full_attention"]
_RECURRENT: dict[str, Any] = {"state_size": 4, "conv_kernel": 3, "expand": 2, "time_step_rank": 4}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-dynamic": (
        "llama",
        {
            "max_position_embeddings": LONG,
            "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0},
        },
    ),
    "qwen2": ("qwen2", {"sliding_window": WINDOW}),  # use_sliding_window is off
    "qwen3": ("qwen3", {}),
    "qwen3-moe": ("qwen3_moe", _EXPERTS),
    "mistral": ("mistral", {"sliding_window": WINDOW}),
    "mixtral": ("mixtral", {**_EXPERTS, "sliding_window": None}),
    "gemma2": (
        "gemma2",
        {"sliding_window": WINDOW, "query_pre_attn_scalar": 8, "layer_types": _MIXED},
    ),
    "gemma3": (
        "gemma3_text",
        {"sliding_window": WINDOW, "query_pre_attn_scalar": 8, "layer_types": _MIXED},
    ),
    "phi3": ("phi3", {}),
    "phi3-longrope": (
        "phi3",
        {
            "original_max_position_embeddings": LONG,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "short_factor": [1.0, 1.1, 1.2, 1.3],
                "long_factor": [2.0, 3.0, 4.0, 5.0],
                "original_max_position_embeddings": LONG,
            },
        },
    ),
    "gpt2": ("gpt2", {"n_positions": CONTEXT, "n_embd": 32, "n_layer": 2, "n_head": 4}),
    "gpt2-scaled": (
        "gpt2",
        {
            "n_positions": CONTEXT,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "scale_attn_by_inverse_layer_idx": True,
        },
    ),
    "gpt-neox": ("gpt_neox", {}),
    "olmo2": ("olmo2", {}),
    "smollm3": ("smollm3", {}),
    "granite": (
        "granite",
        {"logits_scaling": 0.5, "attention_multiplier": 0.2, "residual_multiplier": 0.7},
    ),
    "cohere": ("cohere", {"logit_scale": 0.8}),
    "gemma2-wide": (
        "gemma2",
        {"sliding_window": CONTEXT, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0},
    ),
    "gemma3-wide": ("gemma3_text", {"sliding_window": CONTEXT, "query_pre_attn_scalar": 8}),
    "opt": ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "deepseek-v3": (
        "deepseek_v3",
        {
            **_EXPERTS,
            "n_routed_experts": 4,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "kv_lora_rank": 16,
            "q_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 12,
            "num_key_value_heads": 4,
        },
    ),
    "llama4": (
        "llama4_text",
        {
            **_EXPERTS,
            "attention_chunk_size": WINDOW,
            "intermediate_size_mlp": 32,
            "layer_types": ["chunked_attention", "full_attention"],
        },
    ),
    "modernbert-decoder": ("modernbert-decoder", {"local_attention": 2 * WINDOW}),
    "gpt-oss": ("gpt_oss", {**_EXPERTS, "sliding_window": WINDOW, "layer_types": _MIXED}),
    "bloom": ("bloom", {"n_head": 4, "n_layer": 2}),
    "falcon-alibi": ("falcon", {"alibi": True, "new_decoder_architecture": False}),
    "mamba": ("mamba", _RECURRENT),
    "lfm2": (
        "lfm2",
        {
            "layer_types": ["conv", "full_attention"],
            "conv_L_cache": 3,
            "block_auto_adjust_ff_dim": False,
        },
    ),
    "jamba": (
        "jamba",
        {
            "num_experts": 1,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "mamba_d_state": 4,
            "mamba_d_conv": 3,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),
}


def config(name: str, **changes: Any) -> PretrainedConfig:
    """The configuration of one of `CONFIGS`."""
    kind, own = CONFIGS[name]
    sizes = {**_SIZES, **own, **changes}
    if kind == "falcon":
        del sizes["head_dim"]  # a property there
    return AutoConfig.for_model(kind, **sizes)


def build(name: str, *, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A model of one of `CONFIGS` with wide random weights, fp32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config(name, **changes)).eval()
        _scatter(model)
    return model


def _scatter(model: PreTrainedModel) -> None:
    """Draws weights so that a layer changes its input by about as much as it is large."""
    embeddings: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()
    gains = {id(embeddings.weight): 32**0.5, id(head.weight): 3.0}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "A_log" in name or "dt_" in name or name.endswith(".D"):
                continue  # the time constants of a recurrence have bounds of their own
            noise = torch.randn(weight.shape)
            if weight.dim() >= 2:
                gain = gains.get(id(weight), 1.2)
                weight.copy_(noise * gain * weight[0].numel() ** -0.5)
            else:
                weight.add_(noise * 0.2)


def oracle(model: PreTrainedModel, requests: Sequence[Request]) -> list[list[float]]:
    """Log-likelihood of every token asked for: plain full forwards, eager attention, in fp32.

    One request at a time, log-softmax in float64, nats.
    """
    plain = as_oracle(model)
    return [_scores(raw_logits(plain, request.tokens), request) for request in requests]


def as_oracle(model: PreTrainedModel) -> PreTrainedModel:
    """A copy that answers slowly and surely: fp32, eager attention."""
    plain = copy.deepcopy(model).float()
    plain.set_attn_implementation("eager")
    return plain


def _scores(logits: torch.Tensor, request: Request) -> list[float]:
    scores = torch.log_softmax(logits, -1)
    return [float(scores[at - 1, request.tokens[at]]) for at in range(request.start, request.stop)]


def raw_logits(model: PreTrainedModel, tokens: Sequence[int]) -> torch.Tensor:
    """Logits of one row from one forward pass, float64 [token, vocabulary]."""
    if any("dynamic" in str(getattr(part, "rope_type", "")) for part in model.modules()):
        model = copy.deepcopy(model)  # they remember the longest row that they saw
    with torch.no_grad():
        ids = torch.tensor([tokens], device=model.device)
        return model(input_ids=ids, use_cache=False).logits[0].double().cpu()


def forks(vocabulary: int = VOCABULARY, *, stems: Sequence[int] = (1, 20, 70)) -> list[Request]:
    """Stems with two responses each, and four continuations of growing length behind each response.

    The response's own likelihood is asked for as well, as in a real run.
    """
    random = np.random.default_rng(0)

    def draw(length: int) -> tuple[int, ...]:
        return tuple(random.integers(3, vocabulary, length).tolist())

    requests = []
    for length in stems:
        stem = draw(length)
        for response in (stem + draw(8), stem + draw(3)):
            rows = [response + draw(1 + more) for more in range(4)]
            requests += [Request(row, len(response), len(row)) for row in rows]
            requests.append(Request(response, length, len(response)))
    return requests


def differences(answers: Sequence[LogLikelihood], expected: Sequence[Sequence[float]]) -> Any:
    """Absolute difference of every token, nats; one answer a request, one number a token."""
    pairs = zip(answers, expected, strict=True)
    return np.array(
        [
            abs(ours - theirs)
            for answer, tokens in pairs
            for ours, theirs in zip(answer.per_token, tokens, strict=True)
        ]
    )
