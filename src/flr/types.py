"""The values that travel between the layers: messages, conversations, follow-ups.

Plain frozen data, no behaviour beyond what their own fields imply, and no library of the
field. How they are read from files is `io`'s, how they become tokens is `chat`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    Args:
        role: one of `ROLES`.
        content: its text; content parts are joined before they come here.
        extra: what else the message carried and a template may want (`tool_calls`, `name`, ...).
    """

    role: str
    content: str
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """The message in the form that chat templates take."""
        return {"role": self.role, "content": self.content, **self.extra}


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages of which the last one is the assistant's response.

    Example:
        >>> conversation = Conversation.of("Capital of France?", "Paris.")
        >>> conversation.response
        'Paris.'
    """

    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        assert self.messages, "a conversation has messages"
        assert self.messages[-1].role == "assistant", "its last message is the response"

    @classmethod
    def of(cls, prompt: str, response: str) -> "Conversation":
        """The conversation of one user turn and one response."""
        return cls((Message("user", prompt), Message("assistant", response)))

    @property
    def prompt(self) -> tuple[Message, ...]:
        """All messages before the response."""
        return self.messages[:-1]

    @property
    def response(self) -> str:
        """The text of the last message."""
        return self.messages[-1].content

    def with_response(self, text: str) -> "Conversation":
        """The same prompt with another response."""
        return Conversation((*self.prompt, Message("assistant", text)))


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What the user may say next.

    Args:
        text: the utterance.
        category: the aspect of helpfulness that it speaks of.
        polarity: 1 where a satisfied user says it, -1 where a dissatisfied one does.
        weight: in the mean of its category and polarity, relative to the others there; above 0.
    """

    text: str
    category: str
    polarity: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class FollowUpSet:
    """Follow-ups by category, each category with both polarities.

    Args:
        name: how it is called on the command line and in result files.
        language: BCP 47 tag of its texts (`en`, `de`, `zh`).
        licence: SPDX id of the texts.
        source: where they are from.
        followups: category by category in the file's order, positive before negative.
        weights: weight of each category in the reward, relative to the others.
    """

    name: str
    language: str
    licence: str
    source: str
    followups: tuple[FollowUp, ...]
    weights: Mapping[str, float]

    @property
    def categories(self) -> tuple[str, ...]:
        """Category names in the set's order."""
        return tuple(dict.fromkeys(followup.category for followup in self.followups))
