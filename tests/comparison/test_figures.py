"""The figures of a comparison, derived by hand, and mirrored where two policies change places."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.comparison.asking import Place, Said
from flr.comparison.figures import Groups, Policy, common_places, figures
from flr.comparison.rewards import Rewards
from flr.verifiable import VerifiablePrompt

EACH_ALONE = Groups({number: number - 1 for number in range(1, 9)}, 8)


def rewarded(values: Mapping[Place, float], texts: Mapping[Place, str]) -> Rewards:
    """A reward with one category that is its double, and length."""
    length = {place: float(len(texts[place])) for place in values}
    double = {"clear": {place: 2 * value for place, value in values.items()}}
    return Rewards({"flr": values, "length": length}, {"flr": double})


def policy(
    texts: Mapping[Place, str], values: Mapping[Place, float] | None = None, **more: Any
) -> Policy:
    """A policy that said these; texts that end in `…` are unfinished."""
    said = {place: Said(text, len(text.split()), text[-1:] != "…") for place, text in texts.items()}
    known = dict.fromkeys(texts, 0.0) if values is None else values
    return Policy(said=said, rewards=rewarded(known, texts), **more)


def numbered(texts: Sequence[str]) -> dict[Place, str]:
    return {(number, 0): text for number, text in enumerate(texts, 1)}


def valued(values: Sequence[float]) -> dict[Place, float]:
    return {(number, 0): value for number, value in enumerate(values, 1)}


A = policy(numbered(["a b", "a b a b", "abcd", "so so…"]), valued([1.0, 2.0, 3.0, 4.0]))
B = policy(numbered(["a b c", "a b a b", "", "so…"]), valued([2.0, 2.0, 1.0, 4.5]))


def value(found: Any) -> Any:
    return pytest.approx(found) if found is not None else None


def test_what_the_responses_are_like_by_hand():
    found = figures({"A": A, "B": B}, EACH_ALONE)["policies"]["B"]["figures"]
    assert found["characters"]["value"] == value((5 + 7 + 0 + 3) / 4)
    assert found["tokens"]["value"] == value((3 + 4 + 0 + 1) / 4)
    assert found["unfinished"]["value"] == value(1 / 4)
    assert found["empty"]["value"] == value(1 / 4)
    # words: a b c; a b a b; none; so …
    assert found["distinct_1"] == {**found["distinct_1"], "value": value((1 + 0.5 + 1) / 3)}
    assert found["distinct_1"]["count"] == 3
    # pairs: ab bc; ab ba ab; none; so-…
    assert found["distinct_2"]["value"] == value((1 + 2 / 3 + 1) / 3)
    assert found["distinct_2_across"] == {
        "value": value(4 / 6),
        "interval": [None, None],
        "count": 4,
    }
    assert found["reward"]["flr"]["value"] == value(9.5 / 4)
    assert found["reward_by_category"]["flr"]["clear"]["value"] == value(19 / 4)
    assert found["reward"]["length"] == found["characters"]
    assert found["verifiable"] is None
    assert found["divergence"] is None


def test_one_against_the_other_by_hand():
    found = figures({"A": A, "B": B}, EACH_ALONE)
    assert list(found["against"]) == ["B"]
    against = found["against"]["B"]
    # margins: +1, 0, -2, +0.5
    assert against["win_rate"]["flr"]["value"] == value((1 + 0.5 + 0 + 1) / 4)
    assert against["win_rate"]["flr"]["count"] == 4
    assert against["win_rate_by_category"]["flr"]["clear"] == against["win_rate"]["flr"]
    assert against["difference"]["flr"]["value"] == value(-0.5 / 4)
    assert against["difference_by_category"]["flr"]["clear"]["value"] == value(-1 / 4)
    # lengths: 5 and 3, 7 and 7, 0 and 4, 3 and 6: only the second pair is similar
    assert against["win_rate_similar_length"]["flr"]["value"] == value(0.5)
    assert against["win_rate_similar_length"]["flr"]["count"] == 1
    assert against["longer"]["value"] == value((1 + 0.5 + 0 + 0) / 4)
    assert against["win_rate"]["length"] == against["longer"]
    assert against["characters_difference"]["value"] == value((2 + 0 - 4 - 3) / 4)
    assert against["verifiable_difference"] is None


def test_the_same_text_has_the_same_reward_whatever_it_was_measured_beside():
    texts = numbered(["same", "one"])
    other = numbered(["same", "two"])
    found = figures(
        {"A": policy(texts, valued([1.0, 0.0])), "B": policy(other, valued([1.1, 1.0]))}, EACH_ALONE
    )["against"]["B"]
    assert found["win_rate"]["flr"]["value"] == value((0.5 + 1) / 2)
    assert found["win_rate_by_category"]["flr"]["clear"]["value"] == value((0.5 + 1) / 2)
    assert found["difference"]["flr"]["value"] == value(1 / 2)
    assert found["difference_by_category"]["flr"]["clear"]["value"] == value(2 / 2)


def test_decisions_inside_the_noise_floor_are_counted():
    one, two = numbered(["same", "b", "c", "d"]), numbered(["same", "B", "C", "D"])
    mine = policy(one, valued([0.0, 0.0, 0.0, 0.0]))
    mine = replace(mine, rewards=replace(mine.rewards, floors={"flr": 0.1}))
    theirs = policy(two, valued([0.0, 0.2, -0.3, 0.1]))
    found = figures({"A": mine, "B": theirs}, EACH_ALONE)["against"]["B"]
    # margins: none (one text), 0.2, -0.3, 0.1; either reward may be off by 0.1
    assert found["inside_floor"] == {"flr": 2}


def test_those_inside_the_noise_floor_are_among_those_that_a_win_rate_counts():
    """A judge has an opinion on two of four responses."""
    one, two = numbered(["a", "b", "c", "d"]), numbered(["A", "B", "C", "D"])
    floors = {"flr": 0.1, "length": 0.0}
    judged = Rewards({"judge": {(1, 0): 1.0, (2, 0): 0.0}})
    mine = policy(one, valued([0.0] * 4))
    mine = replace(mine, rewards=replace(mine.rewards, floors=floors))
    theirs = replace(policy(two, valued([0.1] * 4)), judged=judged, against=judged)
    found = figures({"A": mine, "B": theirs}, EACH_ALONE)["against"]["B"]
    assert found["win_rate"]["flr"]["count"] == 2
    assert found["inside_floor"] == {"flr": 2}


@pytest.mark.parametrize(
    ("one", "other", "similar"), [(100, 75, 1), (100, 74, 0), (4, 3, 1), (0, 0, 1), (1, 0, 0)]
)
def test_lengths_are_similar_up_to_a_quarter_of_the_longer(one: int, other: int, similar: int):
    texts = (numbered(["x" * one]), numbered(["x" * other]))
    for first, second in (texts, texts[::-1]):
        found = figures({"A": policy(first), "B": policy(second)}, EACH_ALONE)["against"]["B"]
        assert found["win_rate_similar_length"]["flr"]["count"] == similar


def test_no_pair_of_similar_length_is_no_answer():
    found = figures({"A": policy(numbered(["x"])), "B": policy(numbered(["x" * 9]))}, EACH_ALONE)
    assert found["against"]["B"]["win_rate_similar_length"]["flr"] == {
        "value": None,
        "interval": [None, None],
        "count": 0,
    }


def test_a_response_without_a_reward_is_left_out_of_all_that_is_made_of_rewards():
    texts = numbered(["a", "bb", "ccc"])
    partly = policy(texts, {(1, 0): 5.0, (3, 0): 5.0})
    found = figures({"A": policy(texts), "B": partly}, EACH_ALONE)
    assert found["policies"]["B"]["figures"]["characters"]["value"] == 2
    assert found["policies"]["B"]["figures"]["reward"]["flr"] == {
        "value": 5.0,
        "interval": [5.0, 5.0],
        "count": 2,
    }
    assert found["against"]["B"]["win_rate"]["flr"]["count"] == 2
    assert found["against"]["B"]["longer"]["count"] == 2


def test_responses_of_one_number_are_a_pair():
    texts = {(1, 0): "a", (1, 1): "b", (2, 0): "c", (2, 1): "d"}
    low = policy(texts, {(1, 0): 0.0, (1, 1): 9.0, (2, 0): 0.0, (2, 1): 9.0})
    high = policy(texts, {(1, 0): 1.0, (1, 1): 8.0, (2, 0): 1.0, (2, 1): 8.0})
    found = figures({"A": low, "B": high}, Groups({1: 0, 2: 1}, 2))["against"]["B"]
    assert found["win_rate"]["flr"] == {"value": 0.5, "interval": [0.5, 0.5], "count": 4}


def test_rows_of_one_prompt_are_drawn_together():
    texts, values = numbered(["a"] * 4), valued([0.0, 0.0, 1.0, 1.0])
    two = Groups({1: 0, 2: 0, 3: 1, 4: 1}, 2)
    other = policy(numbered(["b"] * 4), valued([0.5] * 4))
    apart = figures({"A": policy(texts, values), "B": other}, EACH_ALONE)["against"]["B"]
    together = figures({"A": policy(texts, values), "B": other}, two)["against"]["B"]
    assert together["win_rate"]["flr"]["interval"] == [0.0, 1.0]
    assert apart["win_rate"]["flr"]["value"] == together["win_rate"]["flr"]["value"] == 0.5


def test_one_policy_alone_has_figures_and_nothing_against_it():
    found = figures({"A": A}, EACH_ALONE)
    assert found["against"] == {}
    assert found["policies"]["A"]["figures"]["reward"]["flr"]["value"] == 2.5


def test_policies_that_are_added_change_nothing_for_the_others():
    two = figures({"A": A, "B": B}, EACH_ALONE)
    three = figures({"A": A, "B": B, "C": policy(numbered(["x"] * 4))}, EACH_ALONE)
    assert three["against"]["B"] == two["against"]["B"]
    assert three["policies"]["A"] == two["policies"]["A"]


def test_diversity_of_all_responses_is_taken_of_as_many_of_each_policy():
    fewer = policy({(1, 0): "a b", (3, 0): "a b"})
    policies = {"A": A, "B": fewer}
    assert common_places(policies) == [(1, 0), (3, 0)]
    found = figures(policies, EACH_ALONE)["policies"]
    assert found["A"]["figures"]["distinct_2_across"]["count"] == 2
    assert found["A"]["figures"]["distinct_2_across"]["value"] == 1  # a b; abcd has no pair
    assert found["B"]["figures"]["distinct_2_across"]["value"] == 0.5


def test_divergence_is_the_mean_over_responses():
    moved = replace(B, divergence={(1, 0): 0.5, (2, 0): 0.1})
    found = figures({"A": A, "B": moved}, EACH_ALONE)["policies"]
    assert found["B"]["figures"]["divergence"]["value"] == value(0.3)
    assert found["B"]["figures"]["divergence"]["count"] == 2


def asked(*kinds: str) -> list[VerifiablePrompt]:
    return [VerifiablePrompt(f"p{n}", kind, "?", {}, "", "") for n, kind in enumerate(kinds)]


def test_pass_rates_by_kind_and_their_difference():
    first = replace(A, passes=(True, False, False, True))
    second = replace(B, passes=(True, True, False, True))
    prompts = asked("number", "number", "words", "words")
    found = figures({"A": first, "B": second}, EACH_ALONE, prompts)
    verifiable = found["policies"]["B"]["figures"]["verifiable"]
    assert verifiable["pass_rate"]["value"] == 0.75
    assert verifiable["pass_rate"]["count"] == 4
    assert {kind: one["value"] for kind, one in verifiable["by_kind"].items()} == {
        "number": 1.0,
        "words": 0.5,
    }
    assert verifiable["by_kind"]["number"]["interval"][0] < 0.6  # two of two say little
    difference = found["against"]["B"]["verifiable_difference"]
    assert difference["value"] == 0.25
    assert difference["interval"] == [0.0, 0.75]  # of four prompts one differs


def test_what_a_judge_says_is_held_against_what_it_says_of_the_other():
    places = [(1, 0), (2, 0)]
    prefers = Rewards({"judge:M": dict(zip(places, (0.9, 0.5), strict=True))})
    rest = Rewards({"judge:M": dict(zip(places, (0.1, 0.5), strict=True))})
    texts = numbered(["a", "b"])
    judged = policy(texts, judged=prefers, against=rest)
    found = figures({"A": policy(numbered(["A", "B"])), "B": judged}, EACH_ALONE)
    assert found["against"]["B"]["win_rate"]["judge:M"]["value"] == 0.75
    assert found["against"]["B"]["difference"]["judge:M"]["value"] == value(0.4)
    assert found["policies"]["B"]["figures"]["reward"]["judge:M"]["value"] == value(0.7)
    assert "judge:M" not in found["policies"]["A"]["figures"]["reward"]


def test_a_pair_that_a_judge_could_not_take_is_left_out_for_every_reward():
    texts = numbered(["a", "b"])
    only = Rewards({"judge:M": {(2, 0): 0.5}}, left_out={(1, 0): "too long"})
    found = figures({"A": policy(texts), "B": policy(texts, judged=only, against=only)}, EACH_ALONE)
    rates = found["against"]["B"]["win_rate"]
    assert {name: rate["count"] for name, rate in rates.items()} == {
        "flr": 1,
        "length": 1,
        "judge:M": 1,
    }


RESPONSES = st.lists(
    st.tuples(st.text("a b", max_size=9), st.sampled_from([-1.5, 0.0, 0.25, 3.0])),
    min_size=6,
    max_size=6,
)


def _mirrored(found: Mapping[str, Any], about: float) -> dict[str, Any]:
    """A figure as it is where both policies change places."""
    low, high = found["interval"]
    return {
        "value": None if found["value"] is None else pytest.approx(about - found["value"]),
        "interval": [
            None if end is None else pytest.approx(about - end, abs=1e-9) for end in (high, low)
        ],
        "count": found["count"],
    }


@settings(max_examples=20)
@given(RESPONSES, RESPONSES)
def test_two_policies_that_change_places_mirror_the_figures(one: list, other: list):
    first, second = (
        policy(numbered([text for text, _ in of]), valued([reward for _, reward in of]))
        for of in (one, other)
    )
    there = figures({"A": first, "B": second}, EACH_ALONE)["against"]["B"]
    back = figures({"B": second, "A": first}, EACH_ALONE)["against"]["A"]
    for key in ("win_rate", "win_rate_similar_length"):
        for reward in ("flr", "length"):
            assert back[key][reward] == _mirrored(there[key][reward], 1.0)
    assert back["longer"] == _mirrored(there["longer"], 1.0)
    assert back["difference"]["flr"] == _mirrored(there["difference"]["flr"], 0.0)
    assert back["characters_difference"] == _mirrored(there["characters_difference"], 0.0)
