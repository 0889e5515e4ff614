"""The responses to a prompt that can be paired or labelled, and what each of them is judged by.

A response can be used if it has a reward, a text and, unless asked for otherwise, an end. It is
judged by its reward, or by what is left of that without the run's linear effect of length. For
response i to prompt p with reward r and length l (characters), bars being the means of a prompt's
responses, since a pair knows only differences within its prompt:

    slope = sum_pi (l_pi - lbar_p) (r_pi - rbar_p) / sum_pi (l_pi - lbar_p)^2                 (1)
    adjusted reward = r - slope * l                                                           (2)

Which responses make pairs is decided in `pairing`, which get labels in `labelling`.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Literal
from unicodedata import category, normalize

LeftOut = Literal["no_reward", "empty", "unfinished"]
"""Why a response cannot be used; the first that holds counts."""

MAX_REWARD = 1e100
"""What is larger in size is no reward, like NaN and infinity; sums of squares would overflow."""


@dataclass(frozen=True, slots=True)
class Group:
    """The responses to one prompt, and what is known of each.

    Args:
        key: identifies the prompt; it has a say in random choices.
        texts: the responses.
        rewards: any unit; None, NaN and infinity are no reward.
        finish_reasons: `length` where a response was cut; None, not known, counts as finished.
    """

    key: str
    texts: tuple[str, ...]
    rewards: tuple[float | None, ...]
    finish_reasons: tuple[str | None, ...]

    def __post_init__(self) -> None:
        counts = len(self.texts), len(self.rewards), len(self.finish_reasons)
        assert len(set(counts)) == 1, f"texts, rewards, finish reasons differ in number: {counts}"


@dataclass(frozen=True, slots=True)
class Response:
    """A response that can be used.

    Args:
        index: its place in the group.
        reward: any unit, finite.
        length: characters.
        bare: near-equal texts have the same.
        order: a hash of seed, prompt and text, which orders responses of equal reward.
        effect: of the length on the reward.
    """

    index: int
    reward: float
    length: int
    bare: str
    order: str
    effect: float = 0.0

    @property
    def adjusted(self) -> float:
        """The reward by which it is judged."""
        return self.reward - self.effect  # (2)


def _reason(
    text: str, reward: float | None, finish_reason: str | None, keep_unfinished: bool
) -> LeftOut | None:
    if reward is None or not abs(reward) <= MAX_REWARD:  # `not <=`, since NaN compares false
        return "no_reward"
    if not text.strip():
        return "empty"
    return "unfinished" if finish_reason == "length" and not keep_unfinished else None


def left_out(group: Group, *, keep_unfinished: bool) -> tuple[LeftOut | None, ...]:
    """For each response why it cannot be used, or None.

    Example:
        >>> group = Group("Really?", ("Yes.", " ", "No."), (0.2, 0.1, None), ("stop",) * 3)
        >>> left_out(group, keep_unfinished=False)
        (None, 'empty', 'no_reward')
    """
    columns = zip(group.texts, group.rewards, group.finish_reasons, strict=True)
    return tuple(_reason(*column, keep_unfinished) for column in columns)


def _bare(text: str) -> str:
    """What near-equal texts share: case, white space and punctuation are all they differ in.

    One other word is a difference: it may be all that makes a response right. Minus signs and
    decimal points are punctuation (`-5` is near-equal to `5`), at the cost of a pair. A text of
    white space and punctuation alone (`!!!`) is compared as it is.
    """
    folded = normalize("NFC", text).casefold()
    return "".join(sign for sign in folded if category(sign)[0] not in "PZC") or text


def usable(group: Group, *, keep_unfinished: bool, seed: int) -> list[Response]:
    """The responses that are not left out, in the group's order.

    Args:
        group: all responses to a prompt.
        keep_unfinished: whether those that were cut can be used.
        seed: of the order of equal rewards.
    """
    found: list[Response] = []
    reasons = left_out(group, keep_unfinished=keep_unfinished)
    columns = zip(reasons, group.texts, group.rewards, strict=True)
    for index, (reason, text, reward) in enumerate(columns):
        if reason is None and reward is not None:
            order = hashlib.sha256(json.dumps([seed, group.key, text]).encode()).hexdigest()
            found.append(Response(index, reward, len(text), _bare(text), order))
    return found


def _centred(values: Iterable[float]) -> list[float]:
    values = list(values)
    mean = fsum(values) / len(values)
    return [value - mean for value in values]


def length_slope(prompts: Iterable[Sequence[Response]]) -> float:
    """(1), unit of the reward per character; 0 where no prompt's lengths differ.

    Sums are rounded once, at their end, so the order of prompts and responses has no say.

    Args:
        prompts: the usable responses of each prompt of the run.
    """
    answered = [responses for responses in prompts if responses]
    lengths = [x for prompt in answered for x in _centred(one.length for one in prompt)]
    rewards = [x for prompt in answered for x in _centred(one.reward for one in prompt)]
    spread = fsum(length**2 for length in lengths)
    products = (length * reward for length, reward in zip(lengths, rewards, strict=True))
    return fsum(products) / spread if spread else 0.0


def ranked(responses: Iterable[Response], slope: float) -> list[Response]:
    """The responses with the effect of their length, the best one first; equal ones by `order`."""
    weighed = [replace(one, effect=slope * one.length) for one in responses]
    return sorted(weighed, key=lambda one: (-one.adjusted, one.order))
