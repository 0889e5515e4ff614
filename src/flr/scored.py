"""Reads back what `flr score` wrote: rows, their rewards, and the follow-ups behind those."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from flr import runs
from flr.errors import InputError, Problem, UserError
from flr.rewards import per_followup
from flr.rows import Row
from flr.score_record import SIDES
from flr.scoring import Score
from flr.types import FollowUp

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
        case (float() | int() as reward, {**parts}, [*followups]) if all(
            isinstance(one, Mapping) for one in followups
        ):
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


def _is_finite(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < 2**1023


def _weight_of(place: str, weight: Any) -> float:
    """The weight of an entry; 1 where a set without weights wrote none."""
    if weight is None:
        return 1.0
    if not (_is_finite(weight) and weight > 0):
        raise UserError(f"{place}.weight: expected a finite number above 0, got {weight!r:.60}")
    return float(weight)


def _followup_of(place: str, entry: Any, key: str) -> tuple[FollowUp, float, int]:
    """One entry of a row's `followups`, its number under `key`; `place` names it in errors."""
    match entry:
        case {
            "text": str(text),
            "category": str(category),
            "polarity": 1 | -1 as polarity,
            "tokens": int(tokens),
        } if tokens > 0 and _is_finite(entry.get(key)):
            weight = _weight_of(place, entry.get("weight"))
            return FollowUp(text, category, int(polarity), weight), float(entry[key]), tokens
    raise UserError(
        f"{place}: expected text, category, polarity (1 or -1), {key} (a finite number) and tokens "
        f"(1 or more), got {repr(entry)[:200]}; make the file with flr score --per-followup"
    )


def _check_categories(followups: Sequence[FollowUp], categories: Iterable[str]) -> None:
    sides = {(followup.category, followup.polarity) for followup in followups}
    expected = {(category, polarity) for category in categories for polarity in (1, -1)}
    if not sides or sides != expected:
        lacking = ", ".join(
            f"{category} ({polarity:+d})" for category, polarity in sorted(expected ^ sides)
        )
        raise UserError(
            "followups: expected both polarities of every category of reward_by_category and no "
            f"other; these differ: {lacking or 'there is none'}"
        )


def followup_values(
    score: Score, variant: str = "mean"
) -> tuple[tuple[FollowUp, ...], Float[np.ndarray, " followup"]]:
    """The follow-ups behind a score, and the value of each.

    Args:
        score: as it lies in the file.
        variant: the file's variant; for `official` an entry has `logit` in place of `logprob`.
            Baselines of `pmi` are not in the file and cancel between responses of one prompt, so
            `pmi` is explained by the means.

    Returns:
        In the set's order, and in the variant's unit.

    Raises:
        UserError: `followups` that are not of the written form, or not those of `by_category`.
    """
    key = "logit" if variant == "official" else "logprob"
    entries = enumerate(score.followups)
    read = [_followup_of(f"followups[{i}]", entry, key) for i, entry in entries]
    followups = tuple(followup for followup, _, _ in read)
    _check_categories(followups, score.by_category)
    sums = np.array([number for _, number, _ in read], dtype=np.float64)
    tokens = np.array([count for _, _, count in read], dtype=np.int64)
    kind = "sum" if variant in ("sum", "official") else "mean"
    return followups, per_followup(sums, tokens, kind)
