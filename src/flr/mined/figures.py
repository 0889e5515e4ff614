"""What is told of mined data: rewards, lengths, categories, and some of it to read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from flr.pairing import Pair
from flr.rewards import category_shares
from flr.rows import Row

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
EXAMPLES, EXAMPLE_CHARACTERS = 10, 600

Some = TypeVar("Some")


def by_category(row: Row, at: int) -> Mapping[str, float] | None:
    """The reward of a response in each category; None where the row does not say."""
    listed = row.columns.get("rewards_by_category")
    found = listed[at] if listed else None
    return None if found is None else {name: float(value) for name, value in found.items()}


def quantiles(values: Sequence[float]) -> list[float]:
    """Minimum, quartiles and maximum; empty where there are no values."""
    return np.quantile(np.array(values, np.float64), QUANTILES).tolist() if values else []


def lengths(responses: Iterable[tuple[Row, int]]) -> list[int]:
    """Characters of each response, named by its row and its place there."""
    return [len(row.conversations[at].response) for row, at in responses]


def category_means(responses: Iterable[tuple[Row, int]]) -> dict[str, float]:
    """Mean reward of the responses in each category."""
    values: dict[str, list[float]] = {}
    for row, at in responses:
        for name, value in (by_category(row, at) or {}).items():
            values.setdefault(name, []).append(value)
    return {name: float(np.mean(of)) for name, of in values.items()}


def category_margins(
    pairs: Sequence[tuple[Row, Pair]], weights: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Mean margin of each category over all pairs, and its share of the margin."""
    margins: dict[str, list[float]] = {}
    for row, pair in pairs:
        chosen = by_category(row, pair.chosen) or {}
        rejected = by_category(row, pair.rejected) or {}
        for name in (name for name in chosen if name in rejected):
            margins.setdefault(name, []).append(chosen[name] - rejected[name])
    if not margins:
        return {}
    parts = category_shares(tuple(margins), {name: weights.get(name, 1.0) for name in margins})
    means = {name: float(np.mean(values)) for name, values in margins.items()}
    whole = sum(parts[name] * means[name] for name in means)
    return {
        name: {"margin": mean, "share": parts[name] * mean / whole if whole else 0.0}
        for name, mean in means.items()
    }


def drawn(every: Sequence[Some], seed: int) -> list[Some]:
    """Some to read, drawn by seed, in their order."""
    places = np.random.default_rng(seed).permutation(len(every))[:EXAMPLES]
    return [every[at] for at in sorted(places.tolist())]


def shown(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= EXAMPLE_CHARACTERS else f"{text[:EXAMPLE_CHARACTERS]}…"
