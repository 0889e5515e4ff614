"""How often sets put the better response first, on prompts that no weight was learned from.

A tie is worth half. Every prompt counts once, with the mean of its pairs. Intervals are over
prompts, those of a difference over the same draws of prompts.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from flr.calibration.choosing import by_prompt
from flr.calibration.labelled import Labelled
from flr.calibration.pruning import Steps, first, ordered, part_of, sizes
from flr.evaluation.figures import figure
from flr.resampling import estimates, share
from flr.rewards import coefficients
from flr.stats import pairwise_points
from flr.types import FollowUpSet

DRAWS = 20
"""Random orders of follow-ups that a learned one is held against."""


def coefficients_in(whole: FollowUpSet, part: FollowUpSet) -> Float[np.ndarray, " followup"]:
    """`rewards.coefficients` of a part of a set, 0 for follow-ups that it has not.

    Args:
        whole: what was scored.
        part: some of its follow-ups in the same order, with weights of its own.
    """
    found, left = np.zeros(len(whole.followups)), iter(enumerate(whole.followups))
    for one, coefficient in zip(part.followups, coefficients(part, part.weights), strict=True):
        same = one.text, one.category, one.polarity
        at = next(at for at, f in left if (f.text, f.category, f.polarity) == same)
        found[at] = coefficient
    return found


def prompt_points(
    labelled: Labelled, of_followups: Float[np.ndarray, " followup"]
) -> Float[np.ndarray, " prompt"]:
    """How often the better response of each prompt's pairs has the higher reward, ties half.

    Args:
        labelled: the pairs.
        of_followups: coefficients of the reward.
    """
    points = pairwise_points(labelled.differences @ of_followups)
    return by_prompt(points, labelled.prompt, labelled.weights, labelled.prompts)


def compared(
    labelled: Labelled, whole: FollowUpSet, after: FollowUpSet, seed: int
) -> dict[str, Any]:
    """Accuracy of the set as it was, of the set that was made of it, and the difference.

    Args:
        labelled: pairs of prompts that were not learned from.
        whole: the set that was scored.
        after: what was made of it.
        seed: of the intervals.
    """
    index = np.arange(labelled.prompts)
    sets = {"before": whole, "after": after}
    points = {
        name: share(prompt_points(labelled, coefficients_in(whole, one)), index)
        for name, one in sets.items()
    }
    found = estimates(points, labelled.prompts, seed)
    difference = found["after"] - found["before"]
    return {name: figure(one) for name, one in {**found, "difference": difference}.items()}


def _accuracy(labelled: Labelled, whole: FollowUpSet, steps: Steps, count: int) -> float:
    part = part_of(whole, first(steps, count))
    return float(prompt_points(labelled, coefficients_in(whole, part)).mean())


def curve(labelled: Labelled, whole: FollowUpSet, steps: Steps, seed: int) -> list[dict[str, Any]]:
    """Accuracy of parts of a set, its weights as they are, by the number of follow-ups.

    Args:
        labelled: pairs of prompts that the order was not learned from.
        whole: the set that was scored.
        steps: the learned order.
        seed: of the random orders, which the same rule makes of usefulness by lot.

    Returns:
        A point a size: `followups`, `accuracy` in the learned order with its interval, `random`,
        the mean over random orders, and `lowest` and `highest` among them.
    """
    generator = np.random.default_rng(seed)
    lots = [ordered(whole, generator.random(len(whole.followups))) for _ in range(DRAWS)]
    counts, index = sizes(steps), np.arange(labelled.prompts)
    parts = {count: part_of(whole, first(steps, count)) for count in counts}
    found = estimates(
        {
            count: share(prompt_points(labelled, coefficients_in(whole, part)), index)
            for count, part in parts.items()
        },
        labelled.prompts,
        seed,
    )
    points: list[dict[str, Any]] = []
    for count, part in parts.items():
        random = [_accuracy(labelled, whole, lot, count) for lot in lots]
        points.append(
            {
                "followups": len(part.followups),
                "accuracy": figure(found[count]),
                "random": float(np.mean(random)),
                "lowest": min(random),
                "highest": max(random),
            }
        )
    return points
