"""A tiny random reward model as a folder, as a user would have one."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, LlamaForSequenceClassification

from tests.tiny_model import save_tiny_model


def save_tiny_classifier(folder: Path, *, outputs: int = 1, **changes: Any) -> Path:
    """Saves the tiny chat model's shape with a head of some outputs, and its tokenizer."""
    save_tiny_model(folder, **changes)
    config = AutoConfig.from_pretrained(folder, num_labels=outputs)
    torch.manual_seed(1)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder
