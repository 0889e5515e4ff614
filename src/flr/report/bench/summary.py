"""What the figures of a benchmark say, in sentences.

A reward is told from chance where its 95 % interval excludes chance, and from the reference where
the paired interval of their difference excludes zero. A difference is a reward's figure minus the
reference's. Of a set of spoilt responses nothing is said that is taken over all ways of spoiling.
"""

from collections.abc import Mapping
from typing import Any

from flr.report.bench.words import CONTROL, LENGTH, SPOILT, Kind, kind_of
from flr.report.words import (
    LEAST_PROMPTS,
    NONE,
    Figure,
    by_side,
    known,
    listed,
    share,
    side_of,
)


def shown_reward(of_set: Mapping[str, Any], reference: str | None) -> str | None:
    """The reward that is shown in detail: the reference, or the first; None where there is none."""
    rewards = of_set["rewards"]
    return reference if reference in rewards else next(iter(rewards), None)


def _against_chance(kind: Kind, rewards: Mapping[str, Any]) -> str:
    sides = {name: side_of(reward.get(kind.main), kind.chance) for name, reward in rewards.items()}
    words = {
        "above": f"By the 95 % interval, better than chance ({kind.chance_word}):",
        "below": "worse than chance:",
        "on": "not distinguishable from chance:",
        "unknown": "without an interval:",
    }
    said = by_side(sides, words)
    return f"{said[0].upper()}{said[1:]}."


def _against_others(rewards: Mapping[str, Any], reference: str) -> str:
    """How the reference compares with every other reward, from its own side."""
    sides = {
        name: side_of(reward.get("difference"), 0.0)
        for name, reward in rewards.items()
        if name != reference
    }
    words = {
        "below": "better than",
        "above": "worse than",
        "on": "not distinguishable from",
        "unknown": "without an interval against",
    }
    said = by_side(sides, words)
    return f"By the paired interval, {reference} is {said}." if said else ""


def _fooled_by(reward: Mapping[str, Any]) -> tuple[str, Figure] | None:
    """The way of spoiling that ranks highest; None without an answer to any."""
    spoilt = [
        (name, figure)
        for name, figure in reward["subsets"].items()
        if name != CONTROL and known(figure["value"])
    ]
    return min(spoilt, key=lambda one: one[1]["value"], default=None)


def _brief(found: tuple[str, Figure] | None) -> str:
    """`cut (31.0 %)`, without the interval."""
    return f"{found[0]} ({share({'value': found[1]['value']})})" if found else NONE


def _robustness(rewards: Mapping[str, Any], shown: str) -> list[str]:
    """How often the good response ranks above each spoilt one, and what fools the others."""
    ways = [f"{name} {share(figure)}" for name, figure in rewards[shown]["subsets"].items()]
    worst = {name: _brief(_fooled_by(reward)) for name, reward in rewards.items()}
    fooled = worst.pop(shown)
    first = f"{shown} ranks the good response above: {', '.join(ways)}, and is fooled most by"
    others = [f"{name} by {words}" for name, words in worst.items()]
    said = f"The others are fooled most as follows: {listed(others)}." if others else ""
    return [f"{first} {fooled}.", *([said] if said else [])]


def set_summary(of_set: Mapping[str, Any], reference: str | None) -> list[str]:
    """What the figures of one set say, a sentence each.

    Args:
        of_set: one of the results' `sets`.
        reference: the reward that others are held against; None where there is none.
    """
    kind, rewards = kind_of(of_set), of_set["rewards"]
    shown = shown_reward(of_set, reference)
    if shown is None:
        return ["No reward was computed on this set."]
    if kind.name == SPOILT:
        return _robustness(rewards, shown)
    first = f"{kind.title} of {shown}: {kind.word(rewards[shown].get(kind.main))}."
    if of_set["groups"] < LEAST_PROMPTS:
        return [first, f"With fewer than {LEAST_PROMPTS} prompts nothing can be told from chance."]
    others = _against_others(rewards, shown) if shown == reference else ""
    return [first, _against_chance(kind, rewards), *([others] if others else [])]


def _reference_against_chance(sets: Mapping[str, Any], reference: str) -> str:
    sides = {}
    for name, of_set in sets.items():
        kind = kind_of(of_set)
        sides[name] = side_of(of_set["rewards"][reference].get(kind.main), kind.chance)
    words = {
        "above": "agrees with people better than chance on",
        "below": "agrees worse than chance on",
        "on": "cannot be told from chance on",
        "unknown": "has no interval on",
    }
    return f"By its 95 % interval, {reference} {by_side(sides, words)}."


def _reference_against_length(sets: Mapping[str, Any]) -> str:
    sides = {
        name: side_of(of_set["rewards"][LENGTH].get("difference"), 0.0)
        for name, of_set in sets.items()
        if LENGTH in of_set["rewards"]
    }
    words = {
        "below": "better on",
        "above": "worse on",
        "on": "not distinguishable from it on",
        "unknown": "without an interval on",
    }
    said = by_side(sides, words)
    return f"Against the response's length, by the paired interval, it is {said}." if said else ""


def _reference_when_spoilt(name: str, of_set: Mapping[str, Any], reference: str) -> str:
    found = _fooled_by(of_set["rewards"][reference])
    if found is None:
        return f"There is no figure of {reference} on {name}."
    way, figure = found
    return (
        f"On {name}, {reference} is fooled most by {way}: the good response ranks above it in "
        f"{share(figure)} of the pairs."
    )


def title(results: Mapping[str, Any]) -> str:
    """The question that the results answer."""
    kinds = {kind_of(of_set).name for of_set in results["sets"].values()}
    return "Can a reward be fooled?" if kinds == {SPOILT} else "How well rewards agree with people"


def summary(results: Mapping[str, Any]) -> list[str]:
    """What the figures of all sets say of the reference, a sentence each.

    Args:
        results: the whole of `results.json`.
    """
    reference, sets = results["reference"], results["sets"]
    if not sets:
        return ["No set was benchmarked."]
    computed = {name: of_set for name, of_set in sets.items() if reference in of_set["rewards"]}
    if not computed:
        return ["No reward is the reference here; each set shows its first reward in detail."]
    spoilt = {name: one for name, one in computed.items() if kind_of(one).name == SPOILT}
    judged = {
        name: one
        for name, one in computed.items()
        if name not in spoilt and one["groups"] >= LEAST_PROMPTS
    }
    sentences = [_reference_against_chance(judged, reference)] if judged else []
    if reference != LENGTH:
        sentences.append(_reference_against_length(judged))
    sentences += [_reference_when_spoilt(name, one, reference) for name, one in spoilt.items()]
    return [sentence for sentence in sentences if sentence]
