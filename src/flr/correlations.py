"""Correlations of resampled values: Pearson, partial Pearson, Spearman, Kendall's tau-b.

Functions of arrays, float64. What has no answer (a correlation with a constant) is NaN without a
warning. The resampled forms are functions for `resampling.Statistic` and trust their values: what
holds for every draw they compute once. Spearman's correlation has a plain form too, in which what
is not a finite number is an error.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import kendalltau, rankdata

from flr.errors import UserError
from flr.resampling import Resampled, group_totals, ratio

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


def _totals(
    variables: tuple[Float[np.ndarray, " value"], ...],
    index: Int[np.ndarray, " value"],
    groups: int,
) -> Float[np.ndarray, "group total"]:
    """What covariances need of each group: its size, and sums of its values and their products."""
    values = np.stack([scaled(variable) for variable in variables])
    products = (values[:, None] * values).reshape(len(values) ** 2, -1)
    return group_totals(np.concatenate([np.ones((1, len(index))), values, products]), index, groups)


def _covariances(
    drawn: Float[np.ndarray, "resample group"], totals: Float[np.ndarray, "group total"], count: int
) -> Float[np.ndarray, "{count} {count} resample"]:
    """Covariances of the drawn values of so many variables, in closed form.

    Those of a variable that is constant in a resample are 0; all are NaN where none was drawn.
    """
    sums = (drawn @ totals).T
    moments = np.stack([ratio(one, sums[0]) for one in sums[1:]])
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


def _drawn_pearson(
    drawn: Float[np.ndarray, "resample group"], totals: Float[np.ndarray, "group total"]
) -> Float[np.ndarray, " resample"]:
    c = _covariances(drawn, totals, 2)
    return _correlation(c[0, 1], c[0, 0], c[1, 1])


def resampled_pearson(
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
    groups: int,
) -> Resampled:
    """Pearson's correlation of the drawn values; NaN where one of the two is constant.

    Args:
        first: any unit.
        second: any unit.
        index: group of each value, from 0.
        groups: how many groups there are.
    """
    return partial(_drawn_pearson, totals=_totals((first, second), index, groups))


def _drawn_partial(
    drawn: Float[np.ndarray, "resample group"], totals: Float[np.ndarray, "group total"]
) -> Float[np.ndarray, " resample"]:
    c, own = _covariances(drawn, totals, 3), np.arange(2)
    slopes = np.nan_to_num(ratio(c[:2, 2], np.broadcast_to(c[2, 2], c[:2, 2].shape)))
    left = c[:2, :2] - slopes[:, None] * c[:2, 2]
    variances = np.where(left[own, own] <= CONSTANT_VARIANCE * c[own, own], 0.0, left[own, own])
    return _correlation(left[0, 1], variances[0], variances[1])


def resampled_partial(
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    given: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
    groups: int,
) -> Resampled:
    """Pearson's correlation of what a straight line in `given` leaves of `first` and `second`.

    Where `given` is constant it explains nothing, and this is Pearson's correlation; NaN where it
    explains all of one of the two.

    Args:
        first: any unit.
        second: any unit.
        given: what is held fixed, any unit.
        index: group of each value, from 0.
        groups: how many groups there are.

    Source:
        Anderson, An Introduction to Multivariate Statistical Analysis, 2003, section 4.3.
    """
    return partial(_drawn_partial, totals=_totals((first, second, given), index, groups))


def _row_dots(
    first: Float[np.ndarray, "row value"], second: Float[np.ndarray, "row value"]
) -> Float[np.ndarray, " row"]:
    return np.einsum("ij,ij->i", first, second)  # no array in between, and no threads


def _rows_correlation(
    first: Float[np.ndarray, "row value"],
    second: Float[np.ndarray, "row value"],
    weights: Float[np.ndarray, "row value"],
) -> Float[np.ndarray, " row"]:
    """Pearson's correlation of each row of ranks, each counted `weights` times.

    NaN for a row with a NaN, and where one side is constant: sums of ranks are exact.
    """
    total = weights.sum(axis=1)
    first = first - ratio(_row_dots(weights, first), total)[:, None]
    second = second - ratio(_row_dots(weights, second), total)[:, None]
    of_first, of_second = weights * first, weights * second
    return _correlation(
        _row_dots(of_first, second), _row_dots(of_first, first), _row_dots(of_second, second)
    )


@dataclass(frozen=True, slots=True)
class _Order:
    """How values are ordered, which no draw changes.

    Args:
        level: place of each value among the distinct ones.
        order: places of the values, in ascending order of the values.
        starts: where each distinct value begins in `order`.
    """

    level: Int[np.ndarray, " value"]
    order: Int[np.ndarray, " value"]
    starts: Int[np.ndarray, " level"]


def _order(values: Float[np.ndarray, " value"]) -> _Order:
    _, level = np.unique(values, return_inverse=True)
    order = np.argsort(level, kind="stable")
    return _Order(level, order, np.flatnonzero(np.diff(level[order], prepend=-1)))


def _drawn_ranks(
    times: Float[np.ndarray, "resample value"], of: _Order
) -> Float[np.ndarray, "resample value"]:
    """The rank of each value among all that were drawn, equal ones with their mean rank."""
    counts = np.add.reduceat(times.take(of.order, axis=1), of.starts, axis=1)  # a distinct value
    return (np.cumsum(counts, axis=1) - (counts - 1) / 2).take(of.level, axis=1)


def _drawn_spearman(
    drawn: Float[np.ndarray, "resample group"],
    first: _Order,
    second: _Order,
    index: Int[np.ndarray, " value"],
) -> Float[np.ndarray, " resample"]:
    times = drawn.take(index, axis=1)
    return _rows_correlation(_drawn_ranks(times, first), _drawn_ranks(times, second), times)


def resampled_spearman(
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
    _groups: int,
) -> Resampled:
    """Spearman's correlation of the drawn values, ranked anew in each resample.

    Args:
        first: any unit.
        second: any unit.
        index: group of each value, from 0.
        _groups: how many groups there are; not needed for ranks.
    """
    return partial(_drawn_spearman, first=_order(first), second=_order(second), index=index)


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


def _drawn_kendall(
    drawn: Float[np.ndarray, "resample group"],
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
) -> Float[np.ndarray, " resample"]:
    places = (np.repeat(np.arange(len(index)), row[index].astype(np.int64)) for row in drawn)
    return np.array([_tau(first[place], second[place]) for place in places], np.float64)


def resampled_kendall(
    first: Float[np.ndarray, " value"],
    second: Float[np.ndarray, " value"],
    index: Int[np.ndarray, " value"],
    _groups: int,
) -> Resampled:
    """Kendall's tau-b of the drawn values, which allows for ties.

    Args:
        first: any unit.
        second: any unit.
        index: group of each value, from 0.
        _groups: how many groups there are; not needed for ranks.

    Source:
        Kendall, The treatment of ties in ranking problems, Biometrika 33, 1945.
    """
    order = np.lexsort((first, second))  # what is in order is counted twice as fast
    return partial(_drawn_kendall, first=first[order], second=second[order], index=index[order])


def kendall_of_rows(
    rows: Float[np.ndarray, "row value"], values: Float[np.ndarray, " value"]
) -> Float[np.ndarray, " row"]:
    """Kendall's tau-b of each row with `values`; NaN for a row with a NaN."""
    return np.array([_tau(row, values) for row in rows])


def spearman(first: Float[np.ndarray, " value"], second: Float[np.ndarray, " value"]) -> float:
    """Spearman's rank correlation in [-1, 1], equal values with their mean rank.

    Returns:
        NaN for fewer than two values, or where one side is constant.

    Raises:
        UserError: a value that is not finite.

    Example:
        >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0])), 6)
        1.0
    """
    assert first.shape == second.shape, "two values a row"
    check_finite(first, "first values")
    check_finite(second, "second values")
    each_once = np.ones((1, len(first)))
    return float(resampled_spearman(first, second, np.arange(len(first)), len(first))(each_once)[0])
