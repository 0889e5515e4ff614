"""The words, tables and sentences of a benchmark's reports."""

from typing import Any

import pytest

from flr.report.bench_summary import set_summary, shown_reward, summary
from flr.report.bench_tables import Table, how_made, set_counts, set_tables
from flr.report.bench_words import (
    correlation,
    correlation_difference,
    ends_of,
    kind_of,
    known,
    points,
    share,
    short,
)
from tests.report.bench_samples import REFERENCE, sample


def figure(value: Any, low: Any = None, high: Any = None, count: int = 10) -> dict[str, Any]:
    return {"value": value, "interval": [low, high], "count": count}


def pairwise(rewards: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A pairwise set with the rewards given."""
    fields = {"kind": "pairwise", "source": "here", "files": {}, "items": 10, "groups": 5}
    fields |= {"responses": 20, "left_out": {}, "skipped": [], "not_computed": {}}
    return {**fields, "chance": 0.5, "majority": None, "rewards": rewards, **changes}


def accuracy(value: Any, low: Any, high: Any, difference: Any = None) -> dict[str, Any]:
    return {"accuracy": figure(value, low, high), "difference": difference}


# Words.


def test_figures_are_worded_by_what_they_are():
    one = figure(0.5749, 0.525, -0.0004)
    assert share(one) == "57.5 % [52.5, 0.0]"
    assert points(one) == "+57.5 [+52.5, +0.0]"
    assert correlation(one) == "0.575 [0.525, 0.000]"
    assert correlation_difference(figure(-0.1, -0.2, 0.1)) == "-0.100 [-0.200, +0.100]"


@pytest.mark.parametrize("word", [share, points, correlation, correlation_difference])
@pytest.mark.parametrize("none", [None, figure(None), figure(float("nan"), 0.1, 0.2)])
def test_what_has_no_answer_is_a_dash(word: Any, none: Any):
    assert word(none) == "–"


def test_a_figure_without_both_ends_has_no_interval():
    for low, high in ((None, None), (0.1, None), (None, 0.9), (float("nan"), 0.9)):
        assert share(figure(0.5, low, high)) == "50.0 %"
        assert ends_of(figure(0.5, low, high)) is None


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (-0.0, "0"),
        (5.0, "5"),
        (0.0125, "0.0125"),
        (12.345, "12.3"),
        (-369.4, "-369"),
        (1234567.8, "1,234,568"),
        (2.5e-7, "2.50e-07"),
        (3e12, "3.00e+12"),
        (float("inf"), "–"),
    ],
)
def test_numbers_of_any_size_are_short(number: float, shown: str):
    assert short(number) == shown


def test_only_finite_numbers_are_known():
    assert all(map(known, (0, 1.5, -3)))
    assert not any(map(known, (None, "1", float("nan"), float("inf"), [])))


# Tables.


def test_the_main_table_holds_what_was_measured():
    results, _ = sample()
    of_set = results["sets"]["hh-helpful-base"]
    table = set_tables(of_set, REFERENCE)[0]
    own = of_set["rewards"]["length"]
    row = dict(zip(table.header, table.rows[-2], strict=True))
    assert row["Reward"] == "length"
    assert row["Accuracy"] == share(own["accuracy"])
    assert row[f"Difference to {REFERENCE}, points"] == points(own["difference"])
    assert row["Length correlation"].startswith("1.000 [")
    assert row["Shorter preferred"].startswith("0.0 % [")
    assert row["Inside noise floor"] == "–"
    assert table.rows[-1][:2] == ("majority", share(of_set["majority"]))
    assert (
        dict(zip(table.header, table.rows[0], strict=True))["Inside noise floor"] == "3 (±0.0125)"
    )


@pytest.mark.parametrize("name", ["hh-helpful-base", "vicuna-single", "wildbench"])
def test_every_row_is_as_long_as_the_header(name: str):
    results, _ = sample()
    tables = set_tables(results["sets"][name], REFERENCE)
    assert all(len(row) == len(table.header) for table in tables for row in table.rows)
    titles = [table.title for table in tables]
    main = kind_of(results["sets"][name]).title
    last = {"wildbench": "Mean reward of each system"}.get(name, f"{main} by category")
    assert (titles[0], titles[-1]) == ("Rewards", last)


def test_a_column_without_any_answer_is_left_out():
    of_set = pairwise({"a": accuracy(0.5, None, None), "b": accuracy(None, None, None)})
    assert set_tables(of_set, None) == [
        Table("Rewards", ("Reward", "Accuracy"), (("a", "50.0 %"), ("b", "–")))
    ]


def test_a_set_without_figures_or_rewards_has_a_table_of_names():
    assert set_tables(pairwise({}), None) == [Table("Rewards", ("Reward",), ())]
    none = {"a": {}, "b": {"accuracy": None}}
    assert set_tables(pairwise(none, majority=figure(0.5)), "a") == [
        Table("Rewards", ("Reward",), (("a",), ("b",)))
    ]


def test_parts_that_only_some_rewards_have_are_dashes_elsewhere():
    rewards = {
        "a": {"subsets": {"one": figure(0.5, count=4), "two": figure(0.25, count=8)}},
        "b": {"subsets": {"two": figure(1.0, count=8)}},
        "c": {"subsets": {}},
    }
    table = set_tables(pairwise(rewards), None)[1]
    assert table.header == ("Subset", "Count", "a", "b")
    assert table.rows == (("one", "4", "50.0 %", "–"), ("two", "8", "25.0 %", "100.0 %"))


def test_systems_stand_in_the_order_of_their_elo():
    results, _ = sample()
    table = set_tables(results["sets"]["wildbench"], REFERENCE)[-1]
    assert [row[0] for row in table.rows] == [f"system-{place}" for place in range(12, 0, -1)]
    assert [row[1] for row in table.rows][-2:] == ["1,038", "1,000"]


def test_counts_say_what_was_left_out():
    said = set_counts(pairwise({}, left_out={"tie": 0, "empty": 1200}, skipped=[["a", "long"]]))
    assert said == (
        "10 items, 5 prompts, 20 responses. Left out of the set: empty: 1,200. Skipped: 1 item."
    )
    rated = pairwise({}, kind="rating", majority=figure(0.25))
    assert set_counts(rated).endswith("The most common rating: 25.0 % of the responses.")


def test_the_majority_of_ratings_is_in_no_table_of_correlations():
    rated = pairwise({"a": {"pearson": figure(0.5)}}, kind="rating", majority=figure(0.25))
    assert [row[0] for row in set_tables(rated, None)[0].rows] == ["a"]


def test_how_it_was_made_is_flat():
    results, _ = sample()
    assert how_made(results)[3:] == [
        ("torch", "2.13.0"),
        ("models.smollm2.dtype", "float32"),
        ("options.limit", "–"),
        ("options.seed", "0"),
        ("options.reward", "flr, direct, length"),
    ]


# Sentences.


def test_a_set_says_what_its_intervals_exclude():
    rewards = {
        "flr": accuracy(0.6, 0.51, 0.69),
        "length": accuracy(0.4, 0.3, 0.49, figure(-0.2, -0.3, -0.1)),
        "best": accuracy(0.9, 0.8, 1.0, figure(0.3, 0.2, 0.4)),
        "random": accuracy(0.5, 0.5, 0.6, figure(-0.1, -0.2, 0.0)),
        "one": accuracy(0.7, None, None, figure(0.1)),
    }
    assert set_summary(pairwise(rewards), "flr") == [
        "Accuracy of flr: 60.0 % [51.0, 69.0].",
        "By the 95 % interval, better than chance (50 %): flr and best; worse than chance: length; "
        "not told from chance: random; without an interval: one.",
        "By the paired interval, flr is better than length; worse than best; not told from random; "
        "without an interval against one.",
    ]


def test_sentences_begin_with_a_capital_letter_whatever_comes_first():
    rewards = {"a": accuracy(0.4, 0.3, 0.45)}
    assert set_summary(pairwise(rewards), None)[1] == "Worse than chance: a."


def test_chance_of_a_correlation_is_zero():
    rewards = {"a": {"pearson": figure(0.1, 0.05, 0.2)}, "b": {"pearson": figure(0.1, -0.1, 0.3)}}
    said = set_summary(pairwise(rewards, kind="rating"), None)[1]
    assert said == "By the 95 % interval, better than chance (0): a; not told from chance: b."


def test_the_whole_says_how_the_reference_stands():
    def of_set(low: float, high: float, length: tuple[float, float] | None) -> dict[str, Any]:
        rewards = {"flr": accuracy(0.5, low, high)}
        if length is not None:
            rewards["length"] = accuracy(0.5, 0.4, 0.6, figure(0.0, *length))
        return pairwise(rewards)

    sets = {
        "a": of_set(0.6, 0.7, (-0.2, -0.1)),
        "b": of_set(0.4, 0.7, (-0.1, 0.1)),
        "c": of_set(0.6, 0.7, (0.1, 0.2)),
        "d": of_set(0.3, 0.4, None),
        "e": pairwise({"length": accuracy(0.5, 0.4, 0.6)}),
    }
    assert summary({"reference": "flr", "sets": sets}) == [
        "By its 95 % interval, flr agrees with people better than chance on a and c; "
        "agrees worse than chance on d; is not told from chance on b.",
        "Against the response's length, by the paired interval, it is better on a; worse on c; "
        "not told from it on b.",
    ]
    assert len(summary({"reference": "length", "sets": sets})) == 1
    assert "first reward" in summary({"reference": None, "sets": sets})[0]
    assert summary({"reference": "flr", "sets": {}}) == ["No set was benchmarked."]


def test_the_first_reward_is_shown_where_the_reference_is_not():
    rewards = {"a": {}, "b": {}}
    assert [shown_reward({"rewards": rewards}, name) for name in ("b", "c", None)] == [
        "b",
        "a",
        "a",
    ]
    assert shown_reward({"rewards": {}}, "b") is None
    assert set_summary(pairwise({}), "b") == ["No reward was computed on this set."]


def test_chance_is_that_of_the_set():
    rewards = {"a": {"accuracy": figure(0.4, 0.3, 0.45), "difference": None}}
    assert set_summary(pairwise(rewards, chance=0.25), None)[1] == (
        "By the 95 % interval, better than chance (25 %): a."
    )
    assert set_summary(pairwise(rewards), None)[1] == "Worse than chance: a."
