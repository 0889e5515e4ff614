"""Scored files made without a model, in which a part of the follow-up set carries the label."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flr import followups, runs
from flr.rewards import by_category, reward
from flr.types import FollowUpSet

SHORT = followups.load("short")

Quality = Callable[[np.random.Generator, FollowUpSet], dict[str, float]]
"""What the better response has in each category, nats a token, beyond the other one."""


def only(category: str, size: float = 0.4) -> Quality:
    """One category carries the label; the others are noise."""

    def drawn(generator: np.random.Generator, followup_set: FollowUpSet) -> dict[str, float]:
        noise = {name: generator.normal(0, 0.4) for name in followup_set.categories}
        return {**noise, category: generator.normal(size, 0.3)}

    return drawn


def everywhere(generator: np.random.Generator, followup_set: FollowUpSet) -> dict[str, float]:
    """All categories carry the label alike."""
    return {name: generator.normal(0.1, 0.3) for name in followup_set.categories}


def coin(generator: np.random.Generator, followup_set: FollowUpSet) -> dict[str, float]:
    """Labels that are coin flips."""
    return {name: generator.normal(0, 0.3) for name in followup_set.categories}


def differences(
    pairs: int, quality: Quality, seed: int = 0, followup_set: FollowUpSet = SHORT
) -> np.ndarray:
    """d of so many pairs: quality by polarity, a shift of each pair, noise of each follow-up."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(pairs):
        own, shift = quality(generator, followup_set), generator.normal(0, 1.0)
        noise = generator.normal(0, 0.1, len(followup_set.followups))
        parts = [f.polarity * own[f.category] / 2 + shift for f in followup_set.followups]
        found.append(np.array(parts) + noise)
    return np.stack(found)


def entries(values: np.ndarray, followup_set: FollowUpSet = SHORT) -> list[dict[str, Any]]:
    """`followups` of one response, of two tokens each."""
    own = zip(followup_set.followups, values.tolist(), strict=True)
    return [
        {
            "text": f.text,
            "category": f.category,
            "polarity": f.polarity,
            **({"weight": f.weight} if f.weight != 1.0 else {}),
            "logprob": 2 * value,
            "tokens": 2,
        }
        for f, value in own
    ]


def scored(values: np.ndarray, side: str = "", followup_set: FollowUpSet = SHORT) -> dict[str, Any]:
    """The columns that scoring adds for one response."""
    parts = by_category(values, followup_set)
    end = f"_{side}" if side else ""
    return {
        f"reward{end}": reward(parts, followup_set.weights),
        f"reward{end}_by_category": parts,
        f"followups{end}": entries(values, followup_set),
    }


def pair_rows(found: np.ndarray, followup_set: FollowUpSet = SHORT) -> list[dict[str, Any]]:
    """Rows of pairs that differ so, a prompt each."""
    base = np.full(found.shape[1], -3.0)
    return [
        {
            "prompt": f"Question {at}?",
            "chosen": "Good.",
            "rejected": "Bad.",
            **scored(base + one, "chosen", followup_set),
            **scored(base, "rejected", followup_set),
        }
        for at, one in enumerate(found)
    ]


def rated_rows(found: np.ndarray, single: bool) -> list[dict[str, Any]]:
    """Rows of three responses a prompt, rated 3, 1 and null; the first two differ so."""
    rows: list[dict[str, Any]] = []
    base = np.full(found.shape[1], -3.0)
    for at, one in enumerate(found):
        values, prompt = [base + one, base, base - 9], f"Question {at}?"
        texts, ratings = ["Good.", "Bad.", "Odd."], [3, 1.0, None]
        each = [scored(value) for value in values]
        if single:
            rows += [
                {"prompt": prompt, "response": text, "rating": rating, **columns}
                for text, rating, columns in zip(texts, ratings, each, strict=True)
            ]
        else:
            names = {"reward": "rewards", "reward_by_category": "rewards_by_category"}
            listed = {names.get(k, k): [columns[k] for columns in each] for k in each[0]}
            rows.append({"prompt": prompt, "responses": texts, "ratings": ratings, **listed})
    return rows


def written(path: Path, rows: list[dict[str, Any]], **record: Any) -> Path:
    """A scored file with the record that `flr score` leaves beside it."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    told = {
        "reward": "mean",
        "model": {"name": "smollm2", "identity": "0"},
        "options": {"set": "short"},
        "weights": dict(SHORT.weights),
    }
    runs.write_record(path, "planted", {**told, **record})
    return path
