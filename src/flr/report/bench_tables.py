"""The tables of a benchmark: what `results.md` and `report.html` both show of one set.

From the set's results alone; cells are worded, not escaped.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flr.report.bench_words import (
    NONE,
    Figure,
    correlation,
    counted,
    kind_of,
    majority_of,
    reward_value,
    share,
    short,
)

Word = Callable[[Figure | None], str]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the first column names the row.

    Args:
        title: what it shows.
        header: titles of the columns.
        rows: cells, as many as titles.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _key(key: str, word: Word) -> Callable[[Mapping[str, Any]], str]:
    return lambda reward: word(reward.get(key))


def _inside_floor(reward: Mapping[str, Any]) -> str:
    inside = reward.get("inside_floor")
    return NONE if inside is None else f"{inside:,} (±{short(reward.get('noise_floor'))})"


def _ties(reward: Mapping[str, Any]) -> str:
    return NONE if reward.get("ties") is None else f"{reward['ties']:,}"


COLUMNS: dict[str, dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "pairwise": {
        "Length correlation": _key("length_correlation", correlation),
        "Shorter preferred": _key("shorter_preferred", share),
        "Similar length": _key("similar_length", share),
        "Ties": _ties,
        "Ties as wrong": _key("strict", share),
        "Inside noise floor": _inside_floor,
    },
    "rating": {
        "Spearman": _key("spearman", correlation),
        "Kendall": _key("kendall", correlation),
        "Partial, given length": _key("partial", correlation),
        "Within prompt": _key("within_prompt", share),
        "Length correlation": _key("length_correlation", correlation),
        "Inside noise floor": _inside_floor,
    },
    "ranking": {
        "Kendall": _key("kendall", correlation),
        "Length correlation": _key("length_correlation", correlation),
        "Inside noise floor": _inside_floor,
    },
}
"""The columns of each kind after the main figure and the difference to the reference."""


def _columns(of_set: Mapping[str, Any], reference: str | None) -> dict[str, list[str]]:
    """The cells of every column by its title; a column without any answer is left out."""
    kind, rewards = kind_of(of_set), of_set["rewards"]
    words = {kind.title: _key(kind.main, kind.word)}
    if reference in rewards:
        words[f"Difference to {reference}{kind.unit}"] = _key("difference", kind.word_difference)
    words |= COLUMNS[of_set["kind"]]
    columns = {title: [word(of) for of in rewards.values()] for title, word in words.items()}
    return {title: cells for title, cells in columns.items() if set(cells) - {NONE}}


def _main_table(of_set: Mapping[str, Any], reference: str | None) -> Table:
    """A row a reward, then the majority."""
    columns = _columns(of_set, reference)
    cells = zip(*columns.values(), strict=True) if columns else ((),) * len(of_set["rewards"])
    rows = [(name, *row) for name, row in zip(of_set["rewards"], cells, strict=True)]
    majority = majority_of(of_set)
    if majority is not None and columns:
        word = kind_of(of_set).word
        rows += [("majority", word(majority), *[NONE] * (len(columns) - 1))]
    return Table("Rewards", ("Reward", *columns), tuple(rows))


def _parts_table(
    title: str, first: str, rewards: Mapping[str, Any], key: str, word: Word, *, count: bool
) -> Table | None:
    """A row a part of the set, a column a reward; None where no reward has such parts."""
    columns = {name: reward[key] for name, reward in rewards.items() if reward.get(key)}
    parts = list(dict.fromkeys(part for column in columns.values() for part in column))
    if not parts:
        return None
    rows = []
    for part in parts:
        figures = [column.get(part) for column in columns.values()]
        counts = [figure["count"] for figure in figures if figure]
        middle = (f"{max(counts):,}",) if count else ()
        rows.append((part, *middle, *map(word, figures)))
    return Table(title, (first, *(("Count",) if count else ()), *columns), tuple(rows))


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
    by, word = f"{kind.title} by", kind.word
    tables = [
        _main_table(of_set, reference),
        _parts_table(f"{by} section", "Section", rewards, "sections", word, count=False),
        _parts_table(f"{by} subset", "Subset", rewards, "subsets", word, count=True),
        _parts_table(f"{by} category", "Category", rewards, "categories", word, count=False),
        _systems_table(rewards),
    ]
    return [table for table in tables if table is not None]


def set_counts(of_set: Mapping[str, Any]) -> str:
    """How many items, prompts and responses a set has, and what was left out of it."""
    nouns = {"items": "item", "groups": "prompt", "responses": "response"}
    sizes = ", ".join(counted(of_set[key], noun) for key, noun in nouns.items())
    left_out = [f"{reason}: {count:,}" for reason, count in of_set["left_out"].items() if count]
    sentences = [f"{sizes}."]
    if left_out:
        sentences.append(f"Left out of the set: {'; '.join(left_out)}.")
    if of_set["skipped"]:
        sentences.append(f"Skipped: {counted(len(of_set['skipped']), 'item')}.")
    if of_set["kind"] == "rating" and of_set["majority"]:
        sentences.append(f"The most common rating: {share(of_set['majority'])} of the responses.")
    return " ".join(sentences)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value under its name; what is inside a mapping under its name after a dot."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value)) or NONE
    else:
        yield name, NONE if value is None else str(value)


def how_made(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the results were made, as names and values: versions, command, models, options."""
    first = {key: results[key] for key in ("flr", "command", "finished")}
    later = [*_flat("", results["made_with"]), *_flat("options", results["options"])]
    return [*_flat("", first), *later]
