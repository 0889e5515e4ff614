"""Files and folders elsewhere: `s3://`, `gs://` and whatever else fsspec has a file system for.

A file system's own package (s3fs, gcsfs) is the user's to install, and takes its keys from where it
always does. An output is made in the working directory, with its store, and copied when it is
whole. Nothing is ever replaced or removed there but what was copied from here before.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import fsspec

from flr.errors import OptionError, OutputError
from flr.files import PART, write_text
from flr.runs import read_record, record_path

T = TypeVar("T")

CHUNK = 2**20
"""Bytes that are asked for at a time."""

WEB = ("http://", "https://")
"""Where there are files to read, but no folders, and nothing to write."""


def is_url(place: str) -> bool:
    """Whether this is a place on a file system with a name, such as `s3://bucket/rows.parquet`.

    Example:
        >>> is_url("s3://bucket/rows"), is_url("rows.jsonl")
        (True, False)
    """
    return "://" in place


def opened(url: str) -> io.BufferedReader:
    """A file, to read.

    Raises:
        OSError: it cannot be read, or there is no such file system here.
    """
    return io.BufferedReader(_tried(url, lambda system, path: system.open(path, "rb")), CHUNK)


def is_folder(url: str) -> bool:
    """Whether there is a folder.

    Raises:
        OSError: there is no such file system here, or it does not answer.
    """
    is_web = url.startswith(WEB)
    return not is_web and _tried(url, lambda system, path: system.isdir(path))


def files_in(folder: str) -> list[str]:
    """Every file in a folder and those below it, by its name from there on.

    Raises:
        OSError: there is no such file system here, or it does not answer.
    """

    def found(system: Any, path: str) -> list[str]:
        length = len(path.rstrip("/")) + 1
        return [one[length:] for one in system.find(path)]

    return _tried(folder, found)


def local(source: str, output: str, *, in_parts: bool) -> Path:
    """Where an output is made: where it shall be, or in the working directory for a URL.

    Args:
        source: INPUT.
        output: OUTPUT.
        in_parts: whether only a shard of it is made now.

    Raises:
        OptionError: a URL for a shard.
        OutputError: a URL that cannot be written, that is or lies in INPUT, or where something is.
    """
    if not is_url(output):
        return Path(output)
    if in_parts:
        raise OptionError(f"--shard: shards lie beside OUTPUT; give a path, not {output}")
    here = Path(PurePosixPath(output).name)
    is_inside = "/" in output.partition("://")[2].strip("/")  # of a bucket or the like
    if output.startswith((*WEB, "file:", "local:")) or not is_inside:
        raise OutputError(f"{output}: no place to write to; a path, or s3://BUCKET/NAME")
    if f"{output.rstrip('/')}/".startswith(f"{source.rstrip('/')}/"):
        raise OutputError(f"{output} is the input, or in it; name another place")
    is_there = _asked(output, lambda system, path: system.exists(path))
    if is_there and _record(output).get("run") not in _copied(here, output):
        raise OutputError(
            f"{output} is there already, not copied from {here} here; remove it, or give another "
            "name"
        )
    return here


def copy(here: Path, output: str) -> None:
    """Copies an output and its record to its URL, where it has one and is not there already.

    Raises:
        OutputError: it cannot be written there.
    """
    if not is_url(output):
        return
    run = read_record(here)["run"]
    runs = [*_copied(here, output), run]
    write_text(_copied_path(here), json.dumps({output: runs}) + "\n")

    def copied(system: Any, path: str) -> None:
        path = path.rstrip("/")
        if system.exists(path) and _record(output) == read_record(here):
            return
        # First of all whose it is: copying goes on with the same command where it was killed.
        system.pipe_file(f"{path}.run.json", json.dumps({"run": run}).encode())
        if here.is_dir():
            system.makedirs(path, exist_ok=True)
            files = sorted(here.iterdir())
            for file in files:
                system.put_file(str(file), f"{path}/{file.name}")
            for place in system.ls(path, detail=False):  # of a longer output, copied before
                name = PurePosixPath(place).name
                if PART.fullmatch(name) and name not in {file.name for file in files}:
                    system.rm_file(place)
        else:
            system.put_file(str(here), path)
        system.put_file(str(record_path(here)), f"{path}.run.json")

    try:
        _asked(output, copied)
    except OutputError as error:
        raise OutputError(
            f"{error}; all of it lies in {here}, and the same command copies it"
        ) from error


def _copied_path(here: Path) -> Path:
    return here.with_name(f"{here.name}.copied.json")


def _copied(here: Path, output: str) -> list[str]:
    """The runs whose output was copied to a URL from here, or begun to be."""
    try:
        found = json.loads(_copied_path(here).read_text("utf-8")).get(output, [])
    except (OSError, ValueError, AttributeError):
        return []
    return found if isinstance(found, list) else []


def _record(output: str) -> dict[str, Any]:
    """The record beside an output at a URL; empty where there is none that can be read."""

    def found(system: Any, path: str) -> Any:
        place = f"{path.rstrip('/')}.run.json"
        return json.loads(system.cat_file(place)) if system.exists(place) else {}

    try:
        record = _tried(output, found)
    except OSError:
        return {}
    return record if isinstance(record, dict) else {}


def _asked(output: str, action: Callable[[Any, str], T]) -> T:
    try:
        return _tried(output, action)
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror or error}") from error


def _tried(url: str, action: Callable[[Any, str], T]) -> T:
    """What comes of an action on a file system; every failure as OSError.

    File systems of other packages fail with errors of their own (a missing key, a name that DNS
    does not know), which have no common base.
    """
    try:
        return action(*fsspec.core.url_to_fs(url))
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
