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

import numpy as np
from jaxtyping import Float

from flr.errors import UserError
from flr.rewards import VARIANTS, category_shares, side_means, side_weights
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
