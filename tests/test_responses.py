"""What of a prompt's responses can be used, and what each is judged by."""

import math
import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.responses import MAX_REWARD, Group, Response, left_out, length_slope, ranked, usable

NAN, INF = float("nan"), float("inf")
unhurried = settings(max_examples=60)
UGLY = ["!!!", "...", "🎉", "🎉🎉", "é谢", "a\0b", "\ud800 x", "\u200b", "x" * 100_000]


def group(*responses: tuple[str, float | None], finish_reason: str | None = None) -> Group:
    """Responses to one prompt: text and reward of each."""
    texts, rewards = tuple(text for text, _ in responses), tuple(one for _, one in responses)
    return Group("p", texts, rewards, (finish_reason,) * len(texts))


def used(one: Group, seed: int = 0) -> list[Response]:
    return usable(one, keep_unfinished=False, seed=seed)


def are_near_equal(one: str, other: str) -> bool:
    first, second = used(group((one, 1.0), (other, 0.0)))
    return first.bare == second.bare


@pytest.mark.parametrize("reward", [None, NAN, INF, -INF, 2 * MAX_REWARD, -2 * MAX_REWARD, 1.7e308])
def test_what_is_no_finite_number_is_no_reward(reward: float | None):
    assert left_out(group(("yes", reward)), keep_unfinished=True) == ("no_reward",)


@pytest.mark.parametrize("reward", [0.0, -0.0, 5e-324, MAX_REWARD, -MAX_REWARD])
def test_any_finite_number_is_a_reward(reward: float):
    assert left_out(group(("yes", reward)), keep_unfinished=True) == (None,)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u3000\xa0"])
def test_white_space_is_empty(text: str):
    assert left_out(group((text, 1.0)), keep_unfinished=True) == ("empty",)


@pytest.mark.parametrize("text", UGLY)
def test_ugly_texts_are_texts(text: str):
    (found,) = used(group((text, 1.0)))
    assert (found.index, found.reward, found.length) == (0, 1.0, len(text))


@pytest.mark.parametrize(
    ("finish_reason", "expected"),
    [("length", "unfinished"), ("stop", None), (None, None), ("", None), ("eos", None)],
)
def test_only_those_cut_at_the_limit_are_unfinished(finish_reason: str | None, expected: str):
    one = group(("yes", 1.0), finish_reason=finish_reason)
    assert left_out(one, keep_unfinished=False) == (expected,)
    assert left_out(one, keep_unfinished=True) == (None,)


def test_a_response_is_left_out_for_the_first_reason_that_holds():
    texts, rewards = ("", "", "yes"), (None, 1.0, 1.0)
    one = Group("p", texts, rewards, ("length",) * 3)
    assert left_out(one, keep_unfinished=False) == ("no_reward", "empty", "unfinished")


def test_those_that_are_left_keep_their_places():
    found = used(group((" ", 1.0), ("a", 2.0), ("b", None), ("c", 3.0)))
    assert [(one.index, one.reward) for one in found] == [(1, 2.0), (3, 3.0)]


def test_a_group_of_columns_of_unequal_length_is_our_own_bug():
    with pytest.raises(AssertionError, match=r"differ in number: \(2, 1, 2\)"):
        Group("p", ("a", "b"), (1.0,), (None, None))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes.", "yes"),
        ("Yes, I can!", "  yes i CAN\n"),
        ("Straße", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("a\u200bb", "ab"),
        ("a\0b", "a b"),
        ("«Oui», dit-il…", "Oui dit il"),
        ("**bold**", "bold"),
        ("谢谢。", "谢谢"),
        ("🎉!", "🎉"),
        ("-5", "5"),
        ("!!!", "!!!"),
        ("\ud800", "\ud800"),
    ],
)
def test_near_equal(one: str, other: str):
    assert are_near_equal(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is safe.", "It is not safe."),
        ("Take 5 mg.", "Take 6 mg."),
        ("a + b", "a = b"),
        ("x²", "x2"),
        ("🎉", "🎉🎉"),
        ("!!!", "..."),
        ("!!!", "!!! "),
        ("\u200b", "\u200c"),
        ("\ud800", "\ud801"),
        ("!!!", "a"),
        ("e", "é"),
    ],
)
def test_not_near_equal(one: str, other: str):
    assert not are_near_equal(one, other)


def test_equal_rewards_are_ordered_anew_by_seed_and_by_prompt():
    texts = tuple("abcdefgh")
    orders = {
        tuple(one.index for one in ranked(usable(which, keep_unfinished=False, seed=seed), 0.0))
        for seed in range(5)
        for which in (Group(key, texts, (1.0,) * 8, (None,) * 8) for key in ("p", "q", "p\0"))
    }
    assert len(orders) == 15  # of 40,320 that there are


def test_seed_prompt_and_text_do_not_run_into_each_other():
    def order(seed: int, key: str, text: str) -> str:
        one = Group(key, (text,), (1.0,), (None,))
        return usable(one, keep_unfinished=True, seed=seed)[0].order

    assert len({order(1, "1a", "b"), order(11, "a", "b"), order(1, "1", "ab")}) == 3


def test_the_slope_by_hand():
    """Deviations from the means: (-5, 5) and (-0.5, 0.5); (-10, 10) and (1, -1)."""
    one = used(group(("a" * 10, 1.0), ("b" * 20, 2.0)))
    other = used(group(("a" * 10, 105.0), ("b" * 30, 103.0)))
    alone = used(group(("a" * 999, 7.0)))
    assert length_slope([one, other, alone, []]) == (2 * 2.5 - 2 * 10) / (2 * 25 + 2 * 100)


@pytest.mark.parametrize("prompts", [[], [[]], [[("a", 1.0)]], [[("ab", 1.0), ("ba", 2.0)]] * 2])
def test_there_is_no_slope_where_lengths_never_differ(prompts: list[list[tuple[str, float]]]):
    assert length_slope([used(group(*responses)) for responses in prompts]) == 0.0


lengths_and_rewards = st.lists(
    st.lists(st.tuples(st.integers(1, 40), st.floats(-10, 10)), min_size=1, max_size=5),
    min_size=1,
    max_size=5,
)


@unhurried
@given(lengths_and_rewards)
def test_the_slope_is_that_of_least_squares_with_an_intercept_a_prompt(
    prompts: list[list[tuple[int, float]]],
):
    lefts = [used(group(*(("x" * length, r) for length, r in one))) for one in prompts]
    found = length_slope(lefts)
    of_prompt = np.repeat(np.arange(len(prompts)), [len(one) for one in prompts])
    lengths, rewards = np.array([pair for one in prompts for pair in one], float).T
    design = np.column_stack([lengths, of_prompt[:, None] == np.arange(len(prompts))])
    if any(len({length for length, _ in one}) > 1 for one in prompts):
        expected = np.linalg.lstsq(design, rewards)[0][0]
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    else:
        assert found == 0


@unhurried
@given(lengths_and_rewards, st.randoms(use_true_random=False))
def test_the_order_of_prompts_and_responses_has_no_say_in_the_slope(
    prompts: list[list[tuple[int, float]]], shuffling: random.Random
):
    lefts = [used(group(*(("x" * length, r) for length, r in one))) for one in prompts]
    shuffled = [shuffling.sample(one, len(one)) for one in shuffling.sample(lefts, len(lefts))]
    assert length_slope(shuffled) == length_slope(lefts)


def test_the_largest_rewards_and_texts_do_not_overflow():
    left = used(group(("a", MAX_REWARD), ("b" * 100_000, -MAX_REWARD)))
    slope = length_slope([left])
    assert slope == pytest.approx(-2 * MAX_REWARD / 99_999)
    assert all(math.isfinite(one.adjusted) for one in ranked(left, slope))


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=8), st.sampled_from([0.0, 0.25, -1.0]))
def test_ranked_by_what_is_left_without_the_effect_of_length(rewards: list[int], slope: float):
    left = used(group(*(("x" * (at % 3 + 1), float(r)) for at, r in enumerate(rewards))))
    found = ranked(left, slope)
    assert sorted(one.index for one in found) == list(range(len(rewards)))
    for one in found:
        assert one.adjusted == one.reward - slope * len("x" * (one.index % 3 + 1))
    assert all(one.adjusted >= other.adjusted for one, other in combinations(found, 2))
