"""Which follow-ups to keep of a set: an order learned from labelled pairs, and parts of the set.

With p_f what follow-up f adds to the margin of a pair, `fitting` (1), and v the weights of pairs,

    usefulness_f = sum_i v_i p_if / sqrt(sum_i v_i * sum_i v_i p_if^2)                       (1)

which is 1 where it always adds the same to the better response and 0 where it adds to either alike.
In every category the most useful positive follow-up makes a couple with the most useful negative
one, the second with the second, and so on. Couples come in the order of their summed usefulness, so
that every part of the order has both sides of each of its categories. What is left over on the
longer side of a category comes behind all couples, one by one. The rule looks at each follow-up
alone: of two that say the same it keeps both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from jaxtyping import Float, Int

from flr.types import FollowUpSet

Steps = list[tuple[int, ...]]
"""Places of follow-ups in a set, those that come together in one step."""


def usefulness(
    added: Float[np.ndarray, "pair followup"], weights: Float[np.ndarray, " pair"]
) -> Float[np.ndarray, " followup"]:
    """Equation (1); 0 for a follow-up that adds nothing anywhere.

    Args:
        added: from `fitting.parts`.
        weights: of the pairs.

    Example:
        >>> usefulness(np.array([[2.0, 1.0, 0.0], [2.0, -1.0, 0.0]]), np.ones(2))
        array([1., 0., 0.])
    """
    shares = weights / weights.sum()
    size = np.sqrt(shares @ added**2)
    return np.divide(shares @ added, size, out=np.zeros_like(size), where=size > 0)  # (1)


def _sides(followup_set: FollowUpSet, rank: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Places of the positive and of the negative follow-ups of each category, by rank."""
    for category in followup_set.categories:
        own = [at for at in rank if followup_set.followups[at].category == category]
        signs = {at: followup_set.followups[at].polarity for at in own}
        yield [at for at in own if signs[at] > 0], [at for at in own if signs[at] < 0]


def ordered(followup_set: FollowUpSet, useful: Float[np.ndarray, " followup"]) -> Steps:
    """The follow-ups in couples, the most useful first.

    Args:
        followup_set: with both polarities in every category.
        useful: any figure of each follow-up, larger where it is more use.
    """
    rank = np.argsort(-useful, kind="stable").tolist()
    couples, rest = Steps(), Steps()
    for positive, negative in _sides(followup_set, rank):
        couples += zip(positive, negative, strict=False)  # one side may be longer
        shorter = min(len(positive), len(negative))
        rest += [(at,) for at in (*positive[shorter:], *negative[shorter:])]
    for steps in (couples, rest):
        steps.sort(key=lambda step: -float(useful[list(step)].sum()))
    return couples + rest


def sizes(steps: Steps, most: int = 16) -> list[int]:
    """Some numbers of steps, up to all of them, each about the same ratio from the next.

    Example:
        >>> sizes([(0, 1)] * 60, most=6)
        [1, 2, 5, 12, 26, 60]
    """
    return np.unique(np.round(np.geomspace(1, len(steps), most)).astype(int)).tolist()


def first(steps: Steps, count: int) -> Int[np.ndarray, " kept"]:
    """Places of the follow-ups of the first steps, in the set's order."""
    return np.array(sorted(at for step in steps[:count] for at in step))


def steps_within(steps: Steps, most: int) -> int:
    """How many steps hold no more than so many follow-ups.

    Example:
        >>> steps_within([(0, 1), (2, 3), (4,)], 3)
        1
    """
    return sum(size <= most for size in accumulate(map(len, steps)))


def part_of(followup_set: FollowUpSet, places: Int[np.ndarray, " kept"]) -> FollowUpSet:
    """The set of the follow-ups at these places, with the weights that they had.

    Args:
        followup_set: the whole.
        places: of follow-ups, in order; both polarities of every category that is among them.
    """
    kept = tuple(followup_set.followups[at] for at in places.tolist())
    weights = {one.category: followup_set.weights[one.category] for one in kept}
    return replace(followup_set, followups=kept, weights=weights)
