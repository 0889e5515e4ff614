"""What the samples' rewards come out at: the figures of each kind of set, from its rows.

Intervals are those of the normal distribution: nothing here depends on the procedures.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from flr.report.bench.items import places

Rows = Sequence[dict[str, Any]]

ELO = [1_000.0 + 37.5 * index for index in range(12)]


def figure(value: float, count: int, spread: float = 1.0) -> dict[str, Any]:
    """A figure whose interval is `spread` standard errors of one value wide; NaN is None."""
    if np.isnan(value):
        return {"value": None, "interval": [None, None], "count": count}
    half = 1.96 * spread / max(1, count) ** 0.5
    limit = max(1.0, abs(value))
    ends = [max(value - half, -limit), min(value + half, limit)]
    return {"value": float(value), "interval": ends, "count": count}


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation; NaN where one is constant."""
    constant = min(np.ptp(first), np.ptp(second)) == 0
    return np.nan if constant else float(np.corrcoef(first, second)[0, 1])


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation; NaN where one is constant."""
    return pearson(places(first), places(second))


def _rate(items: Rows, reward: str) -> dict[str, Any]:
    points = [item["points"][reward] for item in items]
    return figure(float(np.mean(points)) if points else np.nan, len(items), 0.5)


def _by_subset(items: Rows, measure: Callable[[Rows], dict[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(item["subset"] for item in items)
    return {name: measure([item for item in items if item["subset"] == name]) for name in names}


def _columns(items: Rows, reward: str) -> tuple[np.ndarray, ...]:
    """Rewards, labels and lengths of all responses."""
    rewards = [value for item in items for value in item["rewards"][reward]]
    labels = [value for item in items for value in item["labels"]]
    lengths = [float(len(text)) for item in items for text in item["responses"]]
    return np.array(rewards), np.array(labels), np.array(lengths)


def _pairwise(items: Rows, reward: str) -> dict[str, Any]:
    lengths = [[len(text) for text in item["responses"]] for item in items]
    longer = [float(one - other) for one, other in lengths]
    margins = np.array([item["margins"][reward] for item in items])
    both = list(zip(items, longer, strict=True))
    subsets = _by_subset(items, lambda own: _rate(own, reward))
    mean = np.mean([one["value"] for one in subsets.values()])
    return {
        "accuracy": _rate(items, reward),
        "strict": _rate(items, reward),
        "ties": int((margins == 0).sum()),
        "length_correlation": figure(spearman(margins, np.array(longer)), len(items)),
        "shorter_preferred": _rate([item for item, by in both if by < 0], reward),
        "similar_length": _rate([item for item, by in both if abs(by) < 50], reward),
        "subsets": subsets,
        "subset_mean": figure(float(mean), len(items), 0.5),
        "sections": {},
    }


def _rating(items: Rows, reward: str) -> dict[str, Any]:
    rewards, labels, lengths = _columns(items, reward)
    margins = [
        (item["rewards"][reward][a] - item["rewards"][reward][b])
        * np.sign(item["labels"][a] - item["labels"][b])
        for item in items
        for a, b in combinations(range(len(item["labels"])), 2)
        if item["labels"][a] != item["labels"][b]
    ]
    within = (np.sign(margins) + 1) / 2
    main = figure(pearson(rewards, labels), len(rewards))
    return {
        "pearson": main,
        "spearman": figure(spearman(rewards, labels), len(rewards)),
        "kendall": figure(2 / 3 * spearman(rewards, labels), len(rewards)),
        "partial": main,
        "within_prompt": figure(within.mean() if margins else np.nan, len(margins), 0.5),
        "length_correlation": figure(spearman(rewards, lengths), len(rewards)),
        "subsets": _by_subset(
            items, lambda own: figure(pearson(*_columns(own, reward)[:2]), len(own))
        ),
    }


def _ranking(items: Rows, reward: str) -> dict[str, Any]:
    rewards, labels, lengths = _columns(items, reward)
    of_system = [rewards[labels == elo] for elo in ELO]
    means = np.array([own.mean() for own in of_system])
    systems = {
        f"system-{at + 1}": {**figure(own.mean(), len(items), own.std()), "elo": elo}
        for at, (elo, own) in enumerate(zip(ELO, of_system, strict=True))
    }
    return {
        "spearman": figure(spearman(means, np.array(ELO)), len(ELO), 0.5),
        "kendall": figure(2 / 3 * spearman(means, np.array(ELO)), len(ELO), 0.5),
        "length_correlation": figure(spearman(rewards, lengths), len(rewards)),
        "systems": systems,
    }


KINDS = {
    "pairwise": (_pairwise, "accuracy"),
    "rating": (_rating, "pearson"),
    "ranking": (_ranking, "spearman"),
}
