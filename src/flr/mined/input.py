"""What `flr mine` is given: prompts, responses or rewards, and the rows that they are."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from flr.errors import InputError, Problem
from flr.prompts import PromptOfRow, parse_prompts
from flr.rows import Row, columns_of, parse_numbered
from flr.types import Conversation, Message

Stage = Literal["sample", "score", "pair"]
"""What has to be done first with a file: of prompts, of responses, of responses with rewards."""

_HAS: Mapping[Stage, str] = {
    "sample": "no responses",
    "score": "responses without rewards",
    "pair": "rewards",
}

Numbered = tuple[int, Any]


def _stage_of(columns: Mapping[str, Any]) -> Stage:
    if columns.get("responses") is None:
        return "sample"
    return "score" if columns.get("rewards") is None else "pair"


def first_stage(source: str, items: Sequence[Numbered]) -> Stage:
    """The first stage that all rows need.

    Args:
        source: the file, for errors.
        items: number and value of each row.

    Raises:
        InputError: some rows are further than others.
    """
    stages: list[tuple[int, Stage]] = []
    for number, value in items:
        columns = columns_of(value)
        if columns is not None:
            stages.append((number, _stage_of(columns)))
    if not stages:
        return "sample"  # which names what is wrong
    first, stage = stages[0]
    for number, other in stages:
        if other != stage:
            problem = Problem(number, "", f"has {_HAS[other]}, row {first} has {_HAS[stage]}")
            raise InputError(source, [problem], "Give a file of which all rows are equally far.")
    return stage


def _waiting(prompt: PromptOfRow) -> Row:
    """A prompt as a row, with some response in place of those to come."""
    messages = (*prompt.messages, Message("assistant", "Yes."))
    return Row(prompt.number, prompt.columns, "several", (Conversation(messages),))


def rows_of(source: str, items: Sequence[Numbered], stage: Stage) -> list[Row]:
    """The rows of the input, several responses each; a prompt has one made up.

    Args:
        source: the file, for errors.
        items: number and value of each row.
        stage: from `first_stage`.

    Raises:
        InputError: bad rows, all of them named.
    """
    if stage == "sample":
        return [_waiting(prompt) for prompt in parse_prompts(items, source)]
    rows = parse_numbered(items, source)
    problems = [
        Problem(row.number, "responses", "stands beside columns of another form, which override it")
        for row in rows
        if row.form != "several"
    ]
    if problems:
        hint = (
            "Keep `prompt` and `responses`; drop `messages`, `conversation`, `chosen`, `rejected`."
        )
        raise InputError(source, problems, hint)
    return rows
