"""The reward's formulas, against numbers worked out by hand and the laws that they must keep."""

from dataclasses import replace
from fractions import Fraction
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import rewards
from flr.errors import FlrError, FollowUpError, OptionError, UserError
from flr.types import FollowUp, FollowUpSet
from tests.sets import weighted


def set_of(*followups: FollowUp) -> FollowUpSet:
    weights = {followup.category: 1.0 for followup in followups}
    return FollowUpSet("test", "en", "Apache-2.0", "here", followups, weights)


TWO_BY_TWO = set_of(
    FollowUp("Right.", "correctness", 1),
    FollowUp("Exactly right.", "correctness", 1),
    FollowUp("Wrong.", "correctness", -1),
    FollowUp("On topic.", "relevance", 1),
    FollowUp("Off topic.", "relevance", -1),
    FollowUp("What?", "relevance", -1),
)
SIZE = len(TWO_BY_TWO.followups)
EQUAL = {"correctness": 1.0, "relevance": 1.0}

# Dyadic fractions: every sum and difference of them is exact in float64.
exact = st.integers(-(2**20), 2**20).map(lambda number: number / 2**10)
values_of_set = st.lists(exact, min_size=SIZE, max_size=SIZE).map(np.array)
counts_of_set = st.lists(st.integers(1, 40), min_size=SIZE, max_size=SIZE).map(np.array)
weight = st.floats(0.01, 100)


def total(values: np.ndarray, followup_set: FollowUpSet = TWO_BY_TWO) -> float:
    return rewards.reward(rewards.by_category(values, followup_set), EQUAL)


def test_hand_derived_number():
    sums = np.array([-2.0, -6.0, -4.0, -3.0, -10.0, -8.0])
    tokens = np.array([2, 3, 1, 3, 5, 2])
    # means: -1 -2 | -4   and   -1 | -2 -4
    values = rewards.per_followup(sums, tokens, "mean")
    assert rewards.by_category(values, TWO_BY_TWO) == {"correctness": 2.5, "relevance": 2.0}
    assert total(values) == 2.25
    # sums: (-2 - 6)/2 + 4 = 0   and   -3 + (10 + 8)/2 = 6
    assert total(rewards.per_followup(sums, tokens, "sum")) == 3.0


def test_pmi_takes_the_baselines_mean_away():
    values = rewards.per_followup(
        np.array([-6.0, -4.0]), np.array([3, 2]), "pmi", np.array([-8.0, -1.0]), np.array([4, 2])
    )
    assert values.tolist() == [0.0, -1.5]


def test_half_precision_input_is_summed_in_float64():
    values = rewards.per_followup(np.array([-1.5], np.float16), np.array([3]), "mean")
    assert values.dtype == np.float64
    assert values.tolist() == [-0.5]


def test_variants_are_named_once_and_the_default_comes_first():
    assert [variant.name for variant in rewards.VARIANTS] == ["mean", "sum", "pmi", "official"]
    assert all(variant.unit and variant.description for variant in rewards.VARIANTS)


@given(values_of_set)
def test_swapped_polarities_negate(values: np.ndarray):
    swapped = set_of(*(replace(f, polarity=-f.polarity) for f in TWO_BY_TWO.followups))
    assert total(values, swapped) == -total(values)


@given(values_of_set, exact)
def test_a_constant_added_to_all_changes_nothing(values: np.ndarray, constant: float):
    assert total(values + constant) == pytest.approx(total(values), abs=1e-9)


@given(values_of_set, st.permutations(range(SIZE)))
def test_order_of_followups_changes_no_bit(values: np.ndarray, order: list[int]):
    values = values / 3  # inexact on purpose
    shuffled = set_of(*(TWO_BY_TWO.followups[index] for index in order))
    assert total(values[order], shuffled) == total(values)


@given(values_of_set, values_of_set, values_of_set, counts_of_set, counts_of_set)
def test_pmi_moves_all_rewards_of_a_prompt_alike(first, second, baseline, tokens, baseline_tokens):
    def difference(variant: str) -> float:
        one, other = (
            total(rewards.per_followup(sums, tokens, variant, baseline, baseline_tokens))
            for sums in (first, second)
        )
        return one - other

    assert difference("pmi") == pytest.approx(difference("mean"), abs=1e-8)


@given(st.dictionaries(st.text(), st.tuples(exact, weight), min_size=1, max_size=8), weight)
def test_only_the_ratio_of_weights_counts(table: dict[str, tuple[float, float]], factor: float):
    categories = {name: value for name, (value, _) in table.items()}
    weights = {name: weight for name, (_, weight) in table.items()}
    scaled = {name: weight * factor for name, weight in weights.items()}
    expected = sum(Fraction(weights[name]) * Fraction(categories[name]) for name in table)
    expected /= sum(map(Fraction, weights.values()))
    assert rewards.reward(categories, weights) == pytest.approx(float(expected), abs=1e-9)
    assert rewards.reward(categories, scaled) == pytest.approx(float(expected), abs=1e-9)


@given(weight, values_of_set)
def test_equal_weights_are_no_weights(weight: float, values: np.ndarray):
    categories = rewards.by_category(values, TWO_BY_TWO)
    assert rewards.reward(categories, dict.fromkeys(categories, weight)) == total(values)


# Weights of single follow-ups.

weights_of_set = st.lists(weight, min_size=SIZE, max_size=SIZE)


def test_hand_derived_number_of_weighted_followups():
    values = np.array([-1.0, -2.0, -4.0, -1.0, -2.0, -4.0])
    three_to_one = weighted(TWO_BY_TWO, 3.0, 1.0, 7.0, 0.5, 1.0, 1.0)
    # (-3 - 2) / 4 + 4   and   -1 + (2 + 4) / 2
    found = rewards.by_category(values, three_to_one)
    assert found == {"correctness": 2.75, "relevance": 2.0}


@given(values_of_set, weight)
def test_equal_weights_of_followups_change_no_bit(values: np.ndarray, weight: float):
    values = values / 3  # inexact on purpose
    alike = weighted(TWO_BY_TWO, *[weight] * SIZE)
    assert rewards.by_category(values, alike) == rewards.by_category(values, TWO_BY_TWO)
    correctness = fmean(values[:2]) - values[2], fmean(values[3:4]) - fmean(values[4:])
    assert tuple(rewards.by_category(values, TWO_BY_TWO).values()) == correctness


@given(values_of_set, weights_of_set, weight)
def test_the_reward_is_linear_in_its_values(values: np.ndarray, own: list[float], other: float):
    followup_set, weights = weighted(TWO_BY_TWO, *own), {"correctness": 1.0, "relevance": other}
    found = rewards.reward(rewards.by_category(values, followup_set), weights)
    parts = rewards.coefficients(followup_set, weights)
    assert values @ parts == pytest.approx(found, abs=1e-8)
    polarity = np.array([f.polarity for f in followup_set.followups])
    assert (np.sign(parts) == polarity).all()
    assert parts[polarity == 1].sum() == pytest.approx(1)
    assert parts[polarity == -1].sum() == pytest.approx(-1)


def test_the_largest_weights_of_followups_do_not_overflow():
    huge = weighted(TWO_BY_TWO, *[1.7e308] * SIZE)
    assert rewards.by_category(np.ones(SIZE), huge) == dict.fromkeys(EQUAL, 0.0)


def test_weight_zero_leaves_a_category_out():
    assert rewards.reward({"a": 0.3, "b": 9.0}, {"a": 0.1, "b": 0.0}) == 0.3


def test_the_largest_weights_do_not_overflow():
    huge = {"a": 1.7e308, "b": 1.7e308}
    assert rewards.reward({"a": 1.0, "b": 2.0}, huge) == 1.5


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"a": 1.0}, "'b' has no weight"),
        ({"a": 1.0, "b": -1.0}, "weight -1.0"),
        ({"a": 1.0, "b": float("nan")}, "weight nan"),
        ({"a": 1.0, "b": float("inf")}, "weight inf"),
        ({"a": 0.0, "b": 0.0}, "every category has the weight 0"),
        ({"a": 1.0, "b": 1.0, "bb": 1.0}, "Did you mean 'b'"),
    ],
)
def test_weights_that_cannot_be(weights: dict[str, float], said: str):
    with pytest.raises(OptionError, match=said):
        rewards.reward({"a": 1.0, "b": 2.0}, weights)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("variant", ["mean", "sum", "pmi"])
def test_a_log_likelihood_that_is_not_finite_is_named(bad: float, variant: str):
    good, tokens = np.array([-1.0, -1.0]), np.array([1, 1])
    with pytest.raises(FlrError, match="follow-up 2 of 2 has") as caught:
        rewards.per_followup(np.array([-1.0, bad]), tokens, variant, good, tokens)
    assert not isinstance(caught.value, UserError)
    with pytest.raises(FlrError, match="follow-up 2 of 2 has"):
        rewards.per_followup(good, tokens, "pmi", np.array([-1.0, bad]), tokens)


def test_a_value_that_is_not_finite_is_named_by_its_text():
    with pytest.raises(FlrError, match=r"'Off topic\.'"):
        rewards.by_category(np.array([0, 0, 0, 0, -np.inf, 0]), TWO_BY_TWO)


@pytest.mark.parametrize("variant", ["mean", "pmi"])
def test_a_followup_without_a_token_is_named(variant: str):
    sums, good, bad = np.array([-1.0, 0.0]), np.array([1, 1]), np.array([1, 0])
    with pytest.raises(FollowUpError, match="follow-up 2 of 2 has no token"):
        rewards.per_followup(sums, bad, variant, sums, good)
    with pytest.raises(FollowUpError, match="follow-up 2 of 2 has no token"):
        rewards.per_followup(sums, good, "pmi", sums, bad)


@pytest.mark.parametrize("variant", ["official", "Mean", ""])
def test_a_variant_that_is_not_computed_here(variant: str):
    with pytest.raises(OptionError, match="expected one of mean, sum, pmi"):
        rewards.per_followup(np.array([-1.0]), np.array([1]), variant)
