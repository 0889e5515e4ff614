"""What is done to the messages of a conversation before a template sees them.

Nothing is rewritten but where it is asked for (`without_thoughts`); what cannot be rendered as
plain text is refused, and what is too long loses its oldest turns, whole.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flr.template import Template
from flr.types import Message

THINK_TAGS = ("<think>", "</think>")
OPENED_THOUGHT = re.compile(r"<think>\s*\Z")
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")


def without_thoughts(message: Message) -> Message:
    """An assistant's message without `<think>` blocks, also one never closed or never opened."""
    if message.role != "assistant":
        return message
    text = re.sub(r"<think>.*?</think>\s*", "", message.content, flags=re.DOTALL)
    text = re.sub(r"\A\s*<think>.*", "", text, flags=re.DOTALL)
    text = re.sub(r"\A.*</think>\s*", "", text, flags=re.DOTALL)
    extra = {key: value for key, value in message.extra.items() if key not in REASONING_FIELDS}
    return Message(message.role, text, extra)


def opened_thought(prompt: str) -> str:
    """The tag of a think block that the text of a prompt leaves open, else nothing.

    Example:
        >>> opened_thought("Assistant: <think>\\n")
        '<think>'
    """
    return THINK_TAGS[0] if OPENED_THOUGHT.search(prompt) else ""


def _texts_in(value: Any) -> Iterator[str]:
    """Every text inside plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts_in(one)


def check_messages(template: Template, messages: Sequence[Message]) -> None:
    """Raises where a text of a message is not valid Unicode, or would become structure.

    Raises:
        RenderError: half a surrogate pair.
        SpecialTokenError: a special token of the tokenizer.
    """
    for number, message in enumerate(messages, start=1):
        allowed = THINK_TAGS if message.role == "assistant" else ()
        for text in (message.content, *_texts_in(message.extra)):
            template.check(text, f"message {number} ({message.role})", allowed)


def shortened(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """The messages from each user turn on, system messages kept; longest first.

    Example:
        >>> turns = [Message("system", "s"), Message("user", "a"), Message("assistant", "b"),
        ...          Message("user", "c")]
        >>> [[message.content for message in kept] for kept in shortened(turns)]
        [['s', 'c']]
    """
    starts = [number for number, message in enumerate(messages) if message.role == "user"]
    kept = [
        (*(m for m in messages[:start] if m.role in ("system", "developer")), *messages[start:])
        for start in starts
    ]
    return [turns for turns in kept if len(turns) < len(messages)]
