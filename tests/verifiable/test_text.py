"""Words, numbers and copies in a text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.verifiable.text import (
    echoes,
    mentioned_first,
    mentions,
    numbers,
    repeats_itself,
    states,
    touches,
    words_of,
)

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
ONES += "fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def spelled(value: int, joint: str, and_: str) -> str:
    """An English number below a million; an oracle that builds what the parser takes apart."""
    ones, tens = ONES.split(), TENS.split()
    if value < 20:
        return ones[value]
    if value < 100:
        rest = joint + ones[value % 10] if value % 10 else ""
        return tens[value // 10 - 2] + rest
    size, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    head = f"{spelled(value // size, joint, and_)} {name}"
    return f"{head} {and_}{spelled(value % size, joint, and_)}" if value % size else head


@given(
    value=st.integers(0, 999_999),
    joint=st.sampled_from(["-", " "]),
    and_=st.sampled_from(["", "and "]),
    upper=st.booleans(),
)
def test_numbers_in_words_are_read_below_a_million(value: int, joint: str, and_: str, upper: bool):
    written = spelled(value, joint, and_)
    assert numbers(written.upper() if upper else written) == [value]
    assert numbers(f"It is minus {written}, I think.") == [-value]


@given(value=st.integers(-(10**9), 10**9), form=st.sampled_from(["{}", "{:,}", "${}.00", "**{}**"]))
def test_numbers_in_digits_are_read(value: int, form: str):
    if value >= 0 or "$" not in form:
        assert numbers(f"It is {form.format(value)}.") == [value]


@given(values=st.lists(st.integers(2, 10**6), min_size=1, max_size=6))
def test_every_number_is_found_in_order(values: list[int]):
    assert numbers(" or ".join(map(str, values))) == values
    assert numbers(" or ".join(spelled(one, "-", "") for one in values if one < 100)) == [
        one for one in values if one < 100
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("no number, someone, often, weight, H2O, x5, fifth, ½, m²", []),
        ("40-45", [40, 45]),
        ("40–45", [40, 45]),
        ("between four and five", [4, 5]),
        ("five six", [5, 6]),
        ("-5", [-5]),
        ("= −5", [-5]),
        ("negative eight", [-8]),
        ("(3)-2", [3, 2]),
        ("3.5", [3.5]),
        ("costs .5", [0.5]),
        ("3.", [3]),
        ("1,000,000", [1_000_000]),
        ("1,2,3", [1, 2, 3]),
        ("12,3456", [12, 3456]),
        ("1\u202f000", [1000]),
        ("1 000", [1, 0]),
        ("42km 7th 50%", [42, 7, 50]),
        ("４２", [42]),
        ("٤٢", [42]),
        ("one", [1]),
        ("one of 3", [3]),
        ("the one and only one", [1, 1]),
        ("a hundred", [100]),
        ("a thousand and one", [1001]),
        ("two thousand, five hundred", [2500]),
        ("sixty\ntwo", [62]),
        ("\0" + "7\0", [7]),
        ("9" * 400, [float("inf")]),
        ("$x = 42$, \\boxed{42}", [42, 42]),
    ],
)
def test_what_is_a_number(text: str, expected: list[float]):
    assert numbers(text) == expected


@given(st.text())
def test_any_text_has_numbers_or_none(text: str):
    assert all(isinstance(value, float) for value in numbers(text))


@pytest.mark.parametrize(
    ("text", "phrase", "whole", "begun"),
    [
        ("The CAT sat.", "cat", True, True),
        ("Cats sat.", "cat", False, True),
        ("A tomcat sat.", "cat", False, False),
        ("cat_flap", "cat", False, True),
        ("*cat*", "cat", True, True),
        ("New\r\n  York", "new york", True, True),
        ("New, York", "new york", False, False),
        ("don’t", "don't", True, True),
        (unicodedata.normalize("NFD", "Montréal"), "Montréal", True, True),
        ("Straße", "STRASSE", True, True),
        ("a.b", "a+b", False, False),
        ("\u202ecat\u202c", "cat", True, True),
        ("", "cat", False, False),
    ],
)
def test_mentions_and_touches(text: str, phrase: str, whole: bool, begun: bool):
    assert (mentions(text, phrase), touches(text, phrase)) == (whole, begun)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fall", 0),
        ("autumn (fall)", 0),
        ("winter, not fall", 1),
        ("late fall, then winter", 0),
        ("North America", 2),
        ("America", 2),
        ("South America", 3),
        ("falling", None),
        ("", None),
    ],
)
def test_what_is_mentioned_first_by_any_of_its_names(text: str, expected: int | None):
    things = [["autumn", "fall"], ["winter"], ["North America", "America"], ["South America"]]
    assert mentioned_first(text, things) == expected


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Rome", True),
        ("not Rome", False),
        ("It is NOT  the\nRome of old", False),
        ("not in Rome, but Oslo", False),
        ("not Rome? Yes, Rome", True),
        ("cannot Rome", True),
        ("it is not. Rome", True),
    ],
)
def test_what_stands_right_after_not_is_not_stated(text: str, stated: bool):
    assert states(text, "Rome") is stated


def test_a_word_has_no_punctuation_around_it_and_no_case():
    assert words_of("“Well-known” — it’s 3.5, 1,000…\r\nEND_ 🙂") == [
        "well-known", "it's", "3.5", "1,000", "end_",
    ]  # fmt: skip


sentences = st.lists(
    st.text("abcdefghij", min_size=1, max_size=6), min_size=1, max_size=15, unique=True
)


@given(prompt=sentences, data=st.data())
def test_every_piece_of_a_prompt_is_an_echo(prompt: list[str], data: st.DataObject):
    start = data.draw(st.integers(0, len(prompt) - 1))
    end = data.draw(st.integers(start + 1, len(prompt)))
    assert echoes(" ".join(prompt[start:end]).upper() + "?", " ".join(prompt))


@given(prompt=sentences, response=sentences)
def test_a_response_of_other_words_is_no_echo(prompt: list[str], response: list[str]):
    assert not echoes(" ".join(f"{word}x" for word in response), " ".join(prompt))


def test_an_echo_may_have_a_word_before_it_but_not_an_answer_after_it():
    prompt = "Please tell me how many eggs there are in three boxes of a dozen eggs each?"
    assert echoes(f"Sure! {prompt}", prompt)
    assert echoes(f"{prompt} {prompt}", prompt)
    assert not echoes("In three boxes of a dozen eggs each there are 36.", prompt)
    assert not echoes("", prompt)
    assert not echoes("", "")


@given(sentence=sentences, joint=st.sampled_from([" ", ". ", "\n", ", "]), times=st.integers(3, 10))
def test_a_sentence_over_and_over_is_seen(sentence: list[str], joint: str, times: int):
    assert not repeats_itself(" ".join(sentence))
    if len(sentence) * (times - 2) > 2:  # else there is too little to tell
        assert repeats_itself(joint.join([" ".join(sentence)] * times))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("no no no", False),
        ("42 42 42 42 42", True),
        ("The sea is calm. The sea is calm.", False),
        ("the cat the cat the cat the cat the cat", True),
        ("1. red\n2. green\n3. red\n4. green", False),
    ],
)
def test_what_is_repetition(text: str, expected: bool):
    assert repeats_itself(text) is expected
