"""Writes a model of the Llama architecture as a GGUF file without a tokenizer, for llama.cpp.

The weights are the ones that transformers holds, in the same dtype; norms are fp32, as llama.cpp's
own converter leaves them. Its rotary embedding pairs neighbouring rows of the query and key
projections where transformers pairs halves, so the rows of each head change places.
"""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import PreTrainedModel

NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def _name(name: str) -> str:
    """The name of a tensor in the file."""
    _, number, rest = name.removeprefix("model.").split(".", 2)
    return f"blk.{number}.{NAMES[rest.removesuffix('.weight')]}.weight"


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """The rows of each head, those of its two halves in turns."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _add(writer: gguf.GGUFWriter, name: str, weight: torch.Tensor) -> None:
    if weight.dtype == torch.bfloat16 and weight.dim() > 1:
        raw = weight.contiguous().view(torch.uint8).numpy()
        writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
    else:
        writer.add_tensor(name, weight.float().numpy().astype(np.float32))


def write(model: PreTrainedModel, path: Path) -> None:
    """Writes a model in the dtype of its weights, fp32 or bf16."""
    config: Any = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("no_vocab")
    kinds = {torch.float32: "ALL_F32", torch.bfloat16: "MOSTLY_BF16"}
    writer.add_file_type(gguf.LlamaFileType[kinds[model.dtype]])
    weights = model.state_dict()
    _add(writer, "token_embd.weight", weights["model.embed_tokens.weight"])
    _add(writer, "output_norm.weight", weights["model.norm.weight"])
    if not config.tie_word_embeddings:
        _add(writer, "output.weight", weights["lm_head.weight"])
    for name, weight in weights.items():
        if not name.startswith("model.layers."):
            continue
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        kind = name.split(".")[-2]
        _add(writer, _name(name), _interleaved(weight, heads[kind]) if kind in heads else weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
