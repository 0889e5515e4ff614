"""What the three procedures share: the column of a reward, groups and lengths, figures as data.

A figure is `{"value", "interval", "count"}`: the number, its 95 % interval by bootstrap over
prompts, and how many pairs or responses (for correlations over systems: systems) it rests on.
What has no answer is None.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from flr.datasets.base import Dataset, Item
from flr.errors import UserError
from flr.resampling import Estimate, Statistic, share

Key = tuple[str, ...]
"""Where a figure stands in the result: `("accuracy",)`, `("subsets", "easy")`."""


@dataclass(frozen=True, slots=True)
class Column:
    """One reward of every response of a dataset.

    Args:
        values: one array an item, in the dataset's order; one value a response.
        categories: the same, by the follow-up category that the reward is made of.
        noise_floor: how far the reward of a response may be off by the arithmetic alone, unit of
            the reward; None where it was not measured, 0.0 where the reward is exact.
    """

    values: Sequence[Float[np.ndarray, " _"]]  # `_`: items differ in their number of responses
    categories: Mapping[str, Sequence[Float[np.ndarray, " _"]]] = field(
        default_factory=dict[str, Sequence[Float[np.ndarray, " _"]]]
    )
    noise_floor: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one reward, before anything is resampled.

    Args:
        statistics: the figures, by their place in the result.
        plain: the rest of the result, in its form; figures are filled in beside and below it.
        compared: the statistic of which the difference to the reference reward is taken.
    """

    statistics: Mapping[Key, Statistic]
    plain: Mapping[str, Any]
    compared: Key


def check_values(values: Float[np.ndarray, " _"], item: Item, name: str) -> None:
    """Refuses what is no reward for every response of an item.

    Args:
        values: one a response.
        item: any.
        name: of the reward.

    Raises:
        UserError: it names the reward, the item and the first such response.
    """
    if values.shape != (len(item.labels),):
        raise UserError(
            f"{name}: {len(values)} values for item {item.id!r}; "
            f"expected {len(item.labels)}, one a response."
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise UserError(
            f"{name}: response {bad[0] + 1} of item {item.id!r} got {values[bad[0]]}; "
            "a reward is a finite number."
        )


def numbered(names: Iterable[str], order: Iterable[str]) -> Int[np.ndarray, " name"]:
    """The place of each name in `order`, from 0; names may be as long as prompts.

    Example:
        >>> numbered(["b", "a", "b"], order="ab")
        array([1, 0, 1])
    """
    place = {name: at for at, name in enumerate(order)}
    return np.array([place[name] for name in names], np.int64)


def group_indices(dataset: Dataset) -> Int[np.ndarray, " item"]:
    """The group of each item, numbered from 0 in the order of their names."""
    groups = [item.group for item in dataset.items]
    return numbered(groups, sorted(set(groups)))


def response_indices(dataset: Dataset) -> Int[np.ndarray, " response"]:
    """The group of each response."""
    return np.repeat(group_indices(dataset), [len(item.labels) for item in dataset.items])


def labels(dataset: Dataset) -> Float[np.ndarray, " response"]:
    """What people said of each response."""
    return np.array([label for item in dataset.items for label in item.labels], np.float64)


def lengths(dataset: Dataset) -> Float[np.ndarray, " response"]:
    """Length of each response in characters."""
    return np.array(
        [len(one.response) for item in dataset.items for one in item.conversations], np.float64
    )


def by_subset(statistic: Statistic, subsets: Sequence[str]) -> dict[Key, Statistic]:
    """The statistic of each subset.

    Args:
        statistic: of the whole set.
        subsets: the subset of each of its values; values with an empty one are in no subset.
    """
    names = list(dict.fromkeys(subsets))
    own = numbered(subsets, names)
    return {("subsets", n): statistic.where(own == at) for at, n in enumerate(names) if n}


def most_common_share(
    values: Float[np.ndarray, " value"], index: Int[np.ndarray, " value"]
) -> Statistic:
    """The share of the most common value; which one it is, is not resampled."""
    distinct, counts = np.unique(values, return_counts=True)
    return share((values == distinct[counts.argmax()]).astype(np.float64), index)


def inside_floor(margins: Float[np.ndarray, " pair"], noise_floor: float | None) -> int | None:
    """How many decisions noise may have made: either of two rewards may be off by the floor."""
    return None if noise_floor is None else int((np.abs(margins) <= 2 * noise_floor).sum())


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def figure(estimate: Estimate) -> dict[str, Any]:
    """An estimate as plain data.

    Example:
        >>> figure(Estimate(0.5, np.array([0.5, np.nan]), 3))
        {'value': 0.5, 'interval': [0.5, 0.5], 'count': 3}
    """
    return {
        "value": _plain(estimate.value),
        "interval": [_plain(end) for end in estimate.interval()],
        "count": estimate.count,
    }


def filled(plain: Mapping[str, Any], found: Mapping[Key, Estimate]) -> dict[str, Any]:
    """Figures as plain data, each in its place.

    Args:
        plain: what the result holds beside them.
        found: an estimate by its place.

    Example:
        >>> filled({"ties": 0}, {("subsets", "a"): Estimate(1.0, np.ones(9), 3)})
        {'ties': 0, 'subsets': {'a': {'value': 1.0, 'interval': [1.0, 1.0], 'count': 3}}}
    """
    result = deepcopy(dict(plain))
    for key, estimate in found.items():
        place = result
        for part in key:
            place = place.setdefault(part, {})
        place.update(figure(estimate))
    return result
