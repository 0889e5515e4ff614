"""Results and items of a benchmark with a set of each kind, all made up.

The rewards follow what people said, with noise, and dislike length a little. Intervals are those of
the normal distribution: nothing here depends on the procedures.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from flr.report.bench_items import places
from tests.report.samples import UGLY

REFERENCE = "flr:mean:default"
CLASSIFIER = "classifier:OpenAssistant/reward-model-deberta-v3-large-v2"
FOLLOWS = {
    REFERENCE: 0.5,
    "flr:sum:default": 0.3,
    "direct:mean": 0.1,
    "judge:smollm2": 0.0,
    CLASSIFIER: 1.2,
    "random": 0.0,
}
"""How much of what people say is in each reward, beside noise of 1."""

PROMPTS = (
    "How do I keep basil alive on a window sill?",
    "Explain to a child why the sky is blue.",
    "Write a polite note to a neighbour whose dog barks at night.",
    "What is the difference between a list and a tuple in Python?",
    "Plan three cheap dinners for a week without an oven.",
)
ADVICE = (
    "Water it when the top of the soil is dry and turn the pot now and then so that it grows "
    "straight. Take the flowers off early; the leaves stay soft and keep their taste for longer. "
)
ELO = [1_000.0 + 37.5 * index for index in range(12)]


def figure(value: float, count: int, spread: float = 1.0) -> dict[str, Any]:
    """A figure whose interval is `spread` standard errors of one value wide; NaN is None."""
    if np.isnan(value):
        return {"value": None, "interval": [None, None], "count": count}
    half = 1.96 * spread / max(1, count) ** 0.5
    limit = max(1.0, abs(value))
    ends = [max(value - half, -limit), min(value + half, limit)]
    return {"value": float(value), "interval": ends, "count": count}


def accuracy_of(margins: np.ndarray, tie: float = 0.5) -> float:
    """Part of the margins above zero; NaN where there is none."""
    points = np.where(margins == 0, tie, margins > 0)
    return float(points.mean()) if len(points) else np.nan


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation; NaN where one is constant."""
    constant = min(np.ptp(first), np.ptp(second)) == 0
    return np.nan if constant else float(np.corrcoef(first, second)[0, 1])


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation; NaN where one is constant."""
    return pearson(places(first), places(second))


def _response(generator: np.random.Generator) -> str:
    words = ADVICE.split()
    count = int(np.exp(generator.normal(4, 0.8))) + 1
    return " ".join(words[index % len(words)] for index in range(count))


def _rewards(generator: np.random.Generator, labels: Any, texts: Sequence[str]) -> dict[str, Any]:
    lengths = np.array([len(text) for text in texts], dtype=np.float64)
    scale = 100.0 if max(labels) > 10 else 1.0
    known = {
        name: 0.2 * (f * np.array(labels) / scale - 0.2 * np.log(lengths))
        for name, f in FOLLOWS.items()
    }
    noisy = {name: value + generator.normal(0, 0.2, len(texts)) for name, value in known.items()}
    return {name: value.tolist() for name, value in {**noisy, "length": lengths}.items()}


def _item(generator: np.random.Generator, kind: str, number: int, labels: Any) -> dict[str, Any]:
    texts = [_response(generator) for _ in labels]
    ranking = kind == "ranking"
    return {
        "set": {"pairwise": "hh-helpful-base", "rating": "vicuna-single"}.get(kind, "wildbench"),
        "item": f"{kind}-{number}",
        "group": f"prompt-{number // 2 if kind == 'pairwise' else number}",
        "subset": "" if ranking else ("garden", "kitchen", "code")[number % 3],
        "kind": kind,
        "labels": list(labels),
        "systems": [f"system-{index + 1}" for index in range(len(labels))] if ranking else [],
        "prompt": [{"role": "user", "content": PROMPTS[number % len(PROMPTS)]}],
        "responses": texts,
        "rewards": _rewards(generator, labels, texts),
    }


def _columns(items: Sequence[dict[str, Any]], reward: str) -> tuple[np.ndarray, ...]:
    """Rewards, labels and lengths of all responses."""
    rewards = [value for item in items for value in item["rewards"][reward]]
    labels = [value for item in items for value in item["labels"]]
    lengths = [float(len(text)) for item in items for text in item["responses"]]
    return np.array(rewards), np.array(labels), np.array(lengths)


def _accuracy(items: Sequence[dict[str, Any]], reward: str, tie: float = 0.5) -> dict[str, Any]:
    margins = np.array([item["rewards"][reward][0] - item["rewards"][reward][1] for item in items])
    return figure(accuracy_of(margins, tie), len(items), 0.5)


def _pairwise(items: Sequence[dict[str, Any]], reward: str) -> dict[str, Any]:
    longer = [len(item["responses"][0]) - len(item["responses"][1]) for item in items]
    margins = np.array([item["rewards"][reward][0] - item["rewards"][reward][1] for item in items])
    shorter = [item for item, difference in zip(items, longer, strict=True) if difference < 0]
    similar = [item for item, difference in zip(items, longer, strict=True) if abs(difference) < 50]
    subsets = dict.fromkeys(item["subset"] for item in items)
    correlation = spearman(margins, np.array(longer, dtype=np.float64))
    return {
        "accuracy": _accuracy(items, reward),
        "strict": _accuracy(items, reward, tie=0.0),
        "ties": int((margins == 0).sum()),
        "length_correlation": figure(correlation, len(items)),
        "shorter_preferred": _accuracy(shorter, reward),
        "similar_length": _accuracy(similar, reward),
        "subsets": {s: _accuracy([i for i in items if i["subset"] == s], reward) for s in subsets},
        "sections": {},
    }


def _within_prompt(items: Sequence[dict[str, Any]], reward: str) -> dict[str, Any]:
    margins = [
        (item["rewards"][reward][a] - item["rewards"][reward][b])
        * np.sign(item["labels"][a] - item["labels"][b])
        for item in items
        for a, b in combinations(range(len(item["labels"])), 2)
        if item["labels"][a] != item["labels"][b]
    ]
    return figure(accuracy_of(np.array(margins)), len(margins), 0.5)


def _rating(items: Sequence[dict[str, Any]], reward: str) -> dict[str, Any]:
    rewards, labels, lengths = _columns(items, reward)
    subsets = {}
    for name in dict.fromkeys(item["subset"] for item in items):
        own = _columns([item for item in items if item["subset"] == name], reward)
        subsets[name] = figure(pearson(own[0], own[1]), len(own[0]))
    return {
        "pearson": figure(pearson(rewards, labels), len(rewards)),
        "spearman": figure(spearman(rewards, labels), len(rewards)),
        "kendall": figure(2 / 3 * spearman(rewards, labels), len(rewards)),
        "partial": figure(pearson(rewards, labels), len(rewards)),
        "within_prompt": _within_prompt(items, reward),
        "length_correlation": figure(spearman(rewards, lengths), len(rewards)),
        "subsets": subsets,
    }


def _ranking(items: Sequence[dict[str, Any]], reward: str) -> dict[str, Any]:
    rewards, labels, lengths = _columns(items, reward)
    means = np.array([rewards[labels == elo].mean() for elo in ELO])
    spreads = [rewards[labels == elo].std() for elo in ELO]
    systems = {
        f"system-{place + 1}": {**figure(means[place], len(items), spreads[place]), "elo": elo}
        for place, elo in enumerate(ELO)
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


def _set(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    kind = items[0]["kind"]
    measure, main = KINDS[kind]
    rewards: dict[str, Any] = {name: measure(items, name) for name in items[0]["rewards"]}
    theirs = rewards[REFERENCE][main]["value"]
    for name, figures in rewards.items():
        own = figures[main]
        difference = None if name == REFERENCE else figure(own["value"] - theirs, own["count"], 0.6)
        is_flr = name.startswith("flr")
        figures |= {
            "difference": difference,
            "categories": {"correctness": own, "relevance": own} if is_flr else {},
            "noise_floor": 0.0125 if is_flr else None,
            "inside_floor": 3 if is_flr and kind != "ranking" else None,
        }
    return {
        "kind": kind,
        "source": f"made up, {kind}",
        "files": {f"{kind}/test.jsonl.gz": "9f86d081884c7d659a2feaa0c55ad015" * 2},
        "items": len(items),
        "groups": len({item["group"] for item in items}),
        "responses": sum(len(item["responses"]) for item in items),
        "left_out": {"chosen equals rejected": 3, "tie": 0},
        "skipped": [["item-999", "longer than the model"]],
        "not_computed": {"dpo:model:ref": "the model is not here"},
        "chance": 0.5 if kind == "pairwise" else 0.0,
        "majority": None if kind == "ranking" else figure(0.55, len(items), 0.5),
        "rewards": rewards,
    }


def _items(size: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    labels = [[1.0, 0.0]] * size
    items = [_item(generator, "pairwise", number, of) for number, of in enumerate(labels)]
    for number in range(max(1, size // 3)):
        ratings = generator.integers(1, 6, 3).astype(float).tolist()
        items.append(_item(generator, "rating", number, ratings))
    systems = range(max(1, size // 8))
    return items + [_item(generator, "ranking", number, ELO) for number in systems]


@cache
def _made(size: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    items = _items(size)
    by_set: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        by_set.setdefault(item["set"], []).append(item)
    results = {
        "flr": "0.1.0",
        "command": "flr bench hh-helpful-base vicuna-single wildbench --data-dir data -o bench",
        "finished": "2025-11-23T18:30:00+00:00",
        "made_with": {"torch": "2.13.0", "models": {"smollm2": {"dtype": "float32"}}},
        "options": {"limit": None, "seed": 0, "reward": ["flr", "direct", "length"]},
        "rewards": [*FOLLOWS, "length"],
        "reference": REFERENCE,
        "notes": ["Suite paper: partial, 2 of its sets are not on this machine."],
        "sets": {name: _set(of_set) for name, of_set in by_set.items()},
    }
    return results, items


def sample(size: int = 60) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Results and items of a benchmark; a copy that a test may change.

    Args:
        size: items of the pairwise set; the others are smaller.
    """
    return deepcopy(_made(size))


HOSTILE = (
    *(text[:1_000] for text in UGLY),
    "a | b\n\n# c\r\nd",
    "$x$ @0@ **b** [c](d) _e_ `f`",
    " ",
)
"""Texts that no report may obey, break over, or lose its form by."""


def _renamed(figures: dict[str, Any], text: str) -> dict[str, Any]:
    for key in ("subsets", "sections", "categories", "systems"):
        figures[key] = {text + name: value for name, value in figures.get(key, {}).items()}
    return figures


def with_text(text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A small benchmark with `text` wherever a text of data, models or users can stand."""
    results, items = sample(6)
    for of_set in results["sets"].values():
        rewards = of_set["rewards"]
        of_set["rewards"] = {text + name: _renamed(of, text) for name, of in rewards.items()}
        for key in ("files", "left_out", "not_computed"):
            of_set[key] = {text + name: value for name, value in of_set[key].items()}
        of_set |= {"source": text, "skipped": [[text, text]]}
    results |= {
        "command": text,
        "reference": text + REFERENCE,
        "notes": [text],
        "made_with": {"torch": text, text: {text: [text]}},
        "sets": {text + name: of_set for name, of_set in results["sets"].items()},
    }
    for item in items:
        item["rewards"] = {text + name: values for name, values in item["rewards"].items()}
        item["prompt"] = [{"role": text, "content": text}]
        item["responses"] = [text + response for response in item["responses"]]
        item["systems"] = [text + system for system in item["systems"]]
        item |= {key: text + item[key] for key in ("set", "item", "subset")}
    return results, items
