"""What explains a reward: the follow-ups that moved most between two responses of one prompt.

From the values of result rows that carry `followups`; no model and no file is opened. With
d_f = l(f | first) - l(f | second) and part p_f of f in the mean of its category k and polarity s_f,
which is 1 or -1 (of n follow-ups without weights each has the part 1 / n),

    reward(first) - reward(second) = sum_f share_k * s_f * p_f * d_f                     (1)

A longer or odder response moves all follow-ups of a category together. Equation (1) cancels that
part, so it is taken away before a follow-up's own contribution is told:

    shift_k        = (mean_{f in k, positive} d_f + mean_{f in k, negative} d_f) / 2       (2)
    contribution_f = share_k * s_f * p_f * (d_f - shift_k)                               (3)

and the contributions still sum to the difference of the two rewards.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Float

from flr.errors import UserError
from flr.rewards import VARIANTS, category_shares, per_followup, side_means, side_weights
from flr.types import FollowUp, Message


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two responses, or the mean of many.

    Args:
        label: how it is called in the report (`chosen`, `response 1`, `mean of 200 rows`).
        response: its text; None where it is the mean of many.
        reward: its reward.
        by_category: its reward in each category.
        followups: what was scored, in the set's order.
        values: value of each follow-up.
    """

    label: str
    response: str | None
    reward: float
    by_category: Mapping[str, float]
    followups: tuple[FollowUp, ...]
    values: Float[np.ndarray, " followup"]


@dataclass(frozen=True, slots=True)
class Movement:
    """How one follow-up moved from the second side to the first.

    Args:
        followup: the follow-up.
        first: its value after the first response.
        second: its value after the second.
        shift: what its whole category moved by, equation (2).
        contribution: its part of the difference of the rewards, equation (3).
    """

    followup: FollowUp
    first: float
    second: float
    shift: float
    contribution: float

    @property
    def moved(self) -> float:
        """How much likelier it became beside its category; negative where less likely."""
        return self.first - self.second - self.shift


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Everything that a report shows.

    Args:
        prompt: messages before the response; empty where the two sides share none.
        first: the response that is explained.
        second: what it is held against.
        variant: the variant of the rewards, a name in `rewards.VARIANTS`.
        weights: weight of each category; empty means equal ones.
        source: one line on how the rewards were made (model, set, file); may be empty.
    """

    prompt: tuple[Message, ...]
    first: Side
    second: Side
    variant: str = "mean"
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    source: str = ""

    @property
    def unit(self) -> str:
        """The unit of values and rewards."""
        return next(known.unit for known in VARIANTS if known.name == self.variant)


def _weight_of(place: str, weight: Any) -> float:
    """The weight of an entry; 1 where a set without weights wrote none."""
    if weight is None:
        return 1.0
    if not isinstance(weight, float | int) or not (isfinite(weight) and weight > 0):
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
        } if tokens > 0 and isinstance(entry.get(key), float | int):
            weight = _weight_of(place, entry.get("weight"))
            return FollowUp(text, category, int(polarity), weight), float(entry[key]), tokens
    raise UserError(
        f"{place}: expected text, category, polarity (1 or -1), {key} (a number) and tokens "
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


def read_side(
    label: str,
    response: str | None,
    reward: float,
    by_category: Mapping[str, float],
    followups: Sequence[Any],
    variant: str = "mean",
) -> Side:
    """One side from the fields of a result row.

    Args:
        label: how it is called in the report.
        response: its text.
        reward: the row's reward.
        by_category: the row's reward by category.
        followups: the row's `followups` for this response, as they lie in the file.
        variant: the file's variant; for `official` an entry has `logit` in place of `logprob`.
            Baselines of `pmi` are not in the file and cancel between responses of one prompt, so
            `pmi` is explained by the means.

    Returns:
        The side, its values in the variant's unit.

    Raises:
        UserError: `followups` that are not of the written form, or not those of `by_category`.
    """
    key = "logit" if variant == "official" else "logprob"
    read = [_followup_of(f"followups[{i}]", entry, key) for i, entry in enumerate(followups)]
    scored = tuple(followup for followup, _, _ in read)
    _check_categories(scored, by_category)
    sums = np.array([number for _, number, _ in read], dtype=np.float64)
    tokens = np.array([count for _, _, count in read], dtype=np.int64)
    values = per_followup(sums, tokens, "sum" if variant in ("sum", "official") else "mean")
    return Side(label, response, reward, by_category, scored, values)


def _check_same_set(first: Side, second: Side) -> None:
    if first.followups != second.followups or first.by_category.keys() != second.by_category.keys():
        raise UserError(
            f"{first.label} and {second.label} were scored with different follow-up sets; "
            "score both with one set to compare them"
        )


def mean_side(label: str, sides: Iterable[Side]) -> Side:
    """The mean of many sides, to hold one response against; the sides may come one by one.

    Args:
        label: how the mean is called in the report.
        sides: at least one, all scored with one follow-up set.

    Raises:
        UserError: no side at all, or sides of different sets.
    """
    model, count, total = None, 0, np.zeros(())
    for side in sides:
        model = model or side
        _check_same_set(side, model)
        figures = [side.reward, *(side.by_category[category] for category in model.by_category)]
        total = total + np.concatenate([figures, side.values])
        count += 1
    if model is None:
        raise UserError("no scored response to take the mean of; expected at least one")
    reward, *categories = (total / count)[: 1 + len(model.by_category)].tolist()
    by_category = dict(zip(model.by_category, categories, strict=True))
    values = (total / count)[1 + len(categories) :]
    return Side(label, None, reward, by_category, model.followups, values)


def _shifts(followups: Sequence[FollowUp], moved: Sequence[float]) -> dict[str, float]:
    """Equation (2) for every category."""
    means = side_means(moved, followups)
    return {category: (means[category, 1] + means[category, -1]) / 2 for category, _ in means}


def movements(first: Side, second: Side, weights: Mapping[str, float]) -> list[Movement]:
    """How every follow-up moved from `second` to `first`, the largest contribution first.

    Args:
        first: the response that is explained.
        second: what it is held against.
        weights: weight of each category; empty means equal ones.

    Returns:
        One movement a follow-up; their contributions sum to the difference of the rewards.

    Raises:
        UserError: sides that were scored with different follow-up sets.
    """
    _check_same_set(first, second)
    followups = first.followups
    categories = tuple(dict.fromkeys(followup.category for followup in followups))
    shares = category_shares(categories, weights or dict.fromkeys(categories, 1.0))
    shifts = _shifts(followups, (first.values - second.values).tolist())
    moves = []
    values = zip(first.values.tolist(), second.values.tolist(), strict=True)
    for f, (one, other), (weight, total) in zip(
        followups, values, side_weights(followups), strict=True
    ):
        moved = one - other - shifts[f.category]
        part = shares[f.category] * f.polarity * moved * weight / total  # (3)
        moves.append(Movement(f, one, other, shifts[f.category], part))
    return sorted(moves, key=lambda move: -abs(move.contribution))
