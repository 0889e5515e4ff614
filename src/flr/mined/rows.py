"""What rows of training data have in common, be they pairs, labelled responses or feedback.

Which responses make a pair is `flr.pairing`'s, which get a label `flr.labelling`'s, how a row is
written `flr.preferences.formats`'; rows of pairs are made in `pairs`, of labels in `labels`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from flr.errors import InputError, OptionError, Problem, UserError
from flr.messages import prompt_key
from flr.preferences.formats import PAIRED
from flr.prompts import OF_RESPONSES, REWARDED
from flr.responses import Group
from flr.rows import Row

Format = Literal["trl", "trl-kto", "llama-factory", "llama-factory-kto", "openrlhf"]


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What is written."""

    format: Format = "trl"
    """Form of OUTPUT; those with kto have single responses with a label in place of pairs."""
    held_out: float = 0.0
    """Part of the prompts whose rows go to a second file (of pairs.jsonl: pairs.held-out.jsonl)."""

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise OptionError(f"--held-out {self.held_out}; from 0 to below 1 was expected")

    @property
    def is_paired(self) -> bool:
        """Whether a row is a pair."""
        return self.format in PAIRED


@dataclass(frozen=True, slots=True)
class Mined:
    """Rows of preference data.

    Args:
        rows: for the main file.
        held_out: for the held-out file, of other prompts.
        report: figures and examples, plain data.
    """

    rows: Sequence[Mapping[str, Any]]
    held_out: Sequence[Mapping[str, Any]]
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """One row of training data, and what is counted of it.

    Args:
        key: equal for rows of one prompt, which are never in both files.
        row: in the form of its trainer.
        label: whether its response is a good one; None for a pair or feedback.
    """

    key: str
    row: Mapping[str, Any]
    label: bool | None = None


def _is_number(value: Any) -> bool:
    """Whether a value is a number that fits a float; NaN does."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 2**1023
    return isinstance(value, float)


def _is_by_category(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    numbers: list[Any] = list(value.values())
    return all(_is_number(one) and isfinite(one) for one in numbers)


def _listed(row: Row, column: str, fits: Callable[[Any], bool], expected: str) -> list[Any]:
    """A column of one entry a response, or null; as many Nones where it is absent."""
    value, count = row.columns.get(column), len(row.conversations)
    if value is None:
        return [None] * count
    if (
        isinstance(value, list)
        and len(value) == count
        and all(one is None or fits(one) for one in value)
    ):
        return value
    raise UserError(f"{column}: expected a list of {count} {expected} or nulls, one a response")


def _group(row: Row) -> Group:
    rewards = _listed(row, "rewards", _is_number, "numbers")
    reasons = _listed(row, "finish_reasons", lambda one: isinstance(one, str), "texts")
    _listed(row, "rewards_by_category", _is_by_category, "objects of finite numbers")
    texts = tuple(conversation.response for conversation in row.conversations)
    numbers = tuple(None if one is None else float(one) for one in rewards)
    return Group(prompt_key(row.conversations[0]), texts, numbers, tuple(reasons))


def groups_of(rows: Sequence[Row], source: str) -> list[Group]:
    """The responses and rewards of each row.

    Args:
        rows: each with a list of responses.
        source: the file, for errors.

    Raises:
        InputError: columns that do not fit the responses; all bad rows are in it.
    """
    groups: list[Group] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            groups.append(_group(row))
        except UserError as error:
            problems.append(Problem(row.number, "", str(error)))
    if problems:
        raise InputError(source, problems)
    return groups


def others(row: Row) -> dict[str, Any]:
    """The columns that do not speak of responses; they go into every row that is made of it."""
    own = {"prompt", *OF_RESPONSES, *REWARDED}
    return {name: value for name, value in row.columns.items() if name not in own}


def complete(extra: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that have a value.

    A reader that fixes its columns by the first rows takes no null before a number, and no whole
    number before a fraction: rewards are floats, and in every row.
    """
    return {name: value for name, value in extra.items() if value is not None}


def split(made: Sequence[Made], share: float, seed: int) -> tuple[list[Made], list[Made]]:
    """Main and held-out rows, no prompt in both.

    Args:
        made: all rows.
        share: part of the prompts that is held out; where it is above 0 and there are two prompts
            or more, neither side is empty.
        seed: which prompts.
    """

    def place(key: str) -> str:
        return hashlib.sha256(f"{seed}\n{key}".encode()).hexdigest()

    prompts = sorted({one.key for one in made}, key=place)
    most = len(prompts) - 1
    count = min(most, max(1, round(share * len(prompts)))) if share and most > 0 else 0
    held_out = set(prompts[:count])
    return (
        [one for one in made if one.key not in held_out],
        [one for one in made if one.key in held_out],
    )
