"""The bootstrap over groups: how far a figure would move, had other prompts been drawn.

Whole groups are drawn with replacement, so values that belong together stay together. A figure is
a function of how often each group was drawn; the point estimate is that of every group once. What
does not depend on the draw (sums over groups, orders) is computed once a figure. The draws depend
on the number of groups and the seed alone: all figures of a data set see the same ones, so the
interval of a difference is that of paired rewards.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

Name = TypeVar("Name", bound=Hashable)

Resampled = Callable[[Float[np.ndarray, "resample group"]], Float[np.ndarray, " resample"]]
"""The figure of each resample, given how often each group was drawn; NaN where it has no answer."""

CHUNK_CELLS = 1_000_000
"""Cells of the arrays that a bootstrap makes at once (8 MB each), or one resample if larger."""

FOR_MEANS, FOR_CORRELATIONS = 10_000, 2_000
"""Resamples where one costs a sum, and where one costs a sort."""


def ratio(
    above: Float[np.ndarray, "*shape"], below: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """`above / below`, NaN where `below` is not positive."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def group_totals(
    columns: Float[np.ndarray, "column value"], index: Int[np.ndarray, " value"], groups: int
) -> Float[np.ndarray, "group column"]:
    """The sum of each column in each group."""
    totals = [np.bincount(index, column, groups) for column in columns]
    return np.stack(totals, axis=1).astype(np.float64)  # those of no values are integers


def _drawn_mean(
    drawn: Float[np.ndarray, "resample group"], totals: Float[np.ndarray, "group 2"]
) -> Float[np.ndarray, " resample"]:
    sums = drawn @ totals
    return ratio(sums[:, 0], sums[:, 1])


def resampled_mean(
    values: Float[np.ndarray, " value"], index: Int[np.ndarray, " value"], groups: int
) -> Resampled:
    """The mean of the drawn values; NaN where none was drawn.

    Args:
        values: any unit.
        index: group of each value, from 0.
        groups: how many groups there are.

    Example:
        >>> mean_of = resampled_mean(np.array([0.0, 3.0, 6.0]), np.array([0, 0, 1]), groups=2)
        >>> mean_of(np.array([[1.0, 1.0], [0.0, 2.0]]))  # every group once; the second one twice
        array([3., 6.])
    """
    totals = group_totals(np.stack([values, np.ones_like(values)]), index, groups)
    return partial(_drawn_mean, totals=totals)


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure that can be computed for any draw of groups.

    Args:
        function: called once, with `values`, `index` and the number of groups.
        values: what the figure rests on, arrays of one length.
        index: group of each value, from 0.
        resamples: how many to draw.
        count: how many things the figure is about; None where that is the number of values.
        is_share: whether it is the mean of values from 0 to 1.
    """

    function: Callable[..., Resampled]
    values: tuple[np.ndarray, ...]
    index: Int[np.ndarray, " value"]
    resamples: int = FOR_MEANS
    count: int | None = None
    is_share: bool = False

    def where(self, kept: Bool[np.ndarray, " value"]) -> "Statistic":
        """The same figure of a part of the values."""
        values = tuple(value[kept] for value in self.values)
        return replace(self, values=values, index=self.index[kept], count=None)

    def prepared(self, groups: int) -> Resampled:
        """What gives the figure of any resample of so many groups."""
        return self.function(*self.values, self.index, groups)


def mean(values: Float[np.ndarray, " value"], index: Int[np.ndarray, " value"]) -> Statistic:
    """The mean of `values` as a statistic."""
    return Statistic(resampled_mean, (values,), index)


def share(values: Float[np.ndarray, " value"], index: Int[np.ndarray, " value"]) -> Statistic:
    """The mean of values from 0 to 1, which has an interval even where all of them are 0 or 1."""
    return replace(mean(values, index), is_share=True)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and what it was in other draws of the groups.

    Args:
        value: of the data themselves; NaN where it has no answer.
        resampled: of each resample; all NaN where the figure rests on fewer than two groups.
        count: how many values, or other things, it is about.
        unanimous: of a share, how many groups there are if all of them are at 0, or all at 1:
            every resample is alike then, and says nothing of how far the figure would move; else 0.
    """

    value: float
    resampled: Float[np.ndarray, " resample"]
    count: int
    unanimous: int = 0

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The paired difference to another figure of the same groups."""
        resampled = self.resampled - other.resampled
        return Estimate(self.value - other.value, resampled, self.count)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The percentile interval; the exact one of a share on which all groups agree.

        Resamples without an answer are left out of the quantiles.

        Args:
            confidence: probability between 0 and 1.

        Returns:
            Lower and upper end; both NaN where no resample has an answer.

        Source:
            Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3; Clopper and
            Pearson, Biometrika 26, 1934, for n successes in n trials.

        Example:
            >>> low, high = Estimate(1.0, np.ones(10_000), count=100, unanimous=100).interval()
            >>> print(f"{low:.3f} {high:.3f}")
            0.964 1.000
        """
        assert 0 < confidence < 1, "a confidence lies between 0 and 1"
        answered = self.resampled[~np.isnan(self.resampled)]
        if not len(answered):
            return float("nan"), float("nan")
        outside = (1 - confidence) / 2
        if self.unanimous:
            unseen = 1 - outside ** (1 / self.unanimous)
            return (1 - unseen, 1.0) if self.value == 1 else (0.0, unseen)
        low, high = np.quantile(answered, [outside, 1 - outside])
        return float(low), float(high)


def _draws(
    groups: int, resamples: int, seed: int, rows: int
) -> Iterator[Float[np.ndarray, "resample group"]]:
    """How often each group was drawn, some resamples at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, rows):
        some = min(rows, resamples - start)
        drawn = generator.integers(groups, size=(some, groups))
        drawn += groups * np.arange(some)[:, None]  # so that one count counts every row
        counts = np.bincount(drawn.ravel(), minlength=some * groups)
        yield counts.reshape(some, groups).astype(np.float64)


def _unanimous(statistic: Statistic) -> int:
    """How many groups a share rests on, where all its values are 0, or all are 1; else 0."""
    if not statistic.is_share:
        return 0
    (values,) = statistic.values
    return len(np.unique(statistic.index)) if (values == 0).all() or (values == 1).all() else 0


def estimates(
    statistics: Mapping[Name, Statistic], groups: int, seed: int = 0
) -> dict[Name, Estimate]:
    """The estimate of every statistic, all from the same draws of groups.

    Args:
        statistics: by any key; their `index` counts the same groups.
        groups: how many groups there are; a statistic may rest on some of them.
        seed: of the random numbers; the same seed and number of groups give the same draws.

    Returns:
        One estimate a statistic, with the same keys.

    Source:
        Field and Welsh, Bootstrapping clustered data, J. R. Stat. Soc. B 69, 2007: whole groups.

    Example:
        >>> values, prompts = np.array([0.0, 1.0, 0.0, 0.0]), np.array([1, 0, 1, 1])
        >>> found = estimates({"share": mean(values, prompts)}, groups=2)["share"]
        >>> found.value, found.interval(), found.count
        (0.25, (0.0, 1.0), 4)
    """
    found = {key: np.full(one.resamples, np.nan) for key, one in statistics.items()}
    prepared = {key: one.prepared(groups) for key, one in statistics.items()}
    several = [key for key, one in statistics.items() if len(np.unique(one.index)) > 1]
    most = max((statistics[key].resamples for key in several), default=0)
    cells = max([groups, *(len(statistics[key].index) for key in several)])
    rows = max(1, CHUNK_CELLS // max(1, cells))
    for chunk, drawn in enumerate(_draws(groups, most, seed, rows)):
        for key in several:
            left = found[key][chunk * rows : (chunk + 1) * rows]
            if len(left):
                left[:] = prepared[key](drawn[: len(left)])
    once = np.ones((1, groups))
    return {
        key: Estimate(
            float(prepared[key](once)[0]),
            found[key],
            len(one.index) if one.count is None else one.count,
            _unanimous(one),
        )
        for key, one in statistics.items()
    }
