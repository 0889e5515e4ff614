"""Raw rows of benchmark files: their fields, what is said of bad ones, and items made of them.

A row function turns one row into items. It raises `RowError` where a column is not what the set has
(the file is wrong, and every bad row of it is listed), and yields a reason where a row is as it
should be but has no say (a tie, a missing rating, an empty list): such rows are counted and left
out.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flr.datasets.base import Item
from flr.errors import InputError, Problem
from flr.messages import RowError, kind_of, list_of, shown, text_of

NO_RESPONSE = "no response"


@dataclass(frozen=True, slots=True)
class RawSource:
    """A file, or a split of a data set on the hub.

    Args:
        path: as the user knows it, for errors.
        name: path below the data folder, or the hub's id.
        parts: folders and file name without its suffix; of the hub id, config or folder, split.
    """

    path: str
    name: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it was read.

    Args:
        source: where it stood.
        number: its place there, from 1, as `flr.rows` counts.
        value: what was read; a `Problem` where that failed.
    """

    source: RawSource
    number: int
    value: Any

    @property
    def id(self) -> str:
        """Name of the row, unique within its set."""
        return f"{self.source.name}:{self.number}"

    def has(self, field: str) -> bool:
        """Whether it is a row with this column, null or not."""
        return isinstance(self.value, Mapping) and field in self.value

    def get(self, field: str) -> Any:
        """The value of a column that the set must have."""
        if not isinstance(self.value, Mapping):
            raise RowError("", f"expected an object with columns, got {kind_of(self.value)}")
        if field not in self.value:
            names = ", ".join(shown(str(name)) for name in list(self.value)[:12]) or "none"
            raise RowError(field, f"expected a column of this name; the columns are {names}")
        return self.value[field]

    def text(self, field: str) -> str:
        """The text in a column that the set must have."""
        return text_of(self.get(field), field)

    def listed(self, field: str, expected: str) -> Sequence[Any]:
        """The list in a column that the set must have; empty also where it is null."""
        value = self.get(field)
        is_empty = value is None or (isinstance(value, list | tuple) and not value)
        return () if is_empty else list_of(value, field, expected)

    def name(self, field: str) -> str:
        """A text or whole number that names something; empty where it is absent or null."""
        value = self.value.get(field) if isinstance(self.value, Mapping) else None
        is_name = isinstance(value, str | int) and not isinstance(value, bool)
        return text_of(str(value), field) if is_name else ""


T = TypeVar("T")

ItemOrReason = Item | str
"""An item, or why a row has none."""

RowFunction = Callable[[RawRow], Iterable[ItemOrReason]]
Converted = tuple[tuple[Item, ...], Mapping[str, int]]
"""The items of a set, and the number of rows left out by reason."""


def inside(value: Any, field: str, key: str) -> Any:
    """The value of a key of an object that stands in a column."""
    if not isinstance(value, Mapping):
        raise RowError(field, f"expected an object with {key!r}, got {kind_of(value)}")
    if key not in value:
        raise RowError(f"{field}.{key}", "is missing")
    return value[key]


def number_of(value: Any) -> float | None:
    """A finite number, also one written as text; None where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _from_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def rating_of(value: Any, field: str) -> float | None:
    """The rating in a number or a list of them, either of which may be written as text.

    Args:
        value: the number, or the list, whose mean is taken.
        field: its column.

    Returns:
        None where it is null, not finite, or where any part of a list is no number.

    Raises:
        RowError: it is an object, or true or false.

    Example:
        >>> rating_of("[4, 5, 3]", "score"), rating_of(2, "score"), rating_of([4, None], "score")
        (4.0, 2.0, None)
    """
    if isinstance(value, Mapping | bool):
        expected = "a number or a list of numbers"
        raise RowError(field, f"expected {expected}, got {kind_of(value)}")
    if isinstance(value, str) and number_of(value) is None:
        value = _from_text(value)
    runs = [number_of(run) for run in (value if isinstance(value, list | tuple) else [value])]
    numbers = [run for run in runs if run is not None]
    return math.fsum(numbers) / len(numbers) if numbers and len(numbers) == len(runs) else None


def _failure(path: str, problems: list[Problem], rows: int) -> InputError:
    """The error for a file's problems, in one line where every row has the same one."""
    first = problems[0]
    same = all((p.field, p.message) == (first.field, first.message) for p in problems)
    if same and len(problems) == rows > 1:
        problems = [Problem(None, first.field, f"in each of the {rows} rows: {first.message}")]
    return InputError(path, problems, "Give the file as its makers publish it, or mend these rows.")


def each(rows: Sequence[RawRow], read: Callable[[RawRow], T]) -> list[T]:
    """What a function makes of each row.

    Raises:
        InputError: rows are bad; all bad rows of the first file that has some are in it.
    """
    results: list[T] = []
    problems: dict[str, list[Problem]] = {}
    for row in rows:
        try:
            if isinstance(row.value, Problem):
                problems.setdefault(row.source.path, []).append(row.value)
            else:
                results.append(read(row))
        except RowError as error:
            problem = Problem(row.number, error.field, error.message)
            problems.setdefault(row.source.path, []).append(problem)
    for path, bad in problems.items():
        raise _failure(path, bad, sum(row.source.path == path for row in rows))
    return results


def tally(found: Iterable[ItemOrReason]) -> Converted:
    """Items and reasons, told apart."""
    found = tuple(found)
    items = tuple(one for one in found if isinstance(one, Item))
    return items, dict(Counter(one for one in found if isinstance(one, str)))


def by_row(function: RowFunction) -> Callable[[Sequence[RawRow]], Converted]:
    """The conversion of a set whose items are each made of one row."""

    def convert(rows: Sequence[RawRow]) -> Converted:
        found = each(rows, lambda row: list(function(row)))
        return tally(one for ones in found for one in ones)

    return convert


def _joined(items: Sequence[Item]) -> Item:
    first = items[0]
    systems = tuple(system for item in items for system in item.systems)
    labels = tuple(label for item in items for label in item.labels)
    return Item(
        first.id,
        first.group,
        tuple(conversation for item in items for conversation in item.conversations),
        labels,
        first.subset,
        systems if len(systems) == len(labels) else (),
    )


def joined(items: Iterable[Item]) -> Iterator[Item]:
    """Items of one group, subset and prompt made one with all their responses, in file order."""
    alike: dict[Any, list[Item]] = {}
    for item in items:
        prompt = [message.as_dict() for message in item.conversations[0].prompt]
        key = item.group, item.subset, json.dumps(prompt, sort_keys=True, default=str)
        alike.setdefault(key, []).append(item)
    return map(_joined, alike.values())


def by_prompt(function: RowFunction) -> Callable[[Sequence[RawRow]], Converted]:
    """The conversion of a set whose rows about one prompt become one item."""
    convert_rows = by_row(function)

    def convert(rows: Sequence[RawRow]) -> Converted:
        items, left_out = convert_rows(rows)
        return tuple(joined(items)), left_out

    return convert
