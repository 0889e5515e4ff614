"""The bootstrap over groups, against what can be counted by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import resampling
from flr.resampling import (
    Estimate,
    Resampled,
    Statistic,
    estimates,
    mean,
    ratio,
    resampled_mean,
    share,
)

NAN = float("nan")


def test_a_ratio_without_an_answer_is_nan():
    found = ratio(np.array([1.0, 0.0, 1.0, NAN]), np.array([4.0, 0.0, NAN, 2.0]))
    assert found[0] == 0.25
    assert np.isnan(found[1:]).all()


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4)), min_size=1, max_size=20))
def test_a_drawn_mean_is_that_of_the_values_written_out(rows: list[tuple[int, int]]):
    values, index = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    drawn = np.random.default_rng(len(rows)).integers(0, 3, (6, 5)).astype(float)
    for times, found in zip(drawn, resampled_mean(values, index, 5)(drawn), strict=True):
        written_out = np.repeat(values, times[index].astype(int))
        if len(written_out):
            assert found == pytest.approx(written_out.mean())
        else:
            assert math.isnan(found)


def test_every_draw_draws_as_many_groups_as_there_are(monkeypatch: pytest.MonkeyPatch):
    seen: list[np.ndarray] = []
    prepared: list[int] = []

    def keep(drawn: np.ndarray) -> np.ndarray:
        seen.append(drawn)
        return drawn[:, 0]

    def prepare(values: np.ndarray, index: np.ndarray, groups: int) -> Resampled:
        prepared.append(groups)
        return keep

    monkeypatch.setattr(resampling, "CHUNK_CELLS", 7 * 60)
    once = Statistic(prepare, (np.zeros(7),), np.arange(7), resamples=500)
    found = estimates({"first": once}, 7)["first"]
    draws = np.concatenate(seen[:-1])
    assert draws.shape == (500, 7)
    assert (draws.sum(axis=1) == 7).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(7), abs=0.2)  # sd of a mean 0.04
    assert seen[-1].tolist() == [[1.0] * 7]  # the estimate itself: every group once
    assert len(seen) == 10  # 9 chunks of at most 60
    assert prepared == [7]  # once, whatever the number of chunks
    assert found.value == 1
    assert (found.resampled == draws[:, 0]).all()


def test_statistics_asked_together_or_alone_see_the_same_draws():
    generator = np.random.default_rng(0)
    first = mean(generator.normal(size=30), np.repeat(np.arange(10), 3))
    other = Statistic(resampled_mean, (generator.normal(size=10),), np.arange(10), resamples=70)
    both = estimates({"first": first, "other": other}, 10, seed=3)
    for name, alone in (("first", first), ("other", other)):
        assert (estimates({name: alone}, 10, seed=3)[name].resampled == both[name].resampled).all()
    assert len(both["first"].resampled) == resampling.FOR_MEANS
    assert len(both["other"].resampled) == 70


def test_chunks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch):
    values = mean(np.random.default_rng(0).normal(size=9), np.arange(9))
    whole = estimates({"mean": values}, 9)["mean"].resampled
    monkeypatch.setattr(resampling, "CHUNK_CELLS", 9 * 37)
    assert estimates({"mean": values}, 9)["mean"].resampled == pytest.approx(whole)


def test_a_part_of_the_groups_is_drawn_with_the_whole():
    """Of 3 groups, the part's two are both absent in (1/3)^3 of the draws: no answer there."""
    part = mean(np.array([0.0, 1.0]), np.array([0, 2]))
    found = estimates({"part": part}, 3)["part"]
    assert (found.value, found.count) == (0.5, 2)
    assert np.isnan(found.resampled).mean() == pytest.approx(1 / 27, abs=0.01)  # sd 0.002
    assert found.interval() == (0, 1)


def test_what_rests_on_one_group_has_no_interval():
    lonely = mean(np.array([0.0, 1.0]), np.array([1, 1]))
    found = estimates({"lonely": lonely}, 3)["lonely"]
    assert found.value == 0.5
    assert all(map(math.isnan, found.interval()))


def test_what_rests_on_nothing_is_nan():
    nothing = mean(np.array([0.0, 1.0]), np.array([0, 1])).where(np.array([False, False]))
    found = estimates({"nothing": nothing}, 2)["nothing"]
    assert math.isnan(found.value)
    assert found.count == 0
    assert all(map(math.isnan, found.interval()))


def test_no_statistics_are_no_estimates():
    assert estimates({}, 3) == {}


def test_resamples_without_an_answer_are_left_out_of_the_quantiles():
    ends = Estimate(1.0, np.array([0.0, NAN, 1.0, NAN, 2.0]), 3).interval(0.5)
    assert ends == (0.5, 1.5)
    assert all(map(math.isnan, Estimate(1.0, np.full(4, NAN), 3).interval()))


def test_a_difference_is_paired():
    one, other = Estimate(0.5, np.array([0.4, 0.6]), 9), Estimate(0.25, np.array([0.2, 0.4]), 9)
    assert (one - other).value == 0.25
    assert (one - other).interval() == pytest.approx((0.2, 0.2))


@pytest.mark.parametrize(
    ("value", "ends"), [(1.0, (0.025**0.25, 1.0)), (0.0, (0.0, 1 - 0.025**0.25))]
)
def test_a_share_that_all_groups_agree_on_has_the_exact_interval(
    value: float, ends: tuple[float, float]
):
    """Of 4 prompts all right: the rate p at which that happens in 2.5 % of cases, p^4 = 0.025."""
    index = np.array([0, 0, 1, 2, 4])
    statistics = {
        "share": share(np.full(5, value), index),
        "mean": mean(np.full(5, value), index),
        "half": share(np.full(5, 0.5), index),
        "part": share(np.array([value, 0.5, value, value, value]), index).where(
            np.array([True, False, True, True, True])
        ),
    }
    found = {name: one.interval() for name, one in estimates(statistics, 6).items()}
    assert found["share"] == found["part"] == pytest.approx(ends)
    assert found["mean"] == (value, value)
    assert found["half"] == (0.5, 0.5)  # what always gets half a point does so without luck


def test_a_share_that_one_group_disagrees_on_is_resampled():
    found = estimates({"share": share(np.array([1.0, 1.0, 0.5]), np.arange(3))}, 3)["share"]
    assert found.unanimous == 0
    assert found.interval() == (0.5, 1.0)


def test_a_share_of_one_group_or_of_nothing_has_no_interval():
    lonely = share(np.ones(2), np.array([1, 1]))
    nothing = lonely.where(np.array([False, False]))
    for one in estimates({"lonely": lonely, "nothing": nothing}, 3).values():
        assert all(map(math.isnan, one.interval()))


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_that_cannot_be_is_our_bug(confidence: float):
    with pytest.raises(AssertionError, match="confidence"):
        Estimate(1.0, np.zeros(2), 2).interval(confidence)
