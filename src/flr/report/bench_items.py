"""What the page of a benchmark shows of single responses: pairs, bins of margins, disagreements.

From the rows of `items.jsonl` alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median
from typing import Any

import numpy as np
from jaxtyping import Float

from flr.report.bench_words import known
from flr.stats import bootstrap_interval, pairwise_points

WORST = 20
"""How many disagreements are shown of a set."""

BINS = 8
"""Bins of margins, at most."""

BIN_SIZE = 10
"""Pairs in a bin, at least; a set of fewer pairs is one bin."""

RESAMPLES = 2_000
"""Bootstrap means behind the interval of a bin."""


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """One response with its reward.

    Args:
        item: the row of `items.jsonl`.
        index: place of the response in it, from 0.
        reward: its reward by the reward that is shown.
    """

    item: Mapping[str, Any]
    index: int
    reward: float

    @property
    def text(self) -> str:
        """What the response says."""
        return self.item["responses"][self.index]

    @property
    def label(self) -> float:
        """What people said of it; see `datasets.base.Item`."""
        return float(self.item["labels"][self.index])

    @property
    def system(self) -> str:
        """Who wrote it; empty where the set does not say."""
        return self.item["systems"][self.index] if self.item["systems"] else ""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two responses to one prompt, of which people found the first better."""

    better: Response
    worse: Response

    @property
    def margin(self) -> float:
        """Reward of the better response minus reward of the worse."""
        return self.better.reward - self.worse.reward

    @property
    def longer_by(self) -> int:
        """Characters of the better response minus those of the worse."""
        return len(self.better.text) - len(self.worse.text)


def responses(items: Iterable[Mapping[str, Any]], reward: str) -> list[Response]:
    """Every response that has the reward, in the items' order."""
    return [
        Response(item, index, float(value))
        for item in items
        for index, value in enumerate(item["rewards"].get(reward, []))
        if known(value)
    ]


def _decisive(item: Sequence[Response]) -> list[Pair]:
    """The pair that decides an item: its lowest preferred reward and its highest other one."""
    preferred = [response for response in item if response.label == 1]
    others = [response for response in item if response.label != 1]
    if not preferred or not others:
        return []
    lowest = min(preferred, key=lambda response: response.reward)
    return [Pair(lowest, max(others, key=lambda response: response.reward))]


def _rated(item: Sequence[Response]) -> list[Pair]:
    """Every two responses of an item that are rated differently."""
    two = [(one, other) for one, other in combinations(item, 2) if one.label != other.label]
    return [Pair(*(both if both[0].label > both[1].label else both[::-1])) for both in two]


def pairs_of(kind: str, scored: Iterable[Response]) -> list[Pair]:
    """The pairs that a set's accuracy counts: the one that decides an item, or all rated apart.

    Args:
        kind: `pairwise` or `rating`; a ranking has no pairs.
        scored: responses of one set.
    """
    items: dict[str, list[Response]] = {}
    for response in scored:
        items.setdefault(response.item["item"], []).append(response)
    pairs = {"pairwise": _decisive, "rating": _rated, "ranking": lambda _: []}[kind]
    return [pair for item in items.values() for pair in pairs(item)]


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs of similar margin.

    Args:
        margin: median of their absolute margins.
        figure: their accuracy, ties half a point.
    """

    margin: float
    figure: dict[str, Any]


def _bin(pairs: Sequence[Pair]) -> Bin:
    margins = np.array([pair.margin for pair in pairs])
    points = pairwise_points(margins)
    names = [pair.better.item["group"] for pair in pairs]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = np.array([numbers[name] for name in names])
    interval = bootstrap_interval(points, groups=groups, resamples=RESAMPLES)
    figure = {"value": float(points.mean()), "interval": list(interval), "count": len(pairs)}
    return Bin(median(abs(pair.margin) for pair in pairs), figure)


def accuracy_by_margin(pairs: Sequence[Pair]) -> list[Bin]:
    """Accuracy in bins of equally many pairs, the smallest absolute margins first.

    Args:
        pairs: pairs of one set; none gives no bin.
    """
    ordered = sorted(pairs, key=lambda pair: abs(pair.margin))
    count = min(BINS, max(1, len(pairs) // BIN_SIZE))
    edges = [round(len(pairs) * edge / count) for edge in range(count + 1)]
    return [_bin(ordered[a:b]) for a, b in pairwise(edges) if b > a]


def worst_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs that the reward puts in the wrong order by most, the worst first."""
    wrong = (pair for pair in pairs if pair.margin < 0)
    return sorted(wrong, key=lambda pair: pair.margin)[:WORST]


def places(values: Float[np.ndarray, " value"]) -> Float[np.ndarray, " value"]:
    """The place of each value, 1 for the highest; equal values share their mean place.

    Example:
        >>> places(np.array([0.5, 2.0, 0.5]))
        array([2.5, 1. , 2.5])
    """
    _, index, counts = np.unique(-values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[index]


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """A response, or a system, whose reward and label have different places.

    Args:
        of: the response, or the name of the system.
        label: its rating or Elo number.
        reward: its reward.
        by_people: its place by label, 1 for the highest.
        by_reward: its place by reward.
    """

    of: Response | str
    label: float
    reward: float
    by_people: float
    by_reward: float


def widest_gaps(entries: Sequence[tuple[Response | str, float, float]]) -> list[Gap]:
    """The entries whose two places lie furthest apart.

    Args:
        entries: response or system, its label, its reward.
    """
    labels = np.array([label for _, label, _ in entries], dtype=np.float64)
    rewards = np.array([reward for _, _, reward in entries], dtype=np.float64)
    columns = zip(entries, places(labels).tolist(), places(rewards).tolist(), strict=True)
    gaps = [Gap(*entry, by_people, by_reward) for entry, by_people, by_reward in columns]
    apart = [gap for gap in gaps if gap.by_people != gap.by_reward]
    return sorted(apart, key=lambda gap: -abs(gap.by_people - gap.by_reward))[:WORST]
