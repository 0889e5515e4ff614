"""What passes for a user's own words."""

import pytest

from flr.errors import OptionError
from flr.feedback import wording
from flr.feedback.wording import WordingOptions, addresses, fault_of, leaks_rating, speaks_about

CRITIQUE = "The response ignores the season that was asked about and repeats the weather twice."
RESPONSE = "It rains in Oslo for most of the autumn, and it snows there in the winter months."


def fault(text: str, *, by_rules: bool = False, **given: int) -> str | None:
    return fault_of(text, CRITIQUE, RESPONSE, WordingOptions(**given), by_rules=by_rules)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("You left out the season that I asked about.", None),
        ("Um, das meinte ich nicht, I guess.", None),
        ("", wording.NOTHING),
        (" \n", wording.NOTHING),
        ("I give your answer 3 out of 5.", wording.RATING),
        ("Your rating would be ★★.", wording.RATING),
        ("The assistant did not hear me.", wording.ABOUT),
        ("You gave the user nothing.", wording.ABOUT),
        ("Too long and too vague.", wording.NOBODY),
        ("\x00", wording.NOBODY),
        ("Thank you", wording.SHORT),
        ("You " + "never " * 80, wording.LONG),
        (f"You said: {RESPONSE}", wording.OF_RESPONSE),
    ],
)
def test_the_first_fault_is_told(text: str, reason: str | None):
    assert fault(text) == reason


def test_a_copy_of_the_critique_is_none_of_ours_but_for_rules():
    own = "I asked about the season, and you told me of the weather."
    options = WordingOptions()
    assert fault_of(own, own, RESPONSE, options) == wording.OF_CRITIQUE
    assert fault_of(own, own, RESPONSE, options, by_rules=True) is None


@pytest.mark.parametrize(
    "text",
    ["4/5", "5 out of 5", "4.5 / 10", "Three out of five", "two stars", "a score", "[RESULT] 2"],
)
def test_a_rating(text: str):
    assert leaks_rating(text)


@pytest.mark.parametrize("text", ["24/7", "10/5/2020", "5 eggs", "the stars above", "x > 4", "👍"])
def test_no_rating(text: str):
    assert not leaks_rating(text)


def test_both_styles_of_apostrophe_and_any_case_are_read():
    assert speaks_about("THE ASSISTANT’S TONE")
    assert addresses("I’m lost")
    assert not addresses("Wii, mystery, youth")


def test_lengths_are_options():
    assert fault("You are wrong.", min_words=4) == wording.SHORT
    assert fault("You are so very wrong.", max_words=4) == wording.LONG
    for low, high in ((0, 3), (5, 4)):
        with pytest.raises(OptionError, match="--min-words"):
            WordingOptions(min_words=low, max_words=high)
