"""Ranking of systems: does the mean reward of a system's responses order systems as people do?

A system's Elo number is a given fact without an interval; what is resampled is the prompts, and
with them the mean reward of every system at once. The length correlation is over responses.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from flr.correlations import kendall_of_rows, resampled_spearman, scaled, spearman_of_rows
from flr.datasets.base import Dataset
from flr.evaluation.figures import (
    Column,
    Figures,
    Key,
    labels,
    lengths,
    numbered,
    response_indices,
)
from flr.resampling import FOR_CORRELATIONS, Resampled, Statistic, mean, ratio


def _elo_numbers(dataset: Dataset) -> dict[str, float]:
    """The Elo number of each system, in the order in which systems appear."""
    systems = [system for item in dataset.items for system in item.systems]
    given = list(zip(systems, labels(dataset).tolist(), strict=True))
    found = dict(given)
    assert all(found[system] == elo for system, elo in given), "a system has one Elo number"
    return found


def _drawn(
    drawn: Float[np.ndarray, "resample group"],
    sums: Float[np.ndarray, "group system"],
    counts: Float[np.ndarray, "group system"],
    correlation: Callable[..., Float[np.ndarray, " _"]],
    elo: Float[np.ndarray, " system"],
) -> Float[np.ndarray, " resample"]:
    return correlation(ratio(drawn @ sums, drawn @ counts), elo)


def _over_systems(
    rewards: Float[np.ndarray, " response"],
    system: Int[np.ndarray, " response"],
    index: Int[np.ndarray, " response"],
    groups: int,
    *,
    correlation: Callable[..., Float[np.ndarray, " _"]],
    elo: Float[np.ndarray, " system"],
) -> Resampled:
    """Correlation of the systems' mean rewards with their Elo numbers.

    NaN where a system has no response among the drawn.
    """
    shape = groups, len(elo)
    cell = index * len(elo) + system
    sums = np.bincount(cell, scaled(rewards), shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    return partial(_drawn, sums=sums, counts=counts, correlation=correlation, elo=elo)


def measure(dataset: Dataset, column: Column) -> Figures:
    """Every figure of one reward on a set of systems.

    Args:
        dataset: of kind `ranking`.
        column: the reward, finite.

    Returns:
        Its statistics and counts; `compared` is Spearman's correlation.
    """
    elo = _elo_numbers(dataset)
    system = numbered((name for item in dataset.items for name in item.systems), elo)
    index, numbers = response_indices(dataset), np.array(list(elo.values()))

    def over_systems(
        values: Sequence[Float[np.ndarray, " _"]], correlation: Callable[..., np.ndarray]
    ) -> Statistic:
        function = partial(_over_systems, correlation=correlation, elo=numbers)
        rested = (np.concatenate(values), system)
        return Statistic(function, rested, index, FOR_CORRELATIONS, count=len(elo))

    rewards = np.concatenate(column.values)
    average = mean(rewards, index)
    statistics: dict[Key, Statistic] = {
        ("spearman",): over_systems(column.values, spearman_of_rows),
        ("kendall",): over_systems(column.values, kendall_of_rows),
        ("length_correlation",): Statistic(
            resampled_spearman, (rewards, lengths(dataset)), index, FOR_CORRELATIONS
        ),
    }
    for place, name in enumerate(elo):
        statistics["systems", name] = average.where(system == place)
    for name, values in column.categories.items():
        statistics["categories", name] = over_systems(values, spearman_of_rows)
    plain = {
        "systems": {name: {"elo": number} for name, number in elo.items()},
        "noise_floor": column.noise_floor,
        "inside_floor": None,
        "categories": {},
    }
    return Figures(statistics, plain, ("spearman",))
