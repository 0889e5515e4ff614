"""Agreement of rewards with people on one dataset, whatever its kind, as plain data.

All rewards and all figures see the same draws of prompts, so a difference to the reference reward
has a paired interval. What is not a finite number is an error, never left out.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flr.datasets.base import Dataset, Kind
from flr.errors import OptionError, UserError, did_you_mean
from flr.evaluation import pairwise, ranking, rating
from flr.evaluation.figures import (
    Column,
    Figures,
    check_values,
    figure,
    filled,
    group_indices,
    labels,
    most_common_share,
    response_indices,
)
from flr.resampling import Estimate, Statistic, estimates

MEASURES: dict[Kind, Callable[[Dataset, Column], Figures]] = {
    "pairwise": pairwise.measure,
    "rating": rating.measure,
    "ranking": ranking.measure,
}


def _check_column(dataset: Dataset, column: Column, name: str) -> None:
    parts = {name: column.values}
    parts |= {f"{name}, category {part!r}": values for part, values in column.categories.items()}
    for part, values in parts.items():
        if len(values) != len(dataset.items):
            raise UserError(
                f"{part}: rewards of {len(values)} items, but {dataset.name} has "
                f"{len(dataset.items)}; give one array an item, in the dataset's order."
            )
        for value, item in zip(values, dataset.items, strict=True):
            check_values(value, item, part)


def _majority(dataset: Dataset) -> Statistic | None:
    """What one gets right by always saying the same; None where there is nothing to say."""
    if dataset.kind == "rating":
        return most_common_share(labels(dataset), response_indices(dataset))
    positions = [item.position for item in dataset.items]
    known = np.array([position is not None for position in positions])
    if dataset.kind == "ranking" or not known.any():
        return None
    given = np.array([position for position in positions if position is not None], np.float64)
    return most_common_share(given, group_indices(dataset)[known])


def _chance(dataset: Dataset) -> float:
    """The main figure of a reward that knows nothing: of a pair it gets half, of four a quarter."""
    if dataset.kind != "pairwise":
        return 0.0
    ways = [math.comb(len(item.labels), int(sum(item.labels))) for item in dataset.items]
    return float(np.mean([1 / way for way in ways]))


def _rewards(
    dataset: Dataset, columns: Mapping[str, Column], reference: str | None, groups: int, seed: int
) -> dict[str, Any]:
    """The result of each reward, the reference first so that the others can be compared to it."""
    results: dict[str, Any] = dict.fromkeys(columns)
    theirs: Estimate | None = None
    for name in sorted(columns, key=lambda name: name != reference):
        figures = MEASURES[dataset.kind](dataset, columns[name])
        found = estimates(figures.statistics, groups, seed)
        own = found[figures.compared]
        results[name] = {
            **filled(figures.plain, found),
            "difference": None if theirs is None else figure(own - theirs),
        }
        theirs = own if name == reference else theirs
    return results


def evaluate(
    dataset: Dataset, columns: Mapping[str, Column], *, reference: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Every figure of every reward on one dataset.

    Args:
        dataset: of any kind.
        columns: each reward's values by its name.
        reference: the reward that the others are compared to; None compares none.
        seed: of the resamples; the same seed gives the same intervals.

    Returns:
        Plain data that can be written as JSON: the dataset's own counts, `majority`, and `rewards`
        with the figures of its kind by name.

    Raises:
        UserError: a column that is no finite value for every response.
        OptionError: a reference that is not among the columns.

    Example:
        >>> from flr import Conversation
        >>> from flr.datasets.base import Item
        >>> pair = tuple(Conversation.of("2 + 2?", text) for text in ("4", "five"))
        >>> items = tuple(Item(f"{n}", f"{n}", pair, (1.0, 0.0)) for n in range(3))
        >>> sums = Dataset("sums", "pairwise", items, "by hand")
        >>> length = Column([np.array([1.0, 4.0])] * 3)
        >>> evaluate(sums, {"length": length})["rewards"]["length"]["accuracy"]
        {'value': 0.0, 'interval': [0.0, 0.70...], 'count': 3}
    """
    if reference is not None and reference not in columns:
        raise OptionError(
            f"there is no reward {reference!r} to compare with; there are {', '.join(columns)}."
            + did_you_mean(reference, list(columns))
        )
    for name, column in columns.items():
        _check_column(dataset, column, f"reward {name!r}")
    groups = int(group_indices(dataset).max()) + 1
    majority = _majority(dataset)
    share = None if majority is None else estimates({"share": majority}, groups, seed)["share"]
    return {
        "kind": dataset.kind,
        "source": dataset.source,
        "files": dict(dataset.files),
        "items": len(dataset.items),
        "groups": groups,
        "responses": sum(len(item.labels) for item in dataset.items),
        "left_out": dict(dataset.left_out),
        "chance": _chance(dataset),
        "majority": None if share is None else figure(share),
        "rewards": _rewards(dataset, columns, reference, groups, seed),
    }
