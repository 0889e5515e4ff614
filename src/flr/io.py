"""Data in and out: files, standard input, Hugging Face data sets.

What is read is kept as it came, column by column; what rows mean is the affair of `rows`, file
formats are that of `reading` and `writing`.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from flr.errors import InputError, OptionError, OutputError, Problem
from flr.prompts import PromptOfRow, parse_prompts
from flr.reading import Numbered, failure, file_items, jsonl_items, reader_of, unreadable
from flr.remote import is_url
from flr.rows import Row, columns_of, not_a_row, parse_numbered
from flr.writing import check_output as check_output
from flr.writing import write as write

STANDARD_INPUT = "standard input"
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*(:[\w.@-]+)?")


def _is_hub_id(source: str) -> bool:
    """Whether a source that is no file is an id of the hub; its `owner` is no folder here."""
    may_be_id = HUB_ID.fullmatch(source) is not None and reader_of(source) is None
    return may_be_id and not Path(source).parent.is_dir()


def _hub_items(
    source: str, split: str | None, limit: int | None, data_dir: str | None
) -> Iterator[Numbered]:
    from flr import hub  # here alone: it takes seconds to import, and files do not need it

    return enumerate(hub.rows(source, split, limit, data_dir), 1)


def _exists(source: str) -> bool:
    try:
        return Path(source).exists()
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise unreadable(source, error) from None


def _source_items(
    source: str, split: str | None, limit: int | None, data_dir: str | None
) -> Iterator[Numbered]:
    is_file = source == "-" or is_url(source) or _exists(source)
    if not is_file and _is_hub_id(source):
        return _hub_items(source, split, limit, data_dir)
    if not is_file:
        hint = "A data set of the Hugging Face hub is named owner/name or owner/name:config."
        raise failure(source, "no such file", hint)
    if split is not None:
        raise OptionError(f"--split {split} is for data sets of the hub; {source} is a file.")
    return jsonl_items(sys.stdin.buffer) if source == "-" else file_items(source)


def _items(
    source: str, split: str | None, limit: int | None, data_dir: str | None = None
) -> Iterator[Numbered]:
    if limit is not None and limit < 1:
        raise OptionError(f"--limit is {limit}; expected at least 1.")
    return islice(_source_items(source, split, limit, data_dir), limit)


def named(source: str) -> str:
    """What a source is called."""
    return STANDARD_INPUT if source == "-" else source


def items(source: str, *, split: str | None = None, limit: int | None = None) -> list[Numbered]:
    """The numbered values of a source as they stand there; a `Problem` where one is not readable.

    Args:
        source: a file or a folder of Parquet files (a path or a URL), `-` for JSONL from standard
            input, or `owner/name[:config]` on the hub.
        split: of a data set on the hub; None where it has only one.
        limit: how many to read at most, at least 1.

    Raises:
        InputError: the source cannot be read.
        OptionError: a split or limit that cannot be.
    """
    return list(_items(source, split, limit))


def read(
    source: str,
    *,
    split: str | None = None,
    limit: int | None = None,
    data_dir: str | None = None,
) -> list[dict[str, Any]]:
    """The rows of a source as they came, whatever their columns.

    Args:
        source: a file or a folder of Parquet files (a path or a URL), `-` for JSONL from standard
            input, or `owner/name[:config]` on the hub.
        split: of a data set on the hub; None where it has only one.
        limit: how many rows to read at most, at least 1.
        data_dir: folder of a data set on the hub that holds what is meant (hh-rlhf has several).

    Returns:
        The columns of each row; a bare list is a row with the one column `conversation`.

    Raises:
        InputError: the source cannot be read, has no rows, or has values that are no rows.
        OptionError: a split or limit that cannot be.
    """
    items = list(_items(source, split, limit, data_dir))
    problems = [
        value if isinstance(value, Problem) else Problem(number, "", not_a_row(value))
        for number, value in items
        if columns_of(value) is None
    ]
    if problems or not items:
        raise InputError(named(source), problems or [Problem(None, "", "has no rows")])
    return [dict(columns_of(value) or {}) for _, value in items]


def load_prompts(
    source: str, *, split: str | None = None, limit: int | None = None
) -> list[PromptOfRow]:
    """The prompts of a source; as `load`, for rows with a response or without one.

    Raises:
        InputError: the source cannot be read, has no rows, or has bad ones; all of them are in it.
        OptionError: a split or limit that cannot be.
    """
    return parse_prompts(_items(source, split, limit), named(source))


def check_place(source: str, output: Path) -> None:
    """Raises where OUTPUT is INPUT, or would be a part of it from then on.

    Raises:
        OutputError: they are one file, or INPUT is a folder that OUTPUT is in.
    """
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise OutputError(f"{output} is the input; name another file")
    with suppress(OSError):  # a folder that may not be entered: reading says so
        if Path(source).is_dir() and output.resolve().is_relative_to(Path(source).resolve()):
            raise OutputError(f"{output} is in the folder that is the input; name another place")


def load(source: str, *, split: str | None = None, limit: int | None = None) -> list[Row]:
    """The rows of a source and the conversations in them.

    Args:
        source: a file or a folder of Parquet files (a path or a URL), `-` for JSONL from standard
            input, or `owner/name[:config]` on the hub.
        split: of a data set on the hub; None where it has only one.
        limit: how many rows to read at most, at least 1.

    Returns:
        One `Row` a row, in their order.

    Raises:
        InputError: the source cannot be read, has no rows, or has bad ones; all of them are in it.
        OptionError: a split or limit that cannot be.
    """
    return parse_numbered(_items(source, split, limit), named(source))
