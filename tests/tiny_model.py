"""A tiny random chat model as a folder, as a user would have one."""

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.templates import kind


def save_tiny_model(folder: Path, *, template: str = "chatml", **changes: Any) -> Path:
    """Saves a Llama of two layers with wide random weights, and a tokenizer with its template."""
    tokenizer = kind(template).tokenizer
    torch.manual_seed(0)
    config = LlamaConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "initializer_range": 0.3,
            **changes,
        }
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
