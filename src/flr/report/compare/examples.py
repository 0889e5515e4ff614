"""The examples that the page of a comparison shows: what each policy said, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flr.report.compare.summary import LENGTH
from flr.report.words import counted, short

EXCERPT = 90
"""Characters of the prompt in an example's heading."""


@dataclass(frozen=True, slots=True)
class Side:
    """One response.

    Args:
        policy: whose it is.
        facts: its length and rewards, in words.
        text: what it says.
    """

    policy: str
    facts: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt and what was said to it.

    Args:
        excerpt: the beginning of its last message, on one line.
        prompt: its messages, each with `role` and `content`; none where the excerpt is all of it.
        sides: the responses, the reference policy's first.
    """

    excerpt: str
    prompt: Sequence[Mapping[str, Any]]
    sides: tuple[Side, ...]


def excerpt_of(prompt: Sequence[Mapping[str, Any]]) -> str:
    """The beginning of the last message of a prompt, on one line."""
    last = " ".join(prompt[-1]["content"].split()) if prompt else ""
    return last if len(last) <= EXCERPT else f"{last[: EXCERPT - 1]}…"


def _facts(example: Mapping[str, Any], policy: str, text: str) -> str:
    rewards = [
        f"{reward} {short(values[policy])}"
        for reward, values in example["rewards"].items()
        if reward != LENGTH and policy in values
    ]
    cut = [] if example["finished"][policy] else ["cut off"]
    return ", ".join([counted(len(text), "character"), *cut, *rewards])


def _example(one: Mapping[str, Any]) -> Example:
    excerpt, prompt = excerpt_of(one["prompt"]), one["prompt"]
    told = [message["content"] for message in prompt] == [excerpt]
    sides = (
        Side(policy, _facts(one, policy, text), text) for policy, text in one["responses"].items()
    )
    return Example(excerpt, () if told else prompt, tuple(sides))


def examples(results: Mapping[str, Any]) -> list[Example]:
    """The examples of a comparison, in the order of the prompts."""
    return [_example(one) for one in results["examples"]]
