"""What the page of a benchmark shows of single responses: pairs, bins of margins, disagreements.

From the rows of `items.jsonl` alone. How a pairwise item was decided is written in them; of ratings
every two responses that are rated differently are a pair here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean, median
from typing import Any

import numpy as np
from jaxtyping import Float

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

    @property
    def turns(self) -> Sequence[Mapping[str, str]]:
        """Messages between the prompt that all responses share and this one; mostly none."""
        return self.item["turns"][self.index] if "turns" in self.item else ()


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What one decision is made of: responses that people preferred, and others.

    Args:
        item: the row of `items.jsonl`.
        margin: reward of the preferred response minus reward of the other.
        points: 1 where the reward decides as people do, 0 where not, a part for a tie.
        longer_by: characters of the preferred response minus those of the other; means of several.
    """

    item: Mapping[str, Any]
    margin: float
    points: float
    longer_by: float


def responses(items: Iterable[Mapping[str, Any]], reward: str) -> list[Response]:
    """Every response, in the items' order."""
    return [
        Response(item, index, float(value))
        for item in items
        for index, value in enumerate(item["rewards"][reward])
    ]


def _decided(items: Iterable[Mapping[str, Any]], reward: str) -> list[Pair]:
    """The one decision of every pairwise item."""
    pairs = []
    for item in items:
        sides: dict[bool, list[int]] = {True: [], False: []}
        for label, text in zip(item["labels"], item["responses"], strict=True):
            sides[label == 1].append(len(text))
        longer_by = fmean(sides[True]) - fmean(sides[False])
        pairs.append(Pair(item, item["margins"][reward], item["points"][reward], longer_by))
    return pairs


def _rated(items: Iterable[Mapping[str, Any]], reward: str) -> list[Pair]:
    """Every two responses of an item that are rated differently."""
    both = [
        (one, other) if one.label > other.label else (other, one)
        for item in items
        for one, other in combinations(responses([item], reward), 2)
        if one.label != other.label
    ]
    margins = np.array([better.reward - worse.reward for better, worse in both], np.float64)
    decided = zip(both, margins.tolist(), pairwise_points(margins).tolist(), strict=True)
    return [
        Pair(better.item, margin, points, float(len(better.text) - len(worse.text)))
        for (better, worse), margin, points in decided
    ]


def pairs_of(kind: str, items: Iterable[Mapping[str, Any]], reward: str) -> list[Pair]:
    """The pairs that a set's accuracy counts: one an item, or all that are rated apart.

    Args:
        kind: `pairwise` or `rating`; a ranking has no pairs.
        items: of one set.
        reward: the reward that decides.
    """
    pairs = {"pairwise": _decided, "rating": _rated, "ranking": lambda *_: []}[kind]
    return pairs(items, reward)


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs of similar margin.

    Args:
        margin: median of their absolute margins.
        figure: their accuracy.
    """

    margin: float
    figure: dict[str, Any]


def _bin(pairs: Sequence[Pair]) -> Bin:
    points = np.array([pair.points for pair in pairs], np.float64)
    names = [pair.item["group"] for pair in pairs]
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
