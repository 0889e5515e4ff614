"""Ranking of systems, against means and ranks taken by hand."""

from dataclasses import replace

import numpy as np
import pytest

from flr.datasets.base import Dataset, Item
from flr.evaluation.evaluate import evaluate
from flr.evaluation.figures import Column
from flr.evaluation.ranking import measure
from tests.evaluation.small import answers, planted, systems

ELO = {"a": 1000.0, "b": 1100.0, "c": 1250.0, "d": 1300.0}
DATASET = systems(ELO, 40)


def column(means: list[float], noise: float, dataset: Dataset = DATASET) -> Column:
    generator = np.random.default_rng(3)
    return planted(dataset, lambda label: np.array(means) + noise * generator.normal(size=4))


def test_the_mean_rewards_of_the_systems_are_ranked():
    # against 1 2 3 4 the ranks 1 3 2 4: one of six pairs is the other way
    found = evaluate(DATASET, {"own": column([0.1, 0.3, 0.2, 0.9], 0)})["rewards"]["own"]
    assert found["spearman"]["value"] == pytest.approx(0.8)
    assert found["kendall"]["value"] == pytest.approx(4 / 6)
    assert found["spearman"]["interval"] == pytest.approx([0.8, 0.8])
    assert found["spearman"]["count"] == 4
    assert found["inside_floor"] is None
    means = {name: one["value"] for name, one in found["systems"].items()}
    assert means == pytest.approx(dict(zip(ELO, [0.1, 0.3, 0.2, 0.9], strict=True)))
    assert {name: one["elo"] for name, one in found["systems"].items()} == ELO
    assert {one["count"] for one in found["systems"].values()} == {40}


def test_what_prompts_leave_open_widens_the_interval():
    found = evaluate(DATASET, {"own": column([0.0, 1.0, 1.05, 2.0], 1)})["rewards"]["own"]
    low, high = found["spearman"]["interval"]
    assert low < high  # the two in the middle change places
    mean = found["systems"]["a"]
    assert mean["interval"][0] < mean["value"] < mean["interval"][1]
    assert mean["interval"][1] - mean["interval"][0] == pytest.approx(
        2 * 1.96 / np.sqrt(40), rel=0.35
    )


def test_categories_and_majority():
    both = replace(column([0, 1, 2, 3], 0), categories={"x": column([3, 2, 1, 0], 0).values})
    found = evaluate(DATASET, {"own": both})
    assert found["rewards"]["own"]["categories"]["x"]["value"] == -1
    assert found["majority"] is None


def test_the_length_correlation_is_over_responses():
    lengths = planted(DATASET, lambda label: label)
    values = [
        np.array([float(len(one.response)) for one in item.conversations]) for item in DATASET.items
    ]
    found = evaluate(DATASET, {"length": replace(lengths, values=values)})["rewards"]["length"]
    assert found["length_correlation"]["value"] == 1
    assert found["length_correlation"]["count"] == 160


def test_a_system_may_lack_answers():
    """Resamples in which a system has none have no answer, and are left out."""
    items = tuple(
        Item(
            f"{at}", f"{at}", answers([1] * size), tuple(ELO.values())[:size], "", tuple(ELO)[:size]
        )
        for at, size in enumerate([4, 3, 3, 3, 3, 3])
    )
    dataset = Dataset("x", "ranking", items, "")
    values = [np.arange(len(item.labels), dtype=float) for item in items]
    found = evaluate(dataset, {"own": Column(values)})["rewards"]["own"]
    assert found["spearman"] == {"value": 1, "interval": [1, 1], "count": 4}
    assert found["systems"]["d"]["count"] == 1
    assert found["systems"]["d"]["interval"] == [None, None]


def test_one_system_has_no_ranking():
    dataset = systems({"only": 1000.0}, 5)
    found = evaluate(dataset, {"own": planted(dataset, lambda label: label)})["rewards"]["own"]
    assert found["spearman"] == {"value": None, "interval": [None, None], "count": 1}
    assert found["systems"]["only"]["value"] == 1000


def test_two_elo_numbers_of_one_system_are_our_bug():
    items = (
        Item("1", "1", answers([1]), (1000.0,), systems=("a",)),
        Item("2", "2", answers([1]), (1001.0,), systems=("a",)),
    )
    with pytest.raises(AssertionError, match="one Elo"):
        measure(Dataset("x", "ranking", items, ""), Column([np.zeros(1)] * 2))
