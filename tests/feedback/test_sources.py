"""Feedback as it is published: which kind a row is of, and what it says."""

import json
from typing import Any

import pytest

from flr.feedback.rows import Feedback, row_of
from flr.feedback.sources import SCORE_KNOWN_WRONG, feedback_in
from flr.messages import RowError
from flr.types import Conversation

TALK = Conversation.of("Two?", "Three")
JUDGED = (
    "###Task Description:\n...\n###The instruction to evaluate:\nTwo?\n\n###Response to evaluate:\n"
    "Three\n\n###Reference Answer (Score 5):\n2\n\n###Score Rubrics:\n..."
)


def told(row: Any) -> list[tuple[str, Any]]:
    """Text and score of each item; all of them are about the same conversation."""
    found = feedback_in(1, row)
    assert all(one.conversation == TALK for one in found if isinstance(one, Feedback))
    return [
        (one, None) if isinstance(one, str) else (one.text, one.about["score"]) for one in found
    ]


def ultrafeedback(**completion: Any) -> dict[str, Any]:
    return {"instruction": "Two?", "completions": [{"response": "Three", **completion}]}


RATED = {
    "helpfulness": {"Rating": "1", "Rationale": "It helps nobody."},
    "honesty": {"Rating": "4", "Rationale": "It is sure of itself."},
    "truthfulness": {"Rating": "N/A"},
}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "Two?", "response": "Three", "feedback": "No."}, [("No.", None)]),
        ({"prompt": "Two?", "completion": "Three", "critique": "No.", "score": 1}, [("No.", 1.0)]),
        (
            {
                "messages": [m.as_dict() for m in TALK.messages],
                "feedback": ["No.", "Hm."],
                "rating": 2,
            },
            [("No.", 2.0), ("Hm.", 2.0)],
        ),
        (
            {"conversation": ["Two?", "Three"], "feedback": ["No.", "Hm."], "score": ["1", None]},
            [("No.", 1.0), ("Hm.", None)],
        ),
        (
            {
                "question": "Two?",
                "passage": {"reference": {"section_content": "Three"}},
                "feedback": ["No.", "Hm."],
                "rating": ["Bad", "Excellent"],
            },
            [("No.", 1.0), ("Hm.", 4.0)],
        ),
        (
            {"instruction": JUDGED, "gpt4_feedback": ["No.", "Hm."], "gpt4_score": [1, 2]},
            [("No.", 1.0), ("Hm.", 2.0)],
        ),
        (
            {
                "orig_instruction": "Two?",
                "orig_response": "Three",
                "orig_feedback": "No.",
                "orig_score": "1",
                "instruction": "...",
            },
            [("No.", 1.0)],
        ),
        (ultrafeedback(critique="No.", overall_score=3.5), [("No.", 3.5)]),
        (ultrafeedback(critique="No.", overall_score=10), [(SCORE_KNOWN_WRONG, None)]),
        (
            ultrafeedback(critique="No.", overall_score=10, annotations=RATED),
            [("No.", 2.5), ("It helps nobody.", 1.0), ("It is sure of itself.", 4.0)],
        ),
        (ultrafeedback(critique=None, overall_score=2), [("", 2.0)]),
        (row_of(Feedback(TALK, "No.", {"score": 1.0}), "user"), [("No.", 1.0)]),
        (row_of(Feedback(TALK, "No.", {"score": 1.0}), "role-switched"), [("No.", 1.0)]),
    ],
)
def test_each_kind_is_known_by_its_columns(row: Any, expected: list[tuple[str, Any]]):
    assert told(row) == expected


def test_other_columns_are_kept():
    row = {"prompt": "Two?", "response": "Three", "feedback": "No.", "id": 7, "completion": None}
    (found,) = feedback_in(1, row)
    assert isinstance(found, Feedback)
    assert found.about == {"id": 7, "score": None}


def test_second_turns_of_one_question_are_one_group():
    rows = [
        {
            "idx": "81",
            "instruction": JUDGED.replace("Two?", f"User: One?\nAssistant: {first}\nUser: Two?"),
            "gpt4_feedback": ["No."],
            "gpt4_score": [1],
        }
        for first in ("1", "uno")
    ]
    found = [one for row in rows for one in feedback_in(1, row) if isinstance(one, Feedback)]
    assert {one.about["group"] for one in found} == {"81"}


GOOD = {"prompt": "Two?", "response": "Three", "feedback": "No."}


@pytest.mark.parametrize(
    ("row", "field", "says"),
    [
        ("text", "", "expected an object"),
        ({}, "", "columns are none"),
        (
            {"prompt": "a", "response": "b"},
            "",
            "no feedback that is known; its columns are 'prompt'",
        ),
        ({**GOOD, "feedback": 3}, "feedback", "a text or a list of texts, got a number"),
        ({**GOOD, "feedback": []}, "feedback", "an empty list"),
        ({**GOOD, "feedback": ["a", None]}, "feedback", "got null"),
        ({**GOOD, "feedback": ["a", "b"], "score": [1]}, "score", "1 entries, and feedback has 2"),
        ({**GOOD, "score": {"a": 1}}, "score", "a number or a list of numbers"),
        ({**GOOD, "prompt": None, "response": None}, "", "fits no row form"),
        ({"prompt": "a", "responses": ["b", "c"], "feedback": "d"}, "", "one response a row"),
        ({**GOOD, "feedback": "half \ud83d"}, "feedback", "surrogate"),
        ({"instruction": "a", "gpt4_feedback": ["b"]}, "instruction", "judge's prompt"),
        (
            {"instruction": JUDGED, "gpt4_feedback": ["b"], "gpt4_score": []},
            "gpt4_score",
            "0 entries",
        ),
        (
            {"question": "a", "passage": {}, "feedback": ["b"], "rating": ["Bad"]},
            "passage.reference",
            "missing",
        ),
        (
            {
                "question": "a",
                "passage": {"reference": {"section_content": "c"}},
                "feedback": ["b"],
                "rating": ["Awful"],
            },
            "rating[0]",
            "expected Bad, .* got 'Awful'",
        ),
        ({"instruction": "a", "completions": [{}]}, "completions[0].response", "missing"),
        ({"instruction": "a", "completions": ["b"]}, "completions[0]", "got a text"),
        (ultrafeedback(critique=3), "completions[0].critique", "got a number"),
        (ultrafeedback(annotations=[1]), "completions[0].annotations", "object of aspects"),
    ],
)
def test_a_bad_row_is_named(row: Any, field: str, says: str):
    with pytest.raises(RowError, match=says) as caught:
        feedback_in(1, row)
    assert caught.value.field == field


def test_nan_is_no_score():
    row = json.loads('{"prompt": "Two?", "response": "Three", "feedback": "No.", "score": NaN}')
    assert told(row) == [("No.", None)]
