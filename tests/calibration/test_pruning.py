"""The order of follow-ups, and parts of a set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.calibration.pruning import first, ordered, part_of, sizes, steps_within, usefulness
from flr.followups import problems
from tests.calibration.planted import SHORT
from tests.sets import a_set

UNEVEN = a_set(
    ("a", "p", 1), ("a", "q", 1), ("a", "r", 1), ("a", "n", -1), ("b", "s", 1), ("b", "m", -1)
)
places = st.sampled_from([SHORT, UNEVEN]).flatmap(
    lambda followup_set: st.tuples(
        st.just(followup_set),
        st.lists(
            st.floats(-1, 1),
            min_size=len(followup_set.followups),
            max_size=len(followup_set.followups),
        ).map(np.array),
    )
)


def test_usefulness_is_how_steadily_a_followup_adds_to_the_better_response():
    added = np.array([[1.0, 3.0, -1.0], [1.0, -1.0, -1.0]])
    assert usefulness(added, np.ones(2)).tolist() == pytest.approx([1.0, 1 / 5**0.5, -1.0])
    assert usefulness(added, np.array([3.0, 1.0]))[1] == pytest.approx(2 / 7**0.5)


def test_hand_derived_order():
    # a: p .9 with n .2 (1.1), then q and r alone (.5, .1); b: s .8 with m .4 (1.2)
    steps = ordered(UNEVEN, np.array([0.9, 0.5, 0.1, 0.2, 0.8, 0.4]))
    assert steps == [(4, 5), (0, 3), (1,), (2,)]
    assert first(steps, 2).tolist() == [0, 3, 4, 5]


@given(places)
def test_every_part_of_an_order_is_a_whole_set(case):
    followup_set, useful = case
    steps = ordered(followup_set, useful)
    assert sorted(at for step in steps for at in step) == list(range(len(useful)))
    for count in range(1, len(steps) + 1):
        part = part_of(followup_set, first(steps, count))
        assert problems(part) == ()
        assert [f for f in followup_set.followups if f in part.followups] == list(part.followups)
    assert part_of(followup_set, first(steps, len(steps))) == followup_set


def test_sizes_go_from_one_to_all():
    for count in (1, 2, 16, 60, 500):
        found = sizes([(0, 1)] * count)
        assert (found[0], found[-1]) == (1, count)
        assert found == sorted(set(found))
        assert len(found) <= 16


def test_no_more_followups_are_kept_than_asked_for():
    steps = [(4, 5), (0, 3), (1,), (2,)]
    assert [steps_within(steps, most) for most in (1, 2, 3, 4, 5, 9)] == [0, 1, 1, 2, 3, 4]
