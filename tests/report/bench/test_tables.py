"""The tables of a benchmark's reports."""

from typing import Any

import pytest

from flr import Conversation
from flr.datasets.base import Dataset, Item
from flr.evaluation.robustness import attacked
from flr.report.bench.tables import set_tables
from flr.report.bench.words import WAYS, kind_of
from flr.report.tables import Table
from flr.report.words import points, share
from tests.report.bench.samples import HH, REFERENCE, ROBUSTNESS, TOPICS, sample
from tests.report.bench.small import accuracy, figure, pairwise

SUMS = Dataset(
    "sums",
    "pairwise",
    tuple(
        Item(
            prompt,
            prompt,
            (Conversation.of(prompt, f"{good}. Surely!"), Conversation.of(prompt, "No idea.")),
            (1.0, 0.0),
        )
        for prompt, good in (("2 + 2?", "4"), ("3 + 3?", "6"))
    ),
    "",
)


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


def test_what_a_column_or_row_means_is_told_under_its_table():
    results, _ = sample()
    for name, of_set in results["sets"].items():
        for table in set_tables(of_set, REFERENCE):
            names = {*table.header, *(row[0] for row in table.rows)}
            told = {note.partition(":")[0] for note in table.notes}
            assert told <= {*names, "Partial"} | ({*WAYS} if name == ROBUSTNESS else set())
    own, *_ = set_tables(results["sets"][HH], REFERENCE)
    said = [note.partition(":")[0] for note in own.notes]
    assert {"Shorter preferred", "Similar length", "Inside noise floor", "majority"} <= {*said}


def test_every_way_of_spoiling_has_its_words():
    assert list(WAYS) == list(dict.fromkeys(item.subset for item in attacked(SUMS).items))


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


def test_the_mean_of_subsets_is_their_last_row():
    results, _ = sample()
    table = next(t for t in set_tables(results["sets"][HH], None) if "subset" in t.title)
    assert [row[0] for row in table.rows] == [*TOPICS, "mean of subsets"]
    mean = results["sets"][HH]["rewards"][REFERENCE]["subset_mean"]
    assert table.rows[-1][2] == share(mean)


@pytest.mark.parametrize("mean", [None, figure(None)])
def test_without_a_mean_of_subsets_there_is_no_such_row(mean: Any):
    rewards = {"a": {"subsets": {"one": figure(0.5)}, "subset_mean": mean}}
    assert [row[0] for row in set_tables(pairwise(rewards), None)[1].rows] == ["one"]


def test_of_spoilt_responses_no_table_holds_what_is_taken_over_all_ways():
    results, _ = sample()
    of_set = results["sets"][ROBUSTNESS]
    first, own = set_tables(of_set, REFERENCE)
    assert first.header[:3] == ("Other", "Count", REFERENCE)
    assert [row[0] for row in first.rows] == ["as rated", "empty", "cut", "fake turn"]
    ways = of_set["rewards"][REFERENCE]["subsets"]
    assert [row[2] for row in first.rows] == [share(one) for one in ways.values()]
    assert own.header == ("Reward", "Ties", "Inside noise floor")
    shown = {cell for table in (first, own) for row in table.rows for cell in row}
    assert share(of_set["rewards"][REFERENCE]["accuracy"]) not in shown


def test_the_majority_of_ratings_is_in_no_table_of_correlations():
    rated = pairwise({"a": {"pearson": figure(0.5)}}, kind="rating", majority=figure(0.25))
    assert [row[0] for row in set_tables(rated, None)[0].rows] == ["a"]
