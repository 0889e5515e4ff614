"""Each rule: what passes, what fails, and the laws that hold for all responses."""

import random

from hypothesis import given
from hypothesis import strategies as st

from flr.verifiable import checks
from tests.verifiable_cases import cases

lower_words = st.lists(st.text("bcdfg", min_size=1, max_size=8), min_size=4, max_size=12)
"""Texts that hold none of the words of these tests."""


@cases(
    "42",
    "42.",
    "The answer is 42.",
    "It's 42 km",
    "**Forty-two**",
    "17 + 25 = 42",
    "42 - 25 = 17",
    "The one answer is 42.",
    "42.0",
    "４２",
    "42\r\n",
    "$\\boxed{42}$",
    "42 🙂",
    failing=(
        "",
        "forty",
        "between 40 and 45",
        "42 or 43",
        "40-42",
        "42, not 41",
        "-42",
        "minus 42",
        "142",
        "4 2",
        "4.2",
        "42,000",
        "17 + 25",
        "1 2 3 4 42",
        "x42",
        "\0",
    ),
)
def test_number(response: str, expected: bool):
    assert checks.number(response, answer=42, given=[17, 25]) is expected


@cases("3.5", "3.50", "It is 3.5.", failing=("3", "3,5", "35", "3 or 3.5"))
def test_number_with_decimals(response: str, expected: bool):
    assert checks.number(response, answer=3.5) is expected


@cases("-5", "−5", "minus five", "9 - 14 = -5", "9-14=-5", failing=("5", "9 - 14", "5 or -5"))
def test_number_below_zero(response: str, expected: bool):
    assert checks.number(response, answer=-5, given=[9, 14]) is expected


@given(answer=st.integers(-999, 999), other=st.integers(-999, 999), text=lower_words)
def test_another_number_fails(answer: int, other: int, text: list[str]):
    said = f"{' '.join(text)} {answer}"
    assert checks.number(said, answer=answer)
    assert checks.number(f"{said} or {other}", answer=answer) == (answer == other)
    assert checks.number(f"{said} or {other}", answer=answer, given=[abs(other)]) == (
        abs(answer) != abs(other)
    )


COLOURS = [["red", "crimson"], ["blue"]]


@cases(
    "- red\n- blue",
    "-red\n-Blue",
    "- Red\r\n- Blue\r\n",
    "Here you are:\n\n- red\n- blue\n\nThat is all.",
    "- red\n  - like blood\n  * like wine\n- blue",
    "  - red\n  - blue",
    " - red\n- blue",
    "- red\n\t- like blood\n- blue",
    "- **red**, not blue\n- *blue*",
    failing=(
        "",
        "red, blue",
        "- red",
        "- red\n- blue\n- red",
        "- red\n- blue\n- sand",
        "- red\n- red",
        "- red\n- RED.",
        "- red\n- crimson",
        "- red\n- sand",
        "- red\n-",
        "- red\n  - blue",
        "- redder\n- blue",
        "- - -\n- - -",
        "---\n---",
        "* red\n* blue",
        "1. red\n2. blue",
        "- red\n* blue",
        "- red\n- blue\n1. blue",
    ),
)
def test_items_with_hyphens(response: str, expected: bool):
    assert checks.items(response, count=2, form="hyphens", among=COLOURS) is expected


@cases(
    "1. red\n2. blue",
    "(1) red\n(2) blue",
    "1) red\n\n2) blue\n",
    "10. **red**\n11. *blue*",
    "**1.** red\n**2.** blue",
    "**1. Red**\n**2. Blue**",
    "1. red\n   - like blood\n2. blue",
    failing=(
        "",
        "1.5 red\n2.5 blue",
        "- red\n- blue",
        "• red\n• blue",
        "1. red\n- blue",
        "1 red\n2 blue",
        "1.red\n2.blue",
    ),
)
def test_items_with_numbers(response: str, expected: bool):
    assert checks.items(response, count=2, form="numbers", among=COLOURS) is expected


@cases(
    "oak, elm, ash",
    "Oak, elm and ash.",
    "oak, elm, and ash\n",
    "oak and holly, elm, ash",
    failing=(
        "",
        ",,",
        "oak, elm",
        "oak, elm, ash, fir",
        "oak, oak, ash",
        "oak and elm and ash",
        "oak and elm, ash",
        "Trees: oak, elm, ash",
        "Trees are oak, elm, ash",
        "oak, , ash",
        "oak\nelm\nash",
        "- oak, elm, ash\n- fir",
        "Here are three trees for you: oak, elm, ash",
        "I am sorry, I cannot, I fear",
    ),
)
def test_items_between_commas(response: str, expected: bool):
    assert checks.items(response, count=3, form="commas", about=["oak"]) is expected


@given(found=st.lists(st.text("xyz", min_size=1), min_size=1, max_size=9, unique=True))
def test_a_list_of_other_length_fails(found: list[str]):
    hyphens, numbers = ("\n".join(f"{mark} {item}" for item in found) for mark in ("-", "7."))
    for form, text in (("hyphens", hyphens), ("numbers", numbers), ("commas", ", ".join(found))):
        for count in range(1, 11):
            assert checks.items(text, count=count, form=form) == (count == len(found))


@cases(
    "The moon shone over New York all night.",
    "MOON! Four more words say New\nYork.",
    'The "moon" rose above *New York* late.',
    failing=(
        "",
        "moon New York",
        "The moon shone over York all night.",
        "The moonlight shone over New York.",
        "The moon shone over New, York all night.",
    ),
)
def test_contains(response: str, expected: bool):
    assert checks.contains(response, words=["moon", "New York"]) is expected


@given(before=lower_words, after=lower_words)
def test_a_word_counts_wherever_it_stands(before: list[str], after: list[str]):
    said = " ".join([*before, "moon", *after])
    assert checks.contains(said, words=["moon"])
    assert not checks.contains(said, words=["moon", "sun"])
    assert not checks.contains(said, words=["moon"], about=["star"])
    assert not checks.contains(said.replace("moon", "moons"), words=["moon"])


@cases(
    "Snow covers the hills.",
    "A whitewash of snowflakes, silently falling.",
    failing=(
        "",
        "snow",
        "Snow falls here",
        "The snow is so white.",
        "The snow is so WHITE.",
        "The snow is so ice\ncold.",
        "I am sorry, no idea.",
    ),
)
def test_avoids(response: str, expected: bool):
    assert checks.avoids(response, words=["white", "ice cold"], about=["snow"]) is expected


@given(words=lower_words, place=st.integers(0, 12))
def test_a_forbidden_word_fails_wherever_it_stands(words: list[str], place: int):
    rule = {"words": ["white"], "about": ["snow"]}
    assert checks.avoids(" ".join([*words, "snow"]), **rule)
    assert not checks.avoids(" ".join([*words[:place], "white", *words[place:], "snow"]), **rule)
    assert not checks.avoids(" ".join(words), **rule)


@cases(
    "the sea",
    "seas: 3,000 of them! 🙂\0",
    "the sea, straße, ελλάδα",
    failing=("", "The sea", "the seA", "3,000", "the hills", "the sea, Ελλάδα", "the sea, ǅ", "海"),
)
def test_lower_case(response: str, expected: bool):
    assert checks.lower_case(response, about=["sea"]) is expected


@given(words=lower_words, seed=st.integers(0, 999))
def test_one_capital_fails(words: list[str], seed: int):
    text = " ".join(["sea", *words])
    place = random.Random(seed).choice([at for at, one in enumerate(text) if one.isalpha()])
    assert checks.lower_case(text, about=["sea"])
    assert not checks.lower_case(
        text[:place] + text[place].upper() + text[place + 1 :], about=["sea"]
    )


@cases(
    "Bread is baked from dough. Isn't it good?",
    "Bread is baked from dough.\r\n\r\n  Isn’t it  good?\n\n",
    'Bread is baked from dough. "Isn\'t it good?"',
    "Bread is baked from dough. **Isn't it good?**",
    failing=(
        "",
        "Isn't it good?",
        "Bread. Isn't it good?",
        "Bread is baked from dough.",
        "Bread is baked from dough. Isn't it good",
        "Bread is baked from dough. isn't it good?",
        "Bread is baked from dough. Isn't it good? Yes.",
        "Bread is baked from dough. Isn't it good?)",
        "Bread is baked from doughIsn't it good?",
        "Isn't it good? Bread is baked from dough.",
        "I can say nothing about that. Isn't it good?",
    ),
)
def test_ends_with(response: str, expected: bool):
    assert checks.ends_with(response, sentence="Isn't it good?", about=["bread"]) is expected


@cases(
    "Bread is baked from dough. Love, Alex",
    "Bread is baked from dough.\n\nLove,\nAlex.",
    'Bread is baked from dough. "Love, Alex."',
    failing=(
        "Bread is baked from dough. Love, Alexa",
        "Bread is baked from dough. Love, Alex!",
        "Bread is baked from dough. Love, Alex. Bye",
        "Bread is baked from dough. Love Alex",
        "Love, Alex.",
    ),
)
def test_a_signature_may_have_a_full_stop(response: str, expected: bool):
    assert checks.ends_with(response, sentence="Love, Alex", about=["bread"]) is expected


@given(
    words=lower_words, after=st.text("bcd .", max_size=6), blank=st.text(" \n\t\"'*", max_size=5)
)
def test_nothing_but_space_and_quotes_may_follow(words: list[str], after: str, blank: str):
    rule = {"sentence": "That is all.", "about": ["bread"]}
    said = f"{' '.join(words)} bread. That is all."
    assert checks.ends_with(said + blank, **rule)
    assert checks.ends_with(said + after, **rule) == (not after.strip())


@cases(
    "Rain.",
    "It is well-known rain, 2.5 cm.",
    "🙂 rain 🙂 🙂 🙂 🙂 🙂 🙂",
    failing=("", "Hi", "It is the rain that falls here", "🙂", "train"),
)
def test_most_words(response: str, expected: bool):
    assert checks.most_words(response, limit=6, about=["rain"]) is expected


@given(words=lower_words, limit=st.integers(1, 15))
def test_the_limit_is_kept(words: list[str], limit: int):
    said = " ".join([*words, "rain"])
    assert checks.most_words(said, limit=limit, about=["rain"]) == (len(words) + 1 <= limit)
    assert not checks.most_words(" ".join(words), limit=15, about=["rain"])


@cases(
    "Au",
    "au.",
    "It's gold's symbol: “Au”!",
    "It is Au, not Ag.",
    "The answer is\nnew\nYork",
    failing=(
        "",
        "Ag",
        "Au or Ag",
        "It is not Au.",
        "Aurum",
        "Not Au but Ag.",
        "Ag, Au, Fe, New York",
        "Pb",
    ),
)
def test_fact(response: str, expected: bool):
    rule = {"answers": ["Au", "New York"], "wrong": ["Ag", "Fe"]}
    assert checks.fact(response, **rule) is expected


@given(before=lower_words, after=lower_words, wrong=st.sampled_from(["Sydney", "Alice Springs"]))
def test_hedging_fails_in_either_order(before: list[str], after: list[str], wrong: str):
    rule = {"answers": ["Canberra"], "wrong": ["Sydney", "Alice Springs"]}
    said = " ".join([*before, "Canberra", *after])
    assert checks.fact(said, **rule)
    assert not checks.fact(f"{said} {wrong}", **rule)
    assert not checks.fact(f"{wrong.upper()} {said}", **rule)
