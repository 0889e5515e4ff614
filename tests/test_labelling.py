"""Labels by threshold and by quantile, the weights of the classes, and the mixed order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.errors import OptionError
from flr.labelling import LabelOptions, balancing, interleaved, labelled

NAN, INF = float("nan"), float("inf")
few_values = st.lists(st.integers(-3, 3).map(float) | st.floats(-1, 1), max_size=30)
shares = st.sampled_from([0.01, 0.1, 0.25, 1 / 3, 0.4, 0.5])


def labels(rewards: list[float], **options: Any) -> list[bool | None]:
    return list(labelled(np.array(rewards, float), LabelOptions(**options)).labels)


def test_by_threshold():
    rewards = [0.5, -0.5, 0.0, -0.0, 1e-300]
    assert labels(rewards) == [True, False, None, None, True]
    assert labels(rewards, label_threshold=0.5) == [None, False, False, False, False]
    assert labelled(np.array(rewards), LabelOptions()).ties == 2


@given(few_values, st.integers(-3, 3).map(float))
def test_by_threshold_all_but_ties_have_a_label(rewards: list[float], threshold: float):
    found = labelled(np.array(rewards, float), LabelOptions(label_threshold=threshold))
    assert found.ties == rewards.count(threshold) == found.labels.count(None)
    assert found.labels.count(True) == sum(reward > threshold for reward in rewards)
    assert found.labels.count(False) == sum(reward < threshold for reward in rewards)


@pytest.mark.parametrize(
    ("rewards", "share", "expected"),
    [
        ([4.0, 1.0, 3.0, 2.0], 0.25, [True, False, None, None]),
        ([4.0, 1.0, 3.0, 2.0], 0.5, [True, False, True, False]),
        ([3.0, 1.0, 2.0], 0.5, [True, False, None]),
        ([4.0, 4.0, 3.0, 2.0], 0.25, [None, None, None, False]),
        ([4.0, 4.0, 3.0, 2.0], 0.5, [True, True, False, False]),
        ([5.0, 4.0, 4.0, 1.0], 0.5, [True, None, None, False]),
        ([1.0, 2.0], 0.25, [None, None]),
        ([1.0, 1.0], 0.5, [None, None]),
        ([1.0], 0.5, [None]),
        ([], 0.5, []),
    ],
)
def test_by_quantile(rewards: list[float], share: float, expected: list[bool | None]):
    assert labels(rewards, label_quantile=share) == expected


@pytest.mark.parametrize(
    ("rewards", "share", "ties"),
    [
        ([4.0, 3.0, 2.0, 1.0], 0.25, 0),
        ([4.0, 4.0, 3.0, 2.0], 0.25, 2),
        ([5.0, 4.0, 4.0, 1.0], 0.5, 2),
        ([5.0, 4.0, 4.0, 4.0, 1.0, 1.0], 1 / 3, 3),
        ([1.0] * 4, 0.25, 4),
        ([1.0] * 4, 0.2, 0),
        ([], 0.5, 0),
    ],
)
def test_ties_are_those_that_another_order_could_have_labelled(
    rewards: list[float], share: float, ties: int
):
    assert labelled(np.array(rewards, float), LabelOptions(label_quantile=share)).ties == ties


@pytest.mark.parametrize(("count", "share"), [(100, 0.29), (10, 0.3), (30, 0.1), (1000, 0.009)])
def test_a_share_that_floats_cannot_hold_labels_as_many_as_it_says(count: int, share: float):
    found = labels([float(at) for at in range(count)], label_quantile=share)
    assert found.count(True) == found.count(False) == round(count * share)


@given(few_values, shares)
def test_a_share_is_never_exceeded_and_never_missed_without_ties(
    rewards: list[float], share: float
):
    found = labelled(np.array(rewards, float), LabelOptions(label_quantile=share))
    most = int(share * len(rewards) + 1e-9)
    by_label = {
        label: [r for r, one in zip(rewards, found.labels, strict=True) if one is label]
        for label in (True, False, None)
    }
    assert len(by_label[True]) <= most >= len(by_label[False])
    assert min(by_label[True], default=INF) > max(by_label[None] + by_label[False], default=-INF)
    assert max(by_label[False], default=-INF) < min(by_label[None] + by_label[True], default=INF)
    if len(set(rewards)) == len(rewards):
        assert (found.ties, len(by_label[True])) == (0, most)
    assert 2 * most <= len(by_label[True]) + len(by_label[False]) + found.ties


@given(few_values, shares | st.none(), st.randoms(use_true_random=False))
def test_labels_do_not_depend_on_the_order(rewards: list[float], share: float | None, random: Any):
    order = random.sample(range(len(rewards)), len(rewards))
    expected = labels(rewards, label_quantile=share)
    shuffled = labels([rewards[at] for at in order], label_quantile=share)
    assert shuffled == [expected[at] for at in order]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"label_threshold": 0.0, "label_quantile": 0.1}, "and --label-quantile: one of them"),
        ({"label_threshold": NAN}, "--label-threshold nan; a finite number"),
        ({"label_threshold": INF}, "--label-threshold inf"),
        ({"label_quantile": 0.0}, "--label-quantile 0.0; above 0 and at most 0.5"),
        ({"label_quantile": -0.1}, "--label-quantile -0.1"),
        ({"label_quantile": 0.51}, "--label-quantile 0.51"),
        ({"label_quantile": NAN}, "--label-quantile nan"),
    ],
)
def test_options_that_cannot_be(given: dict[str, float], expected: str):
    with pytest.raises(OptionError, match=expected):
        LabelOptions(**given)


@pytest.mark.parametrize("reward", [NAN, INF, -INF])
def test_a_reward_that_is_none_is_our_own_bug(reward: float):
    with pytest.raises(AssertionError, match="without a reward"):
        labelled(np.array([1.0, reward]), LabelOptions())


@pytest.mark.parametrize(
    ("desirable", "undesirable", "expected"),
    [
        (100, 100, (1.0, 1.0)),
        (4, 3, (1.0, 1.0)),
        (100, 300, (3.5, 1.0)),
        (99, 100, (1.18, 1.0)),
        (1400, 600, (1.0, 2.0)),
        (135, 100, (1.0, 1.16)),
        (5, 3, (1.0, 1.43)),
    ],
)
def test_weights_by_hand(desirable: int, undesirable: int, expected: tuple[float, float]):
    found = balancing([True] * desirable + [False] * undesirable)
    assert found is not None
    assert (found.desirable_weight, found.undesirable_weight) == expected


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_weights_balance_the_classes(desirable: int, undesirable: int):
    found = balancing([True] * desirable + [False] * undesirable)
    assert found is not None
    ours, theirs = found.desirable_weight, found.undesirable_weight
    assert 1 <= ours * desirable / (theirs * undesirable) <= 4 / 3
    assert (ours if desirable > undesirable else theirs) == 1.0
    assert min(ours, theirs) == 1.0


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_weights_are_in_the_range_that_trl_computes_to_two_decimals(
    desirable: int, undesirable: int
):
    """It takes 1.33 for 4/3, and one of the two weights in its range suffices."""
    found = balancing([True] * desirable + [False] * undesirable)
    assert found is not None
    ours, theirs = found.desirable_weight, found.undesirable_weight
    least, most = (undesirable * theirs / desirable * by for by in (1, 1.33))
    if round(least, 2) <= ours <= round(most, 2):
        return
    least, most = (desirable * ours / undesirable / by for by in (1.33, 1))
    assert round(least, 2) <= theirs <= round(most, 2)


@pytest.mark.parametrize("found", [[], [True], [False] * 3])
def test_one_class_alone_cannot_be_balanced(found: list[bool]):
    assert balancing(found) is None


@given(st.lists(st.booleans(), max_size=60))
def test_each_beginning_holds_both_labels_in_proportion(found: list[bool]):
    order = interleaved(found)
    assert sorted(order) == list(range(len(found)))
    share = sum(found) / max(1, len(found))
    seen = 0
    for rows, index in enumerate(order, start=1):
        seen += found[index]
        assert abs(seen - share * rows) <= 0.5 + 1e-9


@given(st.lists(st.booleans(), max_size=60))
def test_those_of_one_label_stay_in_their_order(found: list[bool]):
    order = interleaved(found)
    for label in (True, False):
        own = [index for index in order if found[index] is label]
        assert own == sorted(own)


def test_a_mixed_order_in_full():
    assert interleaved([]) == []
    assert interleaved([False] * 3) == [0, 1, 2]
    assert interleaved([True, True, False, False]) == [0, 2, 1, 3]
    assert interleaved([False] * 6 + [True] * 2) == [0, 6, 1, 2, 3, 7, 4, 5]
