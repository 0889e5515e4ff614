"""Data files out: rows as JSONL or Parquet, or as a folder of Parquet files.

Nothing here decides which columns a result has.
"""

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from flr.errors import OutputError
from flr.files import PART, check_place, whole_file, whole_folder

ROWS_OF_A_PART = 100_000
"""Rows of each Parquet file of a folder, but for the last one."""


def _plain(value: Any) -> Any:
    """A value that Parquet has and JSON has not, in the usual JSON form."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _json_line(row: Mapping[str, Any]) -> bytes:
    try:
        return (json.dumps(dict(row), ensure_ascii=False, default=_plain) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can carry
        return (json.dumps(dict(row), default=_plain) + "\n").encode()


def _jsonl_chunks(rows: Iterable[Mapping[str, Any]], path: Path) -> Iterator[bytes]:
    for number, row in enumerate(rows, 1):
        try:
            yield _json_line(row)
        except (TypeError, ValueError, RecursionError) as error:
            raise OutputError(f"{path}: row {number} cannot be written as JSON: {error}.") from None


def _write_jsonl(handle: BinaryIO, rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    handle.writelines(_jsonl_chunks(rows, path))


def _arrow_column(name: str, values: list[Any], path: Path) -> pa.Array | pa.ChunkedArray:
    """One column, proved to be a thing that Parquet can hold."""
    try:
        column = pa.array(values)
        pq.write_table(pa.table({name: column.slice(0, 0)}), pa.BufferOutputStream())
    except (pa.ArrowException, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise OutputError(
            f"{path}: Parquet cannot hold the column {name!r}: {reason}. Name the output .jsonl."
        ) from None
    return column


def _table(rows: Iterable[Mapping[str, Any]], path: Path) -> pa.Table:
    """The union of the rows' columns, null where a row has none."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table(
        {name: _arrow_column(name, [row.get(name) for row in rows], path) for name in names}
    )


def _write_parquet(handle: BinaryIO, rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    pq.write_table(_table(rows, path), handle)


WRITERS: dict[str, Callable[[BinaryIO, Iterable[Mapping[str, Any]], Path], None]] = {
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}


def _write_folder(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Parquet files of one schema."""
    table = _table(rows, path)
    with whole_folder(path) as folder:
        for number, at in enumerate(range(0, max(table.num_rows, 1), ROWS_OF_A_PART)):
            part = table.slice(at, ROWS_OF_A_PART)
            pq.write_table(part, folder / f"part-{number:05d}.parquet")


def _check_folder(path: Path) -> None:
    """Raises where there is a folder that holds what is not ours to replace."""
    try:
        others = [one.name for one in path.iterdir()] if path.is_dir() else []
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    foreign = next((name for name in sorted(others) if not PART.fullmatch(name)), None)
    if foreign is not None:
        raise OutputError(f"{path}: a folder with {foreign!r} in it; name a folder of its own.")


def _writer(path: Path) -> Callable[[BinaryIO, Iterable[Mapping[str, Any]], Path], None]:
    suffix = path.suffix.lower() or ".parquet"  # a folder of those
    if suffix not in WRITERS:
        raise OutputError(
            f"{path}: an output is named .jsonl or .parquet, or has no suffix for a folder of "
            "Parquet files."
        )
    return WRITERS[suffix]


def check_output(
    path: Path, rows: Iterable[Mapping[str, Any]] = (), *, folder_too: bool = False
) -> None:
    """Refuses, before any work is done, an output that could not be written at the end.

    Args:
        path: where the output shall be.
        rows: the columns that it will have at least, where they are known already.
        folder_too: whether a name without suffix may stand for a folder of Parquet files.

    Raises:
        OutputError: another suffix than `.jsonl`, `.parquet` or none; a folder that holds anything
            but an earlier output; in a folder that is missing or that may not be written to; a
            column that this format cannot hold.
    """
    write_rows = _writer(path)
    if not path.suffix and not (folder_too and path.name):
        raise OutputError(f"{path}: an output is named .jsonl or .parquet.")
    check_place(path, folder_too=not path.suffix)
    if not path.suffix:
        _check_folder(path)
    with Path(os.devnull).open("wb") as nowhere:
        write_rows(nowhere, rows, path)


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows as JSONL or Parquet, by suffix: the whole output, or nothing and an error.

    JSONL keeps each row as it is; dates, decimals and bytes become text (bytes in base64). Parquet
    gets the union of the columns, and of the keys of objects in them, null where a row has none.

    Args:
        path: `.jsonl`, `.parquet`, or without suffix for a folder of Parquet files, in a folder
            that exists; what is there is replaced.
        rows: the columns of each row, in their order.

    Raises:
        OutputError: a value that the format cannot hold, no space, no permission.
    """
    write_rows = _writer(path)
    if path.suffix:
        with whole_file(path) as handle:
            write_rows(handle, rows, path)
    else:
        _write_folder(path, rows)
