"""Length, coin and judge, against numbers worked out by hand."""

import itertools
import math
import re
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.datasets.base import Item
from flr.evaluation.baselines import LETTERS, coin, judged, length, preferences
from flr.measuring import Measured, Values
from flr.types import Conversation, Message

UGLY = ["", " ", "\0", "🎉é谢", "\ud800", "{one}", "x" * 100_000]


def item(*responses: str, prompt: str = "Why?") -> Item:
    """Responses to one prompt."""
    conversations = tuple(Conversation.of(prompt, text) for text in responses)
    return Item("i", "g", conversations, tuple(float(at) for at in range(len(responses))))


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("abc", 3), ("a\0\n", 3), ("🎉é", 2)])
def test_length_counts_characters_of_the_response_alone(text: str, expected: int):
    assert length(Conversation.of("a prompt of another length", text)) == expected
    assert isinstance(length(Conversation.of("", text)), float)


@pytest.mark.parametrize("text", UGLY)
def test_a_coin_falls_the_same_way_for_the_same_content(text: str):
    first, again = coin(3), coin(3)
    value = first(Conversation.of(text, "yes"))
    assert 0 <= value < 1
    assert first(Conversation.of(text, "yes")) == value
    assert again(Conversation.of(text, "yes")) == value
    assert coin(4)(Conversation.of(text, "yes")) != value


def test_a_coin_does_not_mind_the_order():
    toss, conversations = coin(0), [Conversation.of(text, text) for text in UGLY]
    forward = [toss(one) for one in conversations]
    assert [toss(one) for one in reversed(conversations)] == forward[::-1]


def test_a_coin_sees_all_of_the_content():
    """Prompt, response, roles and what else a message carries."""
    one, two = Message("user", "a"), Message("assistant", "b")
    named = Message("user", "a", {"name": "Bo", "on": date(2026, 1, 2), "\ud800": math.nan})
    system = Message("system", "a")
    rows = [(one, two), (named, two), (system, two), (one, two, two), (two,), (one, one, two)]
    conversations = [Conversation(row) for row in rows]
    assert len({coin(0)(one) for one in conversations}) == len(rows)
    assert [coin(0)(one) for one in conversations] == [coin(0)(one) for one in conversations]


def tosses(seed: int, count: int) -> np.ndarray:
    """A coin's numbers for responses that differ in one or two characters."""
    toss = coin(seed)
    return np.array([toss(Conversation.of("Why?", f"{at}")) for at in range(count)])


def test_a_coin_is_fair():
    """2,000 tosses: mean and tenths within five standard deviations of those of even chances."""
    count = 2000
    found = tosses(0, count)
    assert abs(found.mean() - 0.5) < 5 * math.sqrt(1 / 12 / count)
    tenths = np.histogram(found, 10, (0, 1))[0]
    assert np.abs(tenths - count / 10).max() < 5 * math.sqrt(count * 0.1 * 0.9)


def test_the_coins_of_two_seeds_have_nothing_to_do_with_each_other():
    # the correlation of independent values has the standard deviation 1 / sqrt(count)
    assert abs(np.corrcoef(tosses(0, 500), tosses(1, 500))[0, 1]) < 5 / math.sqrt(500)


def replies(question: str) -> dict[str, str]:
    """The replies that a question shows, by letter."""
    found = re.findall(r"<reply (\w)>\n(.*?)\n</reply \1>", question, re.DOTALL)
    return dict(found)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_judge_is_asked_about_every_ordered_pair_with_either_letter(count: int):
    responses = [f"reply {at}" for at in range(count)]
    asked = judged(item(*responses))
    expected = [
        ({"A": one, "B": two}, letter)
        for one, two in itertools.permutations(responses, 2)
        for letter in ("A", "B")
    ]
    assert [(replies(one.prompt[0].content), one.response) for one in asked] == expected
    assert len(asked) == 2 * count * (count - 1)
    assert {tuple(m.role for m in one.messages) for one in asked} == {("user", "assistant")}


def test_the_two_letters_answer_the_same_question():
    asked = judged(item("one", "two", "three"))
    for first, second in zip(asked[::2], asked[1::2], strict=True):
        assert first.prompt == second.prompt
        assert (first.response, second.response) == LETTERS == ("A", "B")
    assert len({one.prompt[0].content for one in asked}) == 6


def test_a_judge_sees_the_whole_prompt():
    prompt = (
        Message("system", "Be kind."),
        Message("user", "Hello 🍵"),
        Message("assistant", "Yes?"),
        Message("user", "Why?"),
    )
    pair = tuple(Conversation((*prompt, Message("assistant", text))) for text in "ab")
    question = judged(Item("i", "g", pair, (1.0, 0.0)))[0].prompt[0].content
    told = "system: Be kind.\n\nuser: Hello 🍵\n\nassistant: Yes?\n\nuser: Why?"
    assert f"<conversation>\n{told}\n</conversation>" in question


def test_a_judge_is_asked_about_no_pair_of_one_response():
    assert judged(item("alone")) == ()


FIELDS = "{one} {other} {first} {second} {conversation} {0} {} {{x}} { } %s \\1 $a"


def test_braces_in_texts_are_only_text():
    question = judged(item(FIELDS, f"{FIELDS}{FIELDS}", prompt=FIELDS))[0].prompt[0].content
    assert f"user: {FIELDS}\n" in question
    assert replies(question) == {"A": FIELDS, "B": f"{FIELDS}{FIELDS}"}


@given(st.text(), st.text(), st.text())
def test_texts_come_through_unharmed(prompt: str, one: str, two: str):
    questions = [asked.prompt[0].content for asked in judged(item(one, two, prompt=prompt))]
    before, after = f"\nuser: {prompt}\n</conversation>\n\n", "\n\nWhich reply serves"
    for question, first, second in zip(questions[::2], (one, two), (two, one), strict=True):
        shown = f"<reply A>\n{first}\n</reply A>\n\n<reply B>\n{second}\n</reply B>"
        assert before + shown + after in question


def answers(*likelihoods: float) -> list[Measured]:
    """What a model says of one letter after the other, nats."""
    return [Measured(response=Values((one,), (1,))) for one in likelihoods]


def odds(share: float) -> tuple[float, float]:
    """Log-likelihoods of A and B where A is said with this share of the two."""
    return math.log(share * 0.01), math.log((1 - share) * 0.01)


def test_preferences_by_hand():
    # asked (x, y): A three times in four. asked (y, x): A two times in five, so x in three of five
    found = preferences(item("x", "y"), answers(*odds(3 / 4), *odds(2 / 5)))
    np.testing.assert_allclose(found, [(3 / 4 + 3 / 5) / 2, (1 / 4 + 2 / 5) / 2])


def test_preferences_among_three_by_hand():
    # shares of the first in xy, xz, yx, yz, zx, zy
    shares = (0.9, 0.8, 0.3, 0.6, 0.4, 0.7)
    given = answers(*(one for share in shares for one in odds(share)))
    x = (0.9 + 0.8 + (1 - 0.3) + (1 - 0.4)) / 4
    y = ((1 - 0.9) + 0.3 + 0.6 + (1 - 0.7)) / 4
    z = ((1 - 0.8) + (1 - 0.6) + 0.4 + 0.7) / 4
    np.testing.assert_allclose(preferences(item("x", "y", "z"), given), [x, y, z])


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("a_and_b", [(0.0, -50.0), (-50.0, 0.0), (-3.0, -1.0), (-1e4, -1e4)])
def test_a_judge_with_an_eye_on_the_place_alone_prefers_none(
    count: int, a_and_b: tuple[float, float]
):
    pairs = count * (count - 1)
    found = preferences(item(*"xyz"[:count]), answers(*(a_and_b * pairs)))
    np.testing.assert_allclose(found, [0.5] * count, rtol=1e-12)


@pytest.mark.parametrize("sure", [50.0, 800.0, 1e4, 1e300])
def test_a_judge_that_is_sure_in_both_orders(sure: float):
    """And nothing overflows, where a power of e would."""
    best_first, best_second = (0.0, -sure), (-sure, 0.0)
    found = preferences(item("x", "y"), answers(*best_first, *best_second))
    np.testing.assert_allclose(found, [1, 0], atol=1e-20)
    found = preferences(item("x", "y"), answers(*best_second, *best_first))
    np.testing.assert_allclose(found, [0, 1], atol=1e-20)


def test_a_judge_that_ranks_three():
    # x before y before z, whatever the order: 1, half and 0 of its comparisons
    a, b = (0.0, -1e4), (-1e4, 0.0)
    found = preferences(item("x", "y", "z"), answers(*a, *a, *b, *a, *b, *b))
    np.testing.assert_allclose(found, [1, 0.5, 0], atol=1e-20)


likelihoods = st.floats(-1e4, 0)


@given(st.lists(likelihoods, min_size=4, max_size=4))
def test_the_preferences_of_two_are_shares(given: list[float]):
    found = preferences(item("x", "y"), answers(*given))
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    assert found.max() <= 1


@given(st.lists(likelihoods, min_size=12, max_size=12))
def test_the_preferences_of_three_share_out_the_pairs(given: list[float]):
    """Of three pairs each gives away 1, and a response is in two: the sum is 3 / 2."""
    assert preferences(item("x", "y", "z"), answers(*given)).sum() == pytest.approx(3 / 2)


@given(st.lists(likelihoods, min_size=4, max_size=4))
def test_responses_that_change_places_change_preferences(given: list[float]):
    a1, b1, a2, b2 = given
    found = preferences(item("x", "y"), answers(a1, b1, a2, b2))
    swapped = preferences(item("y", "x"), answers(a2, b2, a1, b1))
    np.testing.assert_allclose(found, swapped[::-1], atol=1e-15)


@pytest.mark.parametrize("count", [0, 3, 5, 12])
def test_answers_to_other_questions_are_an_error_of_ours(count: int):
    with pytest.raises(ValueError, match="zip"):
        preferences(item("x", "y"), answers(*[-1.0] * count))
