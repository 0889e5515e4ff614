"""Agreement with ratings: correlation of reward and rating over all responses.

Where an item has several responses with different ratings, also how often the better rated one has
the higher reward (within-prompt accuracy, ties half a point): what a reward is worth for choosing.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from flr.correlations import (
    resampled_kendall,
    resampled_partial,
    resampled_pearson,
    resampled_spearman,
)
from flr.datasets.base import Dataset, Item
from flr.evaluation.figures import (
    Column,
    Figures,
    Key,
    by_subset,
    group_indices,
    inside_floor,
    labels,
    lengths,
    response_indices,
)
from flr.resampling import FOR_CORRELATIONS, Statistic, share
from flr.stats import pairwise_points


def _item_margins(item: Item, values: Float[np.ndarray, " response"]) -> Float[np.ndarray, " pair"]:
    """Reward of the better rated less that of the worse, of each two that are rated differently."""
    one, other = np.triu_indices(len(values), k=1)
    ratings = np.array(item.labels, np.float64)
    better = np.sign(ratings[one] - ratings[other])
    return ((values[one] - values[other]) * better)[better != 0]


def _within_prompt(
    dataset: Dataset, values: Sequence[Float[np.ndarray, " _"]]
) -> tuple[Float[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """The margin of every two responses of one item, and their group."""
    items = zip(dataset.items, values, strict=True)
    margins = [_item_margins(item, value) for item, value in items]
    index = np.repeat(group_indices(dataset), [len(one) for one in margins])
    return np.concatenate(margins), index


def measure(dataset: Dataset, column: Column) -> Figures:
    """Every figure of one reward on a set of ratings.

    Args:
        dataset: of kind `rating`.
        column: the reward, finite.

    Returns:
        Its statistics and counts; `compared` is Pearson's correlation.
    """
    ratings, length, index = labels(dataset), lengths(dataset), response_indices(dataset)
    rewards = np.concatenate(column.values)
    subsets = [item.subset for item in dataset.items for _ in item.labels]
    pearson = Statistic(resampled_pearson, (rewards, ratings), index, FOR_CORRELATIONS)
    statistics: dict[Key, Statistic] = {
        ("pearson",): pearson,
        ("spearman",): Statistic(resampled_spearman, (rewards, ratings), index, FOR_CORRELATIONS),
        ("kendall",): Statistic(resampled_kendall, (rewards, ratings), index, FOR_CORRELATIONS),
        ("partial",): Statistic(
            resampled_partial, (rewards, ratings, np.log1p(length)), index, FOR_CORRELATIONS
        ),
        ("length_correlation",): Statistic(
            resampled_spearman, (rewards, length), index, FOR_CORRELATIONS
        ),
        **by_subset(pearson, subsets),
    }
    for name, values in column.categories.items():
        both = (np.concatenate(values), ratings)
        statistics["categories", name] = Statistic(resampled_pearson, both, index, FOR_CORRELATIONS)
    margins, prompts = _within_prompt(dataset, column.values)
    if len(margins):
        statistics["within_prompt",] = share(pairwise_points(margins), prompts)
    plain = {
        "noise_floor": column.noise_floor,
        "inside_floor": inside_floor(margins, column.noise_floor) if len(margins) else None,
        "subsets": {},
        "categories": {},
    }
    plain |= {} if len(margins) else {"within_prompt": None}
    return Figures(statistics, plain, ("pearson",))
