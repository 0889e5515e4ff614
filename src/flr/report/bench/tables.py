"""The tables of a benchmark: what `results.md` and `report.html` both show of one set.

From the set's results alone; cells are worded, not escaped.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flr.report.bench.words import SPOILT, WAYS, Kind, kind_of, majority_of
from flr.report.tables import Table, Word, parts_table
from flr.report.words import (
    NONE,
    Figure,
    correlation,
    known,
    reward_value,
    share,
    share_of,
    short,
)


def _key(key: str, word: Word) -> Callable[[Mapping[str, Any]], str]:
    return lambda reward: word(reward.get(key))


def _inside_floor(reward: Mapping[str, Any]) -> str:
    inside = reward.get("inside_floor")
    return NONE if inside is None else f"{inside:,} (±{short(reward.get('noise_floor'))})"


def _ties(reward: Mapping[str, Any]) -> str:
    return NONE if reward.get("ties") is None else f"{reward['ties']:,}"


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the rewards' own table.

    Args:
        title: of it.
        word: its cell, from a reward's figures.
        note: what it says, a sentence; empty where the title is enough.
    """

    title: str
    word: Callable[[Mapping[str, Any]], str]
    note: str = ""


_LENGTH = _key("length_correlation", correlation)
_TIES = _Column("Ties", _ties, "Ties: equal rewards; each counts as a guess does.")
_FLOOR = _Column(
    "Inside noise floor",
    _inside_floor,
    "Inside noise floor: decisions that rounding may have made, with margins of at most twice the "
    "floor (in brackets: how far one reward may be off).",
)

COLUMNS: dict[str, tuple[_Column, ...]] = {
    "pairwise": (
        _Column(
            "Length correlation",
            _LENGTH,
            "Length correlation: Spearman's, of the margin and the difference of lengths.",
        ),
        _Column(
            "Shorter preferred",
            _key("shorter_preferred", share_of),
            "Shorter preferred: accuracy where people preferred the shorter response.",
        ),
        _Column(
            "Similar length",
            _key("similar_length", share_of),
            "Similar length: accuracy where lengths differ by at most 25 % of the longer.",
        ),
        _TIES,
        _Column("Ties as wrong", _key("strict", share), "Ties as wrong: accuracy if they are."),
        _FLOOR,
    ),
    "rating": (
        _Column("Spearman", _key("spearman", correlation)),
        _Column("Kendall", _key("kendall", correlation)),
        _Column(
            "Partial, given log length",
            _key("partial", correlation),
            "Partial: Pearson's correlation of what the log of the length leaves of reward and "
            "rating; of the length itself this is next to nothing but the bend of the logarithm.",
        ),
        _Column(
            "Within prompt",
            _key("within_prompt", share_of),
            "Within prompt: how often the better rated of two responses to a prompt has the higher "
            "reward.",
        ),
        _Column(
            "Length correlation", _LENGTH, "Length correlation: Spearman's, of reward and length."
        ),
        _FLOOR,
    ),
    "ranking": (
        _Column("Kendall", _key("kendall", correlation)),
        _Column(
            "Length correlation", _LENGTH, "Length correlation: Spearman's, of reward and length."
        ),
        _FLOOR,
    ),
    SPOILT: (_TIES, _FLOOR),
}
"""The columns of each kind after the main figure and the difference to the reference."""


def _columns(of_set: Mapping[str, Any], reference: str | None) -> dict[_Column, list[str]]:
    """The columns with their cells; one without any answer is left out."""
    kind, rewards = kind_of(of_set), of_set["rewards"]
    columns = list(COLUMNS[kind.name])
    # A mean over all ways of spoiling, the control among them, would be of nothing.
    if kind.name != SPOILT:
        if reference in rewards:
            title = f"Difference to {reference}{kind.unit}"
            columns.insert(0, _Column(title, _key("difference", kind.word_difference)))
        columns.insert(0, _Column(kind.title, _key(kind.main, kind.word)))
    cells = {column: [column.word(of) for of in rewards.values()] for column in columns}
    return {column: own for column, own in cells.items() if set(own) - {NONE}}


def _main_table(of_set: Mapping[str, Any], reference: str | None) -> Table:
    """A row a reward, then the majority."""
    columns = _columns(of_set, reference)
    cells = zip(*columns.values(), strict=True) if columns else ((),) * len(of_set["rewards"])
    rows = [(name, *row) for name, row in zip(of_set["rewards"], cells, strict=True)]
    notes = [column.note for column in columns if column.note]
    majority = majority_of(of_set)
    if majority is not None and columns:
        word = kind_of(of_set).word
        rows += [("majority", word(majority), *[NONE] * (len(columns) - 1))]
        notes += ["majority: choosing the most common position of the preferred one, always."]
    header = ("Reward", *(column.title for column in columns))
    return Table("Rewards", header, tuple(rows), tuple(notes))


def _by(rewards: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Figure]]:
    return {name: reward.get(key) or {} for name, reward in rewards.items()}


def _subsets(reward: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures by subset, the last one their mean where there is one."""
    figures: dict[str, Figure] = dict(reward.get("subsets") or {})
    mean: Figure | None = reward.get("subset_mean")
    return figures | ({"mean of subsets": mean} if mean and known(mean["value"]) else {})


def _spoilt_table(kind: Kind, rewards: Mapping[str, Any]) -> Table | None:
    """A row a way of spoiling; nothing that is taken over all of them."""
    title = f"{kind.title}, by what the other one is"
    table = parts_table(title, "Other", _by(rewards, "subsets"), kind.word, count=True)
    notes = tuple(f"{way}: {other}." for way, other in WAYS.items())
    return None if table is None else replace(table, notes=notes)


def _whole_tables(kind: Kind, rewards: Mapping[str, Any]) -> list[Table | None]:
    by, word = f"{kind.title} by", kind.word
    subsets = {name: _subsets(reward) for name, reward in rewards.items()}
    return [
        parts_table(f"{by} section", "Section", _by(rewards, "sections"), word, count=False),
        parts_table(f"{by} subset", "Subset", subsets, word, count=True),
        parts_table(f"{by} category", "Category", _by(rewards, "categories"), word, count=False),
        _systems_table(rewards),
    ]


def _systems_table(rewards: Mapping[str, Any]) -> Table | None:
    """The mean reward of every system beside its Elo number, the highest Elo first."""
    columns = {name: reward["systems"] for name, reward in rewards.items() if reward.get("systems")}
    elo = {name: figure["elo"] for column in columns.values() for name, figure in column.items()}
    rows = [
        (name, short(elo[name]), *(reward_value(column.get(name)) for column in columns.values()))
        for name in sorted(elo, key=lambda name: -elo[name])
    ]
    header = ("System", "Elo", *columns)
    return Table("Mean reward of each system", header, tuple(rows)) if rows else None


def set_tables(of_set: Mapping[str, Any], reference: str | None) -> list[Table]:
    """All tables of one set, the rewards' own first.

    Args:
        of_set: one of the results' `sets`.
        reference: the reward that others are held against; None where there is none.
    """
    kind, rewards = kind_of(of_set), of_set["rewards"]
    own = _main_table(of_set, reference)
    if kind.name == SPOILT:
        tables = [_spoilt_table(kind, rewards), own]
    else:
        tables = [own, *_whole_tables(kind, rewards)]
    return [table for table in tables if table is not None]
