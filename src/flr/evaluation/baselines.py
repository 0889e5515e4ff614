"""Rewards to hold a reward against: length, a coin, and a judge that is asked which is better.

A judge's question and what is made of its answers are here; that its answers are likelihoods of
letters, measured like any response's, is the affair of `passes`.
"""

import json
from collections.abc import Callable, Sequence
from math import exp
from zlib import crc32

import numpy as np
from jaxtyping import Float

from flr.datasets.base import Item
from flr.measuring import Measured
from flr.types import Conversation, Message

LETTERS = ("A", "B")

QUESTION = """\
Here are a conversation and two possible replies to its last message.

<conversation>
{conversation}
</conversation>

<reply {first}>
{one}
</reply {first}>

<reply {second}>
{other}
</reply {second}>

Which reply serves the user better, {first} or {second}? Answer with one letter and nothing else."""


def length(conversation: Conversation) -> float:
    """The length of the response, characters."""
    return float(len(conversation.response))


def coin(seed: int) -> Callable[[Conversation], float]:
    """A reward that knows nothing: a number in [0, 1) by seed and content, whatever the order."""

    def toss(conversation: Conversation) -> float:
        text = json.dumps([message.as_dict() for message in conversation.messages], default=str)
        return float(np.random.default_rng([seed, crc32(text.encode())]).random())

    return toss


def _question(prompt: Sequence[Message], one: str, other: str) -> str:
    turns = "\n\n".join(f"{message.role}: {message.content}" for message in prompt)
    first, second = LETTERS
    return QUESTION.format(conversation=turns, first=first, second=second, one=one, other=other)


def _ordered_pairs(count: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(count) for j in range(count) if i != j]


def judged(item: Item) -> tuple[Conversation, ...]:
    """What a judge is asked: every two responses in both orders, with either letter as answer."""
    given = item.conversations
    questions = (
        _question(given[i].prompt, given[i].response, given[j].response)
        for i, j in _ordered_pairs(len(given))
    )
    return tuple(Conversation.of(question, letter) for question in questions for letter in LETTERS)


def preferences(item: Item, answers: Sequence[Measured]) -> Float[np.ndarray, " response"]:
    """The probability that the judge prefers each response, mean over the others and both orders.

    Args:
        item: with at least two responses.
        answers: to `judged(item)`.
    """
    pairs = _ordered_pairs(len(item.conversations))
    likelihoods = [answer.response.values[0] for answer in answers]
    preferred = np.zeros(len(item.conversations))
    for (i, j), a, b in zip(pairs, likelihoods[::2], likelihoods[1::2], strict=True):
        first = _sigmoid(a - b)
        preferred[i] += first
        preferred[j] += 1 - first
    return preferred / (2 * (len(item.conversations) - 1))


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))
