"""What a row of data says: its form, recognised by its columns, and its conversations.

A row has one of these forms. Where the columns of several are there, the first of them counts; a
column that is null counts as absent.

    chosen + rejected       pair      responses or whole conversations, with `prompt` or without it;
                                      without it also transcripts in the manner of hh-rlhf
    prompt + responses      several   a list of responses
    messages                single    a list of messages
    conversation            single    a list of utterances, user and assistant in turn
    prompt + response       single    or `completion` in place of `response`

A prompt is a text or a list of messages; a response is a text, one assistant message, or a list
of one. Columns of other names are kept and never looked into. No file is opened here, and no text
is changed: a transcript is cut at its markers, OpenAI content parts are joined without a
separator, and that is all.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flr.errors import InputError, Problem, did_you_mean
from flr.types import ROLES, Conversation, Message

Form = Literal["single", "pair", "several"]

FORMS_HINT = (
    "A row has `messages`, or `prompt` with `response` (or `completion`), or `prompt` with "
    "`responses`, or `chosen` with `rejected` (and `prompt`, unless they are whole conversations), "
    "or `conversation`, a list of utterances. Rename the columns to one of these forms."
)
MAX_DEPTH = 100
"""Lists and objects inside each other; a row that is deeper might be read but not written again."""

OTHER_ROLE_NAMES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "function": "tool",
}
TRANSCRIPT_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant): ?")
TRANSCRIPT_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the conversations in it.

    Args:
        number: its place in the file, from 1: the line in JSONL (blank lines count), the record in
            CSV (the header does not count), the element in JSON and Parquet.
        columns: every column as it came.
        form: `single`, `pair` or `several`.
        conversations: one for `single`; chosen and rejected for `pair`; for `several` one
            a response.
    """

    number: int
    columns: Mapping[str, Any]
    form: Form
    conversations: tuple[Conversation, ...]


class _RowError(Exception):
    """Something wrong in one row; the reader of rows adds the row's number."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


class _FormError(_RowError):
    """The columns of a row fit no form."""


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


def _shown(text: str) -> str:
    """A text from the file, quoted, escaped where it cannot be printed, and short."""
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _text(value: Any, field: str, expected: str = "a text") -> str:
    if not isinstance(value, str):
        raise _RowError(field, f"expected {expected}, got {kind_of(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        code = f"\\u{ord(value[error.start]):04x}"
        raise _RowError(
            field,
            f"holds {code}, half of a surrogate pair, at character {error.start + 1}; "
            "no tokenizer can read it, so repair or remove it",
        ) from None
    return value


def _list(value: Any, field: str, expected: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _RowError(field, f"expected {expected}, got {kind_of(value)}")
    if not value:
        raise _RowError(field, f"expected {expected}, got an empty list")
    return value


def _role(message: Mapping[str, Any], field: str) -> str:
    role = message.get("role")
    if isinstance(role, str) and role in ROLES:
        return role
    known = ", ".join(ROLES)
    if isinstance(role, str):
        other = OTHER_ROLE_NAMES.get(role.lower())
        advice = f" Use {other!r}." if other else did_you_mean(role, ROLES)
        raise _RowError(field, f"unknown role {_shown(role)}; expected one of {known}.{advice}")
    if role is None and "from" in message:
        raise _RowError(field, "missing; rename `from` to `role` and `value` to `content`")
    raise _RowError(
        field, f"expected one of {known}, got {kind_of(role) if 'role' in message else 'nothing'}"
    )


def _part(part: Any, field: str) -> str:
    if not isinstance(part, Mapping):
        raise _RowError(field, f"expected a content part (an object), got {kind_of(part)}")
    kind = part.get("type")
    if kind == "text":
        return _text(part.get("text"), f"{field}.text")
    named = f"of type {_shown(kind)}" if isinstance(kind, str) else "without a `type`"
    raise _RowError(field, f"a content part {named} cannot be scored; only text parts can")


def _content(message: Mapping[str, Any], field: str) -> str:
    """The text of a message; null is a text only beside tool calls, where it is empty."""
    content = message.get("content")
    if isinstance(content, list | tuple):
        return "".join(_part(part, f"{field}[{i}]") for i, part in enumerate(content))
    if content is None and message.get("tool_calls"):
        return ""
    return _text(content, field, "a text or a list of text parts")


def _message(value: Any, field: str) -> Message:
    if not isinstance(value, Mapping):
        raise _RowError(
            field, f"expected a message, an object with `role` and `content`, got {kind_of(value)}"
        )
    role, content = _role(value, f"{field}.role"), _content(value, f"{field}.content")
    # Parquet gives every message the keys of all the others, as nulls.
    extra = {k: v for k, v in value.items() if k not in ("role", "content") and v is not None}
    _text(json.dumps(extra, ensure_ascii=False, default=str), field)
    return Message(role, content, extra)


def _messages(value: Any, field: str) -> tuple[Message, ...]:
    found = _list(value, field, "a list of messages")
    return tuple(_message(item, f"{field}[{i}]") for i, item in enumerate(found))


def _checked(messages: tuple[Message, ...], field: str) -> Conversation:
    """The conversation of these messages, if a user asks in it and the last one is a response."""
    last = messages[-1].role
    if last != "assistant":
        raise _RowError(
            field,
            f"the last of its {len(messages)} messages must be the assistant's response, "
            f"but has the role {last!r}",
        )
    if all(message.role != "user" for message in messages):
        raise _RowError(field, "no user message comes before the response")
    return Conversation(messages)


def _prompt(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list | tuple):
        return (Message("user", _text(value, "prompt", "a text or a list of messages")),)
    messages = _messages(value, "prompt")
    if all(message.role != "user" for message in messages):
        raise _RowError("prompt", "has no user message")
    return messages


def _response(value: Any, field: str) -> Message:
    """The assistant message given as text, as a message or as a list of one."""
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise _RowError(
                field, f"expected a text or one assistant message, got a list of {len(value)}"
            )
        value, field = value[0], f"{field}[0]"
    if not isinstance(value, Mapping):
        return Message("assistant", _text(value, field, "a text or one assistant message"))
    message = _message(value, field)
    if message.role != "assistant":
        raise _RowError(f"{field}.role", f"expected 'assistant', got {message.role!r}")
    return message


def _transcript(text: str, field: str) -> Conversation:
    """The conversation in a text of turns that begin with `Human:` or `Assistant:`.

    Two turns of one side in a row stay two messages; hh-rlhf has some.
    """
    before, *turns = TRANSCRIPT_TURN.split(_text(text, field))
    if before or not turns:
        raise _RowError(
            field,
            "without a `prompt` a text must be a transcript that begins with '\\n\\nHuman: '",
        )
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return _checked(tuple(Message(TRANSCRIPT_ROLES[who], said) for who, said in pairs), field)


def _whole(value: Any, prompt: tuple[Message, ...], given: Any, field: str) -> Conversation:
    """A whole conversation that stands beside a prompt, and has to agree with it."""
    conversation = _checked(_messages(value, field), field)
    asked = [message.content for message in conversation.prompt if message.role == "user"]
    agrees = asked[-1:] == [given] if isinstance(given, str) else conversation.prompt == prompt
    if not agrees:
        raise _RowError(field, "is a whole conversation, but its prompt is not that of `prompt`")
    return conversation


def _side(columns: Mapping[str, Any], field: str) -> Conversation:
    """The chosen or the rejected conversation of a pair."""
    value, given = columns[field], columns.get("prompt")
    is_list = isinstance(value, list | tuple)
    if given is None:
        if isinstance(value, str):
            return _transcript(value, field)
        return _checked(_messages(value, field), field)
    prompt = _prompt(given)
    if is_list and len(value) > 1:
        return _whole(value, prompt, given, field)
    return Conversation((*prompt, _response(value, field)))


def _pair(columns: Mapping[str, Any]) -> tuple[Conversation, ...]:
    chosen, rejected = _side(columns, "chosen"), _side(columns, "rejected")
    # Some transcripts of hh-rlhf part before the last response; lists of messages must not.
    is_transcript = isinstance(columns["chosen"], str) and isinstance(columns["rejected"], str)
    if chosen.prompt != rejected.prompt and not is_transcript:
        raise _RowError(
            "rejected", "its prompt is not that of `chosen`; a pair answers one prompt twice"
        )
    return chosen, rejected


def _several(columns: Mapping[str, Any]) -> tuple[Conversation, ...]:
    prompt = _prompt(columns["prompt"])
    responses = _list(columns["responses"], "responses", "a list of responses")
    return tuple(
        Conversation((*prompt, _response(response, f"responses[{i}]")))
        for i, response in enumerate(responses)
    )


def _utterances(value: Any) -> Conversation:
    found = _list(value, "conversation", "a list of utterances")
    expected = "a text (lists of messages belong in a column `messages`)"
    texts = [_text(item, f"conversation[{i}]", expected) for i, item in enumerate(found)]
    if len(texts) % 2:
        raise _RowError(
            "conversation",
            f"the number of utterances is odd ({len(texts)}), so the last one is the user's; "
            "expected user and assistant in turn, the assistant last",
        )
    return Conversation(
        tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts))
    )


def _single(columns: Mapping[str, Any], present: set[str]) -> Conversation:
    if "messages" in present:
        return _checked(_messages(columns["messages"], "messages"), "messages")
    if "conversation" in present:
        return _utterances(columns["conversation"])
    if {"response", "completion"} <= present:
        raise _RowError("completion", "there is a `response` too; keep one of the two")
    field = "response" if "response" in present else "completion"
    return Conversation((*_prompt(columns["prompt"]), _response(columns[field], field)))


def _conversations(columns: Mapping[str, Any]) -> tuple[Form, tuple[Conversation, ...]]:
    present = {name for name, value in columns.items() if value is not None}
    if {"chosen", "rejected"} <= present:
        return "pair", _pair(columns)
    if {"prompt", "responses"} <= present:
        return "several", _several(columns)
    has_response = "prompt" in present and present & {"response", "completion"}
    if has_response or present & {"messages", "conversation"}:
        return "single", (_single(columns, present),)
    raise _FormError("", f"fits no row form: {_columns_shown(columns)}")


def _columns_shown(columns: Mapping[str, Any]) -> str:
    if not columns:
        return "it has no columns"
    names = [
        _shown(str(name)) + (" (null)" if value is None else "") for name, value in columns.items()
    ]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"its columns are {', '.join(names[:12])}{more}"


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def columns_of(value: Any) -> Mapping[str, Any] | None:
    """The columns of a row as it was read; a bare list is a row with the one column `conversation`.

    Args:
        value: what stood in the file.

    Returns:
        Its columns, or None where it cannot be a row.
    """
    if isinstance(value, Mapping):
        return value
    return {"conversation": value} if isinstance(value, list) else None


def not_a_row(value: Any) -> str:
    """What to say of a value that has no columns."""
    return f"expected an object (or a list of utterances), got {kind_of(value)}"


def _row(number: int, value: Any) -> Row:
    columns = columns_of(value)
    if columns is None:
        raise _RowError("", not_a_row(value))
    if _is_too_deep(columns):
        raise _RowError("", f"is nested more than {MAX_DEPTH} levels deep")
    return Row(number, columns, *_conversations(columns))


def _failure(path: str, problems: list[Problem], misfits: int, rows: int) -> InputError:
    """The error for these problems, in one line where no row at all has a known form."""
    if misfits == rows > 1:
        problems = [Problem(None, "", f"each of the {rows} rows {problems[0].message}")]
    return InputError(path, problems, FORMS_HINT if misfits else "")


def parse_numbered(items: Iterable[tuple[int, Any]], path: str) -> list[Row]:
    """Rows from numbered values, where a value that could not be read is already a `Problem`.

    Args:
        items: number and value of each row.
        path: the file as the user named it, for the error.

    Returns:
        One `Row` an item, in their order.

    Raises:
        InputError: there are no rows, or some are bad; all bad rows are in it.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    misfits = 0
    for number, value in items:
        if isinstance(value, Problem):
            problems.append(value)
            continue
        try:
            rows.append(_row(number, value))
        except _RowError as error:
            problems.append(Problem(number, error.field, error.message))
            misfits += isinstance(error, _FormError)
    if problems:
        raise _failure(path, problems, misfits, len(rows) + len(problems))
    if not rows:
        raise InputError(path, [Problem(None, "", "has no rows")])
    return rows


def parse(rows: Iterable[Any], path: str) -> list[Row]:
    """The conversations of rows, each row by its own form.

    Args:
        rows: the columns of each row; a bare list is one of utterances.
        path: the file as the user named it, for the error.

    Returns:
        One `Row` a row, in their order, numbered from 1.

    Raises:
        InputError: there are no rows, or some are bad; all bad rows are in it.

    Example:
        >>> (row,) = parse([{"prompt": "2 + 2?", "responses": ["4", "5"]}], "sums.jsonl")
        >>> row.form, [conversation.response for conversation in row.conversations]
        ('several', ['4', '5'])
    """
    return parse_numbered(enumerate(rows, 1), path)
