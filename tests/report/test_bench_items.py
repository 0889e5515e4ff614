"""What the page makes of single responses: pairs, bins, disagreements."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.report.bench_cases import EXCERPT, cases, systems_table
from flr.report.bench_items import (
    BIN_SIZE,
    BINS,
    WORST,
    accuracy_by_margin,
    pairs_of,
    places,
    responses,
    widest_gaps,
    worst_pairs,
)


def item(
    labels: list[float], rewards: list[Any], name: str = "1", **changes: Any
) -> dict[str, Any]:
    return {
        "item": name,
        "group": name,
        "subset": "",
        "labels": labels,
        "systems": [],
        "prompt": [{"role": "user", "content": "Why?"}],
        "responses": [f"text {index}" * (index + 1) for index in range(len(labels))],
        "rewards": {"a": rewards},
        **changes,
    }


def pairs(kind: str, *items: dict[str, Any]) -> list[Any]:
    return pairs_of(kind, responses(items, "a"))


def margins_of(*margins: float) -> list[dict[str, Any]]:
    """Pairwise items with these margins."""
    return [item([1, 0], [margin, 0.0], f"{n}") for n, margin in enumerate(margins)]


def test_responses_without_a_finite_reward_are_left_out():
    rows = [item([1, 0, 0], [0.5, None, float("nan")]), item([1, 0], [1, 2]) | {"rewards": {}}]
    assert [(one.index, one.reward) for one in responses(rows, "a")] == [(0, 0.5)]
    assert responses(rows, "b") == []


def test_the_lowest_preferred_and_the_highest_other_decide_an_item():
    (pair,) = pairs("pairwise", item([1, 1, 0, 0], [0.9, 0.3, 0.1, 0.4]))
    assert (pair.better.index, pair.worse.index) == (1, 3)
    assert pair.margin == pytest.approx(-0.1)
    assert pair.longer_by == len("text 1" * 2) - len("text 3" * 4)


def test_an_item_that_lost_one_side_has_no_pair():
    assert pairs("pairwise", item([1, 0], [0.5, None]), item([1, 0], [None, 0.5], "2")) == []


def test_rated_responses_of_one_item_pair_where_ratings_differ():
    found = pairs("rating", item([2, 5, 2], [0.1, 0.2, 0.3]), item([1], [9.0], "2"))
    assert [(pair.better.index, pair.worse.index) for pair in found] == [(1, 0), (1, 2)]
    assert pairs("ranking", item([1000, 1100], [0.1, 0.2])) == []


def test_bins_hold_equally_many_pairs_from_small_margins_to_large():
    # 20 pairs: ten of margin -1 (wrong), then ten of margin 2 (right)
    small, large = accuracy_by_margin(pairs("pairwise", *margins_of(*[-1.0] * 10, *[2.0] * 10)))
    assert (small.margin, small.figure["value"], small.figure["count"]) == (1.0, 0.0, 10)
    assert (large.margin, large.figure["value"], large.figure["count"]) == (2.0, 1.0, 10)
    assert large.figure["interval"] == [1.0, 1.0]


def test_ties_are_half_a_point_in_a_bin():
    (one,) = accuracy_by_margin(pairs("pairwise", *margins_of(0.0, 0.0, 1.0)))
    assert one.figure["value"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("count", [0, 1, BIN_SIZE - 1, 2 * BIN_SIZE + 1, 500])
def test_every_pair_is_in_one_bin(count: int):
    bins = accuracy_by_margin(pairs("pairwise", *margins_of(*np.linspace(-1, 1, count).tolist())))
    assert sum(one.figure["count"] for one in bins) == count
    assert len(bins) == min(BINS, max(count // BIN_SIZE, min(count, 1)))
    assert [one.margin for one in bins] == sorted(one.margin for one in bins)


def test_a_bin_of_one_prompt_has_no_interval():
    rows = [row | {"group": "same \ud83d \x00"} for row in margins_of(1.0, -1.0, 2.0)]
    (one,) = accuracy_by_margin(pairs("pairwise", *rows))
    assert np.isnan(one.figure["interval"]).all()


def test_the_worst_pairs_are_wrong_ones_alone():
    rows = margins_of(0.5, -0.1, 0.0, -0.7, -0.1)
    worst = worst_pairs(pairs("pairwise", *rows))
    assert [pair.better.item["item"] for pair in worst] == ["3", "1", "4"]
    assert len(worst_pairs(pairs("pairwise", *margins_of(*[-1.0] * 50)))) == WORST


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_places_count_who_is_ahead(values: list[int]):
    expected = [
        1 + sum(other > value for other in values) + (values.count(value) - 1) / 2
        for value in values
    ]
    assert places(np.array(values, dtype=np.float64)).tolist() == expected


def test_gaps_are_widest_first_and_none_where_places_agree():
    # rewards 1, 3, 2, 4 against labels 4, 3, 2, 1: places 4, 2, 3, 1 against 1, 2, 3, 4
    gaps = widest_gaps([("a", 4.0, 1.0), ("b", 3.0, 3.0), ("c", 2.0, 2.0), ("d", 1.0, 4.0)])
    assert [(gap.of, gap.by_people, gap.by_reward) for gap in gaps] == [("a", 1, 4), ("d", 4, 1)]


def test_a_case_of_a_pair_shows_both_sides():
    row = item([1, 0], [-0.5, 1.0], systems=["one", "two"], subset="easy")
    (case,) = cases("pairwise", responses([row], "a"))
    assert (case.figure, case.excerpt, case.item) == ("margin -1.50", "Why?", "1, easy")
    assert [(side.label, side.reward, side.system) for side in case.sides] == [
        ("Preferred by people", "-0.500", "one"),
        ("Other", "1", "two"),
    ]


def test_a_case_of_a_rating_shows_both_places():
    row = item([5, 1, 3], [0.1, 0.2, 0.3])
    first, *_ = cases("rating", responses([row], "a"))
    assert first.figure == "place 1 by people, 3 by reward"
    assert (first.sides[0].label, first.sides[0].reward) == ("Rated 5", "0.100")


def test_a_long_or_missing_prompt_has_an_excerpt():
    long = item([1, 0], [0, 1], prompt=[{"role": "user", "content": "a\n" * 500}])
    none = item([1, 0], [0, 2], "2", prompt=[])
    shown = [case.excerpt for case in cases("pairwise", responses([long, none], "a"))]
    assert shown == ["", ("a " * 500)[: EXCERPT - 1] + "…"]


def test_no_texts_of_systems_are_cases():
    assert cases("ranking", responses([item([1000, 1100], [1, 0])], "a")) == []


def test_systems_that_stand_apart():
    figures = {
        "x": {"value": 0.5, "elo": 1000.0},
        "y": {"value": 0.1, "elo": 1100.0},
        "lost": {"value": None, "elo": 1200.0},
    }
    table = systems_table(figures)
    assert table is not None
    assert table.rows == (("x", "1,000", "0.500", "2", "1"), ("y", "1,100", "0.100", "1", "2"))
    assert systems_table({"x": figures["x"]}) is None
    assert systems_table({}) is None
