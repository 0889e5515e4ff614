"""What the page makes of single responses: pairs, bins, disagreements."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.datasets.base import Dataset, Item
from flr.evaluation.robustness import attacked
from flr.report.bench.cases import EXCERPT, cases, systems_table
from flr.report.bench.items import (
    BIN_SIZE,
    BINS,
    WORST,
    accuracy_by_margin,
    pairs_of,
    places,
    widest_gaps,
    worst_pairs,
)
from flr.report.bench.words import CONTROL, SPOILT
from flr.types import Conversation


def item(
    labels: list[float], rewards: list[Any], name: str = "1", **changes: Any
) -> dict[str, Any]:
    """A row; its margin is between its first and its last response."""
    margin = float(rewards[0]) - rewards[-1]
    return {
        "item": name,
        "group": name,
        "subset": "",
        "labels": labels,
        "systems": [],
        "prompt": [{"role": "user", "content": "Why?"}],
        "responses": [f"text {index}" * (index + 1) for index in range(len(labels))],
        "rewards": {"a": rewards},
        "margins": {"a": margin},
        "points": {"a": (np.sign(margin) + 1) / 2},
        **changes,
    }


def pairs(kind: str, *items: dict[str, Any]) -> list[Any]:
    return pairs_of(kind, items, "a")


def margins_of(*margins: float) -> list[dict[str, Any]]:
    """Pairwise items with these margins."""
    return [item([1, 0], [margin, 0.0], f"{n}") for n, margin in enumerate(margins)]


def test_the_rows_say_how_an_item_was_decided():
    row = item([1, 1, 0, 0], [0.9, 0.3, 0.1, 0.4], margins={"a": -0.1}, points={"a": 0.25})
    (pair,) = pairs("pairwise", row)
    assert (pair.margin, pair.points) == (-0.1, 0.25)
    # texts of 6, 12, 18 and 24 characters: a mean of 9 for the preferred, of 21 for the others
    assert pair.longer_by == 9 - 21


def test_rated_responses_of_one_item_pair_where_ratings_differ():
    found = pairs("rating", item([2, 5, 2], [0.1, 0.2, 0.3]), item([1], [9.0], "2"))
    assert [pair.margin for pair in found] == pytest.approx([0.1, -0.1])
    assert [pair.points for pair in found] == [1.0, 0.0]
    assert [pair.longer_by for pair in found] == [12 - 6, 12 - 18]
    assert pairs("ranking", item([1000, 1100], [0.1, 0.2])) == []
    assert pairs("rating", item([1], [9.0])) == []


def test_a_tie_of_ratings_is_half_a_point():
    (pair,) = pairs("rating", item([1, 2], [0.5, 0.5]))
    assert (pair.margin, pair.points) == (0.0, 0.5)


def test_bins_hold_equally_many_pairs_from_small_margins_to_large():
    # 20 pairs: ten of margin -1 (wrong), then ten of margin 2 (right)
    small, large = accuracy_by_margin(pairs("pairwise", *margins_of(*[-1.0] * 10, *[2.0] * 10)))
    assert (small.margin, small.figure["value"], small.figure["count"]) == (1.0, 0.0, 10)
    assert (large.margin, large.figure["value"], large.figure["count"]) == (2.0, 1.0, 10)
    assert large.figure["interval"] == [1.0, 1.0]


def test_a_bin_counts_the_points_of_the_rows():
    rows = margins_of(0.0, 0.0, 1.0)
    rows[0]["points"]["a"] = 0.25  # one preferred response of four, all with one reward
    (one,) = accuracy_by_margin(pairs("pairwise", *rows))
    assert one.figure["value"] == pytest.approx((0.25 + 0.5 + 1) / 3)


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
    assert [pair.item["item"] for pair in worst] == ["3", "1", "4"]
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


def test_a_case_of_a_pair_shows_every_response_the_preferred_first():
    row = item([0, 1, 0], [1.0, -0.5, 2.0], systems=["one", "two", "three"], subset="easy")
    (case,) = cases("pairwise", [row | {"margins": {"a": -2.5}}], "a")
    assert (case.figure, case.excerpt, case.item) == ("margin -2.50", "Why?", "1, easy")
    assert [(side.label, side.reward, side.system) for side in case.sides] == [
        ("Preferred by people", "-0.500", "two"),
        ("Other", "1", "one"),
        ("Other", "2", "three"),
    ]
    assert [side.text for side in case.sides] == [row["responses"][at] for at in (1, 0, 2)]


def test_a_case_of_a_spoilt_response_says_how_it_was_spoilt():
    rows = [
        item([1, 0], [0, 1], "1, cut", subset="cut"),
        item([1, 0], [0, 2], "2", subset=CONTROL),
    ]
    control, cut = cases(SPOILT, rows, "a")
    assert [side.label for side in control.sides] == ["Good", "Worse, as rated"]
    assert [side.label for side in cut.sides] == ["Good", "Spoilt: cut"]
    assert cut.item == "1, cut"


def test_the_control_is_a_subset_of_robustness():
    pair = tuple(Conversation.of("Why?", text) for text in ("So.", "No."))
    dataset = Dataset("d", "pairwise", (Item("1", "1", pair, (1.0, 0.0)),), "here")
    assert CONTROL in {one.subset for one in attacked(dataset).items}


def test_turns_that_responses_do_not_share_stand_on_their_own_side():
    def said(text: str) -> list[dict[str, str]]:
        asked = {"role": "user", "content": "And then?"}
        return [{"role": "assistant", "content": text}, asked]

    row = item([0, 1], [1.0, 0.5], margins={"a": -0.5}, turns=[said("A"), said("B")])
    (case,) = cases("pairwise", [row], "a")
    assert [side.turns for side in case.sides] == [said("B"), said("A")]
    assert case.prompt == row["prompt"]
    assert case.excerpt == "And then?"
    (plain,) = cases("pairwise", [item([1, 0], [0, 1])], "a")
    assert [list(side.turns) for side in plain.sides] == [[], []]


def test_a_case_of_a_rating_shows_both_places():
    row = item([5, 1, 3], [0.1, 0.2, 0.3])
    first, *_ = cases("rating", [row], "a")
    assert first.figure == "place 1 by people, 3 by reward"
    assert (first.sides[0].label, first.sides[0].reward) == ("Rated 5", "0.100")


def test_a_long_or_missing_prompt_has_an_excerpt():
    long = item([1, 0], [0, 1], prompt=[{"role": "user", "content": "a\n" * 500}])
    none = item([1, 0], [0, 2], "2", prompt=[])
    shown = [case.excerpt for case in cases("pairwise", [long, none], "a")]
    assert shown == ["", ("a " * 500)[: EXCERPT - 1] + "…"]


def test_no_texts_of_systems_are_cases():
    assert cases("ranking", [item([1000, 1100], [1, 0])], "a") == []


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
