"""What the figures of a comparison say, in sentences.

A win rate is told from chance where its 95 % interval excludes a half, a difference where its
paired interval excludes zero.
"""

from collections.abc import Mapping
from typing import Any

from flr.errors import without_particulars
from flr.report.words import (
    LEAST_PROMPTS,
    Figure,
    by_side,
    counted,
    known,
    points,
    reward_value,
    share,
    share_of,
    side_of,
)

LENGTH = "length"
"""The reward that is the length of the response; always there."""


def headline(results: Mapping[str, Any]) -> str:
    """The reward that is shown in detail: the first one."""
    return next((name for name in results["rewards"] if name != LENGTH), LENGTH)


def title(results: Mapping[str, Any]) -> str:
    """The question that the results answer."""
    others, reference = list(results["against"]), results["reference"]
    if not others:
        return f"Responses of {reference}"
    if len(others) > 1:
        return f"Whose responses beat those of {reference}?"
    return f"Do responses of {others[0]} beat those of {reference}?"


def _upper(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"


def told(results: Mapping[str, Any], name: str) -> str:
    """Under which rewards a policy wins against the reference, by the intervals.

    Args:
        results: the whole of `results.json`.
        name: of the policy.
    """
    counts = [rate["count"] for rate in results["against"][name]["win_rate"].values()]
    if min(results["prompts"]["count"], *counts) < LEAST_PROMPTS:
        return f"With fewer than {LEAST_PROMPTS} pairs nothing can be told from chance."
    rates = results["against"][name]["win_rate"]
    sides = {reward: side_of(rate, 0.5) for reward, rate in rates.items() if reward != LENGTH}
    words = {
        "above": "better than chance under",
        "below": "worse than chance under",
        "on": "not distinguishable from chance under",
        "unknown": "without an interval under",
    }
    worded = by_side(sides, words)
    if not worded:
        return ""
    return (
        f"By the 95 % interval, the win rate of {name} against {results['reference']} is {worded}."
    )


def _similar(figures: Mapping[str, Any], reward: str) -> str:
    """What is left of a win where both responses are of similar length."""
    similar = figures["win_rate_similar_length"].get(reward)
    if similar is None or not known(similar["value"]):
        return "No pair has responses of similar length."
    chance = {"on": ", not distinguishable from chance"}.get(side_of(similar, 0.5), "")
    if similar["count"] < LEAST_PROMPTS:
        chance = ", too few to tell anything from chance"
    return f"Among pairs of similar length it wins {share_of(similar)}{chance}."


def _length(figures: Mapping[str, Any], reference: str) -> str:
    longer, by = figures["longer"], figures["characters_difference"]
    if not known(longer["value"]):
        return "No pair is left to compare."
    return (
        f"Its response is the longer one in {share(longer)} of the pairs; its length less that of "
        f"{reference}'s: {reward_value(by)} characters."
    )


def _verifiable(results: Mapping[str, Any], name: str) -> str:
    """Pass rates of both, and whether they can be told apart."""
    difference: Figure | None = results["against"][name]["verifiable_difference"]
    if difference is None:
        return ""
    own, theirs = (
        results["policies"][one]["figures"]["verifiable"]["pass_rate"]
        for one in (name, results["reference"])
    )
    apart = {"on": "not distinguishable from none", "unknown": "without an interval"}
    said = apart.get(side_of(difference, 0.0), "more than chance")
    cut = results["policies"][name]["figures"]["verifiable"]["unfinished"]
    return (
        f"Of {counted(own['count'], 'verifiable prompt')} {name} passes {share(own)} and "
        f"{results['reference']} {share(theirs)}: a difference of {points(difference)} points, "
        f"{said}; {share(cut)} of its responses to them are unfinished."
    )


def _divergence(results: Mapping[str, Any], name: str) -> str:
    moved = results["policies"][name]["figures"]["divergence"]
    if moved is None:
        return ""
    return (
        f"Where it writes, {name} has moved {reward_value(moved)} nats a token from "
        f"{results['reference']} (KL)."
    )


def policy_summary(results: Mapping[str, Any], name: str) -> list[str]:
    """What the figures say of one policy against the reference, a sentence each.

    Args:
        results: the whole of `results.json`.
        name: of a policy that is not the reference.
    """
    figures, reward = results["against"][name], headline(results)
    first = (
        f"Under {reward}, the response of {name} has the higher reward in "
        f"{share(figures['win_rate'][reward])} of "
        f"{counted(figures['win_rate'][reward]['count'], 'pair')}."
    )
    sentences = [
        first if reward != LENGTH else "",
        told(results, name),
        _similar(figures, reward) if reward != LENGTH else "",
        _length(figures, results["reference"]),
        _verifiable(results, name),
        _divergence(results, name),
    ]
    return [_upper(sentence) for sentence in sentences if sentence]


def alone_summary(results: Mapping[str, Any]) -> list[str]:
    """What is said of a policy that nothing is held against."""
    name, reward = results["reference"], headline(results)
    figures = results["policies"][name]["figures"]
    passed = figures["verifiable"]
    sentences = [
        f"Only {name} was asked: there is nothing to compare it with.",
        f"Mean {reward}: {reward_value(figures['reward'][reward])}; "
        f"{reward_value(figures['characters'])} characters, {share(figures['unfinished'])} of the "
        "responses unfinished.",
    ]
    if passed:
        sentences.append(f"It passes {share_of(passed['pass_rate'])} verifiable prompts.")
    return sentences


def left_out(results: Mapping[str, Any]) -> list[str]:
    """How many prompts and responses have no reward, and why, a sentence a policy and reason.

    Reasons that differ in numbers and quoted texts alone are one, told as it was the first time.
    """
    reasons: dict[tuple[str, str, str, str], list[str]] = {}
    for name, row, response, reason in results["left_out"]:
        what, fate = "response", "left out"
        if response is None:
            what, fate = "prompt", "left out"
        if str(row).startswith("verifiable"):
            what, fate = "verifiable prompt", "not asked, and so not passed"
        reasons.setdefault((name, what, fate, without_particulars(reason)), []).append(reason)
    return [
        f"{name}: {counted(len(found), what)} {fate}: {found[0]}"
        + (f" (the first of {len(found)})" if len(set(found)) > 1 else "")
        for (name, what, fate, _), found in reasons.items()
    ]
