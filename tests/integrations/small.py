"""A small policy, a spy on what the engine is asked, and the rewards that should come out."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from transformers import AutoTokenizer

import flr
from flr.engines.base import Request
from flr.integrations import shared
from tests.tiny_model import save_tiny_model

OPENING = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

TEA = [{"role": "user", "content": "Tea?"}]
LONG = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Tea?"},
    {"role": "assistant", "content": "Green or black?"},
    {"role": "user", "content": " \U0001f375 green.\n"},
]


def save_policy(folder: Path, opening: str = OPENING) -> Path:
    """A tiny ChatML model with a generation prompt, and a padding token of its own."""
    save_tiny_model(folder, vocab_size=800)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template += opening
    tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    tokenizer.save_pretrained(folder)
    return folder


def chatml(messages: Sequence[dict[str, str]], opening: str = "<|im_start|>assistant\n") -> str:
    """What the policy's template writes."""
    turns = (f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in messages)
    return "".join(turns) + opening


class Spy:
    """What an engine was asked: the text of each request, call by call."""

    def __init__(self, model: Path) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(model)
        self.calls: list[list[str]] = []

    def see(self, requests: Sequence[Request]) -> None:
        self.calls.append([self._tokenizer.decode(one.tokens) for one in requests])

    @property
    def text(self) -> str:
        return "\n".join(text for call in self.calls for text in call)


def at_once(run: Callable[[], Any], count: int) -> Any:
    """What `run` gives, where its first calls of the one loaded model wait until `count` do.

    An event loop has threads for at least five.
    """
    (asker,) = shared._loaded.values()
    scores, all_wait = asker._scores, Event()
    scores._thread.submit(all_wait.wait)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(run)
        while len(scores._waiting) < count and not found.done():
            time.sleep(0.001)
        all_wait.set()
        return found.result()


def expected(model: Path, rows: Sequence[dict[str, Any]], **options: Any) -> Any:
    """The rewards of `flr.score`, to the rounding of fp32."""
    given = {"set": "short", "dtype": "fp32", "strip_thinking": True, **options}
    scores = flr.score(rows, model=str(model), **given)
    rewards = [one.reward for one in scores if one is not None]
    assert len(rewards) == len(rows)
    assert len({round(reward, 4) for reward in rewards}) > 1 or len(rows) == 1
    return pytest.approx(rewards, abs=1e-5)
