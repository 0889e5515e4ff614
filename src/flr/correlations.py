"""Correlations: Pearson, partial Pearson, Spearman, Kendall's tau-b; each of values, and resampled.

Functions of arrays, float64. What has no answer (a correlation with a constant) is NaN without a
warning; what is not a finite number is an error in the plain functions. The resampled forms take
how often each group of values was drawn, as `resampling` does, and trust their values.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import kendalltau, rankdata

from flr.errors import UserError
from flr.resampling import group_totals, ratio

CONSTANT_RANGE = 1e-12
"""Values whose range is below this part of their size are one value with rounding noise."""

CONSTANT_VARIANCE = 1e-12
"""So is a variance below this part of the mean square."""


def check_finite(values: Float[np.ndarray, " value"], name: str) -> None:
    """Refuses what is not a finite number.

    Raises:
        UserError: it names the first such value.
    """
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise UserError(
            f"{name}: value {bad[0] + 1} of {len(values)} is {values[bad[0]]}; "
            "finite numbers were expected"
        )


def scaled(values: Float[np.ndarray, " value"]) -> Float[np.ndarray, " value"]:
    """Centred, and at most 1 in size; zeros where the values are one with rounding noise."""
    if not len(values) or np.ptp(values) <= CONSTANT_RANGE * np.abs(values).max():
        return np.zeros_like(values)
    centred = values - values.mean()
    return centred / np.abs(centred).max()


def _covariances(
    drawn: Float[np.ndarray, "resample group"],
    variables: tuple[Float[np.ndarray, " value"], ...],
    index: Int[np.ndarray, " value"],
) -> Float[np.ndarray, "variable variable resample"]:
    """Covariances of the drawn values, in closed form from sums over groups.

    Those of a variable that is constant in a resample are 0; all are NaN where none was drawn.
    """
    count = len(variables)
    values = np.stack([scaled(variable) for variable in variables])
    products = (values[:, None] * values).reshape(count * count, -1)
    columns = np.concatenate([np.ones((1, len(index))), values, products])
    totals = (drawn @ group_totals(columns, index, drawn.shape[1])).T
    moments = np.stack([ratio(total, totals[0]) for total in totals[1:]])
    means, squares = moments[:count], moments[count:].reshape(count, count, -1)
    covariances = squares - means[:, None] * means
    own = np.arange(count)
    constant = covariances[own, own] <= CONSTANT_VARIANCE * squares[own, own]
    return np.where(constant[:, None] | constant, 0.0, covariances)


def _correlation(
    covariance: Float[np.ndarray, " resample"],
    first_variance: Float[np.ndarray, " resample"],
    second_variance: Float[np.ndarray, " resample"],
) -> Float[np.ndarray, " resample"]:
    deviations = np.sqrt(np.maximum(first_variance * second_variance, 0.0))
    return np.clip(ratio(covariance, deviations), -1.0, 1.0)


def resampled_pearson(
    drawn: Float[np.ndarray, "resample group"],
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
) -> Float[np.ndarray, " resample"]:
    """Pearson's correlation of the drawn values; NaN where one of the two is constant.

    Args:
        drawn: how often each group was drawn.
        first: any unit.
        second: any unit.
        index: group of each value, from 0.
    """
    covariances = _covariances(drawn, (first, second), index)
    return _correlation(covariances[0, 1], covariances[0, 0], covariances[1, 1])


def resampled_partial(
    drawn: Float[np.ndarray, "resample group"],
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    given: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
) -> Float[np.ndarray, " resample"]:
    """Pearson's correlation of what a straight line in `given` leaves of `first` and `second`.

    Where `given` is constant it explains nothing, and this is Pearson's correlation; NaN where it
    explains all of one of the two.

    Args:
        drawn: how often each group was drawn.
        first: any unit.
        second: any unit.
        given: what is held fixed, any unit.
        index: group of each value, from 0.

    Source:
        Anderson, An Introduction to Multivariate Statistical Analysis, 2003, section 4.3.
    """
    c = _covariances(drawn, (first, second, given), index)
    slopes = np.nan_to_num(ratio(c[:2, 2], np.broadcast_to(c[2, 2], c[:2, 2].shape)))
    left = c[:2, :2] - slopes[:, None] * c[:2, 2]
    own = np.arange(2)
    variances = np.where(left[own, own] <= CONSTANT_VARIANCE * c[own, own], 0.0, left[own, own])
    return _correlation(left[0, 1], variances[0], variances[1])


def _rows_correlation(
    first: Float[np.ndarray, "row value"],
    second: Float[np.ndarray, "row value"],
    weights: Float[np.ndarray, "row value"],
) -> Float[np.ndarray, " row"]:
    """Pearson's correlation of each row of ranks, each counted `weights` times.

    NaN for a row with a NaN, and where one side is constant: sums of ranks are exact.
    """
    total = weights.sum(axis=1)
    first = first - ratio((weights * first).sum(axis=1), total)[:, None]
    second = second - ratio((weights * second).sum(axis=1), total)[:, None]
    of_first, of_second = weights * first, weights * second
    return _correlation(
        (of_first * second).sum(axis=1),
        (of_first * first).sum(axis=1),
        (of_second * second).sum(axis=1),
    )


def _drawn_ranks(
    drawn: Float[np.ndarray, "resample value"], values: Float[np.ndarray, " value"]
) -> Float[np.ndarray, "resample value"]:
    """The rank of each value among all that were drawn, equal ones with their mean rank."""
    _, level = np.unique(values, return_inverse=True)
    order = np.argsort(level, kind="stable")
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    counts = np.add.reduceat(drawn[:, order], starts, axis=1)  # of each distinct value
    return (np.cumsum(counts, axis=1) - (counts - 1) / 2)[:, level]


def resampled_spearman(
    drawn: Float[np.ndarray, "resample group"],
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
) -> Float[np.ndarray, " resample"]:
    """Spearman's correlation of the drawn values, ranked anew in each resample.

    Args:
        drawn: how often each group was drawn.
        first: any unit.
        second: any unit.
        index: group of each value, from 0.
    """
    if not len(index):
        return np.full(len(drawn), np.nan)
    times = drawn[:, index]
    return _rows_correlation(_drawn_ranks(times, first), _drawn_ranks(times, second), times)


def spearman_of_rows(
    rows: Float[np.ndarray, "row value"], values: Float[np.ndarray, " value"]
) -> Float[np.ndarray, " row"]:
    """Spearman's correlation of each row with `values`; NaN for a row with a NaN."""
    others = np.broadcast_to(rankdata(values), rows.shape)
    return _rows_correlation(rankdata(rows, axis=1), others, np.ones(rows.shape))


def _tau(first: Float[np.ndarray, " value"], second: Float[np.ndarray, " value"]) -> float:
    """Kendall's tau-b; NaN where one of the two is constant or holds a NaN."""
    if len(first) < 2 or not (np.ptp(first) > 0 and np.ptp(second) > 0):
        return float("nan")
    tau, _ = np.asarray(kendalltau(first, second), np.float64)
    return float(np.clip(tau, -1.0, 1.0))


def resampled_kendall(
    drawn: Float[np.ndarray, "resample group"],
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
) -> Float[np.ndarray, " resample"]:
    """Kendall's tau-b of the drawn values.

    Args:
        drawn: how often each group was drawn.
        first: any unit.
        second: any unit.
        index: group of each value, from 0.
    """
    places = (np.repeat(np.arange(len(index)), row[index].astype(np.int64)) for row in drawn)
    return np.array([_tau(first[place], second[place]) for place in places])


def kendall_of_rows(
    rows: Float[np.ndarray, "row value"], values: Float[np.ndarray, " value"]
) -> Float[np.ndarray, " row"]:
    """Kendall's tau-b of each row with `values`; NaN for a row with a NaN."""
    return np.array([_tau(row, values) for row in rows])


def _checked(
    first: Float[np.ndarray, " value"], second: Float[np.ndarray, " value"]
) -> tuple[Float[np.ndarray, "1 value"], Int[np.ndarray, " value"]]:
    """Every value drawn once, each a group of its own."""
    assert first.shape == second.shape, "two values a row"
    check_finite(first, "first values")
    check_finite(second, "second values")
    return np.ones((1, len(first))), np.arange(len(first))


def pearson(first: Float[np.ndarray, " value"], second: Float[np.ndarray, " value"]) -> float:
    """Pearson's correlation, in [-1, 1]; NaN for fewer than two values or where one is constant.

    Raises:
        UserError: a value that is not finite.

    Example:
        >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 9.0])), 6)
        1.0
    """
    once, index = _checked(first, second)
    return float(resampled_pearson(once, first, second, index)[0])


def spearman(first: Float[np.ndarray, " value"], second: Float[np.ndarray, " value"]) -> float:
    """Spearman's rank correlation, equal values with their mean rank; NaN as in `pearson`.

    Raises:
        UserError: a value that is not finite.

    Example:
        >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0])), 6)
        1.0
    """
    once, index = _checked(first, second)
    return float(resampled_spearman(once, first, second, index)[0])


def kendall(first: Float[np.ndarray, " value"], second: Float[np.ndarray, " value"]) -> float:
    """Kendall's tau-b, which allows for ties; NaN as in `pearson`.

    Raises:
        UserError: a value that is not finite.

    Source:
        Kendall, The treatment of ties in ranking problems, Biometrika 33, 1945.

    Example:
        >>> round(kendall(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 6)
        0.333333
    """
    _checked(first, second)
    return _tau(first, second)
