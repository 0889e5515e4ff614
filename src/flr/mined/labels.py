"""Rows of single responses with a label, for KTO, and a report of what became of all responses."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from flr.errors import UserError
from flr.labelling import LabelOptions, balancing, interleaved, labelled
from flr.mined.figures import by_category, category_means, drawn, lengths, quantiles, shown
from flr.mined.rows import Made, Mined, OutputOptions, complete, others, split
from flr.preferences.formats import UNPAIRED
from flr.responses import Group, Response, left_out, usable
from flr.rows import Row


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A response that can be labelled; None for one that is neither good nor bad."""

    row: Row
    key: str
    at: int
    label: bool | None


def _distinct(groups: Sequence[Group], found: Sequence[Sequence[Response]]) -> list[list[Response]]:
    """One of several near-equal responses to a prompt, in whichever of its rows they stand.

    Which of them has nothing to do with their places in a row.
    """
    every = [
        (at, one)
        for at, responses in enumerate(found)
        for one in sorted(responses, key=lambda one: (one.order, one.reward))
    ]
    first: dict[tuple[str, str], tuple[int, Response]] = {}
    for at, one in every:
        first.setdefault((groups[at].key, one.bare), (at, one))
    kept: list[list[Response]] = [[] for _ in groups]
    for at, one in first.values():
        kept[at].append(one)
    return [sorted(responses, key=lambda one: one.index) for responses in kept]


def _row(one: _Labelled, form: str) -> Mapping[str, Any]:
    extra = {
        **others(one.row),
        "reward": float(one.row.columns["rewards"][one.at]),
        "reward_by_category": by_category(one.row, one.at),
    }
    return UNPAIRED[form](one.row.conversations[one.at], one.label is True, complete(extra))


def _example(one: _Labelled) -> dict[str, Any]:
    conversation = one.row.conversations[one.at]
    return {
        "row": one.row.number,
        "label": one.label,
        "prompt": shown(conversation.prompt[-1].content),
        "response": shown(conversation.response),
        "reward": one.row.columns["rewards"][one.at],
    }


def _dealt(made: Sequence[Made]) -> list[Made]:
    """The first row of every prompt, then the second of every prompt, and so on."""
    seen = Counter[str]()
    rounds: list[int] = []
    for one in made:
        rounds.append(seen[one.key])
        seen[one.key] += 1
    return [made[at] for at in sorted(range(len(made)), key=lambda at: rounds[at])]


def _mixed(made: Sequence[Made]) -> list[Mapping[str, Any]]:
    """The rows in an order that spreads both labels evenly, and keeps a prompt's rows apart.

    KTO trainers take the response of a neighbouring row for one that does not belong to the prompt.
    """
    good, bad = (_dealt([one for one in made if one.label is label]) for label in (True, False))
    half = len(bad) // 2  # so that a prompt's good and bad rows do not meet either
    ordered = [*good, *bad[half:], *bad[:half]]
    return [ordered[at].row for at in interleaved([one.label is True for one in ordered])]


def mined_labels(
    rows: Sequence[Row],
    groups: Sequence[Group],
    options: LabelOptions,
    output: OutputOptions,
    *,
    keep_unfinished: bool,
    seed: int,
) -> Mined:
    """The rows of a run's labelled responses.

    Args:
        rows: with their rewards.
        groups: from `groups_of`, of the same rows.
        options: what is desirable.
        output: format and held-out part.
        keep_unfinished: whether responses that were cut get labels.
        seed: which prompts are held out, and which of near-equal texts is kept.

    Raises:
        UserError: the main file would have no label, or one label only.
    """
    found = [usable(group, keep_unfinished=keep_unfinished, seed=seed) for group in groups]
    kept = _distinct(groups, found)
    rewards = np.array([one.reward for responses in kept for one in responses], np.float64)
    labels = iter(labelled(rewards, options).labels)
    every = [
        _Labelled(row, group.key, one.index, next(labels))
        for row, group, responses in zip(rows, groups, kept, strict=True)
        for one in responses
    ]
    told = [one for one in every if one.label is not None]
    made = [Made(one.key, _row(one, output.format), one.label) for one in told]
    main, held_out = split(made, output.held_out, seed)
    counts = _counts(groups, found, every, keep_unfinished=keep_unfinished)
    weights = balancing([one.label is True for one in main])
    if weights is None:
        raise UserError(_one_label(main, counts))
    report = {
        "yield": counts,
        "rows": len(main),
        "rows_held_out": len(held_out),
        "weights": asdict(weights),
        "reward_quantiles": quantiles(rewards.tolist()),
        **_by_label(told),
        "examples": [_example(one) for one in drawn(told, seed)],
    }
    return Mined(_mixed(main), _mixed(held_out), report)


def _counts(
    groups: Sequence[Group],
    found: Sequence[Sequence[Response]],
    every: Sequence[_Labelled],
    *,
    keep_unfinished: bool,
) -> dict[str, int]:
    """What became of all responses, each counted once."""
    reasons = [
        reason for group in groups for reason in left_out(group, keep_unfinished=keep_unfinished)
    ]
    labels = [one.label for one in every]
    return {
        "responses": len(reasons),
        "prompts": len(groups),
        **{name: reasons.count(name) for name in ("no_reward", "empty", "unfinished")},
        "near_equal": sum(map(len, found)) - len(every),
        "ties_or_between": labels.count(None),
        "desirable": labels.count(True),
        "undesirable": labels.count(False),
    }


def _by_label(told: Sequence[_Labelled]) -> dict[str, dict[str, Any]]:
    """Mean length and mean reward by category of good and of bad responses."""
    sides = {
        name: [(one.row, one.at) for one in told if one.label is label]
        for name, label in (("desirable", True), ("undesirable", False))
    }
    return {
        "characters": {
            name: float(np.mean(lengths(side))) if side else None for name, side in sides.items()
        },
        "categories": {name: category_means(side) for name, side in sides.items()},
    }


def _one_label(main: Sequence[Made], counts: Mapping[str, int]) -> str:
    """What is wrong where a trainer would not see both labels, and what to do."""
    if not counts["desirable"] + counts["undesirable"] + counts["ties_or_between"]:
        more = "; --keep-unfinished keeps those that were cut off" if counts["unfinished"] else ""
        return f"no response can be labelled: {counts}{more}"
    good = sum(one.label is True for one in main)
    return (
        f"{good} responses are desirable and {len(main) - good} undesirable, but a trainer needs "
        "both; give another --label-threshold, or --label-quantile 0.3"
    )
