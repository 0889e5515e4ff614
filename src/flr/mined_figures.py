"""What is told of mined pairs: margins, lengths, categories, and some pairs to read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from flr.pairing import Pair
from flr.rewards import category_shares
from flr.rows import Row

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
EXAMPLES, EXAMPLE_CHARACTERS = 10, 600


def by_category(row: Row, at: int) -> Mapping[str, float] | None:
    """The reward of a response in each category; None where the row does not say."""
    listed = row.columns.get("rewards_by_category")
    found = listed[at] if listed else None
    return None if found is None else {name: float(value) for name, value in found.items()}


def quantiles(values: Sequence[float]) -> list[float]:
    """Minimum, quartiles and maximum; empty where there are no values."""
    return np.quantile(np.array(values, np.float64), QUANTILES).tolist() if values else []


def categories(
    rows: Sequence[Row], pairs: Sequence[Sequence[Pair]], weights: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Mean margin of each category over all pairs, and its share of the margin."""
    margins: dict[str, list[float]] = {}
    for row, of_row in zip(rows, pairs, strict=True):
        for pair in of_row:
            chosen = by_category(row, pair.chosen) or {}
            rejected = by_category(row, pair.rejected) or {}
            for name in (name for name in chosen if name in rejected):
                margins.setdefault(name, []).append(chosen[name] - rejected[name])
    if not margins:
        return {}
    known = {name: weights.get(name, 1.0) for name in margins}
    parts = category_shares(tuple(margins), known)
    means = {name: float(np.mean(values)) for name, values in margins.items()}
    whole = sum(parts[name] * means[name] for name in means)
    return {
        name: {"margin": mean, "share": parts[name] * mean / whole if whole else 0.0}
        for name, mean in means.items()
    }


def _cut(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARACTERS else f"{text[:EXAMPLE_CHARACTERS]}…"


def examples(
    rows: Sequence[Row], pairs: Sequence[Sequence[Pair]], seed: int
) -> Iterator[dict[str, Any]]:
    """Some pairs to read, drawn by seed."""
    every = [(row, pair) for row, of_row in zip(rows, pairs, strict=True) for pair in of_row]
    drawn = np.random.default_rng(seed).permutation(len(every))[:EXAMPLES]
    for row, pair in (every[at] for at in sorted(drawn.tolist())):
        chosen, rejected = (row.conversations[at] for at in (pair.chosen, pair.rejected))
        yield {
            "row": row.number,
            "prompt": _cut(chosen.prompt[-1].content),
            "chosen": _cut(chosen.response),
            "rejected": _cut(rejected.response),
            "reward_chosen": row.columns["rewards"][pair.chosen],
            "reward_rejected": row.columns["rewards"][pair.rejected],
            "margin": pair.adjusted_margin,
        }


def lengths(rows: Sequence[Row], pairs: Sequence[Sequence[Pair]]) -> dict[str, float] | None:
    """Characters of chosen and rejected responses; None without pairs."""
    both = [
        [len(row.conversations[at].response) for at in (pair.chosen, pair.rejected)]
        for row, of_row in zip(rows, pairs, strict=True)
        for pair in of_row
    ]
    if not both:
        return None
    chosen, rejected = np.array(both, np.float64).T
    return {
        "chosen": float(chosen.mean()),
        "rejected": float(rejected.mean()),
        "chosen_longer": float((chosen > rejected).mean()),
        "equal": float((chosen == rejected).mean()),
    }
