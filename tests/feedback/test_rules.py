"""Critiques turned into a user's words by rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import io
from flr.feedback.rules import rewritten
from flr.feedback.sources import feedback_in
from flr.feedback.wording import WordingOptions, fault_of
from tests.datasets.samples import SHARED


@pytest.mark.parametrize(
    ("critique", "said"),
    [
        ("The response is too long.", "Your answer is too long."),
        ("The assistant's response is short.", "Your answer is short."),
        ("The provided answer by the assistant is short.", "Your answer is short."),
        ("The assistant shows care and explains it.", "Your answer shows care and explains it."),
        ("It was made by the assistant for the user.", "Your answer was made by you for me."),
        ("The user's question is ignored.", "My question is ignored."),
        ("The user asks for tea and has no milk.", "I ask for tea and has no milk."),
        ("The user was not heard.", "I was not heard."),
        ("The user is clearly new.", "I am clearly new."),
        ("Does not say when.", "Your answer does not say when."),
        ("Is this correct? The response ignores me.", "Your answer ignores me."),
        ("Answer relates to visas.", "Your answer relates to visas."),
        ("This does not answer the question.", "Your answer does not answer my question."),
        ("This information is old.", "Your answer is old."),
        (
            "I think that this fully answers the question.",
            "I think that this fully answers my question.",
        ),
        ("The model of the car is wrong.", ""),
        ("It aligns with the reference answer.", ""),
        ("The response deserves a score of 5.", ""),
        ("I rate this response 4/5.", ""),
        ("Too vague.", ""),
        ("", ""),
        ("\x00", ""),
        ("👍", ""),
        ("很好的回答。", ""),
    ],
)
def test_a_sentence(critique: str, said: str):
    assert rewritten(critique, 2) == said


def test_the_first_sentences_that_can_be_turned_are_kept():
    critique = (
        "The rubric asks for depth. The response lacks depth. It is short. The user may be lost."
    )
    assert rewritten(critique, 1) == "Your answer lacks depth."
    assert rewritten(critique, 2) == "Your answer lacks depth. It is short."
    assert rewritten(critique, 9) == "Your answer lacks depth. It is short. I may be lost."


def test_a_sentence_without_anybody_stays_only_after_one_that_stays():
    critique = "The response is fine. It gets a score of 4. Nice touch. The user is happy."
    assert rewritten(critique, 9) == "Your answer is fine. I am happy."


@given(st.text(max_size=200), st.integers(1, 3))
def test_any_text_is_turned_or_left(critique: str, keep: int):
    said = rewritten(critique, keep)
    assert said == said.strip()


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared data folder {SHARED} is absent")
@pytest.mark.parametrize(
    ("files", "share"), [("prometheus-eval/*.json", 0.97), ("feedbackqa/*/*.json", 0.9)]
)
def test_most_real_critiques_can_be_turned_and_what_is_turned_passes(files: str, share: float):
    found = [
        one
        for path in sorted(SHARED.glob(files))
        for at, row in enumerate(io.read(str(path)), 1)
        for one in feedback_in(at, row)
    ]
    passed = 0
    for one in found:
        assert not isinstance(one, str)
        text, response = rewritten(one.text, 2), one.conversation.response
        fault = fault_of(text, one.text, response, WordingOptions(), by_rules=True)
        assert fault is None or not text or fault.startswith(("too", "copies"))
        passed += fault is None
    assert passed > share * len(found)
