"""The follow-up set that fitted factors make: weights, and what is dropped for having none."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from flr.rewards import category_shares, coefficients
from flr.types import FollowUp, FollowUpSet

NOTHING = 1e-6
"""What has at most this part of the largest factor is dropped."""


def _factors(theta: Float[np.ndarray, " feature"]) -> list[float]:
    """The factors, exactly 0 where they are next to nothing; all 1 where no factor is above 0."""
    if not (theta > 0).any():
        return [1.0] * len(theta)
    return np.where(theta <= NOTHING * theta.max(), 0.0, theta).tolist()


def _largest_one(weights: Mapping[str, float]) -> dict[str, float]:
    largest = max(weights.values())
    return {name: weight / largest for name, weight in weights.items() if weight > 0}


def with_category_factors(
    followup_set: FollowUpSet, theta: Float[np.ndarray, " feature"]
) -> FollowUpSet:
    """The set with the weight of each category multiplied, the largest then being 1.

    Args:
        followup_set: as it was.
        theta: a factor a category; a category of factor 0 is dropped. Where all are 0 they say
            nothing of the weights, which stay.
    """
    shares = category_shares(followup_set.categories, followup_set.weights)
    own = zip(shares.items(), _factors(theta), strict=True)
    weights = _largest_one({name: share * factor for (name, share), factor in own})
    kept = tuple(one for one in followup_set.followups if one.category in weights)
    return replace(followup_set, followups=kept, weights=weights)


def with_followup_factors(
    followup_set: FollowUpSet, theta: Float[np.ndarray, " feature"]
) -> FollowUpSet:
    """The set with the weight of each follow-up multiplied, and its category's with its side's.

    Args:
        followup_set: as it was.
        theta: a factor a follow-up, balanced as `fitting` (3) says; a follow-up of factor 0 is
            dropped, and a category of which one side is left empty.
    """
    parts = np.abs(coefficients(followup_set, followup_set.weights)) * _factors(theta)
    sides: dict[tuple[str, int], dict[int, float]] = {}
    for at, (one, part) in enumerate(zip(followup_set.followups, parts.tolist(), strict=True)):
        sides.setdefault((one.category, one.polarity), {})[at] = part
    totals = {side: sum(own.values()) for side, own in sides.items()}
    weights = {
        name: (totals[name, 1] + totals[name, -1]) / 2 * (totals[name, 1] * totals[name, -1] > 0)
        for name in followup_set.categories
    }
    weights = _largest_one(weights)
    kept: list[FollowUp] = []
    for at, one in enumerate(followup_set.followups):
        own = sides[one.category, one.polarity]
        if own[at] > 0 and one.category in weights:
            kept.append(replace(one, weight=own[at] / max(own.values())))
    return replace(followup_set, followups=tuple(kept), weights=weights)
