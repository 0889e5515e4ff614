"""Files and folders written whole or not at all: made beside their place, renamed at the end."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from flr.errors import OptionError, OutputError

PART = re.compile(r"part-\d{5,}\.parquet")
"""The name of each file of an output that is a folder."""


def check_place(path: Path, *, folder_too: bool = False) -> None:
    """Refuses, before any work is done, a place where no file could be written at the end.

    Args:
        path: the place.
        folder_too: a folder may be there.

    Raises:
        OutputError: a folder; in a folder that is missing or that may not be written to.
    """
    folder = path.parent
    try:
        if path.is_dir() and not folder_too:
            raise OutputError(f"{path}: is a folder; name a file in it.")
        if not folder.is_dir():
            raise OutputError(
                f"{path}: there is no folder {folder}; make it with `mkdir -p {folder}`."
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{path}: you may not write to the folder {folder}.")
    except (OSError, ValueError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{str(path)[:200]!r}: no such place ({error}).") from error


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, where it is missing.

    Raises:
        OutputError: something else has its name, or it may not be made there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{path}: is no folder, nor can it be made ({reason})") from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes its place when the block ends well; else nothing is left.

    Raises:
        OutputError: no space, no permission.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)
    except OSError as error:
        raise _worded(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write to, which takes its place when the block ends well; else nothing is left.

    A folder that is there has to hold files alone, all of them an earlier output's.

    Raises:
        OutputError: no space, no permission.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        yield part
        if path.is_dir():
            for file in path.iterdir():
                file.unlink()
        else:
            path.unlink(missing_ok=True)
        part.rename(path)  # an empty folder is replaced
    except OSError as error:
        raise _worded(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text in UTF-8, whole or not at all.

    Raises:
        OutputError: no space, no permission.
    """
    with whole_file(path) as handle:
        handle.write(text.encode(errors="backslashreplace"))


def _worded(path: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{path}: no space left in {path.parent}; nothing was written. "
            "Make room there or name another output."
        )
    return OutputError(f"{path}: cannot be written: {error.strerror or error}.")


def check_page(path: Path) -> None:
    """Refuses a page that could not be written, or that would replace data, before any work.

    Raises:
        OptionError: it is not named as a page.
        OutputError: it cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OptionError(f"--html {path}: a page is named .html")
    check_place(path)
