import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.diversity import distinct, distinct_across, words

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=9), max_size=6)


@pytest.mark.parametrize(
    ("text", "one", "two"),
    [
        ("the cat saw the cat", 3 / 5, 3 / 4),  # the cat saw; the-cat twice, cat-saw, saw-the
        ("no no no no", 1 / 4, 1 / 3),
        ("each word once", 1.0, 1.0),
        ("Case case", 1 / 2, 1.0),
        ("ß SS", 1 / 2, 1.0),  # one text without case
    ],
)
def test_by_hand(text: str, one: float, two: float):
    assert distinct(words(text), 1) == pytest.approx(one)
    assert distinct(words(text), 2) == pytest.approx(two)


@pytest.mark.parametrize("text", ["", " \n\t", "\u2003"])
def test_a_text_without_words_has_no_answer(text: str):
    assert words(text) == []
    assert math.isnan(distinct(words(text), 1))


def test_one_word_has_no_pair_of_words():
    assert distinct(words("Yes"), 1) == 1
    assert math.isnan(distinct(words("Yes"), 2))


def test_ugly_texts_are_texts():
    assert words("a\0b 🎉🎉 \ud800") == ["a", "\0", "b", "🎉", "🎉", "\ud800"]
    assert distinct(words("x" * 10**6), 1) == 1


def test_across_texts_what_they_share_counts_once():
    one, other = words("tea is fine"), words("tea is hot")
    assert distinct(one, 2) == distinct(other, 2) == 1
    assert distinct_across([one, other], 2) == 3 / 4
    assert math.isnan(distinct_across([], 2))


@given(TEXTS, st.integers(1, 3))
def test_a_share_of_which_order_does_not_matter(texts: list[list[str]], n: int):
    found = distinct_across(texts, n)
    counts = [max(0, len(text) - n + 1) for text in texts]
    if sum(counts) == 0:
        assert math.isnan(found)
    else:
        assert 1 / sum(counts) <= found <= 1
        assert distinct_across(texts[::-1], n) == found


@given(TEXTS, st.integers(1, 3))
def test_saying_all_twice_halves_it(texts: list[list[str]], n: int):
    found = distinct_across(texts, n)
    assert distinct_across(texts * 2, n) == pytest.approx(found / 2, nan_ok=True)
