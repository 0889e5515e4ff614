"""Which responses to a prompt make preference pairs: a pure choice from texts and rewards.

Of the responses that can be used (`responses` says which, and what they are judged by):

    max-min             the best against the worst
    max-random          the best against a random one of the admissible others
    max-mean            the best against the admissible other whose reward is nearest the mean
    all-above-margin    every admissible pair

A pair is admissible where its texts are not near-equal, its lengths match (if asked for) and its
margin is above the minimum. If best and worst make no admissible pair, max-min takes none; under
length control `match` it looks at the pairs of matching lengths, and takes the largest margin.
Responses of equal reward are ordered by a hash of seed, prompt and text, never by position: the
choice does not depend on the order in which they came.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum, isfinite
from typing import Literal

from flr.errors import OptionError
from flr.responses import Group, Response, left_out, length_slope, ranked, usable

Choose = Literal["max-min", "max-random", "max-mean", "all-above-margin"]
LengthControl = Literal["none", "residual", "match"]

LENGTH_TOLERANCE = 0.25
"""Lengths match where they differ by at most this part of the longer one."""

ROUNDING = 1e-9
"""A margin of at most this part of the effects of length that were taken out is their rounding."""


@dataclass(frozen=True, kw_only=True)
class PairingOptions:
    """Which responses make a pair."""

    choose: Choose = "max-min"
    """The best response against the worst, a random one, or the one nearest the mean reward; or
    all pairs above the minimum margin."""
    min_margin: float | None = None
    """Keep only pairs with a larger margin, unit of the reward [default: twice the noise floor, or
    0 where rewards came with the file]."""
    keep_unfinished: bool = False
    """Keep responses that were cut at the token limit."""
    length_control: LengthControl = "none"
    """residual: take the linear effect of length out of the rewards; match: pair only responses
    whose lengths differ by at most 25 %."""

    def __post_init__(self) -> None:
        if self.min_margin is not None and not (isfinite(self.min_margin) and self.min_margin >= 0):
            raise OptionError(f"--min-margin {self.min_margin}; 0 or more was expected")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses, by their places in the group.

    Args:
        chosen: the better one, from 0.
        rejected: the other one.
        margin: reward of the chosen minus reward of the rejected.
        adjusted_margin: the same of the rewards by which they are judged; always above the minimum.
            It differs from `margin` under `residual` alone, where `margin` may even be negative.
    """

    chosen: int
    rejected: int
    margin: float
    adjusted_margin: float


@dataclass(frozen=True, slots=True)
class Yield:
    """What became of all responses and prompts, each counted once.

    Args:
        responses: all of them.
        prompts: all of them.
        pairs: all of them.
        no_reward: responses left out because they have none.
        empty: of the others, those left out because they are white space at most.
        unfinished: of the others, those left out because they were cut at the token limit.
        too_few: prompts with fewer than two responses left.
        near_equal: of the others, those without a pair because of near-equal texts.
        length: because of lengths that do not match.
        margin: because of margins that are not above the minimum, ties among them.
        with_pair: prompts with at least one pair.
    """

    responses: int
    prompts: int
    pairs: int
    no_reward: int = 0
    empty: int = 0
    unfinished: int = 0
    too_few: int = 0
    near_equal: int = 0
    length: int = 0
    margin: int = 0
    with_pair: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The pairs of a run.

    Args:
        pairs: those of each group; of several, the one with the highest chosen reward comes first.
        counts: what became of responses and prompts.
        min_margin: the minimum in force, unit of the reward.
        slope: effect of length, unit of the reward per character; None unless under `residual`.
    """

    pairs: tuple[tuple[Pair, ...], ...]
    counts: Yield
    min_margin: float
    slope: float | None


_Two = tuple[Response, Response]  # the first one ranks above the second
_Filters = dict[str, Callable[[_Two], bool]]


def _margin(two: _Two) -> float:
    return two[0].adjusted - two[1].adjusted


def _lengths_match(two: _Two) -> bool:
    shorter, longer = sorted(one.length for one in two)
    return longer - shorter <= LENGTH_TOLERANCE * longer


def _is_above(two: _Two, min_margin: float) -> bool:
    rounding = ROUNDING * sum(abs(one.effect) for one in two)
    return _margin(two) > max(min_margin, rounding)


def _filters(options: PairingOptions, min_margin: float) -> _Filters:
    """What an admissible pair passes, in this order, under the names in `Yield`."""
    return {
        "near_equal": lambda two: two[0].bare != two[1].bare,
        "length": lambda two: options.length_control != "match" or _lengths_match(two),
        "margin": lambda two: _is_above(two, min_margin),
    }


def _candidates(ranking: Sequence[Response], options: PairingOptions) -> list[_Two]:
    best, worst = ranking[0], ranking[-1]
    if options.choose == "max-min":
        every = combinations(ranking, 2) if options.length_control == "match" else ()
        return [max(filter(_lengths_match, every), key=_margin, default=(best, worst))]
    if options.choose == "all-above-margin":
        return list(combinations(ranking, 2))
    return [(best, other) for other in ranking[1:]]


def _picked(admissible: list[_Two], ranking: Sequence[Response], choose: Choose) -> list[_Two]:
    if choose == "max-random":
        return [min(admissible, key=lambda two: two[1].order)]
    if choose == "max-mean":
        mean = fsum(one.adjusted for one in ranking) / len(ranking)
        return [min(admissible, key=lambda two: abs(two[1].adjusted - mean))]
    return admissible


def _chosen(
    ranking: Sequence[Response], options: PairingOptions, filters: _Filters
) -> tuple[list[_Two], str]:
    """The pairs of a prompt, and the field of `Yield` that counts the prompt."""
    if len(ranking) < 2:
        return [], "too_few"
    admissible = _candidates(ranking, options)
    for name, passes in filters.items():
        admissible = list(filter(passes, admissible))
        if not admissible:
            return [], name
    return _picked(admissible, ranking, options.choose), "with_pair"


def _pair(two: _Two) -> Pair:
    chosen, rejected = two
    return Pair(chosen.index, rejected.index, chosen.reward - rejected.reward, _margin(two))


def choose_pairs(
    groups: Sequence[Group], options: PairingOptions, *, noise_floor: float, seed: int = 0
) -> Choice:
    """The preference pairs of a run.

    Args:
        groups: all prompts of the run.
        options: which responses make a pair.
        noise_floor: how far one reward may be off by the arithmetic alone, unit of the reward; 0
            where rewards are exact. Two rewards may be off by twice that.
        seed: of random choices and of the order of equal rewards.

    Returns:
        Pairs and counts. The pairs of a group do not depend on other groups, but for the slope.

    Example:
        >>> texts, rewards = ("Paris.", "Lyon.", "Nice?"), (2.0, 0.5, 1.0)
        >>> group = Group("Capital of France?", texts, rewards, (None,) * 3)
        >>> choose_pairs([group], PairingOptions(), noise_floor=0.001).pairs
        ((Pair(chosen=0, rejected=1, margin=1.5, adjusted_margin=1.5),),)
    """
    assert noise_floor >= 0, f"a noise floor of {noise_floor}"
    min_margin = 2 * noise_floor if options.min_margin is None else options.min_margin
    keep = options.keep_unfinished
    left = [usable(group, keep_unfinished=keep, seed=seed) for group in groups]
    slope = length_slope(left) if options.length_control == "residual" else None
    filters = _filters(options, min_margin)
    found = [_chosen(ranked(responses, slope or 0.0), options, filters) for responses in left]
    pairs = tuple(tuple(map(_pair, twos)) for twos, _ in found)
    reasons = [why for group in groups for why in left_out(group, keep_unfinished=keep)]
    counted = Counter([*filter(None, reasons), *(outcome for _, outcome in found)])
    counts = Yield(len(reasons), len(groups), sum(map(len, pairs)), **counted)
    return Choice(pairs, counts, min_margin, slope)
