"""The figures of a comparison: each policy's own, and each one's against the reference policy.

Every figure sees the same draws of prompts, so the interval of a difference is that of pairs: the
response of one policy against that of the other to the same prompt, of the same number. Equal
rewards and equal lengths count half, and two responses of the same text have equal rewards: what
they were measured beside is not theirs. An empty or an unfinished response counts as it is; one
that has no reward is left out of everything that is made of rewards.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float, Int

from flr.comparison.asking import Place, Said
from flr.comparison.rewards import Rewards, Values
from flr.diversity import distinct, distinct_across, words
from flr.evaluation.figures import Key, filled, inside_floor
from flr.pairing import LENGTH_TOLERANCE
from flr.resampling import Statistic, estimates, mean, share
from flr.stats import pairwise_points
from flr.verifiable import VerifiablePrompt

Statistics = dict[Key, Statistic]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that is known of one policy.

    Args:
        said: its responses.
        rewards: of these.
        judged: what rewards that compare say of its response, held against the reference's.
        against: what they say of the reference's, held against its own.
        divergence: of each response from the reference policy; None where it was not measured.
        passes: whether its response to each verifiable prompt passes; None where none was asked.
        cut: whether that response is unfinished.
    """

    said: Mapping[Place, Said]
    rewards: Rewards
    judged: Rewards = field(default_factory=Rewards)
    against: Rewards = field(default_factory=Rewards)
    divergence: Values | None = None
    passes: Sequence[bool] | None = None
    cut: Sequence[bool] = ()


@final
@dataclass(frozen=True, slots=True)
class Groups:
    """Which group of the bootstrap a prompt belongs to: rows of one prompt are one group.

    Args:
        of: group of each row, from 0, by the row's number.
        count: how many there are.
    """

    of: Mapping[int, int]
    count: int

    def index(self, places: Sequence[Place]) -> Int[np.ndarray, " response"]:
        """The group of each response."""
        return np.array([self.of[number] for number, _ in places], np.int64)


def _column(values: Values, places: Sequence[Place]) -> Float[np.ndarray, " response"]:
    return np.array([values[place] for place in places], np.float64)


def _names(rewards: Rewards) -> list[str]:
    """The rewards by name, length last: it is there to be held against the others."""
    return sorted(rewards.values, key=lambda name: name == "length")


def _of_rewards(rewards: Rewards, groups: Groups, at: Key) -> Statistics:
    """The mean of each reward, whole and by category."""
    found: Statistics = {}
    for name in _names(rewards):
        values = rewards.values[name]
        places = sorted(values)
        index = groups.index(places)
        found[*at, "reward", name] = mean(_column(values, places), index)
        for part, own in rewards.categories.get(name, {}).items():
            found[*at, "reward_by_category", name, part] = mean(_column(own, places), index)
    return found


def _of_texts(said: Mapping[Place, Said], groups: Groups, at: Key) -> Statistics:
    """What is counted of the responses themselves."""
    places = sorted(said)
    index = groups.index(places)

    def column(of: Callable[[Said], float]) -> Float[np.ndarray, " response"]:
        return np.array([of(said[place]) for place in places], np.float64)

    found: Statistics = {
        (*at, "characters"): mean(column(lambda one: len(one.text)), index),
        (*at, "tokens"): mean(column(lambda one: one.tokens), index),
        (*at, "unfinished"): share(column(lambda one: not one.finished), index),
        (*at, "empty"): share(column(lambda one: not one.text.strip()), index),
    }
    for n in (1, 2):
        values = column(lambda one, n=n: distinct(words(one.text), n))
        found[*at, f"distinct_{n}"] = share(values, index).where(~np.isnan(values))
    return found


def _of_policy(policy: Policy, groups: Groups, at: Key) -> Statistics:
    found = _of_texts(policy.said, groups, at)
    found |= _of_rewards(policy.rewards | policy.judged, groups, at)
    if policy.divergence is not None:
        places = sorted(policy.divergence)
        values = _column(policy.divergence, places)
        found[*at, "divergence"] = mean(values, groups.index(places))
    return found


def _similar(
    lengths: Float[np.ndarray, " pair"], others: Float[np.ndarray, " pair"]
) -> Bool[np.ndarray, " pair"]:
    return np.abs(lengths - others) <= LENGTH_TOLERANCE * np.maximum(lengths, others)


def _both(policy: Policy, reference: Policy) -> tuple[Rewards, Rewards, list[Place]]:
    """What is held against each other: the rewards of both, and the responses that have all."""
    mine, theirs = policy.rewards | policy.judged, reference.rewards | policy.against
    return mine, theirs, sorted(mine.places & theirs.places)


def _against(policy: Policy, reference: Policy, groups: Groups, at: Key) -> Statistics:
    """The policy's responses held against the reference's."""
    mine, theirs, places = _both(policy, reference)
    index = groups.index(places)
    lengths, others = (
        np.array([len(one.said[place].text) for place in places], np.float64)
        for one in (policy, reference)
    )
    similar = _similar(lengths, others)
    differ = np.array([policy.said[p].text != reference.said[p].text for p in places], np.bool_)
    found: Statistics = {}
    for name in _names(mine):
        margins = _column(mine.values[name], places) - _column(theirs.values[name], places)
        margins *= differ
        wins = share(pairwise_points(margins), index)
        found[*at, "win_rate", name] = wins
        found[*at, "win_rate_similar_length", name] = wins.where(similar)
        found[*at, "difference", name] = mean(margins, index)
        for part, own in mine.categories.get(name, {}).items():
            of_part = _column(own, places) - _column(theirs.categories[name][part], places)
            of_part *= differ
            by = share(pairwise_points(of_part), index)
            found[*at, "win_rate_by_category", name, part] = by
            found[*at, "difference_by_category", name, part] = mean(of_part, index)
    found[*at, "longer"] = share(pairwise_points(lengths - others), index)
    found[*at, "characters_difference"] = mean(lengths - others, index)
    return found


def _verifiable(
    policies: Mapping[str, Policy], reference: str, prompts: Sequence[VerifiablePrompt]
) -> Statistics:
    """Pass rates, whole and by kind, and the paired difference of each to the reference's."""
    index = np.arange(len(prompts))
    kinds = np.array([prompt.kind for prompt in prompts])
    passed = {name: np.array(one.passes, np.float64) for name, one in policies.items()}
    found: Statistics = {}
    for name, own in passed.items():
        at, rate = ("policies", name, "figures", "verifiable"), share(own, index)
        found[*at, "pass_rate"] = rate
        for kind in dict.fromkeys(kinds.tolist()):
            found[*at, "by_kind", kind] = rate.where(kinds == kind)
        if policies[name].cut:
            found[*at, "unfinished"] = share(np.array(policies[name].cut, np.float64), index)
        if name != reference:
            found["against", name, "verifiable_difference"] = mean(own - passed[reference], index)
    return found


def _across(said: Mapping[Place, Said], places: Sequence[Place]) -> dict[str, Any]:
    """Distinct-2 of all responses together; it has no interval, as it falls with their number."""
    value = distinct_across((words(said[place].text) for place in places), 2)
    plain = None if np.isnan(value) else value
    return {"value": plain, "interval": [None, None], "count": len(places)}


def _plain(policy: Policy, common: Sequence[Place]) -> dict[str, Any]:
    """Where a policy's figures go, in their order."""
    return {
        "characters": {},
        "tokens": {},
        "unfinished": {},
        "empty": {},
        "distinct_1": {},
        "distinct_2": {},
        "distinct_2_across": _across(policy.said, common),
        "reward": {},
        "reward_by_category": {},
        "verifiable": None
        if policy.passes is None
        else {"pass_rate": {}, "unfinished": {}, "by_kind": {}},
        "divergence": None if policy.divergence is None else {},
    }


def _inside_floors(policy: Policy, reference: Policy) -> dict[str, int | None]:
    """By reward, how many decisions noise may have made; those of equal texts it did not make."""
    mine, theirs, places = _both(policy, reference)
    differing = [p for p in places if policy.said[p].text != reference.said[p].text]
    return {
        name: inside_floor(
            _column(mine.values[name], differing) - _column(theirs.values[name], differing), floor
        )
        for name, floor in reference.rewards.floors.items()
        if name in mine.values and floor  # what is counted, as length, has none
    }


def _plain_against(policy: Policy, reference: Policy) -> dict[str, Any]:
    return {
        "win_rate": {},
        "win_rate_by_category": {},
        "win_rate_similar_length": {},
        "difference": {},
        "difference_by_category": {},
        "inside_floor": _inside_floors(policy, reference),
        "longer": {},
        "characters_difference": {},
        "verifiable_difference": None if policy.passes is None else {},
    }


def common_places(policies: Mapping[str, Policy]) -> list[Place]:
    """The responses that every policy has."""
    return sorted(set[Place].intersection(*(set(one.said) for one in policies.values())))


def figures(
    policies: Mapping[str, Policy],
    groups: Groups,
    prompts: Sequence[VerifiablePrompt] = (),
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Every figure of a comparison.

    Args:
        policies: by name, the reference policy first.
        groups: of the prompts.
        prompts: the verifiable ones, in the order of `Policy.passes`.
        seed: of the resamples; the same seed gives the same intervals.

    Returns:
        `policies`, by name the `figures` of each; and `against`, by name of each but the reference.
        A figure is `{"value", "interval", "count"}`.
    """
    reference, *others = policies
    common = common_places(policies)
    statistics: Statistics = {}
    for name, policy in policies.items():
        statistics |= _of_policy(policy, groups, ("policies", name, "figures"))
    for name in others:
        first = policies[reference]
        statistics |= _against(policies[name], first, groups, ("against", name))
    found = estimates(statistics, groups.count, seed)
    if prompts:
        found |= estimates(_verifiable(policies, reference, prompts), len(prompts), seed)
    plain = {
        "policies": {name: {"figures": _plain(one, common)} for name, one in policies.items()},
        "against": {name: _plain_against(policies[name], policies[reference]) for name in others},
    }
    return filled(plain, found)
