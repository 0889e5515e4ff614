"""The choice of pairs, against every pair that there is."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import permutations
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.errors import OptionError
from flr.pairing import (
    Choice,
    Choose,
    LengthControl,
    Pair,
    PairingOptions,
    Yield,
    choose_pairs,
)
from flr.responses import Group, left_out, usable

NAN, INF = float("nan"), float("inf")
unhurried = settings(max_examples=60)
CHOICES, CONTROLS = get_args(Choose), get_args(LengthControl)


def group(*responses: tuple[str, float | None], key: str = "p") -> Group:
    """Responses to one prompt: text and reward of each."""
    texts, rewards = tuple(text for text, _ in responses), tuple(one for _, one in responses)
    return Group(key, texts, rewards, (None,) * len(texts))


def pairs_of(one: Group, *, noise_floor: float = 0.0, seed: int = 0, **options: Any) -> list[Pair]:
    """The pairs of a run of one prompt."""
    (found,) = choose_pairs(
        [one], PairingOptions(**options), noise_floor=noise_floor, seed=seed
    ).pairs
    return list(found)


def places(one: Group, **options: Any) -> list[tuple[int, int]]:
    """Chosen and rejected."""
    return [(pair.chosen, pair.rejected) for pair in pairs_of(one, **options)]


def reward(one: Group, index: int) -> float:
    found = one.rewards[index]
    assert found is not None
    return found


def counted(*groups: Group, **options: Any) -> dict[str, int]:
    """The counts that are not 0."""
    counts = choose_pairs(groups, PairingOptions(**options), noise_floor=0.0).counts
    return {name: count for name, count in asdict(counts).items() if count}


any_text = st.sampled_from(
    ["a", "A.", "b", "ab", "abc!", "x" * 8, "y" * 10, "", " ", "!!", "?", "🎉", "\ud800", "a\0"]
)
any_reward = st.one_of(
    st.sampled_from([None, NAN, INF, -INF, 0.0, -0.0]),
    st.integers(-2, 2).map(float),
    st.floats(-1, 1),
    st.floats(),
)
any_end = st.sampled_from([None, "stop", "length"])


Raw = tuple[str, list[tuple[str, float | None, str | None]]]
any_key = st.sampled_from(["", "p", "q🎉"])
any_responses = st.lists(st.tuples(any_text, any_reward, any_end), max_size=7)
raw = st.tuples(any_key, any_responses)
"""A group before it is made: the type checker of the tests draws random numbers, which a strategy
must not."""
raw_run = st.lists(raw, max_size=4)


def made(one: Raw) -> Group:
    key, responses = one
    texts, rewards, ends = zip(*responses, strict=True) if responses else ((), (), ())
    return Group(key, texts, rewards, ends)


any_options = st.builds(
    PairingOptions,
    choose=st.sampled_from(CHOICES),
    min_margin=st.sampled_from([None, 0.0, 0.5, 1.0]),
    keep_unfinished=st.booleans(),
    length_control=st.sampled_from(CONTROLS),
)


def run(groups: Sequence[Group], options: PairingOptions, seed: int = 0) -> Choice:
    return choose_pairs(groups, options, noise_floor=0.01, seed=seed)


@unhurried
@given(raw_run, any_options)
def test_every_pair_is_admissible(raws: list[Raw], options: PairingOptions):
    groups = list(map(made, raws))
    choice = run(groups, options)
    assert choice.min_margin == (0.02 if options.min_margin is None else options.min_margin)
    for one, pairs in zip(groups, choice.pairs, strict=True):
        reasons = left_out(one, keep_unfinished=options.keep_unfinished)
        for pair in pairs:
            assert reasons[pair.chosen] is reasons[pair.rejected] is None
            assert pair.margin == reward(one, pair.chosen) - reward(one, pair.rejected)
            assert pair.adjusted_margin > choice.min_margin >= 0
            if options.length_control != "residual":
                assert pair.adjusted_margin == pair.margin
            shorter, longer = sorted(len(one.texts[at]) for at in (pair.chosen, pair.rejected))
            assert options.length_control != "match" or 4 * (longer - shorter) <= longer
            texts = one.texts[pair.chosen], one.texts[pair.rejected]
            assert set(texts) != {"a", "A."}
            assert texts[0] != texts[1]


def judged(one: Group, options: PairingOptions, slope: float | None) -> dict[int, float]:
    """The reward by which each response that is left is judged."""
    left = usable(one, keep_unfinished=options.keep_unfinished, seed=0)
    return {at.index: at.reward - (slope or 0.0) * at.length for at in left}


@unhurried
@given(raw_run, any_options)
def test_best_stands_against_worst(raws: list[Raw], options: PairingOptions):
    groups = list(map(made, raws))
    choice = run(groups, options)
    for one, pairs in zip(groups, choice.pairs, strict=True):
        rewards = judged(one, options, choice.slope)
        for pair in pairs:
            chosen, rejected = rewards[pair.chosen], rewards[pair.rejected]
            if options.choose != "all-above-margin" and (
                options.choose != "max-min" or options.length_control != "match"
            ):
                assert chosen == max(rewards.values())
            if options.choose == "max-min" and options.length_control != "match":
                assert rejected == min(rewards.values())
                assert len(pairs) == 1


@unhurried
@given(raw_run, any_options)
def test_responses_and_prompts_are_counted_once(raws: list[Raw], options: PairingOptions):
    groups = list(map(made, raws))
    choice = run(groups, options)
    counts = choice.counts
    left = sum(len(judged(one, options, None)) for one in groups)
    assert counts.responses == sum(len(one.texts) for one in groups)
    assert counts.no_reward + counts.empty + counts.unfinished + left == counts.responses
    lost = counts.too_few + counts.near_equal + counts.length + counts.margin
    assert counts.prompts == len(groups) == lost + counts.with_pair
    assert counts.with_pair == sum(bool(pairs) for pairs in choice.pairs)
    assert counts.pairs == sum(map(len, choice.pairs))
    assert (choice.slope is None) == (options.length_control != "residual")


@unhurried
@given(
    st.tuples(
        any_key, st.lists(st.tuples(any_text, any_reward, any_end), unique_by=lambda r: r[0])
    ),
    any_options,
    st.randoms(use_true_random=False),
    st.integers(0, 3),
)
def test_the_order_of_responses_has_no_say(
    raw_one: Raw, options: PairingOptions, shuffling: random.Random, seed: int
):
    one = made(raw_one)
    key, responses = raw_one
    order = shuffling.sample(range(len(responses)), len(responses))
    shuffled = made((key, [responses[at] for at in order]))
    expected, found = run([one], options, seed), run([shuffled], options, seed)
    back = [
        Pair(order[pair.chosen], order[pair.rejected], pair.margin, pair.adjusted_margin)
        for pair in found.pairs[0]
    ]
    assert tuple(back) == expected.pairs[0]
    assert found.counts == expected.counts


@unhurried
@given(raw_run, any_options, st.randoms(use_true_random=False))
def test_the_order_of_prompts_has_no_say(
    raws: list[Raw], options: PairingOptions, shuffling: random.Random
):
    groups = list(map(made, raws))
    order = shuffling.sample(range(len(groups)), len(groups))
    expected, found = run(groups, options), run([groups[at] for at in order], options)
    assert [expected.pairs[at] for at in order] == list(found.pairs)
    assert expected.counts == found.counts
    assert expected.slope == found.slope


@unhurried
@given(raw, raw, any_options.filter(lambda one: one.length_control != "residual"))
def test_without_a_slope_prompts_do_not_know_of_each_other(
    raw_one: Raw, raw_other: Raw, options: PairingOptions
):
    one, other = made(raw_one), made(raw_other)
    both = run([one, other], options).pairs
    assert both == (*run([one], options).pairs, *run([other], options).pairs)


@unhurried
@given(raw, st.sampled_from(["none", "match"]))
def test_all_above_margin_is_every_admissible_pair(raw_one: Raw, control: str):
    def admissible(chosen: int, rejected: int) -> bool:
        shorter, longer = sorted(len(one.texts[at]) for at in (chosen, rejected))
        return (
            left[chosen].bare != left[rejected].bare
            and (control == "none" or 4 * (longer - shorter) <= longer)
            and left[chosen].reward - left[rejected].reward > 0.5
        )

    one = made(raw_one)
    left = {at.index: at for at in usable(one, keep_unfinished=False, seed=0)}
    found = places(one, choose="all-above-margin", min_margin=0.5, length_control=control)
    assert len(found) == len(set(found))
    assert set(found) == {two for two in permutations(left, 2) if admissible(*two)}


@unhurried
@given(raw)
def test_max_min_is_best_against_worst_wherever_they_are_admissible(raw_one: Raw):
    one = made(raw_one)
    rewards = {at.index: at.reward for at in usable(one, keep_unfinished=False, seed=0)}
    best, worst = max(rewards.values(), default=0.0), min(rewards.values(), default=0.0)
    every = places(one, choose="all-above-margin", min_margin=0.5)
    found = places(one, min_margin=0.5)
    ends = {two for two in every if (rewards[two[0]], rewards[two[1]]) == (best, worst)}
    assert set(found) <= ends
    if list(rewards.values()).count(best) == list(rewards.values()).count(worst) == 1:
        assert set(found) == ends


@unhurried
@given(raw)
def test_max_min_with_matching_lengths_is_the_largest_margin_of_those(raw_one: Raw):
    one = made(raw_one)
    options = {"length_control": "match", "min_margin": 0.0}
    every = pairs_of(one, choose="all-above-margin", **options)
    for pair in pairs_of(one, **options):
        assert pair.margin == max(other.margin for other in every)


@pytest.mark.parametrize("choose", ["max-random", "max-mean"])
@unhurried
@given(raw_one=raw, control=st.sampled_from(["none", "match"]))
def test_the_best_stands_against_an_admissible_other_wherever_there_is_one(
    choose: str, raw_one: Raw, control: str
):
    one = made(raw_one)
    options = {"length_control": control, "min_margin": 0.5}
    left = usable(one, keep_unfinished=False, seed=0)
    best = max((at.reward for at in left), default=0.0)
    every = places(one, choose="all-above-margin", **options)
    found = places(one, choose=choose, **options)
    assert set(found) <= {two for two in every if reward(one, two[0]) == best}
    if sum(at.reward == best for at in left) == 1:
        assert len(found) == any(reward(one, chosen) == best for chosen, _ in every)


FIVE = group(("aa", 1.0), ("bb", 9.0), ("cc", 4.0), ("dd", 0.0), ("ee", 8.5))


def test_each_way_on_one_group():
    """The mean is 4.5, so the nearest below the best is that with 4."""
    assert places(FIVE) == [(1, 3)]
    assert places(FIVE, choose="max-mean") == [(1, 2)]
    assert places(FIVE, choose="all-above-margin", min_margin=4.5) == [
        (1, 2),
        (1, 0),
        (1, 3),
        (4, 0),
        (4, 3),
    ]
    assert pairs_of(FIVE)[0] == Pair(1, 3, margin=9.0, adjusted_margin=9.0)


def test_each_admissible_partner_is_drawn_about_as_often():
    drawn = Counter(
        places(FIVE, choose="max-random", min_margin=0.5, seed=seed)[0] for seed in range(150)
    )
    assert drawn.keys() == {(1, 0), (1, 2), (1, 3)}  # 9 - 8.5 is not above 0.5
    assert min(drawn.values()) > 30  # of 50 expected


@pytest.mark.parametrize("choose", CHOICES[:3])
def test_each_of_several_best_is_chosen_about_as_often(choose: str):
    tied = group(("aa", 1.0), ("bb", 1.0), ("cc", 1.0), ("dd", 0.0))
    found = Counter(places(tied, choose=choose, seed=seed)[0] for seed in range(120))
    assert found.keys() == {(0, 3), (1, 3), (2, 3)}
    assert min(found.values()) > 20  # of 40 expected


def test_each_of_several_worst_is_rejected_about_as_often():
    tied = group(("aa", 1.0), ("bb", 0.0), ("cc", 0.0), ("dd", 0.0))
    for choose in CHOICES[:3]:
        found = Counter(places(tied, choose=choose, seed=seed)[0] for seed in range(120))
        assert found.keys() == {(0, 1), (0, 2), (0, 3)}
        assert min(found.values()) > 20  # of 40 expected


@pytest.mark.parametrize("choose", CHOICES)
def test_ties_are_no_pair(choose: str):
    assert counted(group(("aa", 1.0), ("bb", 1.0), ("cc", 1.0)), choose=choose) == {
        "responses": 3,
        "prompts": 1,
        "margin": 1,
    }


@pytest.mark.parametrize("choose", CHOICES)
def test_a_margin_of_the_minimum_is_none(choose: str):
    two = group(("aa", 0.5), ("bb", 0.25))
    assert not places(two, choose=choose, min_margin=0.25)
    assert not places(two, choose=choose, noise_floor=0.125)
    assert places(two, choose=choose, noise_floor=0.1249) == [(0, 1)]
    assert places(two, choose=choose, noise_floor=9.0, min_margin=0.0) == [(0, 1)]


def test_the_best_and_worst_of_rewards_that_floats_cannot_tell_apart_by_difference():
    """1e16 - 0.1 and 1e16 - 0.2 are the same number."""
    assert places(group(("aa", 0.2), ("bb", 1e16), ("cc", 0.1))) == [(1, 2)]


def test_max_min_takes_no_second_best():
    near = group(("Yes.", 2.0), ("no", 1.0), ("yes", 0.0))
    assert counted(near)["near_equal"] == 1
    assert places(near, choose="max-random") == places(near, choose="max-mean") == [(0, 1)]
    assert places(near, choose="all-above-margin") == [(0, 1), (1, 2)]


def test_equal_texts_are_two_responses_but_no_pair():
    assert counted(group(("a", 1.0), ("a", 0.0))) == {"responses": 2, "prompts": 1, "near_equal": 1}
    assert counted(group(("a", 1.0), ("a", 1.0))) == {"responses": 2, "prompts": 1, "near_equal": 1}
    (found,) = places(group(("a", 1.0), ("a", 1.0), ("b", 0.0)))
    assert found in {(0, 2), (1, 2)}  # which of the two makes no difference


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.parametrize(
    ("length", "is_pair"), [(74, False), (75, True), (100, True), (133, True), (134, False)]
)
def test_lengths_match_up_to_a_quarter_of_the_longer(choose: str, length: int, is_pair: bool):
    two = group(("x" * length, 1.0), ("y" * 100, 0.0))
    assert places(two, choose=choose, length_control="match") == [(0, 1)] * is_pair


PROMPTS = (
    group(),
    group(("a", None), ("b", NAN), ("c", INF)),
    group(("a", 1.0), ("", 0.0), (" \n", None)),
    group(("Yes.", 1.0), ("yes", 0.0)),
    group(("aa", 1.0), ("b" * 10, 0.0)),
    group(("aa", 1.0), ("bb", 1.0)),
    group(("aa", 1.0), ("bb", 0.0)),
    Group("p", ("a", "b", "c"), (1.0, 0.0, 0.5), ("stop", "length", None)),
)


@pytest.mark.parametrize("choose", CHOICES)
def test_all_that_can_become_of_a_prompt(choose: str):
    assert counted(*PROMPTS, choose=choose, length_control="match") == {
        "responses": 17,
        "no_reward": 4,
        "empty": 1,
        "unfinished": 1,
        "prompts": 8,
        "too_few": 3,
        "near_equal": 1,
        "length": 1,
        "margin": 1,
        "with_pair": 2,
        "pairs": 2,
    }


def test_those_cut_at_the_limit_are_kept_where_asked_for():
    assert places(PROMPTS[-1]) == [(0, 2)]
    assert places(PROMPTS[-1], keep_unfinished=True) == [(0, 1)]


@pytest.mark.parametrize(
    ("near", "long", "expected"),
    [(True, True, "length"), (True, False, "near_equal"), (False, True, "length")],
)
def test_a_prompt_is_counted_under_the_filter_that_leaves_nothing(
    near: bool, long: bool, expected: str
):
    """The best, a near-equal one, one of another length."""
    others = [("YES!", 0.0)] * near + [("no" * 50, 0.0)] * long
    found = counted(group(("yes", 1.0), *others), choose="max-random", length_control="match")
    assert found[expected] == 1
    assert "pairs" not in found


def test_the_longest_ranks_lower_without_the_effect_of_its_length():
    """Slopes of 1 a character in both prompts but for the 1.0 that the short one is ahead."""
    prompts = [
        group(("a", 0.0), ("b" * 11, 10.0), key="p"),
        group(("a", 0.0), ("b" * 11, 10.0), key="q"),
        group(("a", 2.0), ("b" * 11, 10.0), key="r"),
    ]
    choice = choose_pairs(prompts, PairingOptions(length_control="residual"), noise_floor=0.0)
    slope = (50 + 50 + 40) / 150
    assert choice.slope == pytest.approx(slope)
    assert [(pair.chosen, pair.rejected, pair.margin) for (pair,) in choice.pairs] == [
        (1, 0, 10.0),
        (1, 0, 10.0),
        (0, 1, -8.0),
    ]
    adjusted = [pair.adjusted_margin for (pair,) in choice.pairs]
    assert adjusted == pytest.approx([10 - 10 * slope] * 2 + [10 * slope - 8])


@unhurried
@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=5),
    st.sampled_from([-7.0, -0.1, -1e-3, 0.0, 1e-3, 0.3, 7.0]),
)
def test_rewards_that_are_length_alone_make_no_pair(lengths: list[tuple[int, int]], slope: float):
    prompts = [
        group(("x" * one, 3 + at + slope * one), ("y" * other, 3 + at + slope * other))
        for at, (one, other) in enumerate(lengths)
    ]
    found = choose_pairs(prompts, PairingOptions(length_control="residual"), noise_floor=0.0)
    assert found.counts.margin == len(prompts)


@pytest.mark.parametrize("choose", CHOICES)
@pytest.mark.parametrize("control", CONTROLS)
def test_a_run_of_nothing(choose: Choose, control: LengthControl):
    options = PairingOptions(choose=choose, length_control=control)
    found = choose_pairs([], options, noise_floor=0.0)
    assert (found.pairs, found.counts) == ((), Yield(0, 0, 0))


@pytest.mark.parametrize("seed", [-5, 0, 10**30])
def test_ugly_texts_make_pairs_for_any_seed(seed: int):
    ugly = ["🎉", "\ud800", "a\0", "!!!", "x" * 100_000, "谢谢", "\u200b"]
    one = group(*((text, float(at)) for at, text in enumerate(ugly)), key="\ud800\0")
    assert places(one, seed=seed) == [(6, 0)]
    assert len(places(one, seed=seed, choose="all-above-margin")) == 21


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"min_margin": -0.1}, "--min-margin -0.1; 0 or more was expected"),
        ({"min_margin": NAN}, "--min-margin nan"),
        ({"min_margin": INF}, "--min-margin inf"),
    ],
)
def test_options_that_cannot_be(given: dict[str, Any], expected: str):
    with pytest.raises(OptionError, match=expected):
        PairingOptions(**given)


@pytest.mark.parametrize("noise_floor", [-0.1, NAN])
def test_a_noise_floor_that_cannot_be_is_our_own_bug(noise_floor: float):
    with pytest.raises(AssertionError, match="noise floor"):
        choose_pairs([], PairingOptions(), noise_floor=noise_floor)
