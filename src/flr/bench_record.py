"""What a benchmark leaves behind: the rows of items.jsonl, and the record of results.json."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any

from flr.datasets.base import Dataset, Item
from flr.evaluation import pairwise
from flr.evaluation.arms import Arms
from flr.evaluation.columns import Outcome, Plan, Spent
from flr.evaluation.evaluate import evaluate
from flr.types import Message


def _shared_prompt(item: Item) -> tuple[Message, ...]:
    """The messages that stand before every response of an item."""
    first, *others = (conversation.prompt for conversation in item.conversations)
    shared = 0
    while all(len(p) > shared and p[: shared + 1] == first[: shared + 1] for p in (first, *others)):
        shared += 1
    return first[:shared]


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [message.as_dict() for message in messages]


def _text(item: Item) -> dict[str, Any]:
    """What was asked and answered; `turns` only where prompts part before their last turns."""
    prompt = _shared_prompt(item)
    turns = [_messages(one.prompt[len(prompt) :]) for one in item.conversations]
    return {
        "prompt": _messages(prompt),
        **({"turns": turns} if any(turns) else {}),
        "responses": [one.response for one in item.conversations],
    }


def _decisions(dataset: Dataset, outcome: Outcome) -> list[dict[str, Any]]:
    """Margin and points of every pairwise item, by reward; nothing for other kinds."""
    if dataset.kind != "pairwise":
        return [{} for _ in dataset.items]
    margins = {name: pairwise.margins(dataset, one) for name, one in outcome.columns.items()}
    points = {name: pairwise.points(dataset, one) for name, one in outcome.columns.items()}
    return [
        {
            "margins": {name: float(one[at]) for name, one in margins.items()},
            "points": {name: float(one[at]) for name, one in points.items()},
        }
        for at in range(len(dataset.items))
    ]


def rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """The rows of items.jsonl for one set."""
    dataset = outcome.dataset
    decisions = _decisions(dataset, outcome)
    for at, item in enumerate(dataset.items):
        yield {
            "set": dataset.name,
            "kind": dataset.kind,
            "item": item.id,
            "group": item.group,
            "subset": item.subset,
            "labels": list(item.labels),
            "systems": list(item.systems),
            **_text(item),
            "rewards": {name: one.values[at].tolist() for name, one in outcome.columns.items()},
            **decisions[at],
            "by_category": {
                name: {part: of[at].tolist() for part, of in one.categories.items()}
                for name, one in outcome.columns.items()
                if one.categories
            },
        }


def figures(
    plan: Plan, outcome: Outcome, reference: str, *, robustness: bool, seed: int
) -> dict[str, Any]:
    """The figures of one set, and what was left out of it; no differences without the reference."""
    against = reference if reference in outcome.columns else None
    found = evaluate(outcome.dataset, outcome.columns, reference=against, seed=seed)
    return {
        **found,
        "robustness": robustness,
        "skipped": [list(astuple(one)) for one in outcome.left_out],
        "not_computed": dict(plan.not_computed),
    }


def passes(arms: Arms, spent: Mapping[str, Spent]) -> dict[str, Any]:
    """What each pass did, and everything that changes its bits."""
    return {
        name: {**spent[name].as_plain(), "made_with": dict(one.fingerprint)}
        for name, one in arms.passes.items()
    }
