"""Results and items of a benchmark with a set of each kind, all made up.

The rewards follow what people said, with noise, and dislike length a little.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np

from tests.report.bench.sample_figures import ELO, KINDS, Rows, figure
from tests.report.explain.samples import UGLY

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

HH, VICUNA, WILDBENCH = "hh-helpful-base", "vicuna-single", "wildbench"
ROBUSTNESS = f"robustness of {HH}"
TOPICS = ("garden", "kitchen", "code")
SETS = {
    HH: ("pairwise", TOPICS),
    VICUNA: ("rating", TOPICS),
    WILDBENCH: ("ranking", ("",)),
    ROBUSTNESS: ("pairwise", ("as rated", "empty", "cut", "fake turn")),
}
"""Kind and subsets of each set."""


def _response(generator: np.random.Generator) -> str:
    words = ADVICE.split()
    count = int(np.exp(generator.normal(4, 0.8))) + 1
    return " ".join(words[index % len(words)] for index in range(count))


def _rewards(generator: np.random.Generator, labels: Any, texts: Sequence[str]) -> dict[str, Any]:
    lengths = np.array([len(text) for text in texts], dtype=np.float64)
    said = np.array(labels) / (100.0 if max(labels) > 10 else 1.0)
    known = {name: 0.2 * (f * said - 0.2 * np.log1p(lengths)) for name, f in FOLLOWS.items()}
    noisy = {name: value + generator.normal(0, 0.2, len(texts)) for name, value in known.items()}
    return {name: value.tolist() for name, value in {**noisy, "length": lengths}.items()}


def _turns(number: int) -> dict[str, Any]:
    """Every fifth pair parts before its last turns."""
    asked = {"role": "user", "content": "And in winter?"}
    said = ({"role": "assistant", "content": f"The {side} one's first answer."} for side in "AB")
    return {"turns": [[one, asked] for one in said]} if number % 5 == 4 else {}


def _item(generator: np.random.Generator, name: str, number: int, labels: Any) -> dict[str, Any]:
    kind, subsets = SETS[name]
    subset = subsets[number % len(subsets)]
    texts = [_response(generator) for _ in labels]
    if subset in ("empty", "cut"):
        texts[1] = texts[0][: len(texts[0]) // 2] if subset == "cut" else ""
    rewards = _rewards(generator, labels, texts)
    item = {
        "set": name,
        "kind": kind,
        "item": f"{name}-{number}",
        "group": f"prompt-{number // 2 if name == HH else number}",
        "subset": subset,
        "labels": list(labels),
        "systems": [f"system-{at + 1}" for at in range(len(labels))] if kind == "ranking" else [],
        "prompt": [{"role": "user", "content": PROMPTS[number % len(PROMPTS)]}],
        **(_turns(number) if name == HH else {}),
        "responses": texts,
        "rewards": rewards,
    }
    if kind == "pairwise":
        item["margins"] = {of: one - other for of, (one, other) in rewards.items()}
        item["points"] = {of: (np.sign(m) + 1) / 2 for of, m in item["margins"].items()}
    return item


def _set(name: str, items: Rows) -> dict[str, Any]:
    kind = SETS[name][0]
    measure, main = KINDS[kind]
    rewards: dict[str, Any] = {of: measure(items, of) for of in items[0]["rewards"]}
    theirs = rewards[REFERENCE][main]["value"]
    for of, figures in rewards.items():
        own, is_flr = figures[main], of.startswith("flr")
        figures |= {
            "difference": figure(own["value"] - theirs, own["count"], 0.6),
            "categories": {"correctness": own, "relevance": own} if is_flr else {},
            "noise_floor": 0.0125 if is_flr else None,
            "inside_floor": 3 if is_flr and kind != "ranking" else None,
        }
    rewards[REFERENCE]["difference"] = None
    return {
        "kind": kind,
        "robustness": name == ROBUSTNESS,
        "source": f"made up, {kind}",
        "files": {f"{kind}/test.jsonl.gz": "9f86d081884c7d659a2feaa0c55ad015" * 2},
        "items": len(items),
        "groups": len({item["group"] for item in items}),
        "responses": sum(len(item["responses"]) for item in items),
        "left_out": {"chosen equals rejected": 3, "tie": 0},
        "skipped": [["item-999", "", "too long"], ["item-7", "response 3", "too long"]],
        "not_computed": {"dpo:model:ref": "the model is not here"},
        "chance": 0.5 if kind == "pairwise" else 0.0,
        "majority": figure(0.55, len(items), 0.5) if name in (HH, VICUNA) else None,
        "rewards": rewards,
    }


def _items(size: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    sizes = {HH: size, VICUNA: size // 3, WILDBENCH: size // 8, ROBUSTNESS: 2 * size}
    items = []
    for name, count in sizes.items():
        for number in range(max(1, count)):
            rated = generator.integers(1, 6, 3).astype(float).tolist()
            labels = {VICUNA: rated, WILDBENCH: ELO}.get(name, [1.0, 0.0])
            items.append(_item(generator, name, number, labels))
    return items


PASS = {
    "made_with": {"dtype": "fp32", "wanted": {"followups": True}, "versions": {"torch": "2.13.0"}},
    "conversations": 1_234,
    "skipped": 1,
    "cut": 2,
    "tokens_run": 6_301,
    "tokens_asked": 74_726,
    "seconds": 19.6,
    "paths": ["shared for every row"],
}


@cache
def _made(size: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    items = _items(size)
    sets = {name: _set(name, [item for item in items if item["set"] == name]) for name in SETS}
    results = {
        "flr": "0.1.0",
        "command": "flr bench hh-helpful-base vicuna-single wildbench --data-dir data -o bench",
        "finished": "2025-11-23T18:30:00+00:00",
        "made_with": {"versions": {"torch": "2.13.0"}, "passes": {"smollm2": PASS}},
        "options": {"limit": None, "seed": 0, "reward": ["flr", "direct", "length"]},
        "rewards": [*FOLLOWS, "length"],
        "reference": REFERENCE,
        "notes": ["Suite paper: partial, 2 of its sets are not on this machine."],
        "sets": sets,
    }
    return results, items


def sample(size: int = 60) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Results and items of a benchmark; a copy that a test may change.

    Args:
        size: items of the pairwise set; the others follow it.
    """
    return deepcopy(_made(size))


HOSTILE = (
    *(text[:1_000] for text in UGLY),
    "a | b\n\n# c\r\nd",
    "$x$ @0@ **b** [c](d) _e_ `f`",
    " ",
)
"""Texts that no report may obey, break over, or lose its form by."""


def _named(text: str, values: dict[str, Any]) -> dict[str, Any]:
    return {text + name: value for name, value in values.items()}


def with_text(text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A small benchmark with `text` wherever a text of data, models or users can stand."""
    results, items = sample(6)
    for of_set in results["sets"].values():
        for figures in of_set["rewards"].values():
            keys = figures.keys() & {"subsets", "sections", "categories", "systems"}
            figures |= {key: _named(text, figures[key]) for key in keys}
        for key in ("files", "left_out", "not_computed", "rewards"):
            of_set[key] = _named(text, of_set[key])
        of_set |= {"source": text, "skipped": [[text, "", text], [text, text, text]]}
    facts = {text: text, "wanted": {text: [text]}, "versions": {text: text}}
    done = PASS | {"made_with": facts, "paths": [text]}
    results |= {
        "command": text,
        "reference": text + REFERENCE,
        "notes": [text],
        "made_with": {"versions": {text: text}, "passes": {text: done}},
        "sets": _named(text, results["sets"]),
    }
    message = {"role": text, "content": text}
    for item in items:
        for key in item.keys() & {"rewards", "margins", "points"}:
            item[key] = _named(text, item[key])
        item |= {"turns": [[message, message]] * 2} if "turns" in item else {}
        item |= {"prompt": [message], "systems": [text + system for system in item["systems"]]}
        item["responses"] = [response and text + response for response in item["responses"]]
        item |= {key: text + item[key] for key in ("set", "item", "subset")}
    return results, items
