"""The prompts of a file: any row that can be scored, or one that still waits for a response.

    prompt                  a text, or messages of which the last is not the assistant's
    messages                the same
    any form of `flr.rows`  the prompt of its response; what it says of responses is not kept

What is said of bad rows is as in `flr.rows`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flr.errors import InputError, Problem
from flr.messages import RowError, messages_of, prompt_of
from flr.rows import columns_of, not_a_row, parse_numbered
from flr.types import Message

OF_RESPONSES = (
    *("messages", "conversation", "chosen", "rejected", "response", "completion", "responses"),
    *("finish_reasons", "response_tokens"),
)
"""Columns that speak of responses, and go where new ones are written."""

REWARDED = (
    *("reward", "rewards", "reward_chosen", "reward_rejected"),
    *("reward_by_category", "rewards_by_category"),
    *("reward_chosen_by_category", "reward_rejected_by_category"),
    *("followups", "followups_chosen", "followups_rejected"),
)
"""Columns that say what responses are worth; new responses must not stand beside them."""


@dataclass(frozen=True, slots=True)
class PromptOfRow:
    """The prompt of one row.

    Args:
        number: of the row, from 1; see `flr.rows.Row`.
        columns: those that do not speak of responses.
        messages: at least one from the user; the last is not the assistant's.
    """

    number: int
    columns: Mapping[str, Any]
    messages: tuple[Message, ...]


def _waiting(columns: Mapping[str, Any]) -> tuple[Message, ...] | None:
    """The messages of a row that has no response yet; None of another row."""
    present = {name for name, value in columns.items() if value is not None}
    if present & {"conversation", "chosen", "rejected", "response", "completion", "responses"}:
        return None
    if "messages" in present:
        messages = messages_of(columns["messages"], "messages")
        return None if messages[-1].role == "assistant" else messages
    return prompt_of(columns["prompt"]) if "prompt" in present else None


def _messages(number: int, columns: Mapping[str, Any], path: str) -> tuple[Message, ...]:
    waiting = _waiting(columns)
    if waiting is None:
        (row,) = parse_numbered([(number, columns)], path)
        waiting = row.conversations[0].prompt
    if all(message.role != "user" for message in waiting):
        raise RowError("messages", "has no user message")
    if waiting[-1].role == "assistant":
        raise RowError(
            "prompt", "its last message is the assistant's; a message to be answered was expected"
        )
    return waiting


def _row(number: int, value: Any, path: str) -> PromptOfRow:
    columns = columns_of(value)
    if columns is None:
        raise RowError("", not_a_row(value))
    for name in REWARDED:
        if columns.get(name) is not None:
            raise RowError(
                name, "speaks of responses that are there already; drop the column to sample anew"
            )
    kept = {name: one for name, one in columns.items() if name not in OF_RESPONSES}
    return PromptOfRow(number, kept, _messages(number, columns, path))


def parse_prompts(items: Iterable[tuple[int, Any]], path: str) -> list[PromptOfRow]:
    """The prompts of numbered rows.

    Args:
        items: number and value of each row; a value that could not be read is a `Problem`.
        path: the file as the user named it, for the error.

    Returns:
        One prompt a row, in order.

    Raises:
        InputError: there are no rows, or some are bad; all bad rows are in it.

    Example:
        >>> rows = [(1, {"prompt": "Tea?"}), (2, {"prompt": "Tea?", "response": "Yes."})]
        >>> [row.messages[0].content for row in parse_prompts(rows, "prompts.jsonl")]
        ['Tea?', 'Tea?']
    """
    rows: list[PromptOfRow] = []
    problems: list[Problem] = []
    hint = ""
    for number, value in items:
        try:
            if isinstance(value, Problem):
                problems.append(value)
            else:
                rows.append(_row(number, value, path))
        except RowError as error:
            problems.append(Problem(number, error.field, error.message))
        except InputError as error:
            problems.extend(error.problems)
            hint = hint or error.hint
    if problems or not rows:
        raise InputError(path, problems or [Problem(None, "", "has no rows")], hint)
    return rows
