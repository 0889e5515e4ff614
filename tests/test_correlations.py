"""Correlations, against scipy, by-hand numbers, and resamples written out."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, pearsonr, spearmanr

from flr import correlations
from flr.errors import UserError

EMPTY = np.array([], dtype=np.float64)
PLAIN = [correlations.pearson, correlations.spearman, correlations.kendall]
numbers = st.floats(-1e6, 1e6)
distinct = st.lists(numbers, min_size=3, max_size=20, unique=True)
few = st.integers(0, 3).map(float)
columns = st.integers(1, 12).flatmap(
    lambda size: st.tuples(*(st.lists(few, min_size=size, max_size=size) for _ in range(3)))
)


@settings(max_examples=50)
@given(distinct, st.randoms(use_true_random=False))
def test_correlations_are_scipys(first: list[float], random):
    second = random.sample(range(len(first)), len(first))
    one, other = np.array(first), np.array(second, dtype=np.float64)
    assert correlations.spearman(one, other) == pytest.approx(spearmanr(one, other)[0], abs=1e-9)
    assert correlations.kendall(one, other) == pytest.approx(kendalltau(one, other)[0], abs=1e-9)
    if not math.isnan(correlations.pearson(one, other)):
        expected = pearsonr(one, other)[0]
        assert correlations.pearson(one, other) == pytest.approx(expected, abs=1e-6)


def test_ties_share_their_mean_rank():
    # ranks 1.5 1.5 3 4 against 1 2 3 4: covariance 4.5, variances 4.5 and 5
    tied, steps = np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert correlations.spearman(tied, steps) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    # of 6 pairs 5 agree and 1 is tied in one of the two: tau-b = 5 / sqrt(5 * 6)
    assert correlations.kendall(tied, steps) == pytest.approx(5 / math.sqrt(5 * 6))


@pytest.mark.parametrize("correlation", PLAIN)
def test_a_correlation_without_an_answer_is_nan(correlation):
    steps = np.arange(3.0)
    assert math.isnan(correlation(EMPTY, EMPTY))
    assert math.isnan(correlation(np.array([1.0]), np.array([2.0])))
    assert math.isnan(correlation(steps, np.full(3, 0.1)))
    assert math.isnan(correlation(np.zeros(3), steps))


@pytest.mark.parametrize("correlation", PLAIN)
@pytest.mark.parametrize("size", [2, 3, 1000])
def test_what_agrees_fully_is_one(correlation, size: int):
    values = np.random.default_rng(size).normal(size=size)
    assert correlation(values, values) == 1
    assert correlation(values, -values) == -1


def test_rounding_noise_is_constant_for_pearson_only():
    noisy = np.array([0.1, 0.1 + 2e-17, 0.1 + 4e-17, 0.3 - 0.2])
    assert math.isnan(correlations.pearson(noisy, np.arange(4.0)))


def test_pearson_stands_values_far_from_zero_and_far_apart():
    steps = np.arange(5.0)
    assert correlations.pearson(1e9 + steps, steps) == pytest.approx(1, abs=1e-6)
    assert correlations.pearson(steps * 1e-200, steps * 1e200) == pytest.approx(1)
    wild = np.array([1e6, 0.0, 1.0, 2.0, 3.0])
    assert correlations.pearson(wild, steps) == pytest.approx(pearsonr(wild, steps)[0])


@pytest.mark.parametrize("correlation", PLAIN)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_and_named(correlation, bad: float):
    values, good = np.array([0.0, bad, 1.0]), np.arange(3.0)
    for first, second in ((values, good), (good, values)):
        with pytest.raises(UserError, match=r"values: value 2 of 3 is (nan|inf|-inf)"):
            correlation(first, second)


def written_out(column: list[float], times: np.ndarray) -> np.ndarray:
    return np.repeat(np.array(column), times.astype(int))


@pytest.mark.parametrize(
    ("resampled", "plain"),
    [
        (correlations.resampled_pearson, correlations.pearson),
        (correlations.resampled_spearman, correlations.spearman),
        (correlations.resampled_kendall, correlations.kendall),
    ],
)
@settings(max_examples=40)
@given(columns)
def test_a_resample_is_the_correlation_of_its_values_written_out(resampled, plain, made):
    first, second, group = made
    index = np.array(group, int)
    drawn = np.random.default_rng(len(first)).integers(0, 3, (6, 4)).astype(float)
    found = resampled(drawn, np.array(first), np.array(second), index)
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
    found = correlations.resampled_partial(drawn, first, second, length, index)
    for times, value in zip(drawn[:, index], found, strict=True):
        one, other, third = (written_out(list(c), times) for c in (first, second, length))
        expected = pearsonr(residual(one, third), residual(other, third))[0]
        assert value == pytest.approx(expected)


def test_partial_where_length_explains_nothing_or_everything():
    once, index = np.ones((1, 6)), np.arange(6)
    first, second = np.array([3.0, 1, 4, 1, 5, 9]), np.array([2.0, 7, 1, 8, 2, 8])
    same = correlations.resampled_partial(once, first, second, np.full(6, 0.1), index)
    assert same[0] == pytest.approx(pearsonr(first, second)[0])
    line = 0.3 * first - 7
    assert math.isnan(correlations.resampled_partial(once, first, second, line, index)[0])
    assert math.isnan(correlations.resampled_partial(once, second, first, line, index)[0])


@pytest.mark.parametrize(
    ("rows_form", "plain"),
    [
        (correlations.spearman_of_rows, correlations.spearman),
        (correlations.kendall_of_rows, correlations.kendall),
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
            assert np.isnan(resampled(drawn, steps, steps, index)).all()
            assert np.isnan(resampled(drawn, EMPTY, EMPTY, nothing)).all()
        assert np.isnan(correlations.resampled_partial(drawn, steps, steps, steps, index)).all()
