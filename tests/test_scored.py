"""What flr score wrote is read back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from flr.errors import InputError, UserError
from flr.rows import parse
from flr.scored import followup_values, stored_scores
from flr.scoring import Score
from flr.types import FollowUp
from tests.report.explain.samples import EQUAL, FOLLOWUPS, SIZE


def wire(key: str = "logprob", **changes: Any) -> list[dict[str, Any]]:
    """`followups` of one response as they lie in a file, the first entry changed."""
    entries = [
        {
            "text": f.text,
            "category": f.category,
            "polarity": f.polarity,
            key: -6.0,
            "tokens": 3,
        }
        for f in FOLLOWUPS
    ]
    entries[0] |= changes
    return entries


def read(
    by_category: Mapping[str, float], entries: Sequence[Any], variant: str = "mean"
) -> tuple[tuple[FollowUp, ...], np.ndarray]:
    return followup_values(Score(0.5, by_category, entries), variant)


def test_weights_of_followups_are_read_where_they_were_written():
    weighted, _ = read(EQUAL, wire(weight=0.5))
    assert [f.weight for f in weighted] == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert read(EQUAL, wire(weight=None))[0] == FOLLOWUPS


@pytest.mark.parametrize("weight", [0, -1.0, "1", float("nan"), [1], 10**400, True])
def test_a_weight_that_cannot_be_is_named(weight):
    with pytest.raises(UserError, match=r"^followups\[0\]\.weight: expected"):
        read(EQUAL, wire(weight=weight))


@pytest.mark.parametrize(
    ("variant", "key", "value"),
    [
        ("mean", "logprob", -2.0),
        ("pmi", "logprob", -2.0),
        ("sum", "logprob", -6.0),
        ("official", "logit", -6.0),
    ],
)
def test_values_are_in_the_unit_of_their_variant(variant: str, key: str, value: float):
    followups, values = read(EQUAL, wire(key), variant)
    assert followups == FOLLOWUPS
    assert values.tolist() == [value] * SIZE


@pytest.mark.parametrize(("variant", "key"), [("mean", "logit"), ("official", "logprob")])
def test_an_entry_has_the_number_of_its_variant_and_no_other(variant: str, key: str):
    with pytest.raises(UserError, match=r"^followups\[0\]: expected text"):
        read(EQUAL, wire(key), variant)


@pytest.mark.parametrize(
    "changes",
    [
        {"text": None},
        {"category": 3},
        {"polarity": 0},
        {"polarity": "+"},
        {"logprob": None},
        {"logprob": "-6"},
        {"logprob": float("nan")},
        {"logprob": -(10**400)},
        {"logprob": True},
        {"tokens": 0},
        {"tokens": 2.5},
    ],
)
def test_an_entry_of_another_form_is_named(changes: dict[str, Any]):
    with pytest.raises(UserError, match=r"^followups\[0\]: expected text"):
        read(EQUAL, wire(**changes))


def test_a_long_entry_is_named_in_short():
    with pytest.raises(UserError, match=r"^followups\[1\]: .* got {'long.{0,200}; make the file"):
        read(EQUAL, [wire()[0], {"long": ["long"] * 10_000}])


def test_entries_that_are_not_even_mappings_are_named_by_their_row():
    row = {"prompt": "?", "response": "a", "reward": 0.5, "reward_by_category": EQUAL}
    (parsed,) = parse([{**row, "followups": [wire()[0], ["long"]]}], "scored.jsonl")
    with pytest.raises(InputError, match=r"row 1: .*not in the form that flr score writes"):
        stored_scores("scored.jsonl", [parsed])


@pytest.mark.parametrize(
    ("categories", "entries", "said"),
    [
        (EQUAL, [], "correctness .*relevance"),
        ({}, [], "there is none"),
        (EQUAL, wire()[:4], r"relevance \(-1\)"),
        ({"relevance": 1.0}, wire(), r"correctness \(-1\), correctness \(\+1\)"),
    ],
)
def test_followups_must_be_those_of_the_categories(categories, entries, said: str):
    with pytest.raises(UserError, match=said):
        read(categories, entries)
