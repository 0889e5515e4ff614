"""Correlations, against scipy, by-hand numbers, and resamples written out."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, pearsonr, spearmanr

from flr import correlations
from flr.errors import UserError
from flr.resampling import Resampled

EMPTY = np.array([], dtype=np.float64)
numbers = st.floats(-1e6, 1e6)
distinct = st.lists(numbers, min_size=3, max_size=20, unique=True)
few = st.integers(0, 3).map(float)
columns = st.integers(1, 12).flatmap(
    lambda size: st.tuples(*(st.lists(few, min_size=size, max_size=size) for _ in range(3)))
)


def once(resampled: Callable[..., Resampled]) -> Callable[..., float]:
    """The plain form of a resampled correlation: every value a group, every group drawn once."""

    def plain(*columns: np.ndarray) -> float:
        size = len(columns[0])
        return float(resampled(*columns, np.arange(size), size)(np.ones((1, size)))[0])

    return plain


pearson, kendall = once(correlations.resampled_pearson), once(correlations.resampled_kendall)
spearman = correlations.spearman
PLAIN = {"pearson": pearson, "spearman": spearman, "kendall": kendall}
each_plain = pytest.mark.parametrize("correlation", PLAIN.values(), ids=PLAIN)


@settings(max_examples=50)
@given(distinct, st.randoms(use_true_random=False))
def test_correlations_are_scipys(first: list[float], random):
    second = random.sample(range(len(first)), len(first))
    one, other = np.array(first), np.array(second, dtype=np.float64)
    assert spearman(one, other) == pytest.approx(spearmanr(one, other)[0], abs=1e-9)
    assert kendall(one, other) == pytest.approx(kendalltau(one, other)[0], abs=1e-9)
    if not math.isnan(pearson(one, other)):
        expected = pearsonr(one, other)[0]
        assert pearson(one, other) == pytest.approx(expected, abs=1e-6)


def test_ties_share_their_mean_rank():
    # ranks 1.5 1.5 3 4 against 1 2 3 4: covariance 4.5, variances 4.5 and 5
    tied, steps = np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert spearman(tied, steps) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    # of 6 pairs 5 agree and 1 is tied in one of the two: tau-b = 5 / sqrt(5 * 6)
    assert kendall(tied, steps) == pytest.approx(5 / math.sqrt(5 * 6))


@each_plain
def test_a_correlation_without_an_answer_is_nan(correlation):
    steps = np.arange(3.0)
    assert math.isnan(correlation(EMPTY, EMPTY))
    assert math.isnan(correlation(np.array([1.0]), np.array([2.0])))
    assert math.isnan(correlation(steps, np.full(3, 0.1)))
    assert math.isnan(correlation(np.zeros(3), steps))


@each_plain
@pytest.mark.parametrize("size", [2, 3, 1000])
def test_what_agrees_fully_is_one(correlation, size: int):
    values = np.random.default_rng(size).normal(size=size)
    assert correlation(values, values) == 1
    assert correlation(values, -values) == -1


def test_rounding_noise_is_constant_for_pearson_only():
    noisy = np.array([0.1, 0.1 + 2e-17, 0.1 + 4e-17, 0.3 - 0.2])
    assert math.isnan(pearson(noisy, np.arange(4.0)))


def test_pearson_stands_values_far_from_zero_and_far_apart():
    steps = np.arange(5.0)
    assert pearson(1e9 + steps, steps) == pytest.approx(1, abs=1e-6)
    assert pearson(steps * 1e-200, steps * 1e200) == pytest.approx(1)
    wild = np.array([1e6, 0.0, 1.0, 2.0, 3.0])
    assert pearson(wild, steps) == pytest.approx(pearsonr(wild, steps)[0])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_and_named(bad: float):
    values, good = np.array([0.0, bad, 1.0]), np.arange(3.0)
    for first, second in ((values, good), (good, values)):
        with pytest.raises(UserError, match=r"values: value 2 of 3 is (nan|inf|-inf)"):
            spearman(first, second)


def written_out(column: list[float], times: np.ndarray) -> np.ndarray:
    return np.repeat(np.array(column), times.astype(int))


@pytest.mark.parametrize(
    ("resampled", "plain"),
    [
        (correlations.resampled_pearson, pearson),
        (correlations.resampled_spearman, spearman),
        (correlations.resampled_kendall, kendall),
    ],
)
@settings(max_examples=40)
@given(columns)
def test_a_resample_is_the_correlation_of_its_values_written_out(resampled, plain, made):
    first, second, group = made
    index = np.array(group, int)
    drawn = np.random.default_rng(len(first)).integers(0, 3, (6, 4)).astype(float)
    found = resampled(np.array(first), np.array(second), index, 4)(drawn)
    for times, value in zip(drawn[:, index], found, strict=True):
        expected = plain(written_out(first, times), written_out(second, times))
        assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)


def residual(values: np.ndarray, given: np.ndarray) -> np.ndarray:
    """What a least-squares line leaves."""
    line = np.stack([np.ones_like(given), given], axis=1)
    return values - line @ np.linalg.lstsq(line, values, rcond=None)[0]


def test_partial_is_the_correlation_of_what_a_line_leaves():
    generator = np.random.default_rng(5)
    length = generator.normal(size=40)
    first, second = generator.normal(size=(2, 40)) + 2 * length
    index = np.repeat(np.arange(10), 4)
    drawn = generator.integers(0, 3, (5, 10)).astype(float)
    found = correlations.resampled_partial(first, second, length, index, 10)(drawn)
    for times, value in zip(drawn[:, index], found, strict=True):
        one, other, third = (written_out(list(c), times) for c in (first, second, length))
        expected = pearsonr(residual(one, third), residual(other, third))[0]
        assert value == pytest.approx(expected)


def test_partial_where_length_explains_nothing_or_everything():
    partial = once(correlations.resampled_partial)
    first, second = np.array([3.0, 1, 4, 1, 5, 9]), np.array([2.0, 7, 1, 8, 2, 8])
    same = partial(first, second, np.full(6, 0.1))
    assert same == pytest.approx(pearsonr(first, second)[0])
    line = 0.3 * first - 7
    assert math.isnan(partial(first, second, line))
    assert math.isnan(partial(second, first, line))


@pytest.mark.parametrize(
    ("rows_form", "plain"),
    [
        (correlations.spearman_of_rows, spearman),
        (correlations.kendall_of_rows, kendall),
    ],
)
def test_each_row_has_its_own_correlation(rows_form, plain):
    values = np.array([1.0, 2.0, 2.0, 4.0])
    rows = np.array([[1.0, 5, 3, 9], [2.0, 2, 1, 1], [1.0, 1, 1, 1], [1.0, float("nan"), 2, 3]])
    found = rows_form(rows, values)
    assert found[:2] == pytest.approx([plain(row, values) for row in rows[:2]])
    assert np.isnan(found[2:]).all()


def test_what_no_draw_has_is_nan_without_a_warning():
    drawn = np.zeros((2, 3))
    steps, index = np.arange(3.0), np.arange(3)
    nothing = np.array([], int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for resampled in (
            correlations.resampled_pearson,
            correlations.resampled_spearman,
            correlations.resampled_kendall,
        ):
            assert np.isnan(resampled(steps, steps, index, 3)(drawn)).all()
            assert np.isnan(resampled(EMPTY, EMPTY, nothing, 3)(drawn)).all()
        partial = correlations.resampled_partial(steps, steps, steps, index, 3)
        assert np.isnan(partial(drawn)).all()


@pytest.mark.parametrize(
    "resampled", [correlations.resampled_spearman, correlations.resampled_kendall]
)
def test_the_order_of_the_values_moves_no_bit_of_a_rank_correlation(resampled):
    """Sums of ranks are exact, so they may be summed, and values sorted, in any order."""
    generator = np.random.default_rng(3)
    first, second = generator.normal(size=400), generator.integers(0, 6, 400) / 7
    index, drawn = generator.integers(0, 50, 400), generator.integers(0, 4, (20, 50)).astype(float)
    found = resampled(first, second, index, 50)(drawn)
    order = generator.permutation(400)
    again = resampled(first[order], second[order], index[order], 50)(drawn)
    assert found.tolist() == again.tolist()
