"""The explanation of a reward: its arithmetic."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.errors import UserError
from flr.report.explain.movements import Side, mean_side, movements
from flr.types import FollowUp
from tests.report.explain.samples import EQUAL, FIRST, FOLLOWUPS, PLAIN, SECOND, SIZE, side

# The arithmetic.

values_of_set = st.lists(st.floats(-30, 0), min_size=SIZE, max_size=SIZE).map(np.array)
own_weights = st.lists(st.floats(0.01, 10), min_size=SIZE, max_size=SIZE)
weights_of_set = st.fixed_dictionaries({name: st.floats(0.01, 10) for name in EQUAL})


def test_hand_derived_movements():
    # correctness: d = 0, 1 | -1: shift (0.5 - 1) / 2 = -0.25. relevance: all alike, by 1.
    moves = {move.followup.text: move for move in movements(FIRST, SECOND, {})}
    assert [moves[name].shift for name in ("Right.", "What?")] == [-0.25, 1.0]
    assert moves["Exactly."].moved == 1.25
    assert moves["Wrong."].moved == -0.75
    # Half the reward each; two positives share theirs, the one negative has its own.
    assert moves["Right."].contribution == 0.5 * 0.25 / 2
    assert moves["Exactly."].contribution == 0.5 * 1.25 / 2
    assert moves["Wrong."].contribution == 0.5 * 0.75
    assert [move.followup.text for move in movements(FIRST, SECOND, {})][:3] == [
        "Wrong.",
        "Exactly.",
        "Right.",
    ]
    assert all(moves[name].contribution == 0 for name in ("On topic.", "Off topic.", "What?"))


@given(values_of_set, values_of_set, weights_of_set)
def test_contributions_sum_to_the_difference_of_the_rewards(first, second, weights):
    one, other = side(first, weights=weights), side(second, weights=weights)
    parts = [move.contribution for move in movements(one, other, weights)]
    assert sum(parts) == pytest.approx(one.reward - other.reward, abs=1e-9)
    assert [abs(part) for part in parts] == sorted(map(abs, parts), reverse=True)


@given(values_of_set, values_of_set, st.floats(-5, 5), st.floats(-5, 5))
def test_what_moves_a_whole_category_moves_no_contribution(first, second, one, other):
    shifts = np.array([one] * 3 + [other] * 3)
    plain, shifted = (
        {move.followup: move.contribution for move in movements(side(values), side(second), {})}
        for values in (first, first + shifts)
    )
    assert shifted == pytest.approx(plain, abs=1e-9)


@given(values_of_set, values_of_set, own_weights, weights_of_set)
def test_contributions_of_weighted_followups_sum_to_the_difference(first, second, own, weights):
    texts = tuple(replace(f, weight=weight) for f, weight in zip(FOLLOWUPS, own, strict=True))
    one, other = (side(values, weights=weights, followups=texts) for values in (first, second))
    parts = [move.contribution for move in movements(one, other, weights)]
    assert sum(parts) == pytest.approx(one.reward - other.reward, abs=1e-9)


def test_a_category_of_weight_zero_adds_nothing():
    moves = movements(FIRST, SECOND, {"correctness": 0.0, "relevance": 1.0})
    assert all(move.contribution == 0 for move in moves if move.followup.category == "correctness")


def test_sides_of_different_sets_are_refused():
    other = side(SECOND.values, followups=(*FOLLOWUPS[:-1], FollowUp("Eh?", "relevance", -1)))
    for refused in (
        lambda: movements(FIRST, other, {}),
        lambda: mean_side("mean", [FIRST, other]),
    ):
        with pytest.raises(UserError, match="different follow-up sets"):
            refused()


def test_mean_of_sides_that_come_one_by_one():
    def sides() -> Iterator[Side]:
        yield from (FIRST, SECOND, SECOND, FIRST)

    mean = mean_side("mean of 4 rows", sides())
    assert mean.response is None
    assert mean.values.tolist() == [-1.0, -2.5, -3.5, -1.5, -2.5, -4.5]
    assert mean.by_category == side(mean.values).by_category
    assert mean.reward == side(mean.values).reward
    assert mean_side("one", [FIRST]).values.tolist() == FIRST.values.tolist()


def test_mean_of_no_sides_is_refused():
    with pytest.raises(UserError, match="no scored response"):
        mean_side("mean", [])


def test_unit_is_the_variants():
    assert PLAIN.unit == "nats/token"
    assert replace(PLAIN, variant="official").unit == "logits"
