"""Feedback in chat logs: what the user really said after a response.

Every turn of the user right after one of the assistant becomes the feedback on the conversation up
to it: whole, or its first sentence alone, and not at all where it opens a new topic
(`topics.opens_topic`). A log is a row with `messages` or `conversation` (messages, or utterances of
user and assistant in turn), or any other row form with one prompt, such as the transcripts of
hh-rlhf, of which `chosen` is taken. It may end with the user.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flr import io
from flr.errors import InputError, Problem
from flr.feedback.building import WritingOptions, write_cleaned
from flr.feedback.cleaning import CleaningOptions, clean
from flr.feedback.rows import OWN, Feedback
from flr.feedback.sentences import sentences
from flr.feedback.sources import Found
from flr.feedback.topics import opens_topic
from flr.messages import RowError, list_of, messages_of, opening_key, text_of
from flr.mined.files import check_places
from flr.prompts import OF_RESPONSES, REWARDED
from flr.rows import columns_of, not_a_row, parse_numbered
from flr.runs import Report
from flr.types import Conversation, Message

NEW_TOPIC = "opens a new topic"

NO_TURN = "logs in which the user says nothing after a response"

_OF_TOOLS = ("tool_calls", "tool_call_id")
"""What of a message is kept beside its text; logs hold names, addresses and times that nobody
needs."""

_NOT_KEPT = {
    *(*OWN, *OF_RESPONSES, *REWARDED),
    *("score", "rating", "feedback", "critique", "group", "turn"),
}
"""Columns that are another's: of the whole log, or of this row's own."""

EXPECTED = (
    "A log has `messages` (or `conversation`), or `chosen` with `rejected`, or `prompt` with "
    "`response`."
)


@dataclass(frozen=True, kw_only=True)
class LogOptions(WritingOptions, CleaningOptions):
    """How feedback is found in logs."""

    cut: Literal["whole", "first-sentence"] = "whole"
    """What of the user's turn is taken: all of it, or its first sentence, where thanks and
    complaints stand."""
    new_topics: Literal["drop", "keep"] = "drop"
    """What becomes of a turn that shares no word with what was said and does not react to it; the
    rule knows English alone."""
    min_words: int = 1
    """Fewest words: `Thanks!` says much."""
    max_words: int = 100
    """Most words: what is longer is a new task, or a text that was pasted in."""

    def __post_init__(self) -> None:
        WritingOptions.__post_init__(self)
        CleaningOptions.__post_init__(self)


def _utterances(texts: Sequence[Any]) -> tuple[Message, ...]:
    return tuple(
        Message(("user", "assistant")[i % 2], text_of(text, f"conversation[{i}]"))
        for i, text in enumerate(texts)
    )


def _bare(message: Message) -> Message:
    kept = (*_OF_TOOLS, "name") if message.role == "tool" else _OF_TOOLS
    extra = {name: value for name, value in message.extra.items() if name in kept}
    return Message(message.role, message.content, extra)


def messages_in(number: int, columns: Mapping[str, Any], path: str) -> tuple[Message, ...]:
    """The messages of a log.

    Args:
        number: of its row.
        columns: of its row.
        path: the file, for errors.

    Raises:
        RowError: no messages, or bad ones.
        InputError: it fits no row form.

    Example:
        >>> talk = messages_in(1, {"conversation": ["Two?", "Three", "No."]}, "log.jsonl")
        >>> [message.role for message in talk]
        ['user', 'assistant', 'user']
    """
    name = next((one for one in ("messages", "conversation") if columns.get(one) is not None), "")
    if not name:
        (row,) = parse_numbered([(number, columns)], path)
        return tuple(map(_bare, row.conversations[0].messages))
    listed = list_of(columns[name], name, "a list of messages")
    if name == "messages" or isinstance(listed[0], Mapping):
        return tuple(map(_bare, messages_of(listed, name)))
    return _utterances(listed)


def next_turns(messages: Sequence[Message]) -> Iterator[Feedback]:
    """Each turn of the user right after the assistant's, on the conversation before it.

    `turn` counts them, from 1; `group` is equal for conversations that begin alike, so that no
    conversation is in part held out.

    Example:
        >>> talk = [Message("user", "Two?"), Message("assistant", "Three"), Message("user", "No.")]
        >>> [(one.text, one.conversation.response, one.about["turn"]) for one in next_turns(talk)]
        [('No.', 'Three', 1)]
    """
    turn = 0
    for at, message in enumerate(messages):
        before = messages[:at]
        asked = any(one.role == "user" for one in before)
        if message.role == "user" and asked and before[-1].role == "assistant":
            turn += 1
            about = {"group": opening_key(messages), "turn": turn}
            yield Feedback(Conversation(tuple(before)), message.content, about)


def _cut(text: str, options: LogOptions) -> str:
    return next(iter(sentences(text)), "") if options.cut == "first-sentence" else text


def _found(
    messages: Sequence[Message], kept: Mapping[str, Any], options: LogOptions
) -> list[Found]:
    """The feedback in one log, and why some of it is none."""
    found: list[Found] = []
    for one in next_turns(messages):
        before = [message.content for message in one.conversation.messages]
        if options.new_topics == "drop" and opens_topic(one.text, before):
            found.append(NEW_TOPIC)
            continue
        about = {**kept, "source": kept.get("source", "log"), **one.about}
        found.append(Feedback(one.conversation, _cut(one.text, options), about))
    return found or [NO_TURN]


def _read(source: str, options: LogOptions) -> list[Found]:
    """What the users of a file's logs said next; all bad rows are named at once."""
    path, found = io.named(source), list[Found]()
    problems: list[Problem] = []
    for number, value in io.items(source, split=options.split, limit=options.limit):
        try:
            if isinstance(value, Problem):
                problems.append(value)
                continue
            columns = columns_of(value)
            if columns is None:
                raise RowError("", not_a_row(value))
            kept = {name: one for name, one in columns.items() if name not in _NOT_KEPT}
            found += _found(messages_in(number, columns, path), kept, options)
        except RowError as error:
            problems.append(Problem(number, error.field, error.message))
        except InputError as error:
            problems.extend(error.problems)
    if problems or not found:
        raise InputError(path, problems or [Problem(None, "", "has no rows")], EXPECTED)
    return found


def from_logs(sources: Sequence[str], output: Path, options: LogOptions) -> Report:
    """Makes training conversations of chat logs.

    Args:
        sources: files or hub ids, at least one.
        output: `.jsonl` or `.parquet`.
        options: see `LogOptions`.

    Returns:
        The record; `computed` is 0 where the same command has done it before.

    Raises:
        InputError: rows that are no logs, all of them named; or nothing is left.
        OutputError: OUTPUT cannot be written, or holds something else.
    """
    found: list[Found] = []
    for source in sources:
        check_places(source, output)
        found += _read(source, options)
    # What many users say of many responses is no stock phrase: they do say it.
    cleaned = clean(found, options, stock_responses=None)
    return write_cleaned(sources, found, cleaned, cleaned.kept, output, options)
