"""Tables as `results.md` and `report.html` both show them; cells are worded, not escaped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flr.report.words import Figure

Word = Callable[[Figure | None], str]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the first column names the row.

    Args:
        title: what it shows.
        header: titles of the columns.
        rows: cells, as many as titles.
        notes: what its titles and names mean, a sentence each.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def parts_table(
    title: str, first: str, parts: Mapping[str, Mapping[str, Figure]], word: Word, *, count: bool
) -> Table | None:
    """A row a part of the set, a column a reward; None where no reward has such parts."""
    columns = {name: figures for name, figures in parts.items() if figures}
    names = list(dict.fromkeys(part for column in columns.values() for part in column))
    if not names:
        return None
    rows = []
    for name in names:
        figures = [column.get(name) for column in columns.values()]
        counts = [figure["count"] for figure in figures if figure]
        middle = (f"{max(counts):,}",) if count else ()
        rows.append((name, *middle, *map(word, figures)))
    return Table(title, (first, *(("Count",) if count else ()), *columns), tuple(rows))
