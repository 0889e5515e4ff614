"""Statistics of rewards: accuracy over pairs, bootstrap intervals, correlations, a summary.

Functions of arrays, float64, deterministic. What has no answer (a correlation with a constant, an
interval from one group) is NaN without a warning; what is not a finite number is an error. Rating
and ranking benchmarks have their own rooms.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.stats import rankdata

from flr.errors import UserError

CHUNK_CELLS = 1_000_000
"""Cells of the arrays that a bootstrap makes at once (8 MB each), or one resample if larger."""

CONSTANT_RANGE = 1e-12
"""Values whose range is below this part of their size are one value with rounding noise."""


def _check_finite(values: Float[np.ndarray, " value"], name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise UserError(
            f"{name}: value {bad[0] + 1} of {len(values)} is {values[bad[0]]}; "
            "finite numbers were expected"
        )


def pairwise_points(
    margins: Float[np.ndarray, " pair"], tie: float = 0.5
) -> Float[np.ndarray, " pair"]:
    """1 for each pair in the right order, 0 in the wrong one, `tie` for a margin of exactly 0.

    Args:
        margins: reward of the better response minus reward of the worse, any unit.
        tie: points of a tie; 0 is the strict figure, in which a tie is wrong.

    Raises:
        UserError: a margin that is not finite.

    Example:
        >>> pairwise_points(np.array([0.3, 0.0, -0.1]))
        array([1. , 0.5, 0. ])
    """
    _check_finite(margins, "margins")
    return np.where(margins == 0, tie, (margins > 0).astype(np.float64))


def pairwise_accuracy(margins: Float[np.ndarray, " pair"], tie: float = 0.5) -> float:
    """The mean of `pairwise_points`; NaN where there is no pair.

    Example:
        >>> margins = np.array([0.3, 0.0, -0.1, 0.2])
        >>> pairwise_accuracy(margins), pairwise_accuracy(margins, tie=0.0)
        (0.625, 0.5)
    """
    points = pairwise_points(margins, tie)
    return float(points.mean()) if len(points) else float("nan")


def _group_totals(
    values: Float[np.ndarray, " value"], groups: Int[np.ndarray, " value"] | None
) -> tuple[Float[np.ndarray, " group"], Float[np.ndarray, " group"]]:
    """Sum and count of the values of each group."""
    if groups is None:
        return values, np.ones(len(values))
    _, index = np.unique(groups, return_inverse=True)
    return np.bincount(index, weights=values), np.bincount(index).astype(np.float64)


def bootstrap_interval(
    values: Float[np.ndarray, " value"],
    *,
    groups: Int[np.ndarray, " value"] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values`.

    Whole groups are drawn with replacement, so values that belong together (all pairs of one
    prompt) stay together. For the difference of two methods on the same rows, give the differences.

    Args:
        values: any unit.
        groups: group of each value, any integers; None makes each value its own group.
        confidence: probability between 0 and 1.
        resamples: how many bootstrap means.
        seed: of the random numbers; the same seed gives the same interval.

    Returns:
        Lower and upper end; both NaN where there are fewer than two groups.

    Raises:
        UserError: a value that is not finite.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    assert 0 < confidence < 1, "a confidence lies between 0 and 1"
    values = values.astype(np.float64)
    _check_finite(values, "values")
    sums, counts = _group_totals(values, groups)
    if len(sums) < 2:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_CELLS // len(sums))
    means = np.empty(resamples)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(len(sums), size=(rows, len(sums)))
        means[start : start + rows] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    outside = (1 - confidence) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    return float(low), float(high)


def _is_constant(values: Float[np.ndarray, " value"]) -> bool:
    return bool(np.ptp(values) <= CONSTANT_RANGE * np.abs(values).max())


def pearson(first: Float[np.ndarray, " value"], second: Float[np.ndarray, " value"]) -> float:
    """Pearson's correlation, in [-1, 1]; NaN for fewer than two values or where one is constant.

    Raises:
        UserError: a value that is not finite.

    Example:
        >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 9.0])), 6)
        1.0
    """
    assert first.shape == second.shape, "two values a row"
    _check_finite(first, "first values")
    _check_finite(second, "second values")
    if len(first) < 2 or _is_constant(first) or _is_constant(second):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def spearman(first: Float[np.ndarray, " value"], second: Float[np.ndarray, " value"]) -> float:
    """Spearman's rank correlation, equal values with their mean rank; NaN as in `pearson`.

    Raises:
        UserError: a value that is not finite.

    Example:
        >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0])), 6)
        1.0
    """
    _check_finite(first, "first values")
    _check_finite(second, "second values")
    return pearson(rankdata(first), rankdata(second))


@dataclass(frozen=True, slots=True)
class Summary:
    """What a column of rewards looks like; a figure that has no answer is NaN.

    Args:
        count: how many rewards.
        mean: their mean.
        sd: their sample standard deviation (n - 1).
        quantiles: minimum, lower quartile, median, upper quartile, maximum.
        length_spearman: Spearman's correlation of reward and length of the response.
    """

    count: int
    mean: float
    sd: float
    quantiles: tuple[float, float, float, float, float]
    length_spearman: float


def summarize(
    rewards: Float[np.ndarray, " response"], lengths: Real[np.ndarray, " response"]
) -> Summary:
    """The summary of one column of rewards.

    Args:
        rewards: one a response.
        lengths: length of each response, in any one unit (only their order counts).

    Raises:
        UserError: a value that is not finite.

    Example:
        >>> summarize(np.array([0.1, 0.3, 0.2]), np.array([5, 9, 7])).quantiles
        (0.1, 0.15..., 0.2, 0.25, 0.3)
    """
    rewards = rewards.astype(np.float64)
    correlation = spearman(rewards, lengths.astype(np.float64))
    if not len(rewards):
        nan = float("nan")
        return Summary(0, nan, nan, (nan, nan, nan, nan, nan), nan)
    low, lower, median, upper, high = np.quantile(rewards, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Summary(
        count=len(rewards),
        mean=float(rewards.mean()),
        sd=float(rewards.std(ddof=1)) if len(rewards) > 1 else float("nan"),
        quantiles=(low, lower, median, upper, high),
        length_spearman=correlation,
    )
