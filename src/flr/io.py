"""Data files in and out: JSONL, JSON, CSV, Parquet, standard input, Hugging Face data sets.

What is read is kept as it came, column by column; what rows mean is the affair of `rows`. JSON is
taken as Python's `json` takes it: NaN and Infinity are numbers, of duplicate keys the last one
counts, a byte order mark is skipped. What is written appears whole or not at all: a temporary file
beside it is renamed at the end. Nothing here decides which columns a result has.
"""

import base64
import csv
import errno
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flr.errors import InputError, OptionError, OutputError, Problem
from flr.rows import Row, columns_of, kind_of, not_a_row, parse_numbered

Item = tuple[int, Any]
"""Number of a row and its value, a `Problem` where it could not be read."""

STANDARD_INPUT = "standard input"
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*(:[\w.-]+)?")
KNOWN_INPUTS = ".jsonl, .json, .csv (each also with .gz after it) or .parquet"
LARGEST_CELL = 2**31 - 1


def _failure(source: str, message: str, hint: str = "") -> InputError:
    return InputError(source, [Problem(None, "", message)], hint)


def _open(source: str) -> io.BufferedIOBase:
    return gzip.open(source) if source.lower().endswith(".gz") else Path(source).open("rb")


def _place(line: int, position: str) -> str:
    return position if line == 1 else f"line {line}, {position}"


def _fault(error: Exception) -> str:
    """What is wrong with text that is not UTF-8, or not JSON."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.start - error.object.rfind(b"\n", 0, error.start)
        value = error.object[error.start]
        return f"is not UTF-8: byte 0x{value:02x} at {_place(line, f'byte {byte}')}"
    if isinstance(error, json.JSONDecodeError):
        place = _place(error.lineno, f"character {error.colno}")
        return f"is not whole and valid JSON: {error.msg} at {place}"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return f"cannot be read as JSON: {error}"


def _line_value(number: int, line: bytes) -> Any:
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        return Problem(number, "", _fault(error))


def _jsonl_items(lines: Iterable[bytes]) -> Iterator[Item]:
    """One item a line that is not blank, numbered by line."""
    for number, line in enumerate(lines, 1):
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.strip():
            yield number, _line_value(number, line)


def _jsonl(source: str) -> Iterator[Item]:
    with _open(source) as handle:
        yield from _jsonl_items(handle)


def _whole_text(source: str) -> str:
    with _open(source) as handle:
        data = handle.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _failure(source, _fault(error), "Save the file as UTF-8.") from None


def _json(source: str) -> Iterator[Item]:
    text = _whole_text(source)
    try:
        rows = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        hint = "If it has one JSON value a line, name it .jsonl." if "Extra" in str(error) else ""
        raise _failure(source, _fault(error), hint) from None
    if not isinstance(rows, list):
        message = f"expected a list of rows, got {kind_of(rows)}"
        raise _failure(source, message, 'Write it as [{"prompt": ..., "response": ...}, ...].')
    yield from enumerate(rows, 1)


def _record(number: int, header: list[str], cells: list[str]) -> dict[str, str] | Problem:
    if len(cells) != len(header):
        message = f"has {len(cells)} cells, but the header names {len(header)} columns"
        return Problem(number, "", message)
    return dict(zip(header, cells, strict=True))


def _check_names(names: Sequence[str], source: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        listed = ", ".join(map(repr, twice))
        raise _failure(source, f"several columns have one name: {listed}", "Rename all but one.")


def _csv(source: str) -> Iterator[Item]:
    """One item a record after the header, numbered by record."""
    csv.field_size_limit(LARGEST_CELL)  # for the whole process; responses are longer than 128 KiB
    # Strict: else a quotation mark left open would swallow all rows after it.
    reader = csv.reader(io.StringIO(_whole_text(source), newline=""), strict=True)
    try:
        records = (cells for cells in reader if cells)
        header = next(records, [])
        _check_names(header, source)
        for number, cells in enumerate(records, 1):
            yield number, _record(number, header, cells)
    except csv.Error as error:
        raise _failure(source, f"is not valid CSV: {error} (line {reader.line_num})") from None


def _parquet(source: str) -> Iterator[Item]:
    try:
        with pq.ParquetFile(source) as file:
            _check_names(file.schema_arrow.names, source)
            batches = file.iter_batches(batch_size=1024)
            yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
    except InputError:
        raise
    except (pa.ArrowException, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise _failure(source, f"cannot be read as Parquet: {reason}") from None


READERS: dict[str, Callable[[str], Iterator[Item]]] = {
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".json": _json,
    ".json.gz": _json,
    ".csv": _csv,
    ".csv.gz": _csv,
    ".parquet": _parquet,
}


def _reader(source: str) -> Callable[[str], Iterator[Item]] | None:
    endings = (ending for ending in READERS if source.lower().endswith(ending))
    return next((READERS[ending] for ending in endings), None)


def _file_items(source: str) -> Iterator[Item]:
    if Path(source).is_dir():
        raise _failure(source, "is a folder", "Name one file in it.")
    read_items = _reader(source)
    if read_items is None:
        raise _failure(source, f"has no known suffix; expected {KNOWN_INPUTS}")
    try:
        yield from read_items(source)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _failure(source, f"cannot be read: {reason}") from None


def _is_hub_id(source: str) -> bool:
    """Whether a source that is no file is an id of the hub; its `owner` is no folder here."""
    may_be_id = HUB_ID.fullmatch(source) is not None and _reader(source) is None
    return may_be_id and not Path(source).parent.is_dir()


def _hub_items(source: str, split: str | None, limit: int | None) -> Iterator[Item]:
    from flr import hub  # here alone: it takes seconds to import, and files do not need it

    return enumerate(hub.rows(source, split, limit), 1)


def _exists(source: str) -> bool:
    try:
        return Path(source).exists()
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise _failure(source, f"cannot be read: {error.strerror}") from None


def _source_items(source: str, split: str | None, limit: int | None) -> Iterator[Item]:
    is_file = source == "-" or _exists(source)
    if not is_file and _is_hub_id(source):
        return _hub_items(source, split, limit)
    if not is_file:
        hint = "A data set of the Hugging Face hub is named owner/name or owner/name:config."
        raise _failure(source, "no such file", hint)
    if split is not None:
        raise OptionError(f"--split {split} is for data sets of the hub; {source} is a file.")
    return _jsonl_items(sys.stdin.buffer) if source == "-" else _file_items(source)


def _items(source: str, split: str | None, limit: int | None) -> Iterator[Item]:
    if limit is not None and limit < 1:
        raise OptionError(f"--limit is {limit}; expected at least 1.")
    return islice(_source_items(source, split, limit), limit)


def _named(source: str) -> str:
    return STANDARD_INPUT if source == "-" else source


def read(
    source: str, *, split: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """The rows of a source as they came, whatever their columns.

    Args:
        source: a file, `-` for JSONL from standard input, or `owner/name[:config]` on the hub.
        split: of a data set on the hub; None where it has only one.
        limit: how many rows to read at most, at least 1.

    Returns:
        The columns of each row; a bare list is a row with the one column `conversation`.

    Raises:
        InputError: the source cannot be read, has no rows, or has values that are no rows.
        OptionError: a split or limit that cannot be.
    """
    items = list(_items(source, split, limit))
    problems = [
        value if isinstance(value, Problem) else Problem(number, "", not_a_row(value))
        for number, value in items
        if columns_of(value) is None
    ]
    if problems or not items:
        raise InputError(_named(source), problems or [Problem(None, "", "has no rows")])
    return [dict(columns_of(value) or {}) for _, value in items]


def load(source: str, *, split: str | None = None, limit: int | None = None) -> list[Row]:
    """The rows of a source and the conversations in them.

    Args:
        source: a file, `-` for JSONL from standard input, or `owner/name[:config]` on the hub.
        split: of a data set on the hub; None where it has only one.
        limit: how many rows to read at most, at least 1.

    Returns:
        One `Row` a row, in their order.

    Raises:
        InputError: the source cannot be read, has no rows, or has bad ones; all of them are in it.
        OptionError: a split or limit that cannot be.
    """
    return parse_numbered(_items(source, split, limit), _named(source))


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


def _write_jsonl(handle: io.BufferedIOBase, rows: Iterable[Mapping[str, Any]], path: Path) -> None:
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


def _write_parquet(
    handle: io.BufferedIOBase, rows: Iterable[Mapping[str, Any]], path: Path
) -> None:
    pq.write_table(_table(rows, path), handle)


WRITERS: dict[str, Callable[[io.BufferedIOBase, Iterable[Mapping[str, Any]], Path], None]] = {
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}


def _writer(path: Path) -> Callable[[io.BufferedIOBase, Iterable[Mapping[str, Any]], Path], None]:
    if path.suffix.lower() not in WRITERS:
        raise OutputError(f"{path}: an output is named .jsonl or .parquet.")
    return WRITERS[path.suffix.lower()]


def _output_failure(path: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{path}: no space left in {path.parent}; nothing was written. "
            "Make room there or name another output."
        )
    return OutputError(f"{path}: cannot be written: {error.strerror or error}.")


def check_output(path: Path, rows: Iterable[Mapping[str, Any]] = ()) -> None:
    """Refuses, before any work is done, an output that could not be written at the end.

    Args:
        path: where the output shall be.
        rows: the columns that it will have at least, where they are known already.

    Raises:
        OutputError: neither `.jsonl` nor `.parquet`; a folder; in a folder that is missing or that
            may not be written to; a column that this format cannot hold.
    """
    write_rows, folder = _writer(path), path.parent
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file in it.")
    if not folder.is_dir():
        raise OutputError(f"{path}: there is no folder {folder}; make it with `mkdir -p {folder}`.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: you may not write to the folder {folder}.")
    with Path(os.devnull).open("wb") as nowhere:
        write_rows(nowhere, rows, path)


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows as JSONL or Parquet, by suffix: the whole file, or nothing and an error.

    JSONL keeps each row as it is; dates, decimals and bytes become text (bytes in base64). Parquet
    gets the union of the columns, and of the keys of objects in them, null where a row has none.

    Args:
        path: `.jsonl` or `.parquet`, in a folder that exists; a file that is there is replaced.
        rows: the columns of each row, in their order.

    Raises:
        OutputError: a value that the format cannot hold, no space, no permission.
    """
    write_rows = _writer(path)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as handle:
            write_rows(handle, rows, path)
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)
    except OSError as error:
        raise _output_failure(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
