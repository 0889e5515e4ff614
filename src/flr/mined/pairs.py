"""Rows of preference pairs from rewarded responses, and a report of what became of all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flr.mined.figures import by_category, category_margins, drawn, quantiles, shown
from flr.mined.figures import lengths as lengths_of
from flr.mined.rows import Made, Mined, OutputOptions, complete, others, split
from flr.pairing import Pair, PairingOptions, choose_pairs
from flr.preferences.formats import PAIRED
from flr.responses import Group
from flr.rows import Row


def _row(row: Row, pair: Pair, form: str) -> dict[str, Any]:
    extra = {
        **others(row),
        "reward_chosen": float(row.columns["rewards"][pair.chosen]),
        "reward_rejected": float(row.columns["rewards"][pair.rejected]),
        # What the choice was made by; under `residual` that is not the rewards' difference.
        "margin": pair.adjusted_margin,
        "reward_chosen_by_category": by_category(row, pair.chosen),
        "reward_rejected_by_category": by_category(row, pair.rejected),
    }
    chosen, rejected = (row.conversations[at] for at in (pair.chosen, pair.rejected))
    return PAIRED[form](chosen, rejected, complete(extra))


def _texts(row: Row, key: str, pair: Pair) -> tuple[str, ...]:
    """Equal for pairs that a trainer would learn twice, of two rows with the same prompt."""
    sides = (row.conversations[at].response.strip() for at in (pair.chosen, pair.rejected))
    return key, *sides


def _example(row: Row, pair: Pair) -> dict[str, Any]:
    chosen, rejected = (row.conversations[at] for at in (pair.chosen, pair.rejected))
    return {
        "row": row.number,
        "margin": pair.adjusted_margin,
        "prompt": shown(chosen.prompt[-1].content),
        "chosen": shown(chosen.response),
        "reward_chosen": row.columns["rewards"][pair.chosen],
        "rejected": shown(rejected.response),
        "reward_rejected": row.columns["rewards"][pair.rejected],
    }


def mined_pairs(
    rows: Sequence[Row],
    groups: Sequence[Group],
    options: PairingOptions,
    output: OutputOptions,
    *,
    weights: Mapping[str, float],
    noise_floor: float | None,
    seed: int,
) -> Mined:
    """The rows of a run's preference pairs.

    Args:
        rows: with their rewards.
        groups: from `groups_of`, of the same rows.
        options: which responses make a pair.
        output: format and held-out part.
        weights: of the categories in the reward; a category without one has 1.
        noise_floor: how far one reward may be off, unit of the reward; None where it is not known.
        seed: of what is drawn, and of the order of equal rewards.
    """
    choice = choose_pairs(groups, options, noise_floor=noise_floor or 0.0, seed=seed)
    every = [
        (row, group.key, pair)
        for row, group, of_row in zip(rows, groups, choice.pairs, strict=True)
        for pair in of_row
    ]
    first: dict[tuple[str, ...], tuple[Row, str, Pair]] = {}
    for one in every:
        first.setdefault(_texts(*one), one)
    pairs = list(first.values())
    made = [Made(key, _row(row, pair, output.format)) for row, key, pair in pairs]
    main, held_out = split(made, output.held_out, seed)
    sides = {
        name: lengths_of((row, getattr(pair, name)) for row, _, pair in pairs)
        for name in ("chosen", "rejected")
    }
    report = {
        "yield": {
            **asdict(choice.counts),
            "pairs": len(pairs),
            "repeated": len(every) - len(pairs),
        },
        "rows": len(main),
        "rows_held_out": len(held_out),
        "noise_floor": noise_floor,
        "min_margin": choice.min_margin,
        "length_slope": choice.slope,
        "margin_quantiles": quantiles([pair.adjusted_margin for *_, pair in pairs]),
        "characters": _characters(**sides),
        "categories": category_margins([(row, pair) for row, _, pair in pairs], weights),
        "examples": [_example(row, pair) for row, _, pair in drawn(pairs, seed)],
    }
    return Mined([one.row for one in main], [one.row for one in held_out], report)


def _characters(chosen: Sequence[int], rejected: Sequence[int]) -> dict[str, float] | None:
    """Mean lengths of both sides, and how often one is longer; None without pairs."""
    if not chosen:
        return None
    both = list(zip(chosen, rejected, strict=True))
    return {
        "chosen": sum(chosen) / len(both),
        "rejected": sum(rejected) / len(both),
        "chosen_longer": sum(one > other for one, other in both) / len(both),
        "equal": sum(one == other for one, other in both) / len(both),
    }
