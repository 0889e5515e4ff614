"""Agreement of rewards with people on one dataset, whatever its kind, as plain data.

All rewards and all figures see the same draws of prompts, so a difference to the reference reward
has a paired interval. What is not a finite number is an error, never left out.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from flr.datasets import loading
from flr.datasets.base import Dataset, Item, Kind
from flr.errors import OptionError, UserError, did_you_mean
from flr.evaluation import pairwise, ranking, rating
from flr.evaluation.figures import (
    Column,
    Key,
    Measured,
    figure,
    group_indices,
    labels,
    most_common_share,
    response_indices,
)
from flr.resampling import Estimate, Statistic, estimates
from flr.types import Conversation

RewardFunction = Callable[[Sequence[Conversation]], Sequence[float]]
"""The reward of each conversation, in their order."""

CALL = 64
"""Conversations that a reward function gets at a time, or one item's if it has more."""

MEASURES: dict[Kind, Callable[[Dataset, Column], Measured]] = {
    "pairwise": pairwise.measure,
    "rating": rating.measure,
    "ranking": ranking.measure,
}


def _calls(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Whole items, at most `CALL` conversations together where more than one."""
    call: list[Item] = []
    for item in items:
        if call and sum(len(one.labels) for one in call) + len(item.labels) > CALL:
            yield call
            call = []
        call.append(item)
    if call:
        yield call


def _check_values(values: Float[np.ndarray, " _"], item: Item, name: str) -> None:
    """Refuses what is no reward for every response of an item."""
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
            _check_values(value, item, part)


def _asked(reward: RewardFunction, call: Sequence[Item]) -> list[Float[np.ndarray, " _"]]:
    """The rewards of some items, one array an item."""
    conversations = [conversation for item in call for conversation in item.conversations]
    given = reward(conversations)
    first, last = call[0].id, call[-1].id
    if len(given) != len(conversations):
        raise UserError(
            f"the reward function gave {len(given)} values for {len(conversations)} conversations "
            f"(items {first!r} to {last!r}); expected one a conversation, in their order."
        )
    try:
        values = np.array([float(value) for value in given])
    except (TypeError, ValueError) as error:
        raise UserError(
            f"the reward function gave something that is no number (items {first!r} to {last!r}): "
            f"{error}"
        ) from None
    return np.split(values, np.cumsum([len(item.labels) for item in call])[:-1])


def ask(dataset: Dataset, reward: RewardFunction) -> Column:
    """The column of a reward function.

    Args:
        dataset: of any kind.
        reward: called with some conversations at a time, all responses of an item together.

    Returns:
        Its values; a noise floor and categories are not known of a function.

    Raises:
        UserError: a wrong number of values, or one that is not a finite number.
    """
    values: list[Float[np.ndarray, " _"]] = []
    for call in _calls(dataset.items):
        found = _asked(reward, call)
        for one, item in zip(found, call, strict=True):
            _check_values(one, item, "the reward function")
        values += found
    return Column(values)


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


def _filled(plain: Mapping[str, Any], found: Mapping[Key, Estimate]) -> dict[str, Any]:
    """The result of one reward: each figure in its place."""
    result = deepcopy(dict(plain))
    for key, estimate in found.items():
        place = result
        for part in key:
            place = place.setdefault(part, {})
        place.update(figure(estimate))
    return result


def _rewards(
    dataset: Dataset, columns: Mapping[str, Column], reference: str | None, groups: int, seed: int
) -> dict[str, Any]:
    """The result of each reward, the reference first so that the others can be compared to it."""
    results: dict[str, Any] = dict.fromkeys(columns)
    theirs: Estimate | None = None
    for name in sorted(columns, key=lambda name: name != reference):
        measured = MEASURES[dataset.kind](dataset, columns[name])
        found = estimates(measured.statistics, groups, seed)
        own = found[measured.compared]
        results[name] = {
            **_filled(measured.plain, found),
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
        >>> pair = tuple(Conversation.of("2 + 2?", text) for text in ("4", "five"))
        >>> items = tuple(Item(f"{n}", f"{n}", pair, (1.0, 0.0)) for n in range(3))
        >>> sums = Dataset("sums", "pairwise", items, "by hand")
        >>> length = ask(sums, lambda conversations: [len(c.response) for c in conversations])
        >>> evaluate(sums, {"length": length})["rewards"]["length"]["accuracy"]
        {'value': 0.0, 'interval': [0.0, 0.0], 'count': 3}
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


def benchmark(
    dataset: Dataset | str,
    rewards: Mapping[str, RewardFunction],
    *,
    data_dir: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """How well reward functions of one's own agree with people; `flr bench` in Python.

    Args:
        dataset: a set that is loaded, or the name of one, as on the command line.
        rewards: each function by the name that it gets; the others are held against the first.
        data_dir: folder with the files of a set that is named; None for the hub.
        limit: a random sample of so many prompts; None for all.
        seed: of the sample and the resamples.

    Returns:
        As `evaluate`.

    Raises:
        UserError: a set that cannot be read, or a function that gives no finite reward for each
            conversation.

    Example:
        >>> pair = tuple(Conversation.of("2 + 2?", text) for text in ("4", "five"))
        >>> sums = Dataset("sums", "pairwise", (Item("1", "1", pair, (1.0, 0.0)),), "by hand")
        >>> found = benchmark(sums, {"brevity": lambda cs: [-len(c.response) for c in cs]})
        >>> found["rewards"]["brevity"]["accuracy"]["value"]
        1.0
    """
    if not rewards:
        raise OptionError("no reward functions; give at least one, by name")
    known = loading.load(dataset, data_dir) if isinstance(dataset, str) else dataset
    drawn = known if limit is None else loading.sample(known, limit, seed)
    columns = {name: ask(drawn, reward) for name, reward in rewards.items()}
    return evaluate(drawn, columns, reference=next(iter(columns)), seed=seed)
