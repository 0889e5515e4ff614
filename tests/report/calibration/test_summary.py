"""The words of a calibration say what the record says, and no more than its intervals allow."""

from typing import Any

import pytest

from flr.report.calibration.summary import curve_table, followup_table, sentences, tables
from tests.report.calibration.samples import sample


def said(**changed: Any) -> str:
    return " ".join(sentences({**sample(), **changed}))


def test_what_was_found_is_said():
    assert said() == (
        "Learned from 40 prompts, measured on 40 others. Accuracy 55.0 % [50.0, 60.0] before and "
        "65.0 % [60.0, 70.0] after, +10.0 [+5.0, +15.0] points. With these weights it is better on "
        "other prompts. 2 follow-ups of 4 were dropped, of them all of tone. 4 of 120 follow-ups, "
        "with their weights as they were, come to 60.0 % [55.0, 65.0]: inside the interval of all."
    )


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "not told from chance"), (-0.1, "it is worse"), (None, "too little")]
)
def test_nothing_is_claimed_that_the_interval_does_not_show(value: float | None, words: str):
    ends = [None, None] if value is None else [value - 0.05, value + 0.05]
    accuracy = sample()["accuracy"] | {"difference": {"value": value, "interval": ends, "count": 4}}
    assert words in said(accuracy=accuracy)


def test_of_few_prompts_nothing_is_claimed():
    counts = sample()["counts"] | {"held out": 19}
    assert "too little to say" in said(counts=counts)


def test_weights_that_stayed_are_said_to():
    kept = {"categories": [], "followups": 0}
    told = said(penalty="infinity", dropped=kept)
    assert "No other weights were told from the ones that the set has" in told
    assert "dropped" not in told


def test_all_follow_ups_are_no_few():
    curve = sample()["curve"]
    far = [{**one, "accuracy": {**one["accuracy"], "value": 0.1}} for one in curve[:-1]]
    assert "come to" not in said(curve=[*far, curve[-1]])
    one = {**curve[-1], "accuracy": {"value": 0.6, "interval": [None, None], "count": 1}}
    assert "come to" not in said(curve=[*curve[:-1], one])


def test_tables_have_every_row():
    record = sample()
    assert [table.title for table in tables(record)] == [
        "What each category weighs",
        "What each follow-up weighs",
        "How many are enough",
        "How far the weights may go",
    ]
    assert len(tables({**record, "penalties": []})) == 3
    assert followup_table(record).rows[0] == ("+ Said 0.", "fit", "50.00 %", "100.00 %")
    assert [row[0] for row in curve_table(record).rows] == ["2", "4", "12", "120"]
