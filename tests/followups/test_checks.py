"""What can be wrong with a set in memory."""

import pytest

from flr import followups
from flr.types import FollowUpSet
from tests.sets import a_set, weighted


@pytest.mark.parametrize(
    ("followup_set", "expected"),
    [
        (a_set(("a", "x", 1)), "a, negative: empty"),
        (a_set(("a", "x", -1)), "a, positive: empty"),
        (a_set(), "categories: empty"),
        (a_set(("a", " x", 1), ("a", "y", -1)), "a, positive 1: space at the beginning or end"),
        (a_set(("a", "x", 1), ("a", "y\u00a0", -1)), "a, negative 1: space at the beginning"),
        (a_set(("a", "", 1), ("a", "y", -1)), "a, positive 1: empty text"),
        (a_set(("a", "x\ny", 1), ("a", "y", -1)), "a, positive 1: line break"),
        (a_set(("a", "\ud83d", 1), ("a", "y", -1)), "a, positive 1: half of a surrogate pair"),
        (a_set(("a", "x", 1), ("a", "x", 1), ("a", "y", -1)), "a, positive 2: duplicate: 'x'"),
        (a_set(("a", "x", 1), ("a", "x", -1)), "a, negative 1: text in both polarities"),
        (a_set(("a", "I'm", 1), ("a", "I’m", -1)), "a, negative 1: mixed apostrophes"),
        (a_set(("a", "I'm, I’m", 1), ("a", "y", -1)), "a, positive 1: mixed apostrophes"),
        (a_set(("a", "x", 1), ("a", "y", -1), a=0.0), "weights: all are 0"),
        (a_set(("a", "x", 1), ("a", "y", -1), a=float("nan")), "a, weight: expected a finite"),
        (a_set(("a", "x", 1), ("a", "y", -1), a=-0.5), "a, weight: expected a finite number >= 0"),
        (
            weighted(a_set(("a", "x", 1), ("a", "y", -1)), 1.0, 0.0),
            "a, negative 1, weight: expected",
        ),
        (
            weighted(a_set(("a", "x", 1), ("a", "y", -1)), float("inf"), 1.0),
            "a, positive 1, weight",
        ),
    ],
)
def test_problems_finds_one_thing_wrong(followup_set: FollowUpSet, expected: str):
    (problem,) = followups.problems(followup_set)
    assert problem.startswith(expected)


def test_a_duplicate_is_found_across_categories():
    twice = a_set(("a", "x", 1), ("a", "y", -1), ("b", "x", 1), ("b", "y", -1))
    assert followups.problems(twice) == (
        "b, positive 1: duplicate: 'x' is also a, positive 1",
        "b, negative 1: duplicate: 'y' is also a, negative 1",
    )


def test_a_category_without_any_text_is_found_by_its_weight():
    hollow = a_set(("a", "x", 1), ("a", "y", -1), a=1.0, b=1.0)
    assert [p.partition(":")[0] for p in followups.problems(hollow)] == [
        "b, positive",
        "b, negative",
    ]


def test_quotation_marks_are_no_apostrophes():
    assert followups.problems(a_set(("a", "It's ‘fine’", 1), ("a", "Isn't 'fine'", -1))) == ()
