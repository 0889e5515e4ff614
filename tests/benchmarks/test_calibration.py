"""The control of the calibration's evidence has the same pairs, and what is planted is found."""

import numpy as np
import pytest

from benchmarks.calibration import (
    ARMS,
    LEARNED_ON,
    Rated,
    by_lot,
    curves,
    over_seeds,
    replicated,
    rows_of,
)
from flr import followups
from flr.calibration.labelled import Labelled
from flr.datasets.base import Dataset, Item
from flr.rewards import by_category
from flr.types import Conversation
from tests.calibration.planted import differences, everywhere, only


def pairs(count: int, category: str | None = None) -> Labelled:
    """Pairs, a prompt each, of which one category, or all, tells the better response."""
    whole = followups.load("short")
    quality = only(category) if category else everywhere
    return Labelled(
        differences(count, quality, 0, whole), np.arange(count), np.ones(count), {"pairs": count}
    )


def liked(count: int, category: str) -> Rated:
    """Responses, a prompt each, that are rated by one category."""
    whole = followups.load("short")
    values = np.random.default_rng(1).normal(size=(count, len(whole.followups)))
    ratings = [by_category(row, whole)[category] for row in values]
    talk = Conversation.of("?", "a")
    items = tuple(Item(str(n), str(n), (talk,), (rating,)) for n, rating in enumerate(ratings))
    return Rated(Dataset("rated", "rating", items, "by hand"), values)


def test_labels_by_lot_turn_pairs_round_and_change_nothing_else():
    given = pairs(200)
    made = by_lot(given, 0)
    same = (made.differences == given.differences).all(axis=1)
    turned = (made.differences == -given.differences).all(axis=1)
    assert (same ^ turned).all()
    assert 60 < same.sum() < 140
    assert (by_lot(given, 0).differences == made.differences).all()
    assert (by_lot(given, 1).differences != made.differences).any()


def test_items_become_rows_that_score_reads():
    talks = tuple(Conversation.of("?", text) for text in "abc")
    rows = rows_of(Item("1", "1", talks, (1.0, 0.0, 0.0)), "pairwise")
    assert [row["rejected"] for row in rows] == [
        "\n\nHuman: ?\n\nAssistant: b",
        "\n\nHuman: ?\n\nAssistant: c",
    ]
    rated = rows_of(Item("1", "1", talks, (4.0, 2.0, 2.0)), "rating")
    assert [(row["messages"][-1]["content"], row["rating"]) for row in rated] == [
        ("a", 4.0),
        ("b", 2.0),
        ("c", 2.0),
    ]


def test_what_is_planted_is_found_and_a_coin_is_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.calibration.SET", "short")
    sets = {LEARNED_ON: pairs(120, "correctness"), "hh-harmless-base": pairs(40)}
    found = replicated(sets, {"rated": liked(60, "correctness")}, 0)
    learned, _, lot, _ = (found["arms"][arm] for arm in ARMS)
    assert max(learned["weights"], key=learned["weights"].get) == "correctness"
    assert lot["penalty"] == "inf"
    mean = over_seeds([found, found])
    other = f"{LEARNED_ON}, other half"
    accuracy, correlation = (
        [mean[arm][what][of] for arm in (ARMS[0], ARMS[2])]
        for what, of in (("accuracy", other), ("correlations", "rated"))
    )
    assert accuracy[0]["difference"] > 0.1
    assert accuracy[1]["difference"] == 0
    assert accuracy[0]["by_seed"] == [accuracy[0]["difference"]] * 2
    assert correlation[0]["pearson"]["difference"] > 0.1
    assert correlation[1]["pearson"]["difference"] == 0
    curve = curves([found, found])[other]
    assert [point["followups"] for point in curve][-1] == 24
    for name in ("accuracy", "random"):
        assert curve[-1][name] == pytest.approx(accuracy[0]["before"])
