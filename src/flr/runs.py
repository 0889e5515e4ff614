"""The run store: finished blocks, so that a killed run goes on and ends with the same bytes.

Rows are planned in fixed blocks of consecutive rows. A block is the unit of batching, of resuming
and of what one process gets; what is in a batch therefore never depends on where a run died or on
how many processes it had. A block's key is a hash over everything that changes its bits; a store
never answers for anything else.

Beside OUTPUT lie
    OUTPUT.run.sqlite    the store: finished blocks, kept after the run
    OUTPUT.run.json      the record: how OUTPUT was made
"""

import hashlib
import json
import math
import platform
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, TypeVar, final, runtime_checkable

from flr.errors import OutputError
from flr.files import write_text

BLOCK_ROWS = 8
"""Rows of a block: small enough that little is lost with one, large enough to fill a batch."""

BLOCK_RESPONSES = 64
"""Most responses of a block of several rows."""

_LIBRARIES = ("flr", "torch", "transformers", "tokenizers", "numpy", "gguf", "accelerate")
_LIBRARIES += ("peft", "bitsandbytes")


@runtime_checkable
class Prompted(Protocol):
    """A row, an item: what holds conversations."""

    @property
    def conversations(self) -> Sequence[Any]:
        """Its conversations."""
        ...


Some = TypeVar("Some", bound=Prompted)


def blocks(rows: Sequence[Some]) -> Iterator[list[Some]]:
    """Fixed blocks of consecutive rows: `BLOCK_ROWS` rows, fewer where they hold many responses."""
    block: list[Some] = []
    for row in rows:
        responses = sum(len(one.conversations) for one in (*block, row))
        if len(block) == BLOCK_ROWS or (block and responses > BLOCK_RESPONSES):
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def key_of(parts: Any) -> str:
    """A hash over plain data (JSON), the same on every machine: the key of a run or a block.

    Example:
        >>> key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1})
        True
    """
    text = json.dumps(
        parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=_stable
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _stable(value: object) -> str:
    """A value that JSON has not, by its own text; by its type where that text is an address."""
    plain = type(value).__repr__ is object.__repr__ and type(value).__str__ is object.__str__
    return type(value).__name__ if plain else str(value)


def versions() -> dict[str, str]:
    """Versions of everything that has a say in the numbers."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _output_sha256(path: Path) -> str:
    """sha256 of a file, or over the names and hashes of a folder's files."""
    if path.is_file():
        return file_sha256(path)
    return key_of({file.name: file_sha256(file) for file in path.iterdir()})


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@final
class Store:
    """Finished blocks in one SQLite file; open it with `with`, one process at a time.

    Args:
        path: the file; made where it is missing.

    Raises:
        OutputError: it is no store, another process has it open, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS block "
                "(key TEXT PRIMARY KEY, payload TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID"
            )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._worded(error) from error

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def get(self, key: str) -> Any | None:
        """A finished block's results, or None where it is not finished.

        A payload that does not match its own hash counts as not finished.
        """
        payload = self._payload(key)
        return None if payload is None else json.loads(payload)

    def _payload(self, key: str) -> str | None:
        try:
            found = self._db.execute(
                "SELECT payload, sha256 FROM block WHERE key = ?", (key,)
            ).fetchone()
        except sqlite3.Error as error:
            raise self._worded(error) from error
        if found is None or hashlib.sha256(found[0].encode()).hexdigest() != found[1]:
            return None
        return found[0]

    def __contains__(self, key: str) -> bool:
        return self._payload(key) is not None

    def __getitem__(self, key: str) -> Any:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def keys(self) -> list[str]:
        """Keys of all finished blocks."""
        return [key for (key,) in self._db.execute("SELECT key FROM block ORDER BY key")]

    def put(self, key: str, results: Any) -> None:
        """Keeps a block's results (plain data), whole or not at all."""
        payload = json.dumps(results, separators=(",", ":"))
        digest = hashlib.sha256(payload.encode()).hexdigest()
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO block VALUES (?, ?, ?)", (key, payload, digest)
            )
        except sqlite3.Error as error:
            raise self._worded(error) from error

    def _worded(self, error: sqlite3.Error) -> OutputError:
        text = str(error)
        if "locked" in text:
            return OutputError(f"{self.path}: another flr is working on this output; wait for it")
        if "full" in text:
            return OutputError(
                f"{self.path}: the disk is full; make room and give the same command again, "
                "finished blocks are kept"
            )
        return OutputError(
            f"{self.path}: not usable as run store ({text}); remove it to begin anew"
        )


@final
@dataclass(frozen=True, slots=True)
class Report:
    """What a run that writes a file did.

    Args:
        record: how OUTPUT was made, as its run record says.
        computed: blocks that were computed now; 0 where everything was there already.
    """

    record: Mapping[str, Any]
    computed: int


def store_path(output: Path) -> Path:
    """Where the store of an output lies."""
    return output.with_name(output.name + ".run.sqlite")


def record_path(output: Path) -> Path:
    """Where the record of an output lies."""
    return output.with_name(output.name + ".run.json")


def is_done(output: Path, run_key: str) -> bool:
    """Whether OUTPUT is there, whole, and was made by exactly this run."""
    record = read_record(output)
    return (
        output.exists()
        and record.get("run") == run_key
        and record.get("output_sha256") == _output_sha256(output)
    )


def begin_output(output: Path, run_key: str, *, force: bool, **told: str) -> None:
    """Marks OUTPUT as this run's own, so that a kill between OUTPUT and its record loses nothing.

    Args:
        output: what will be written next.
        run_key: of this run.
        force: replace what another run, or somebody else, has made.
        told: what the record is to say from now on.

    Raises:
        OutputError: it exists and was made otherwise.
    """
    check_free(output, run_key, force=force)
    write_text(record_path(output), json.dumps({"run": run_key, **told}) + "\n")


def check_free(output: Path, run_key: str, *, force: bool = False) -> None:
    """Raises where OUTPUT holds something that this run did not make, unless forced.

    Raises:
        OutputError: it exists and was made otherwise.
    """
    is_free = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not is_free and read_record(output).get("run") != run_key and not force:
        raise OutputError(
            f"{output} exists and was made otherwise; give another name, or --force to replace it"
        )


def read_record(output: Path) -> dict[str, Any]:
    """The record of an output; empty where there is none that can be read."""
    try:
        found = json.loads(record_path(output).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_record(output: Path, run_key: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Writes how OUTPUT was made, in one move; returns the whole record.

    Raises:
        OutputError: the file cannot be written.
    """
    record = {"run": run_key, "output_sha256": _output_sha256(output), **plain(parts)}
    write_text(record_path(output), json.dumps(record, indent=2) + "\n")
    return record


def discard(output: Path) -> None:
    """Removes an output that a run has made, its record last."""
    for path in (output, record_path(output)):
        path.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Plain data that every JSON reader takes: no NaN, which becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
