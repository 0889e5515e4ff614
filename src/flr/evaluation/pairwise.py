"""Pairwise agreement: how often the response that people preferred has the higher reward.

An item may have several preferred and several other responses; it is right where ALL preferred
ones have a higher reward than all others, and its margin is the smallest preferred reward less the
largest other one. Its lengths are the mean lengths (characters) of its preferred and of its other
responses, so that which items count as "shorter preferred" is the same for every reward.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from flr.correlations import resampled_spearman
from flr.datasets.base import Dataset, Item
from flr.evaluation.figures import Column, Key, Measured, by_subset, group_indices, inside_floor
from flr.resampling import FOR_CORRELATIONS, Statistic, mean, ratio, resampled_mean
from flr.stats import pairwise_points

SIMILAR = 0.25
"""Lengths are similar where they differ by at most this part of the longer one."""

MEAN_OF_SECTIONS = "mean of sections"


def _margins(
    items: Sequence[Item], values: Sequence[Float[np.ndarray, " _"]]
) -> Float[np.ndarray, " pair"]:
    """Smallest preferred reward less the largest other one, of each item."""
    preferred = [np.array(item.labels) == 1 for item in items]
    assert all(0 < one.sum() < len(one) for one in preferred), "an item has both sides"
    found = zip(values, preferred, strict=True)
    return np.array([value[good].min() - value[~good].max() for value, good in found])


def _mean_lengths(items: Sequence[Item], label: int) -> Float[np.ndarray, " pair"]:
    """Mean length of the responses with this label, of each item."""
    chosen = [
        [len(conversation.response) for conversation, own in pairs if own == label]
        for pairs in (zip(item.conversations, item.labels, strict=True) for item in items)
    ]
    return np.array([np.mean(lengths) for lengths in chosen])


def _mean_of_sections(
    drawn: Float[np.ndarray, "resample group"],
    points: Float[np.ndarray, " pair"],
    level: Int[np.ndarray, " pair"],
    index: Int[np.ndarray, " pair"],
    *,
    shares: Float[np.ndarray, "section subset"],
) -> Float[np.ndarray, " resample"]:
    """Mean over sections of the weighted mean over each one's subsets.

    What was not drawn is left out of both means.
    """
    subsets = [level == one for one in range(shares.shape[1])]
    accuracies = np.stack([resampled_mean(drawn, points[one], index[one]) for one in subsets])
    sums = shares @ np.nan_to_num(accuracies)
    sections = ratio(sums, shares @ (~np.isnan(accuracies)).astype(np.float64))
    present = (~np.isnan(sections)).sum(axis=0).astype(np.float64)
    return ratio(np.nan_to_num(sections).sum(axis=0), present)


def _sections(dataset: Dataset, accuracy: Statistic) -> dict[Key, Statistic]:
    """The set's own overall figure, and its parts; nothing for most sets."""
    if not dataset.sections:
        return {}
    names = list(dict.fromkeys(item.subset for item in dataset.items))
    level = np.array([names.index(item.subset) for item in dataset.items])
    weights = [[own.get(name, 0.0) for name in names] for own in dataset.sections.values()]
    shares = np.array(weights, np.float64)
    parts = {name: shares[[at]] for at, name in enumerate(dataset.sections)}
    return {
        ("sections", name): Statistic(
            partial(_mean_of_sections, shares=part), (*accuracy.values, level), accuracy.index
        ).where(np.max(part, axis=0)[level] > 0)
        for name, part in {**parts, MEAN_OF_SECTIONS: shares}.items()
    }


def _by_length(
    dataset: Dataset, accuracy: Statistic, margins: Float[np.ndarray, " pair"]
) -> dict[Key, Statistic]:
    """What the reward has to do with length."""
    preferred, other = _mean_lengths(dataset.items, 1), _mean_lengths(dataset.items, 0)
    apart = np.abs(preferred - other)
    differences = (margins, preferred - other)
    return {
        ("length_correlation",): Statistic(
            resampled_spearman, differences, accuracy.index, FOR_CORRELATIONS
        ),
        ("shorter_preferred",): accuracy.where(preferred < other),
        ("similar_length",): accuracy.where(apart <= SIMILAR * np.maximum(preferred, other)),
    }


def measure(dataset: Dataset, column: Column) -> Measured:
    """Every figure of one reward on a pairwise set; a tie is half a point, in `strict` none.

    Args:
        dataset: of kind `pairwise`.
        column: the reward, finite.

    Returns:
        Its statistics and counts; `compared` is the accuracy.
    """
    index = group_indices(dataset)
    margins = _margins(dataset.items, column.values)
    accuracy = mean(pairwise_points(margins), index)
    statistics: dict[Key, Statistic] = {
        ("accuracy",): accuracy,
        ("strict",): mean(pairwise_points(margins, tie=0.0), index),
        **_by_length(dataset, accuracy, margins),
        **by_subset(accuracy, [item.subset for item in dataset.items]),
        **_sections(dataset, accuracy),
    }
    for name, values in column.categories.items():
        points = pairwise_points(_margins(dataset.items, values))
        statistics["categories", name] = mean(points, index)
    plain = {
        "ties": int((margins == 0).sum()),
        "noise_floor": column.noise_floor,
        "inside_floor": inside_floor(margins, column.noise_floor),
        "subsets": {},
        "sections": {},
        "categories": {},
    }
    return Measured(statistics, plain, ("accuracy",))
