"""What a message of a row says: its role and its text, and what is said of a bad one.

A prompt is a text or a list of messages; a response is a text, one assistant message, or a list
of one. No text is changed: a transcript is cut at its markers, OpenAI content parts are joined
without a separator, and that is all. Which columns hold them is the affair of `rows`.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flr.errors import did_you_mean
from flr.types import ROLES, Conversation, Message

_OTHER_NAMES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "function": "tool",
}
_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant): ?")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}


class RowError(Exception):
    """Something wrong in one row; the reader of rows adds the row's number."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


def kind_of(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def shown(text: str) -> str:
    """A text from the file, quoted, escaped where it cannot be printed, and short."""
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def text_of(value: Any, field: str, expected: str = "a text") -> str:
    """A value that is a text which can be tokenized."""
    if not isinstance(value, str):
        raise RowError(field, f"expected {expected}, got {kind_of(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        code = f"\\u{ord(value[error.start]):04x}"
        raise RowError(
            field,
            f"holds {code}, half of a surrogate pair, at character {error.start + 1}; "
            "no tokenizer can read it, so repair or remove it",
        ) from None
    return value


def list_of(value: Any, field: str, expected: str) -> list[Any] | tuple[Any, ...]:
    """A value that is a list with something in it."""
    if not isinstance(value, list | tuple):
        raise RowError(field, f"expected {expected}, got {kind_of(value)}")
    if not value:
        raise RowError(field, f"expected {expected}, got an empty list")
    return value


def _role(message: Mapping[str, Any], field: str) -> str:
    role = message.get("role")
    if isinstance(role, str) and role in ROLES:
        return role
    known = ", ".join(ROLES)
    if isinstance(role, str):
        other = _OTHER_NAMES.get(role.lower())
        advice = f" Use {other!r}." if other else did_you_mean(role, ROLES)
        raise RowError(field, f"unknown role {shown(role)}; expected one of {known}.{advice}")
    if role is None and "from" in message:
        raise RowError(field, "missing; rename `from` to `role` and `value` to `content`")
    raise RowError(
        field, f"expected one of {known}, got {kind_of(role) if 'role' in message else 'nothing'}"
    )


def _part(part: Any, field: str) -> str:
    if not isinstance(part, Mapping):
        raise RowError(field, f"expected a content part (an object), got {kind_of(part)}")
    kind = part.get("type")
    if kind == "text":
        return text_of(part.get("text"), f"{field}.text")
    named = f"of type {shown(kind)}" if isinstance(kind, str) else "without a `type`"
    raise RowError(field, f"a content part {named} cannot be scored; only text parts can")


def _content(message: Mapping[str, Any], field: str) -> str:
    """The text of a message; null is a text only beside tool calls, where it is empty."""
    content = message.get("content")
    if isinstance(content, list | tuple):
        return "".join(_part(part, f"{field}[{i}]") for i, part in enumerate(content))
    if content is None and message.get("tool_calls"):
        return ""
    return text_of(content, field, "a text or a list of text parts")


def _message(value: Any, field: str) -> Message:
    if not isinstance(value, Mapping):
        raise RowError(
            field, f"expected a message, an object with `role` and `content`, got {kind_of(value)}"
        )
    role, content = _role(value, f"{field}.role"), _content(value, f"{field}.content")
    # Parquet gives every message the keys of all the others, as nulls.
    extra = {k: v for k, v in value.items() if k not in ("role", "content") and v is not None}
    text_of(json.dumps(extra, ensure_ascii=False, default=str), field)
    return Message(role, content, extra)


def messages_of(value: Any, field: str) -> tuple[Message, ...]:
    """The messages in a list of at least one."""
    found = list_of(value, field, "a list of messages")
    return tuple(_message(item, f"{field}[{i}]") for i, item in enumerate(found))


def conversation_of(messages: tuple[Message, ...], field: str) -> Conversation:
    """The conversation of these messages, if a user asks in it and the last one is a response."""
    last = messages[-1].role
    if last != "assistant":
        raise RowError(
            field,
            f"the last of its {len(messages)} messages must be the assistant's response, "
            f"but has the role {last!r}",
        )
    if all(message.role != "user" for message in messages):
        raise RowError(field, "no user message comes before the response")
    return Conversation(messages)


def comparable(messages: Sequence[Message]) -> tuple[tuple[str, str, str], ...]:
    """Equal for messages of the same roles, texts and tool calls, white space at the ends aside.

    What else a message carries, such as an id, does not make another one of it.

    Example:
        >>> comparable([Message("user", "Tea?")]) == comparable([Message("user", "Tea? ")])
        True
    """
    return tuple(
        (
            one.role,
            one.content.strip(),
            json.dumps(one.extra.get("tool_calls") or [], sort_keys=True, default=str),
        )
        for one in messages
    )


def prompt_key(conversation: Conversation) -> str:
    """A hash of the prompt: rows whose prompts `flr check` takes for the same one share it."""
    return _key(conversation.prompt)


def opening_key(messages: Sequence[Message]) -> str:
    """A short hash of the user's first turn: a conversation that goes on has the same.

    Example:
        >>> opening_key([Message("user", "Tea?"), Message("assistant", "Yes")]) == opening_key(
        ...     [Message("user", "Tea? ")]
        ... )
        True
    """
    first = next(at for at, one in enumerate(messages) if one.role == "user")
    return _key(messages[first : first + 1])[:16]


def _key(messages: Sequence[Message]) -> str:
    return hashlib.sha256(repr(comparable(messages)).encode()).hexdigest()


def prompt_of(value: Any) -> tuple[Message, ...]:
    """The messages of a prompt, given as text or as messages."""
    if not isinstance(value, list | tuple):
        return (Message("user", text_of(value, "prompt", "a text or a list of messages")),)
    messages = messages_of(value, "prompt")
    if all(message.role != "user" for message in messages):
        raise RowError("prompt", "has no user message")
    return messages


def response_of(value: Any, field: str) -> Message:
    """The assistant message given as text, as a message or as a list of one."""
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise RowError(
                field, f"expected a text or one assistant message, got a list of {len(value)}"
            )
        value, field = value[0], f"{field}[0]"
    if not isinstance(value, Mapping):
        return Message("assistant", text_of(value, field, "a text or one assistant message"))
    message = _message(value, field)
    if message.role != "assistant":
        raise RowError(f"{field}.role", f"expected 'assistant', got {message.role!r}")
    return message


def transcript_of(text: str, field: str) -> Conversation:
    """The conversation in a text of turns that begin with `Human:` or `Assistant:`.

    Two turns of one side in a row stay two messages; hh-rlhf has some.
    """
    before, *turns = _TURN.split(text_of(text, field))
    if before or not turns:
        raise RowError(
            field,
            "without a `prompt` a text must be a transcript that begins with '\\n\\nHuman: '",
        )
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return conversation_of(tuple(Message(_SPEAKERS[who], said) for who, said in pairs), field)


def utterances_of(value: Any) -> Conversation:
    """The conversation in a list of texts, user and assistant in turn."""
    found = list_of(value, "conversation", "a list of utterances")
    expected = "a text (lists of messages belong in a column `messages`)"
    texts = [text_of(item, f"conversation[{i}]", expected) for i, item in enumerate(found)]
    if len(texts) % 2:
        raise RowError(
            "conversation",
            f"the number of utterances is odd ({len(texts)}), so the last one is the user's; "
            "expected user and assistant in turn, the assistant last",
        )
    return Conversation(
        tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts))
    )
