"""Statistics of rewards, against hand-derived numbers and simulations with a known mean."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flr import resampling, stats
from flr.errors import UserError

EMPTY = np.array([], dtype=np.float64)
numbers = st.floats(-1e6, 1e6)
vectors = st.integers(0, 30).flatmap(lambda size: arrays(np.float64, size, elements=numbers))
groups_of_three = np.repeat(np.arange(40), 3)


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def test_points_and_accuracy():
    margins = np.array([2.0, -1.0, 0.0, -0.0, 1e-300])
    assert stats.pairwise_points(margins).tolist() == [1, 0, 0.5, 0.5, 1]
    assert stats.pairwise_accuracy(margins) == 0.6
    assert stats.pairwise_accuracy(margins, tie=0.0) == 0.4


@given(vectors.filter(len))
def test_accuracy_of_the_swapped_pairs_is_the_rest(margins: np.ndarray):
    both = stats.pairwise_accuracy(margins) + stats.pairwise_accuracy(-margins)
    assert both == pytest.approx(1)


def test_accuracy_of_no_pairs_is_nan():
    assert math.isnan(stats.pairwise_accuracy(EMPTY))


def test_interval_covers_a_known_mean_as_often_as_it_says():
    generator = np.random.default_rng(7)
    hits = 0
    for trial in range(300):
        low, high = stats.bootstrap_interval(
            generator.normal(3.0, 2.0, size=60), resamples=400, seed=trial
        )
        hits += low <= 3.0 <= high
    # Of 300 at 0.95: expected 285, sd 3.8; percentile intervals are a little short.
    assert 270 <= hits <= 296


def test_interval_is_that_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(size=2000)
    low, high = stats.bootstrap_interval(values)
    error = values.std() / math.sqrt(2000)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    narrow = stats.bootstrap_interval(values, confidence=0.5)
    assert width(narrow) == pytest.approx(2 * 0.6745 * error, rel=0.05)


def test_copies_of_a_pair_add_no_certainty_when_grouped():
    values = np.random.default_rng(2).normal(size=40)
    alone = stats.bootstrap_interval(values)
    copied = np.repeat(values, 3)
    assert stats.bootstrap_interval(copied, groups=groups_of_three) == pytest.approx(alone)
    naive = stats.bootstrap_interval(copied)
    assert width(naive) == pytest.approx(width(alone) / math.sqrt(3), rel=0.1)


def test_groups_of_unequal_size_keep_the_mean_over_values():
    # Group 5 holds three zeros, group -1 a single one: the draws are 5 5, -1 -1 and the mix.
    values, groups = np.array([0.0, 1.0, 0.0, 0.0]), np.array([5, -1, 5, 5])
    assert stats.bootstrap_interval(values, groups=groups) == (0.0, 1.0)
    middle = stats.bootstrap_interval(values, groups=groups, confidence=0.4)
    assert middle == (0.25, 0.25)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).normal(size=50)
    assert stats.bootstrap_interval(values, seed=4) == stats.bootstrap_interval(values, seed=4)
    assert stats.bootstrap_interval(values, seed=4) != stats.bootstrap_interval(values, seed=5)


def test_resamples_come_in_bounded_chunks(monkeypatch: pytest.MonkeyPatch):
    values = np.random.default_rng(3).normal(size=50)
    whole = stats.bootstrap_interval(values, resamples=999)
    monkeypatch.setattr(resampling, "CHUNK_CELLS", 7 * 50)
    assert stats.bootstrap_interval(values, resamples=999) == pytest.approx(whole, abs=0.05)
    monkeypatch.setattr(resampling, "CHUNK_CELLS", 1)
    assert stats.bootstrap_interval(values, resamples=99) == pytest.approx(whole, abs=0.2)


def test_an_interval_needs_two_groups():
    assert all(map(math.isnan, stats.bootstrap_interval(EMPTY)))
    assert all(map(math.isnan, stats.bootstrap_interval(np.array([1.0]))))
    one_group = np.zeros(3, dtype=np.int64)
    assert all(map(math.isnan, stats.bootstrap_interval(np.arange(3.0), groups=one_group)))
    assert stats.bootstrap_interval(np.array([2.0, 2.0])) == (2.0, 2.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_and_named(bad: float):
    values, good = np.array([0.0, bad, 1.0]), np.arange(3.0)
    for refused in (
        lambda: stats.pairwise_points(values),
        lambda: stats.bootstrap_interval(values),
        lambda: stats.summarize(values, good),
    ):
        with pytest.raises(UserError, match=r"value 2 of 3 is (nan|inf|-inf)") as caught:
            refused()
        assert isinstance(caught.value, ValueError)


def test_summary():
    summary = stats.summarize(np.array([4.0, 1.0, 3.0, 2.0, 5.0]), np.array([9, 1, 5, 3, 200]))
    assert (summary.count, summary.mean) == (5, 3.0)
    assert summary.sd == pytest.approx(math.sqrt(2.5))
    assert summary.quantiles == (1, 2, 3, 4, 5)
    assert summary.length_spearman == pytest.approx(1)


def test_summary_of_none_and_one():
    none = stats.summarize(EMPTY, EMPTY)
    assert none.count == 0
    assert all(map(math.isnan, (none.mean, none.sd, none.length_spearman, *none.quantiles)))
    one = stats.summarize(np.array([0.5]), np.array([3]))
    assert (one.count, one.mean, one.quantiles) == (1, 0.5, (0.5,) * 5)
    assert math.isnan(one.sd)
    assert math.isnan(one.length_spearman)
