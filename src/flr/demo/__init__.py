"""Conversations written for the demonstration, and the reader of their file."""

from importlib.resources import files
from typing import Any

import yaml


def pairs() -> list[dict[str, Any]]:
    """The conversations as rows of preference pairs: the good response chosen, the bad rejected.

    Returns:
        Rows with `id`, `fails` (the category in which the bad one fails), `prompt`, `chosen` and
        `rejected`, in the order of the file.

    Example:
        >>> len(pairs()), pairs()[0]["id"]
        (24, 'leftover-egg-whites')
    """
    text = (files(__name__) / "conversations.yaml").read_text("utf-8")
    conversations: list[dict[str, Any]] = yaml.safe_load(text)["conversations"]
    names = {"good": "chosen", "bad": "rejected"}
    return [{names.get(name, name): one[name] for name in one} for one in conversations]
