"""The dataset_info.json by which LLaMA-Factory finds files: ours are entered, others left alone."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flr.errors import OutputError
from flr.files import write_text
from flr.preference_formats import dataset_info

NAME = "dataset_info.json"


def beside(output: Path) -> Path:
    """Where the file of an output lies."""
    return output.with_name(NAME)


def _known(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    except (OSError, ValueError):
        known = None
    if not isinstance(known, dict):
        raise OutputError(f"{path} is no JSON object; mend or remove it")
    return known


def check(output: Path) -> None:
    """Raises where the file beside an output could not be added to.

    Raises:
        OutputError: it is no JSON object.
    """
    _known(beside(output))


def update(written: Iterable[Path], gone: Iterable[Path], *, paired: bool) -> None:
    """Enters files, each by its name without the suffix, in the file beside them.

    Args:
        written: data files, all in one folder.
        gone: files there whose entries go.
        paired: see `flr.preference_formats.dataset_info`.

    Raises:
        OutputError: what is there is no JSON object, or cannot be written.
    """
    files = list(written)
    path = beside(files[0])
    leaving = {one.stem for one in gone}
    entries: Mapping[str, Any] = {k: v for k, v in _known(path).items() if k not in leaving}
    for one in files:
        entries = {**entries, **dataset_info(one.stem, one.name, paired=paired)}
    write_text(path, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
