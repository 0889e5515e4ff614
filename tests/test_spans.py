import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.errors import RenderError
from flr.spans import PLACEHOLDERS, Frame, characters, frame_of, shared_start, token_span


@given(st.text(), st.text(), st.text())
def test_shared_start_is_the_longest_common_beginning(start: str, first: str, second: str) -> None:
    first, second = start + first, start + second
    shared = shared_start(first, second)
    n = len(shared)
    assert first[:n] == second[:n] == shared
    assert n >= len(start)
    assert n == len(first) or n == len(second) or first[n] != second[n]


@given(st.text(), st.text())
def test_the_frame_is_what_stands_around_the_placeholders(prefix: str, suffix: str) -> None:
    first, second = (prefix + placeholder + suffix for placeholder in PLACEHOLDERS)
    assert frame_of(first, second) == Frame(prefix, suffix)


def test_no_frame_where_the_text_is_written_twice_or_altered() -> None:
    first, second = PLACEHOLDERS
    assert frame_of(f"{first}|{first}", f"{second}|{second}") is None
    assert frame_of(f"<{first.upper()}>", f"<{second.upper()}>") is None


@given(st.text(), st.text(), st.text())
def test_characters_of_a_text_left_as_it_is(prefix: str, text: str, suffix: str) -> None:
    begin, end = characters(prefix + text + suffix, text, Frame(prefix, suffix))
    assert (begin, end) == (len(prefix), len(prefix + text))


def test_a_trimmed_text_is_not_taken_from_the_frame() -> None:
    # "end" stands in the suffix as well, further to the right
    assert characters("<start>end<end>", " end\n", Frame("<start>", "<end>")) == (7, 10)
    assert characters("<start><end>", "  ", Frame("<start>", "<end>")) == (7, 7)


def test_without_a_frame_the_rightmost_one_counts() -> None:
    assert characters("ok and ok.", "ok", None) == (7, 9)


def test_a_rewritten_text_is_refused() -> None:
    with pytest.raises(RenderError, match=r"rewrites the text 'Thanks'"):
        characters("User: THANKS\n", "Thanks", Frame("User: ", "\n"))


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (4, 9, (1, 3)),  # exactly two tokens
        (5, 8, (1, 3)),  # both stick out
        (3, 4, (0, 1)),
        (0, 12, (0, 4)),
        (7, 7, (2, 2)),  # nothing, at a border
        (6, 6, (1, 1)),  # nothing, inside a token: still nothing is scored
        (12, 12, (4, 4)),
    ],
)
def test_tokens_that_overlap(begin: int, end: int, expected: tuple[int, int]) -> None:
    assert token_span([(0, 4), (4, 7), (7, 9), (9, 12)], begin, end) == expected


def test_all_tokens_of_one_character_are_its_own() -> None:
    assert token_span([(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)], 1, 2) == (1, 4)


def test_a_space_trimmed_from_the_offsets_is_covered_by_its_token() -> None:
    # ":" "  " "x": the middle token covers characters 1 and 2, its offsets are (3, 3)
    assert token_span([(0, 1), (3, 3), (3, 4)], 1, 4) == (1, 3)
    # before the text it is not the text's
    assert token_span([(0, 1), (3, 3), (3, 4)], 3, 4) == (2, 3)
