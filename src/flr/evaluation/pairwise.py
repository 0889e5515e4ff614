"""Pairwise agreement: how often the response that people preferred has the higher reward.

An item may have several preferred and several other responses; it is right where ALL preferred
ones have a higher reward than all others, and its margin is the smallest preferred reward less the
largest other one. Where that margin is 0, an item has as many points as breaking the tie at random
would give on average; so a reward that knows nothing gets what chance gets, however many responses
the items have. Lengths of an item are the mean lengths (characters) of its preferred and of its
other responses, so that which items count as "shorter preferred" is the same for every reward.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int

from flr.correlations import resampled_spearman
from flr.datasets.base import Dataset, Item
from flr.evaluation.figures import (
    Column,
    Figures,
    Key,
    by_subset,
    group_indices,
    inside_floor,
    labels,
    numbered,
)
from flr.resampling import FOR_CORRELATIONS, Resampled, Statistic, ratio, resampled_mean, share
from flr.stats import pairwise_points

SIMILAR = 0.25
"""Lengths are similar where they differ by at most this part of the longer one."""

MEAN_OF_SECTIONS = "mean of sections"


def _starts(dataset: Dataset) -> Int[np.ndarray, " item"]:
    """Where the responses of each item begin among all responses."""
    sizes = [len(item.labels) for item in dataset.items]
    return np.cumsum([0, *sizes[:-1]])


def _preferred(dataset: Dataset) -> Bool[np.ndarray, " response"]:
    preferred, starts = labels(dataset) == 1, _starts(dataset)
    for side in (preferred, ~preferred):
        assert np.logical_or.reduceat(side, starts).all(), "an item has both sides"
    return preferred


def margins(dataset: Dataset, column: Column) -> Float[np.ndarray, " item"]:
    """Smallest preferred reward less the largest other one, of each item.

    Args:
        dataset: of kind `pairwise`.
        column: the reward, finite.

    Returns:
        In the unit of the reward; above 0 where the item is right.

    Example:
        >>> from flr import Conversation
        >>> three = tuple(Conversation.of("2 + 2?", text) for text in ("4", "5", "6"))
        >>> sums = Dataset("sums", "pairwise", (Item("1", "1", three, (1.0, 0.0, 0.0)),), "")
        >>> margins(sums, Column([np.array([3.0, 2.0, 1.0])]))
        array([1.])
    """
    values, preferred, starts = np.concatenate(column.values), _preferred(dataset), _starts(dataset)
    lowest = np.minimum.reduceat(np.where(preferred, values, np.inf), starts)
    return lowest - np.maximum.reduceat(np.where(preferred, -np.inf, values), starts)


def _points_of_tie(item: Item, values: Float[np.ndarray, " response"]) -> float:
    """How often breaking the tie between the two sides at random puts all preferred ones first."""
    preferred = np.array(item.labels) == 1
    tied = values == values[preferred].min()
    return 1 / math.comb(int(tied.sum()), int((tied & preferred).sum()))


def points(dataset: Dataset, column: Column) -> Float[np.ndarray, " item"]:
    """1 for each item in the right order, 0 in the wrong one; of a tie, what chance would give.

    Where a preferred and b other responses of an item share the reward that both sides meet in, a
    tie is `1 / comb(a + b, a)` points: half a point for a pair.

    Args:
        dataset: of kind `pairwise`.
        column: the reward, finite.

    Example:
        >>> from flr import Conversation
        >>> three = tuple(Conversation.of("2 + 2?", text) for text in ("4", "5", "6"))
        >>> sums = Dataset("sums", "pairwise", (Item("1", "1", three, (1.0, 0.0, 0.0)),), "")
        >>> points(sums, Column([np.array([2.0, 2.0, 1.0])]))
        array([0.5])
    """
    found = margins(dataset, column)
    of_tie = np.zeros_like(found)
    for at in np.flatnonzero(found == 0).tolist():
        of_tie[at] = _points_of_tie(dataset.items[at], column.values[at])
    return pairwise_points(found, of_tie)


def _mean_lengths(items: Sequence[Item], label: int) -> Float[np.ndarray, " item"]:
    """Mean length of the responses with this label, of each item."""
    chosen = [
        [len(conversation.response) for conversation, own in pairs if own == label]
        for pairs in (zip(item.conversations, item.labels, strict=True) for item in items)
    ]
    return np.array([np.mean(lengths) for lengths in chosen])


def _drawn_mean_of_sections(
    drawn: Float[np.ndarray, "resample group"],
    accuracy_of: Sequence[Resampled],
    shares: Float[np.ndarray, "section subset"],
) -> Float[np.ndarray, " resample"]:
    accuracies = np.stack([accuracy(drawn) for accuracy in accuracy_of])
    sums = shares @ np.nan_to_num(accuracies)
    sections = ratio(sums, shares @ (~np.isnan(accuracies)).astype(np.float64))
    present = (~np.isnan(sections)).sum(axis=0).astype(np.float64)
    return ratio(np.nan_to_num(sections).sum(axis=0), present)


def _mean_of_sections(
    values: Float[np.ndarray, " item"],
    subset: Int[np.ndarray, " item"],
    index: Int[np.ndarray, " item"],
    groups: int,
    *,
    shares: Float[np.ndarray, "section subset"],
) -> Resampled:
    """Mean over sections of the weighted mean over each one's subsets.

    What was not drawn is left out of both means.
    """
    own = [subset == one for one in range(shares.shape[1])]
    accuracy_of = [resampled_mean(values[one], index[one], groups) for one in own]
    return partial(_drawn_mean_of_sections, accuracy_of=accuracy_of, shares=shares)


def _weighted(
    dataset: Dataset, accuracy: Statistic, sections: Sequence[Mapping[str, float]]
) -> Statistic:
    """The mean over sections, each given by the weights of its subsets."""
    names = list(dict.fromkeys(item.subset for item in dataset.items))
    subset = numbered((item.subset for item in dataset.items), names)
    shares = np.array([[own.get(name, 0.0) for name in names] for own in sections], np.float64)
    function = partial(_mean_of_sections, shares=shares)
    all_items = Statistic(function, (*accuracy.values, subset), accuracy.index)
    return all_items.where(shares.max(axis=0)[subset] > 0)


def _over_subsets(dataset: Dataset, accuracy: Statistic) -> dict[Key, Statistic]:
    """Means over subsets: the plain one of two or more, and what the set itself calls overall.

    Source:
        The plain one is the overall figure of RewardBench 2 (arXiv:2506.01937), but that its Ties
        subset has a score of its own there, and its accuracy here.
    """
    names = {item.subset for item in dataset.items} - {""}
    found: dict[Key, Statistic] = {}
    if len(names) > 1:
        found["subset_mean",] = _weighted(dataset, accuracy, [dict.fromkeys(names, 1.0)])
    parts = {name: [own] for name, own in dataset.sections.items()}
    overall = {MEAN_OF_SECTIONS: list(dataset.sections.values())} if parts else {}
    for name, sections in {**parts, **overall}.items():
        found["sections", name] = _weighted(dataset, accuracy, sections)
    return found


def _by_length(
    dataset: Dataset, accuracy: Statistic, found: Float[np.ndarray, " item"]
) -> dict[Key, Statistic]:
    """What the reward has to do with length."""
    preferred, other = _mean_lengths(dataset.items, 1), _mean_lengths(dataset.items, 0)
    apart = np.abs(preferred - other)
    differences = (found, preferred - other)
    return {
        ("length_correlation",): Statistic(
            resampled_spearman, differences, accuracy.index, FOR_CORRELATIONS
        ),
        ("shorter_preferred",): accuracy.where(preferred < other),
        ("similar_length",): accuracy.where(apart <= SIMILAR * np.maximum(preferred, other)),
    }


def measure(dataset: Dataset, column: Column) -> Figures:
    """Every figure of one reward on a pairwise set; a tie is worth what `points` says.

    In `strict` a tie is worth nothing; `subset_mean` is None unless there are two subsets.

    Args:
        dataset: of kind `pairwise`.
        column: the reward, finite.

    Returns:
        Its statistics and counts; `compared` is the accuracy.
    """
    index = group_indices(dataset)
    found = margins(dataset, column)
    accuracy = share(points(dataset, column), index)
    statistics: dict[Key, Statistic] = {
        ("accuracy",): accuracy,
        ("strict",): share(pairwise_points(found, tie=0.0), index),
        **_by_length(dataset, accuracy, found),
        **by_subset(accuracy, [item.subset for item in dataset.items]),
        **_over_subsets(dataset, accuracy),
    }
    for name, values in column.categories.items():
        statistics["categories", name] = share(points(dataset, Column(values)), index)
    plain = {
        "ties": int((found == 0).sum()),
        "noise_floor": column.noise_floor,
        "inside_floor": inside_floor(found, column.noise_floor),
        "subsets": {},
        "sections": {},
        "categories": {},
    }
    plain |= {} if ("subset_mean",) in statistics else {"subset_mean": None}
    return Figures(statistics, plain, ("accuracy",))
