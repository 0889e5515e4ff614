"""Reads back what `flr score` wrote: rows, their rewards, and the follow-ups behind those."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from flr import runs
from flr.errors import InputError, Problem, UserError
from flr.rows import Row
from flr.score_record import SIDES
from flr.scoring import Score

_MARKS = ("reward_by_category", "rewards_by_category", "reward_chosen_by_category")
"""Columns that say that a file was scored; a column `reward` may be another's."""

Scores = Mapping[int, Sequence[Score | None]]
"""By number of a row, the score of each of its responses; None for one that was left out."""


def are_scored(rows: Sequence[Row]) -> bool:
    """Whether any row has the columns that scoring adds."""
    return any(mark in row.columns for row in rows for mark in _MARKS)


def bad_row(source: str, row: Row, error: Exception) -> InputError:
    """The error of one row, with its number."""
    return InputError(source, [Problem(row.number, "", str(error))])


def _entries(row: Row) -> list[tuple[Any, Any, Any]]:
    """Reward, reward by category and follow-ups of each response, as they lie in the file."""
    if row.form == "pair":
        names = ("reward_{}", "reward_{}_by_category", "followups_{}")
        columns = ([row.columns.get(name.format(side)) for side in SIDES] for name in names)
    elif row.form == "several":
        lacking = [None] * len(row.conversations)
        names = ("rewards", "rewards_by_category", "followups")
        columns = (row.columns.get(name) or lacking for name in names)
    else:
        names = ("reward", "reward_by_category", "followups")
        columns = ([row.columns.get(name)] for name in names)
    numbered = zip(row.conversations, *columns, strict=True)
    return [(reward, parts, followups) for _, reward, parts, followups in numbered]


def _stored_score(source: str, entry: tuple[Any, Any, Any]) -> Score | None:
    """One response's score from its columns; its follow-ups are checked where they are used."""
    match entry:
        case (None, _, _):
            return None
        case (float() | int(), {**_parts}, None):
            raise UserError(
                "it was scored, but its follow-ups are not in the file; give the same flr score "
                "command again with --per-followup --force added (what "
                f"{runs.store_path(Path(source)).name} holds is not computed again)"
            )
        case (float() | int() as reward, {**parts}, [*followups]):
            numbers = {str(name): float(part) for name, part in parts.items()}
            if all(map(isfinite, (reward, *numbers.values()))):
                return Score(float(reward), numbers, followups)
    raise UserError("its rewards and follow-ups are not in the form that flr score writes")


def stored_scores(source: str, rows: Sequence[Row]) -> Scores:
    """The scores that a file holds.

    Args:
        source: the file, for errors.
        rows: of it.

    Returns:
        By number of the row; the follow-ups of a score are checked where they are used.

    Raises:
        InputError: a row that is not as `flr score --per-followup` writes it.
    """
    scores: dict[int, list[Score | None]] = {}
    for row in rows:
        try:
            scores[row.number] = [_stored_score(source, entry) for entry in _entries(row)]
        except (TypeError, ValueError, OverflowError) as error:  # UserError is a ValueError
            raise bad_row(source, row, error) from error
    return scores
