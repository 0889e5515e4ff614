"""The dataset_info.json by which LLaMA-Factory finds files: ours are entered, others left alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flr.errors import OutputError
from flr.files import write_text
from flr.preferences.formats import dataset_info

NAME = "dataset_info.json"


def _known(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    except (OSError, ValueError):
        known = None
    if not isinstance(known, dict):
        raise OutputError(f"{path} is no JSON object; mend or remove it")
    return known


def _is_of(entry: Any, file: Path) -> bool:
    """Whether an entry names this file."""
    return isinstance(entry, dict) and entry.get("file_name") == file.name


def check(files: Sequence[Path]) -> None:
    """Raises where files could not be entered, each by its name without the suffix.

    Args:
        files: in one folder.

    Raises:
        OutputError: what is there is no JSON object, or has another entry of that name.
    """
    path = files[0].with_name(NAME)
    known = _known(path)
    for file in files:
        if file.stem in known and not _is_of(known[file.stem], file):
            raise OutputError(
                f"{path} has an entry {file.stem!r} of another file; rename one of them"
            )


def holds(files: Sequence[Path], *, paired: bool) -> bool:
    """Whether the files are entered as they should be."""
    known = _known(files[0].with_name(NAME))
    entries = [dataset_info(one.stem, one.name, paired=paired) for one in files]
    return all(entry.items() <= known.items() for entry in entries)


def enter(files: Sequence[Path], *, paired: bool) -> None:
    """Enters files.

    Args:
        files: in one folder.
        paired: see `flr.preferences.formats.dataset_info`.

    Raises:
        OutputError: what is there is no JSON object, or cannot be written.
    """
    path = files[0].with_name(NAME)
    entries = _known(path)
    for one in files:
        entries |= dataset_info(one.stem, one.name, paired=paired)
    _write(path, entries)


def forget(files: Sequence[Path]) -> None:
    """Takes the entries of files out, where there are any."""
    path = files[0].with_name(NAME)
    try:
        known = _known(path)
    except OutputError:
        return
    ours = {file.stem for file in files if _is_of(known.get(file.stem), file)}
    if ours:
        _write(path, {name: entry for name, entry in known.items() if name not in ours})


def _write(path: Path, entries: dict[str, Any]) -> None:
    write_text(path, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
