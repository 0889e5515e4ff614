"""Pairwise figures, against plain counting and the laws that they obey."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.datasets.base import Dataset, Item
from flr.evaluation.evaluate import evaluate
from flr.evaluation.figures import Column
from flr.evaluation.functions import ask
from flr.evaluation.pairwise import margins, measure, points
from flr.resampling import estimates
from flr.stats import bootstrap_interval
from tests.evaluation.small import answers, pairs

rewards = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=15)


def accuracy(dataset: Dataset, values: list[np.ndarray]) -> float:
    """The point estimate alone."""
    statistic = measure(dataset, Column(values)).statistics["accuracy",]
    groups = len(dataset.items)
    return float(statistic.prepared(groups)(np.ones((1, groups)))[0])


def arrays(rows: list[tuple[int, int]]) -> list[np.ndarray]:
    return [np.array(row, float) for row in rows]


@settings(max_examples=50)
@given(rewards)
def test_accuracy_obeys_its_laws(rows: list[tuple[int, int]]):
    dataset, values = pairs(rows and [(1, 1)] * len(rows)), arrays(rows)
    found = accuracy(dataset, values)
    plain = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in rows) / len(rows)
    assert found == pytest.approx(plain)
    assert accuracy(dataset, [-value for value in values]) == pytest.approx(1 - found)
    for monotone in (np.exp, np.arctan, lambda value: 3 * value - 7, lambda value: value**3):
        assert accuracy(dataset, [monotone(value) for value in values]) == found
    moved = replace(dataset, items=dataset.items[::-1])
    assert accuracy(moved, values[::-1]) == found


several = st.integers(2, 6).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, 2), min_size=size, max_size=size), st.integers(1, size - 1)
    )
)


@settings(max_examples=60)
@given(several)
def test_an_item_is_worth_what_breaking_its_ties_at_random_gives(made: tuple[list[int], int]):
    """Of all orders of the responses that go down in reward, the part with the preferred first."""
    given_rewards, good = made
    size = len(given_rewards)
    item = Item("a", "a", answers([1] * size), (1.0,) * good + (0.0,) * (size - good))
    dataset, values = Dataset("x", "pairwise", (item,), ""), np.array(given_rewards, float)
    orders = [o for o in permutations(range(size)) if (np.diff(values[list(o)]) <= 0).all()]
    right = [order for order in orders if max(order[:good]) < good]
    assert points(dataset, Column([values])) == pytest.approx(len(right) / len(orders))
    assert margins(dataset, Column([values])) == min(values[:good]) - max(values[good:])


def test_points_of_ties_by_hand():
    labels = [(1, 0), (1, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 1, 0), (1, 1, 0)]
    rewards = [[2, 2], [3, 3, 3, 3], [3, 3, 1, 2], [0.0, 5, -0.0, 0], [9, 9, 9, 9], [1, 2, 3]]
    items = tuple(
        Item(f"{at}", f"{at}", answers([1] * len(own)), tuple(map(float, own)))
        for at, own in enumerate(labels)
    )
    column = Column([np.array(row, float) for row in rewards])
    dataset = Dataset("x", "pairwise", items, "")
    # tied at the boundary, preferred and others: 1 1; 1 3; 1 1; 1 2; 3 1; no tie
    assert points(dataset, column) == pytest.approx([1 / 2, 1 / 4, 1 / 2, 1 / 3, 1 / 4, 0])
    assert margins(dataset, column).tolist() == [0, 0, 0, 0, 0, -2]
    strict = measure(dataset, column).statistics["strict",]
    assert strict.values[0].tolist() == [0] * 6


def test_a_tie_of_very_many_responses_is_worth_next_to_nothing():
    item = Item("a", "a", answers([1] * 2000), (1.0,) * 1000 + (0.0,) * 1000)
    dataset = Dataset("x", "pairwise", (item,), "")
    assert points(dataset, Column([np.zeros(2000)])).tolist() == [0]  # 1 / 2e600


def length_of(dataset: Dataset) -> Column:
    return ask(dataset, lambda asked: [len(one.response) for one in asked])


def test_the_length_reward_by_hand():
    # right, wrong, tie, right, right (lengths 5 and 4 are within 25 %), both empty: a tie
    dataset = pairs([(9, 2), (2, 9), (3, 3), (8, 1), (5, 4), (0, 0)])
    found = evaluate(dataset, {"length": length_of(dataset)})["rewards"]["length"]
    assert found["accuracy"]["value"] == pytest.approx((3 + 0.5 * 2) / 6)
    assert found["strict"]["value"] == pytest.approx(3 / 6)
    assert found["ties"] == 2
    assert found["length_correlation"]["value"] == 1
    assert found["shorter_preferred"] == {"value": 0, "interval": [None, None], "count": 1}
    assert (found["similar_length"]["value"], found["similar_length"]["count"]) == (2 / 3, 3)


@pytest.mark.parametrize(("one", "similar"), [(75, True), (74, False), (125, True), (134, False)])
def test_similar_is_within_a_quarter_of_the_longer(one: int, similar: bool):
    dataset = pairs([(one, 100), (100, 100)])
    found = evaluate(dataset, {"length": length_of(dataset)})["rewards"]["length"]
    assert found["similar_length"]["count"] == 1 + similar


def test_the_interval_is_that_of_the_points_by_prompt():
    generator = np.random.default_rng(2)
    prompts = [f"g{n // 3}" for n in range(60)]
    dataset = pairs([(1, 1)] * 60, group=prompts)
    values = [generator.normal(size=2) for _ in range(60)]
    found = evaluate(dataset, {"own": Column(values)}, seed=5)
    points = np.array([float(a > b) for a, b in values])
    groups = np.unique(prompts, return_inverse=True)[1]
    expected = bootstrap_interval(points, groups=groups, seed=5)
    assert found["rewards"]["own"]["accuracy"]["interval"] == pytest.approx(expected)
    assert found["groups"] == 20


def test_several_preferred_and_several_others():
    """Right where all preferred are above all others; lengths are means."""
    several = Item("a", "a", answers([1, 5, 2, 2]), (1.0, 1.0, 0.0, 0.0))
    dataset = Dataset("many", "pairwise", (several, replace(several, id="b", group="b")), "")
    # margins: min(3, 2) - max(1, 0) = 1; min(3, 2) - max(4, 0) = -2
    values = [np.array([3.0, 2.0, 1.0, 0.0]), np.array([3.0, 2.0, 4.0, 0.0])]
    found = evaluate(dataset, {"own": Column(values, noise_floor=0.5)})["rewards"]["own"]
    assert found["accuracy"]["value"] == 0.5
    assert found["inside_floor"] == 1  # a margin of 1 is at most twice 0.5
    assert found["shorter_preferred"]["count"] == 0  # means 3 and 2
    assert found["shorter_preferred"]["value"] is None


def test_subsets_and_categories_have_their_own_figures():
    dataset = pairs([(1, 2)] * 4, subset=["easy", "hard", "easy", ""])
    right, wrong = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    column = Column([right, wrong, right, wrong], {"a": [wrong] * 4, "b": [right] * 4})
    found = evaluate(dataset, {"own": column})["rewards"]["own"]
    easy, hard = found["subsets"]["easy"], found["subsets"]["hard"]
    assert easy == {"value": 1, "interval": [pytest.approx(0.025**0.5), 1], "count": 2}
    assert hard == {"value": 0, "interval": [None, None], "count": 1}
    assert list(found["subsets"]) == ["easy", "hard"]
    assert [found["categories"][name]["value"] for name in "ab"] == [0, 1]
    assert found["sections"] == {}


def test_the_mean_over_subsets_counts_each_subset_once():
    # easy has 1 of 1, hard 1 of 3, and what is in no subset is left out
    dataset = pairs([(1, 2)] * 6, subset=["easy", "hard", "hard", "hard", "", ""])
    right, wrong = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    values = [right, right, wrong, wrong, wrong, wrong]
    found = evaluate(dataset, {"own": Column(values)})["rewards"]["own"]
    assert found["accuracy"]["value"] == pytest.approx(2 / 6)
    mean = found["subset_mean"]
    assert (mean["value"], mean["count"]) == (pytest.approx((1 + 1 / 3) / 2), 4)
    assert mean["interval"][0] < mean["value"] < mean["interval"][1]


@pytest.mark.parametrize("subset", [["", "", ""], ["one", "one", "one"], ["one", "", "one"]])
def test_one_subset_or_none_has_no_mean_over_subsets(subset: list[str]):
    found = evaluate(pairs([(1, 2)] * 3, subset=subset), {"own": Column([np.arange(2.0)] * 3)})
    assert found["rewards"]["own"]["subset_mean"] is None


def test_sections_weigh_subsets_and_their_mean_weighs_sections():
    right, wrong = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    dataset = replace(
        pairs([(1, 2)] * 6, subset=["p", "p", "q", "r", "s", "r"]),
        sections={
            "one": {"p": 1.0, "q": 3.0, "absent": 9.0},
            "two": {"r": 1.0},
            "none": {"z": 1.0},
        },
    )
    values = [right, wrong, right, wrong, right, wrong]
    found = evaluate(dataset, {"own": Column(values)})["rewards"]["own"]["sections"]
    # one: p has 1/2, q has 1; (1 * 1/2 + 3 * 1) / 4. two: r has 0. s is in no section.
    assert (found["one"]["value"], found["one"]["count"]) == (0.875, 3)
    assert (found["two"]["value"], found["two"]["count"]) == (0, 2)
    assert (found["none"]["value"], found["none"]["count"]) == (None, 0)
    overall = found["mean of sections"]
    assert (overall["value"], overall["count"]) == (0.875 / 2, 5)
    assert overall["interval"][0] <= overall["value"] <= overall["interval"][1]


def test_the_majority_is_the_share_of_the_more_common_position():
    dataset = pairs([(1, 2)] * 5, position=[1, 2, 2, None, 2])
    found = evaluate(dataset, {})["majority"]
    assert (found["value"], found["count"]) == (3 / 4, 4)
    assert found["interval"][0] < 3 / 4 <= found["interval"][1]
    assert evaluate(pairs([(1, 2)] * 3), {})["majority"] is None


@pytest.mark.parametrize(("floor", "inside"), [(None, None), (0.0, 1), (0.25, 2), (9.0, 3)])
def test_decisions_inside_the_noise_floor(floor: float | None, inside: int | None):
    values = [np.array([1.0, 1.0]), np.array([0.5, 1.0]), np.array([2.0, 1.0])]
    found = evaluate(pairs([(1, 2)] * 3), {"own": Column(values, noise_floor=floor)})
    assert found["rewards"]["own"]["noise_floor"] == floor
    assert found["rewards"]["own"]["inside_floor"] == inside


def test_an_item_without_another_response_is_our_bug():
    lonely = Dataset("x", "pairwise", (Item("a", "a", answers([1]), (1.0,)),), "")
    for of in (measure, margins, points):
        with pytest.raises(AssertionError, match="both sides"):
            of(lonely, Column([np.zeros(1)]))


def test_a_set_of_subsets_draws_all_prompts_at_once():
    """A figure of a part varies with how often the part is drawn, and stays right on average."""
    generator = np.random.default_rng(0)
    values = [generator.normal(0.5, 1, size=2) for _ in range(200)]
    dataset = pairs([(1, 2)] * 200, subset=["a", "b"] * 100)
    statistics = measure(dataset, Column(values)).statistics
    found = estimates({key: statistics[key] for key in [("subsets", "a")]}, 200)["subsets", "a"]
    points = np.array([float(a > b) for a, b in values[::2]])
    assert found.value == pytest.approx(points.mean())
    error = points.std() / np.sqrt(100)
    low, high = found.interval()
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
