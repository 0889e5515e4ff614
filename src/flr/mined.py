"""From rewarded responses to rows of preference data, with a report of what became of them.

Which responses make a pair is `pairing`'s, which get a label `labelling`'s, how a row is written
`preference_formats`'s, what is told of the pairs `mined_figures`'s. No file is touched here.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from flr.errors import InputError, Problem, UserError
from flr.labelling import LabelOptions, balancing, interleaved, labelled
from flr.mined_figures import by_category, categories, examples, lengths, quantiles
from flr.pairing import Pair, PairingOptions, choose_pairs
from flr.preference_formats import PAIRED, UNPAIRED
from flr.responses import Group, left_out
from flr.rows import Row

OF_RESPONSES = frozenset(
    (
        *("prompt", "responses", "finish_reasons", "response_tokens", "followups"),
        *("rewards", "rewards_by_category"),
    )
)
"""Columns of one entry a response, which go where rows of one or two responses are written."""


@runtime_checkable
class Options(Protocol):
    """What of the options has a say here."""

    @property
    def format(self) -> str:
        """A name in `PAIRED` or `UNPAIRED`."""
        ...

    @property
    def held_out(self) -> float:
        """Part of the prompts that is held out."""
        ...

    @property
    def seed(self) -> int:
        """Of what is drawn, and of the order of equal rewards."""
        ...


@dataclass(frozen=True, slots=True)
class Mined:
    """Rows of preference data.

    Args:
        rows: for the main file.
        held_out: for the held-out file, of other prompts.
        report: figures and examples, plain data.
    """

    rows: Sequence[Mapping[str, Any]]
    held_out: Sequence[Mapping[str, Any]]
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Made:
    """One row, and what is counted of it."""

    key: str
    row: Mapping[str, Any]
    label: bool | None = None


def prompt_key(row: Row) -> str:
    """A hash of the prompt: rows of one prompt share it."""
    prompt = [message.as_dict() for message in row.conversations[0].prompt]
    text = json.dumps(prompt, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_reward(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _listed(row: Row, column: str, is_entry: Any, expected: str) -> list[Any]:
    """A column of one entry a response; as many Nones where it is absent."""
    value, count = row.columns.get(column), len(row.conversations)
    if value is None:
        return [None] * count
    if isinstance(value, list) and len(value) == count and all(map(is_entry, value)):
        return value
    raise UserError(f"{column}: expected a list of {count} {expected}, one a response")


def _group(row: Row) -> Group:
    rewards = _listed(row, "rewards", _is_reward, "numbers or nulls")
    reasons = _listed(
        row, "finish_reasons", lambda one: one is None or isinstance(one, str), "texts"
    )
    _listed(row, "rewards_by_category", lambda one: one is None or isinstance(one, dict), "objects")
    texts = tuple(conversation.response for conversation in row.conversations)
    numbers = tuple(None if one is None else float(one) for one in rewards)
    return Group(prompt_key(row), texts, numbers, tuple(reasons))


def groups_of(rows: Sequence[Row], source: str) -> list[Group]:
    """The responses and rewards of each row.

    Args:
        rows: each with a list of responses.
        source: the file, for errors.

    Raises:
        InputError: columns that do not fit the responses; all bad rows are in it.
    """
    groups: list[Group] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            groups.append(_group(row))
        except UserError as error:
            problems.append(Problem(row.number, "", str(error)))
    if problems:
        raise InputError(source, problems)
    return groups


def _others(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.columns.items() if name not in OF_RESPONSES}


def _complete(extra: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that have a value.

    A reader that fixes its columns by the first rows takes no null before a number, and no whole
    number before a fraction: rewards are floats, and in every row.
    """
    return {name: value for name, value in extra.items() if value is not None}


def _paired(row: Row, pair: Pair, form: str) -> dict[str, Any]:
    extra = {
        **_others(row),
        "reward_chosen": float(row.columns["rewards"][pair.chosen]),
        "reward_rejected": float(row.columns["rewards"][pair.rejected]),
        # What the choice was made by; under `residual` that is not the rewards' difference.
        "margin": pair.adjusted_margin,
        "reward_chosen_by_category": by_category(row, pair.chosen),
        "reward_rejected_by_category": by_category(row, pair.rejected),
    }
    chosen, rejected = (row.conversations[at] for at in (pair.chosen, pair.rejected))
    return PAIRED[form](chosen, rejected, _complete(extra))


def _split(made: Sequence[_Made], share: float, seed: int) -> tuple[list[_Made], list[_Made]]:
    """Main and held-out rows, no prompt in both; one prompt at least where any is held out."""

    def place(key: str) -> str:
        return hashlib.sha256(f"{seed}\n{key}".encode()).hexdigest()

    prompts = sorted({one.key for one in made}, key=place)
    count = max(1, round(share * len(prompts))) if share and len(prompts) > 1 else 0
    held_out = set(prompts[:count])
    return (
        [one for one in made if one.key not in held_out],
        [one for one in made if one.key in held_out],
    )


def mined_pairs(
    rows: Sequence[Row],
    groups: Sequence[Group],
    options: PairingOptions,
    output: Options,
    weights: Mapping[str, float],
    noise_floor: float,
) -> Mined:
    """The rows of a run's preference pairs.

    Args:
        rows: with their rewards.
        groups: from `groups_of`, of the same rows.
        options: which responses make a pair.
        output: format, held-out part and seed.
        weights: of the categories in the reward; a category without one has 1.
        noise_floor: how far one reward may be off, unit of the reward.
    """
    chosen = choose_pairs(groups, options, noise_floor=noise_floor, seed=output.seed)
    made = [
        _Made(group.key, _paired(row, pair, output.format))
        for row, group, pairs in zip(rows, groups, chosen.pairs, strict=True)
        for pair in pairs
    ]
    main, held_out = _split(made, output.held_out, output.seed)
    margins = [pair.adjusted_margin for pairs in chosen.pairs for pair in pairs]
    report = {
        "yield": asdict(chosen.counts),
        "rows": len(main),
        "rows_held_out": len(held_out),
        "noise_floor": noise_floor,
        "min_margin": chosen.min_margin,
        "length_slope": chosen.slope,
        "margin_quantiles": quantiles(margins),
        "characters": lengths(rows, chosen.pairs),
        "categories": categories(rows, chosen.pairs, weights),
        "examples": list(examples(rows, chosen.pairs, output.seed)),
    }
    return Mined([one.row for one in main], [one.row for one in held_out], report)


def _dealt(made: Sequence[_Made]) -> list[_Made]:
    """The first row of every prompt, then the second of every prompt, and so on."""
    seen = Counter[str]()
    rounds: list[int] = []
    for one in made:
        rounds.append(seen[one.key])
        seen[one.key] += 1
    return [made[at] for at in sorted(range(len(made)), key=lambda at: rounds[at])]


def _mixed(made: Sequence[_Made]) -> list[Mapping[str, Any]]:
    """The rows in an order that spreads both labels evenly, and keeps a prompt's rows apart.

    KTO trainers take the response of a neighbouring row for one that does not belong to the prompt.
    """
    good, bad = (_dealt([one for one in made if one.label is label]) for label in (True, False))
    half = len(bad) // 2  # so that a prompt's good and bad rows do not meet either
    ordered = [*good, *bad[half:], *bad[:half]]
    return [ordered[at].row for at in interleaved([one.label is True for one in ordered])]


def _labelled_row(row: Row, at: int, label: bool, form: str) -> Mapping[str, Any]:
    extra = {
        **_others(row),
        "reward": float(row.columns["rewards"][at]),
        "reward_by_category": by_category(row, at),
    }
    return UNPAIRED[form](row.conversations[at], label, _complete(extra))


def mined_labels(
    rows: Sequence[Row],
    groups: Sequence[Group],
    options: LabelOptions,
    output: Options,
    *,
    keep_unfinished: bool,
) -> Mined:
    """The rows of a run's labelled responses.

    Args:
        rows: with their rewards.
        groups: from `groups_of`, of the same rows.
        options: what is desirable.
        output: format, held-out part and seed.
        keep_unfinished: whether responses that were cut get labels.

    Raises:
        UserError: no label, or one label only.
    """
    reasons = [left_out(group, keep_unfinished=keep_unfinished) for group in groups]
    usable = [
        (row, group.key, at)
        for row, group, of_row in zip(rows, groups, reasons, strict=True)
        for at, reason in enumerate(of_row)
        if reason is None
    ]
    rewards = np.array([row.columns["rewards"][at] for row, _, at in usable], np.float64)
    found = labelled(rewards, options)
    made = [
        _Made(key, _labelled_row(row, at, label, output.format), label)
        for (row, key, at), label in zip(usable, found.labels, strict=True)
        if label is not None
    ]
    known = [label for label in found.labels if label is not None]
    weights = balancing(known)
    if weights is None:
        raise UserError(
            f"of {len(usable)} responses {sum(known)} are desirable and {len(known) - sum(known)} "
            "undesirable, but a trainer needs both; give another --label-threshold, or "
            "--label-quantile 0.3"
        )
    main, held_out = _split(made, output.held_out, output.seed)
    every = [reason for of_row in reasons for reason in of_row]
    counts = {name: every.count(name) for name in ("no_reward", "empty", "unfinished")}
    report = {
        "yield": {
            "responses": len(every),
            "prompts": len(groups),
            **counts,
            "ties_or_between": len(usable) - len(known),
            "desirable": sum(known),
            "undesirable": len(known) - sum(known),
        },
        "rows": len(main),
        "rows_held_out": len(held_out),
        "weights": asdict(weights),
        "reward_quantiles": quantiles(rewards.tolist()),
    }
    return Mined(_mixed(main), _mixed(held_out), report)
