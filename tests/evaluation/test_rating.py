"""Agreement with ratings, against numpy, scipy and plain counting."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, pearsonr, spearmanr

from flr.datasets.base import Item
from flr.evaluation.evaluate import evaluate
from flr.evaluation.figures import Column
from flr.evaluation.functions import ask
from flr.evaluation.rating import measure
from tests.evaluation.small import answers, rated

GENERATOR = np.random.default_rng(11)
ROWS = [
    [(int(GENERATOR.integers(0, 90)), float(GENERATOR.integers(1, 6))) for _ in range(size)]
    for size in [1, 4, 2, 3, 1, 5] * 5
]
DATASET = rated(ROWS)
VALUES = [GENERATOR.normal(size=len(row)) for row in ROWS]
FLAT = np.concatenate(VALUES)
LENGTHS, RATINGS = np.array([pair for row in ROWS for pair in row], float).T


def test_correlations_are_those_over_all_responses():
    found = evaluate(DATASET, {"own": Column(VALUES)})["rewards"]["own"]
    expected = {
        "pearson": pearsonr(FLAT, RATINGS)[0],
        "spearman": spearmanr(FLAT, RATINGS)[0],
        "kendall": kendalltau(FLAT, RATINGS)[0],
        "length_correlation": spearmanr(FLAT, LENGTHS)[0],
    }
    for name, value in expected.items():
        figure = found[name]
        assert figure["value"] == pytest.approx(value)
        assert figure["interval"][0] < value < figure["interval"][1]
        assert figure["count"] == len(FLAT)


def test_the_partial_correlation_holds_log_length_fixed():
    """By the textbook's formula of the three plain correlations."""
    found = evaluate(DATASET, {"own": Column(VALUES)})["rewards"]["own"]["partial"]
    log = np.log1p(LENGTHS)
    unit = [(one - one.mean()) / one.std() for one in (FLAT, RATINGS, log)]
    xy, xz, yz = (float(np.mean(one * other)) for one, other in combinations(unit, 2))
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    assert found["value"] == pytest.approx(expected)


def test_log_length_itself_has_no_partial_correlation():
    column = ask(DATASET, lambda asked: [math.log1p(len(one.response)) for one in asked])
    found = evaluate(DATASET, {"log length": column})["rewards"]["log length"]
    assert found["partial"] == {"value": None, "interval": [None, None], "count": len(FLAT)}
    assert found["length_correlation"]["value"] == 1


def test_the_length_reward_by_hand():
    dataset = rated([[(1, 1.0)], [(2, 3.0)], [(3, 2.0)]])
    column = ask(dataset, lambda asked: [len(one.response) for one in asked])
    found = evaluate(dataset, {"length": column})["rewards"]["length"]
    # lengths -1 0 1 and ratings -1 1 0 about their means: 1 / sqrt(2 * 2); of 3 pairs 2 agree
    assert found["pearson"]["value"] == pytest.approx(0.5)
    assert found["spearman"]["value"] == pytest.approx(0.5)
    assert found["kendall"]["value"] == pytest.approx(1 / 3)


def test_within_prompt_is_plain_counting():
    points = [
        0.5 if one == other else float((one > other) == (a > b))
        for row, value in zip(ROWS, VALUES, strict=True)
        for ((_, a), one), ((_, b), other) in combinations(zip(row, value, strict=True), 2)
        if a != b
    ]
    found = evaluate(DATASET, {"own": Column(VALUES, noise_floor=99.0)})["rewards"]["own"]
    assert found["within_prompt"]["value"] == pytest.approx(np.mean(points))
    assert found["within_prompt"]["count"] == len(points)
    assert found["inside_floor"] == len(points)


@pytest.mark.parametrize("row", [[(3, 1.0)], [(3, 2.0), (4, 2.0)]])
def test_without_different_ratings_there_is_nothing_within_a_prompt(row):
    dataset = rated([row] * 4)
    values = [np.arange(len(row)) + float(at) for at in range(4)]
    found = evaluate(dataset, {"own": Column(values, noise_floor=0.1)})["rewards"]["own"]
    assert found["within_prompt"] is None
    assert found["inside_floor"] is None
    assert found["noise_floor"] == 0.1
    assert found["pearson"]["value"] is None  # the ratings are constant


def test_subsets_and_categories_are_pearsons():
    items = tuple(
        replace(item, subset="odd" if at % 2 else "") for at, item in enumerate(DATASET.items)
    )
    column = Column(VALUES, {"minus": [-value for value in VALUES]})
    found = evaluate(replace(DATASET, items=items), {"own": column})["rewards"]["own"]
    odd = np.concatenate([np.full(len(row), at % 2 == 1) for at, row in enumerate(ROWS)])
    assert list(found["subsets"]) == ["odd"]
    assert found["subsets"]["odd"]["value"] == pytest.approx(pearsonr(FLAT[odd], RATINGS[odd])[0])
    assert found["subsets"]["odd"]["count"] == odd.sum()
    minus = found["categories"]["minus"]
    assert minus["value"] == pytest.approx(-found["pearson"]["value"])
    assert minus["interval"] == pytest.approx([-end for end in found["pearson"]["interval"][::-1]])


def test_the_majority_is_the_share_of_the_most_common_rating():
    found = evaluate(rated([[(1, 2.0), (1, 3.0)], [(1, 2.0)], [(1, 5.0)]]), {})["majority"]
    assert (found["value"], found["count"]) == (0.5, 4)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(1, 3)), min_size=2, max_size=12))
def test_a_line_through_the_rewards_changes_no_correlation(rows: list[tuple[int, int]]):
    items = tuple(
        Item(f"{at}", f"{at}", answers([at]), (float(rating),))
        for at, (_, rating) in enumerate(rows)
    )
    dataset = replace(DATASET, items=items)
    values = [np.array([float(reward)]) for reward, _ in rows]
    once = np.ones((1, len(rows)))

    def all_of(change) -> dict:
        made = measure(dataset, Column([change(value) for value in values])).statistics
        return {key: float(one.prepared(len(rows))(once)[0]) for key, one in made.items()}

    own = all_of(lambda value: value)
    for (key, value), other in zip(own.items(), all_of(lambda v: 3 * v - 7).values(), strict=True):
        assert other == pytest.approx(value, abs=1e-6, nan_ok=True), key
    for (key, value), other in zip(own.items(), all_of(lambda v: -v).values(), strict=True):
        assert other == pytest.approx(-value, abs=1e-6, nan_ok=True), key
    for key in (("spearman",), ("kendall",)):
        assert all_of(np.exp)[key] == pytest.approx(own[key], nan_ok=True)
