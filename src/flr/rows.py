"""What a row of data says: its form, recognised by its columns, and its conversations.

A row has one of these forms. Where the columns of several are there, the first of them counts; a
column that is null counts as absent.

    chosen + rejected       pair      responses or whole conversations, with `prompt` or without it;
                                      without it also transcripts in the manner of hh-rlhf
    prompt + responses      several   a list of responses
    messages                single    a list of messages
    conversation            single    a list of utterances, user and assistant in turn
    prompt + response       single    or `completion` in place of `response`

What messages, prompts and responses look like is the affair of `messages`. Columns of other names
are kept and never looked into. No file is opened here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flr.errors import InputError, Problem
from flr.messages import (
    RowError,
    conversation_of,
    kind_of,
    list_of,
    messages_of,
    prompt_of,
    response_of,
    shown,
    transcript_of,
    utterances_of,
)
from flr.types import Conversation, Message

Form = Literal["single", "pair", "several"]

FORMS_HINT = (
    "A row has `messages`, or `prompt` with `response` (or `completion`), or `prompt` with "
    "`responses`, or `chosen` with `rejected` (and `prompt`, unless they are whole conversations), "
    "or `conversation`, a list of utterances. Rename the columns to one of these forms."
)
MAX_DEPTH = 100
"""Lists and objects inside each other; a row that is deeper might be read but not written again."""


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


class _FormError(RowError):
    """The columns of a row fit no form."""


def _whole(value: Any, prompt: tuple[Message, ...], given: Any, field: str) -> Conversation:
    """A whole conversation that stands beside a prompt, and has to agree with it."""
    conversation = conversation_of(messages_of(value, field), field)
    asked = [message.content for message in conversation.prompt if message.role == "user"]
    agrees = asked[-1:] == [given] if isinstance(given, str) else conversation.prompt == prompt
    if not agrees:
        raise RowError(field, "is a whole conversation, but its prompt is not that of `prompt`")
    return conversation


def _side(columns: Mapping[str, Any], field: str) -> Conversation:
    """The chosen or the rejected conversation of a pair."""
    value, given = columns[field], columns.get("prompt")
    is_list = isinstance(value, list | tuple)
    if given is None:
        if isinstance(value, str):
            return transcript_of(value, field)
        return conversation_of(messages_of(value, field), field)
    prompt = prompt_of(given)
    if is_list and len(value) > 1:
        return _whole(value, prompt, given, field)
    return Conversation((*prompt, response_of(value, field)))


def _pair(columns: Mapping[str, Any]) -> tuple[Conversation, ...]:
    chosen, rejected = _side(columns, "chosen"), _side(columns, "rejected")
    # Some transcripts of hh-rlhf part before the last response; lists of messages must not.
    is_transcript = isinstance(columns["chosen"], str) and isinstance(columns["rejected"], str)
    if chosen.prompt != rejected.prompt and not is_transcript:
        raise RowError(
            "rejected", "its prompt is not that of `chosen`; a pair answers one prompt twice"
        )
    return chosen, rejected


def _several(columns: Mapping[str, Any]) -> tuple[Conversation, ...]:
    prompt = prompt_of(columns["prompt"])
    responses = list_of(columns["responses"], "responses", "a list of responses")
    return tuple(
        Conversation((*prompt, response_of(response, f"responses[{i}]")))
        for i, response in enumerate(responses)
    )


def _single(columns: Mapping[str, Any], present: set[str]) -> Conversation:
    if "messages" in present:
        return conversation_of(messages_of(columns["messages"], "messages"), "messages")
    if "conversation" in present:
        return utterances_of(columns["conversation"])
    if {"response", "completion"} <= present:
        raise RowError("completion", "there is a `response` too; keep one of the two")
    field = "response" if "response" in present else "completion"
    return Conversation((*prompt_of(columns["prompt"]), response_of(columns[field], field)))


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


def conversation_in(columns: Mapping[str, Any]) -> tuple[Conversation, tuple[str, ...]]:
    """The one conversation of a row, and the columns in which it stands.

    Raises:
        RowError: there is none, or several.

    Example:
        >>> talk, names = conversation_in({"prompt": "Two?", "response": "Three", "id": 7})
        >>> talk.response, names
        ('Three', ('prompt', 'response'))
    """
    form, found = _conversations(columns)
    if form != "single":
        raise RowError("", "has several responses; one response a row was expected")
    for names in (("messages",), ("conversation",)):
        if columns.get(names[0]) is not None:
            return found[0], names
    return found[0], ("prompt", "response" if columns.get("response") is not None else "completion")


def _columns_shown(columns: Mapping[str, Any]) -> str:
    if not columns:
        return "it has no columns"
    names = [
        shown(str(name)) + (" (null)" if value is None else "") for name, value in columns.items()
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
        raise RowError("", not_a_row(value))
    if _is_too_deep(columns):
        raise RowError("", f"is nested more than {MAX_DEPTH} levels deep")
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
        except RowError as error:
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
