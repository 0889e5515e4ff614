"""Files into values: JSONL, JSON, CSV and Parquet, told apart by their suffix; folders of Parquet.

A `.json` file may also hold one value a line, as SHP's published files do; it is read as JSONL.

What is read is kept as it came, column by column. JSON is taken as Python's `json` takes it: NaN
and Infinity are numbers, of duplicate keys the last one counts, a byte order mark is skipped.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flr.errors import InputError, Problem
from flr.messages import kind_of
from flr.remote import files_in, is_folder, is_url, opened

Numbered = tuple[int, Any]
"""Number of a row and its value, a `Problem` where it could not be read."""

KNOWN_INPUTS = ".jsonl, .json, .csv (each also with .gz after it), .parquet or a folder of those"
LARGEST_CELL = 2**31 - 1


def failure(source: str, message: str, hint: str = "") -> InputError:
    """The error for a whole source."""
    return InputError(source, [Problem(None, "", message)], hint)


def unreadable(source: str, error: Exception) -> InputError:
    """The error for a file or folder that cannot be opened or unpacked."""
    reason = getattr(error, "strerror", None) or str(error)
    return failure(source, f"cannot be read: {reason}")


def _open(source: str) -> io.BufferedIOBase:
    if source.lower().endswith(".gz"):
        return gzip.open(opened(source) if is_url(source) else source)
    return opened(source) if is_url(source) else Path(source).open("rb")


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


def jsonl_items(lines: Iterable[bytes]) -> Iterator[Numbered]:
    """One item a line that is not blank, numbered by line."""
    for number, line in enumerate(lines, 1):
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.strip():
            yield number, _line_value(number, line.rstrip(b"\r\n"))


def _jsonl(source: str) -> Iterator[Numbered]:
    with _open(source) as handle:
        yield from jsonl_items(handle)


def _whole_text(source: str) -> str:
    with _open(source) as handle:
        data = handle.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise failure(source, _fault(error), "Save the file as UTF-8.") from None


def _begins_with_a_line(text: str, error: Exception) -> bool:
    """Whether the first JSON value of a text is one line of it, with more after it."""
    if not isinstance(error, json.JSONDecodeError) or error.msg != "Extra data":
        return False
    return "\n" not in text[: error.pos].strip()


def _json(source: str) -> Iterator[Numbered]:
    """One item an element of the list; one a line, where the file is JSONL by another name."""
    text = _whole_text(source)
    try:
        rows = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        if _begins_with_a_line(text, error):
            return _jsonl(source)
        raise failure(source, _fault(error)) from None
    if not isinstance(rows, list):
        message = f"expected a list of rows, got {kind_of(rows)}"
        raise failure(source, message, 'Write it as [{"prompt": ..., "response": ...}, ...].')
    return enumerate(rows, 1)


def _record(number: int, header: list[str], cells: list[str]) -> dict[str, str] | Problem:
    if len(cells) != len(header):
        message = f"has {len(cells)} cells, but the header names {len(header)} columns"
        return Problem(number, "", message)
    return dict(zip(header, cells, strict=True))


def _check_names(names: Sequence[str], source: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        listed = ", ".join(map(repr, twice))
        raise failure(source, f"several columns have one name: {listed}", "Rename all but one.")


def _csv(source: str) -> Iterator[Numbered]:
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
        raise failure(source, f"is not valid CSV: {error} (line {reader.line_num})") from None


def _parquet(source: str) -> Iterator[Numbered]:
    try:
        with _open(source) as raw, pq.ParquetFile(raw) as file:
            _check_names(file.schema_arrow.names, source)
            batches = file.iter_batches(batch_size=1024)
            yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
    except InputError:
        raise
    except (pa.ArrowException, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise failure(source, f"cannot be read as Parquet: {reason}") from None


READERS: dict[str, Callable[[str], Iterator[Numbered]]] = {
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".json": _json,
    ".json.gz": _json,
    ".csv": _csv,
    ".csv.gz": _csv,
    ".parquet": _parquet,
}


def reader_of(source: str) -> Callable[[str], Iterator[Numbered]] | None:
    """What reads a file of this suffix; None where it has no known one."""
    endings = (ending for ending in READERS if source.lower().endswith(ending))
    return next((READERS[ending] for ending in endings), None)


def _parquet_files(folder: str) -> list[str]:
    """The Parquet files of a folder and those below it, by name; hidden ones are left out."""
    if is_url(folder):
        files = files_in(folder)
    else:
        below = Path(folder)
        files = [str(file.relative_to(below)) for file in below.rglob("*") if file.is_file()]
    return [
        f"{folder.rstrip('/')}/{file}"
        for file in sorted(files)
        if file.lower().endswith(".parquet")
        and not any(part.startswith((".", "_")) for part in file.split("/"))
    ]


def _folder(source: str) -> Iterator[Numbered]:
    """The rows of all Parquet files of a folder, numbered through."""
    files = _parquet_files(source)
    if not files:
        raise failure(source, "is a folder without a .parquet file", "Name one file in it.")
    return enumerate((value for file in files for _, value in file_items(file)), 1)


def _reader_here(source: str) -> Callable[[str], Iterator[Numbered]] | None:
    """What reads a source; elsewhere a known suffix is not asked whether it is a folder's."""
    if is_url(source):
        return reader_of(source) or (_folder if is_folder(source) else None)
    return _folder if Path(source).is_dir() else reader_of(source)


def file_items(source: str) -> Iterator[Numbered]:
    """The rows of one file, or of a folder of Parquet files; a path or a URL."""
    try:
        read_items = _reader_here(source)
        if read_items is None:
            raise failure(source, f"has no known suffix; expected {KNOWN_INPUTS}")
        yield from read_items(source)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(source, error) from None
    except Exception as error:
        # Other packages' file systems have errors of their own, which come while reading, too.
        if isinstance(error, InputError) or not is_url(source):
            raise
        raise unreadable(source, error) from error
