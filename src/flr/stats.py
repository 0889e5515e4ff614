"""Statistics of rewards: accuracy over pairs, the bootstrap interval of a mean, a summary.

Functions of arrays, float64, deterministic. What has no answer (an interval from one group) is NaN
without a warning; what is not a finite number is an error. The bootstrap itself is `resampling`'s,
correlations are in `correlations`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from flr.correlations import check_finite, spearman
from flr.resampling import FOR_MEANS, Statistic, estimates, resampled_mean


def pairwise_points(
    margins: Float[np.ndarray, " pair"], tie: float | Float[np.ndarray, " pair"] = 0.5
) -> Float[np.ndarray, " pair"]:
    """1 for each pair in the right order, 0 in the wrong one, `tie` for a margin of exactly 0.

    Args:
        margins: reward of the better response minus reward of the worse, any unit.
        tie: points of a tie, or of one in each pair; 0 is the strict figure: a tie is wrong.

    Raises:
        UserError: a margin that is not finite.

    Example:
        >>> pairwise_points(np.array([0.3, 0.0, -0.1]))
        array([1. , 0.5, 0. ])
    """
    check_finite(margins, "margins")
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


def bootstrap_interval(
    values: Float[np.ndarray, " value"],
    *,
    groups: Int[np.ndarray, " value"] | None = None,
    confidence: float = 0.95,
    resamples: int = FOR_MEANS,
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
    values = values.astype(np.float64)
    check_finite(values, "values")
    if not len(values):
        return float("nan"), float("nan")
    index = np.arange(len(values))
    if groups is not None:
        _, index = np.unique(groups, return_inverse=True)
    statistic = Statistic(resampled_mean, (values,), index, resamples)
    found = estimates({"mean": statistic}, int(index.max()) + 1, seed)
    return found["mean"].interval(confidence)


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
