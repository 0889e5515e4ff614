"""What is fit to be learned from, and what is cut off a judge's text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.errors import OptionError
from flr.feedback.cleaning import (
    BROKEN,
    EMPTY,
    LONG,
    QUOTED,
    REASONS,
    SHORT,
    STOCK,
    TWICE,
    CleaningOptions,
    clean,
    without_label,
)
from flr.feedback.rows import Feedback
from flr.types import Conversation

LONG_RESPONSE = (
    "The capital of France is Paris, which lies on the Seine, and has some two million people."
)


def said(text: str, prompt: str = "Capital of France?", response: str = LONG_RESPONSE) -> Feedback:
    return Feedback(Conversation.of(prompt, response), text)


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("It is short.\n###Score: 4", "It is short."),
        ("It is short.\n\nScore: 4", "It is short."),
        ("It is short. [RESULT] 4", "It is short."),
        ("It is short. Score: 4/5.", "It is short."),
        ("It is short. Overall score: 3.5", "It is short."),
        ("It is short.\n**Rating:** 2", "It is short."),
        ("It is short. Feedback:", "It is short."),
        ("It is short.\n\n###Feedback:", "It is short."),
        ("It is short. [RESULT] 4\nFeedback:", "It is short."),
        ("It is short. [RESULT] Score: 1.", "It is short."),
        ("  It is short.  ", "It is short."),
        ("It deserves a score of 4.", "It deserves a score of 4."),
        ("I would give it score 3", "I would give it score 3"),
        ("The final score: 4 was read wrongly.", "The final score: 4 was read wrongly."),
        ("Thank you for your feedback: it helped.", "Thank you for your feedback: it helped."),
        ("Score: 4", "Score: 4"),
        ("", ""),
    ],
)
def test_a_label_at_the_end_is_cut_and_words_are_not(text: str, bare: str):
    assert without_label(text) == bare


@pytest.mark.parametrize(
    "filling", ["-", " ", "#", "1", "score ", "score: ", "result]", "(1", "1/"]
)
def test_a_long_text_takes_no_longer_than_it_is(filling: str):
    """With a square of its length it would take hours."""
    text = f"Here: {filling * 200_000} end"
    assert without_label(text) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", EMPTY),
        (" \n", EMPTY),
        ("NaN", EMPTY),
        ("n/a.", EMPTY),
        ("None", EMPTY),
        ("1234 5678 !?", BROKEN),
        ("It is \x00 wrong here.", BROKEN),
        ("It is caf\ufffd wrong.", BROKEN),
        ("\U0001f44d \U0001f44d \U0001f44d", BROKEN),
        ("Warns of expired masks, but", BROKEN),
        ("It lists three, (", BROKEN),
        ("Good.", SHORT),
        ("谢谢", SHORT),
        ("wrong " * 251, LONG),
        (f"You said: {LONG_RESPONSE.upper()} Fine.", QUOTED),
    ],
)
def test_what_is_unfit_is_left_out_with_its_reason(text: str, reason: str):
    assert clean([said(text)], CleaningOptions()).left_out == {reason: 1}


@pytest.mark.parametrize(
    "text",
    [
        "That is wrong.",
        "谢谢你，这正是我需要的。",
        "one\ttwo\nthree",
        "Not of THE BUT",
        "wrong " * 250,
    ],
)
def test_what_is_fit_is_kept(text: str):
    (kept,) = clean([said(text)], CleaningOptions()).kept
    assert kept.text == text.strip()


def test_a_short_response_may_be_quoted():
    (kept,) = clean([said("You said: Paris.", response="Paris.")], CleaningOptions()).kept
    assert kept.text == "You said: Paris."


def test_the_same_of_the_same_is_a_duplicate_and_of_others_is_not():
    others = [said("That is wrong.", prompt) for prompt in ("a", "b")]
    done = clean([*others, said("that is  WRONG.", "a")], CleaningOptions())
    assert (done.kept, done.left_out) == (tuple(others), {TWICE: 1})


def test_a_text_that_is_said_of_everything_is_kept_three_times():
    said_of = [said("That is a good answer.", str(at), f"response {at}") for at in range(9)]
    done = clean([*said_of, said("That is a good answer.", "new", "response 0")], CleaningOptions())
    assert done.left_out == {STOCK: 6}
    assert [one.conversation.prompt[0].content for one in done.kept] == ["0", "1", "2", "new"]


def test_reasons_that_came_with_the_rows_are_counted_too():
    done = clean(["score known to be wrong", said("Fine by me."), "other"], CleaningOptions())
    assert done.left_out == {"score known to be wrong": 1, "other": 1}
    assert (len(done.kept), done.relieved) == (1, 0)
    assert clean([said("It is so short. [RESULT] 3")], CleaningOptions()).relieved == 1


texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["That is wrong.", "Good.", "nan", "It is short. [RESULT] 4", LONG_RESPONSE]),
)


@given(st.lists(st.tuples(texts, st.sampled_from("ab"), texts), max_size=8))
def test_all_are_counted_and_cleaning_twice_is_cleaning_once(rows: list[tuple[str, str, str]]):
    given = [said(text, prompt, response) for text, prompt, response in rows]
    done = clean(given, CleaningOptions())
    assert len(done.kept) + sum(done.left_out.values()) == len(given)
    assert done.left_out.keys() <= set(REASONS)
    again = clean(done.kept, CleaningOptions())
    assert (again.kept, again.left_out, again.relieved) == (done.kept, {}, 0)


@pytest.mark.parametrize("given", [{"min_words": 0}, {"min_words": 9, "max_words": 8}])
def test_limits_that_cannot_be(given: dict[str, int]):
    with pytest.raises(OptionError):
        CleaningOptions(**given)
