"""A folder of results: written whole, known again, never replaced unasked.

`results.json` holds the key of its run and the hashes of the others, so a run that is finished is
known, and one that a kill has torn is not taken for finished.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from flr import io, runs
from flr.errors import OutputError
from flr.files import write_text

RESULTS = "results.json"

Content = str | Sequence[Mapping[str, Any]]
"""What a file holds: a text, or the rows of a JSONL file."""


@final
@dataclass(frozen=True, slots=True)
class ResultsReport:
    """What a run that writes a folder of results did.

    Args:
        results: what results.json says.
        computed: blocks that were computed now.
        finished_before: whether the same command had been finished already.
    """

    results: Mapping[str, Any]
    computed: int
    finished_before: bool = False


def _differing(found: Any, asked: Mapping[str, Any], verb: str) -> str:
    """In what earlier results are of another run, as far as they say it."""
    if not isinstance(found, dict) or not isinstance(found.get("options"), dict):
        return f"not of {verb}"
    options = found["options"]
    if not asked.keys() <= {"force", *options, *found}:
        return f"not of {verb}, or of another version of flr"
    before = {name: options.get(name) for name in asked}
    before |= {name: list(found.get(name) or ()) for name in asked if name not in options}
    differing = [name for name in asked if name != "force" and before[name] != asked[name]]
    words = [f"{name} {before[name]}, and now {asked[name]}" for name in differing]
    return "; ".join(words) or "data, models, follow-ups or versions have changed"


def earlier(
    output: Path, run_key: str, asked: Mapping[str, Any], *, verb: str, force: bool
) -> dict[str, Any] | None:
    """The results of this very run, where all its files lie in the folder as they were written.

    Args:
        output: the folder.
        run_key: names the run.
        asked: its options by name, and the names of what it is about under the key that results
            have for it, to say what differs.
        verb: whose results they should be.
        force: let the results of another run be replaced.

    Raises:
        OutputError: the results of another run lie there.
    """
    path = output / RESULTS
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        found = None
    same = isinstance(found, dict) and found.get("run") == run_key
    if not same and not force:
        raise OutputError(
            f"{output} holds other results ({_differing(found, asked, verb)}); give another "
            "folder, or --force to replace them (what run.sqlite holds is not computed again)"
        )
    return found if found and same and _is_whole(output, found.get("written")) else None


def _is_whole(output: Path, written: Any) -> bool:
    """Whether the files that were written lie there as they were."""
    return (
        isinstance(written, dict)
        and bool(written)
        and all(
            (output / name).is_file() and sha == runs.file_sha256(output / name)
            for name, sha in written.items()
        )
    )


def write_json(path: Path, content: Any) -> None:
    """Writes plain data as a JSON file, whole or not at all.

    Raises:
        OutputError: no space, no permission.
    """
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write(
    output: Path,
    results: Mapping[str, Any],
    files: Mapping[str, Content],
    also: Sequence[str] = (),
) -> Mapping[str, Any]:
    """Writes all result files and returns the results with the hash of each.

    results.json, which says that the run is done, goes first and comes last: a kill in between
    leaves no results beside files that are not theirs.

    Args:
        output: the folder.
        results: what results.json is to say.
        files: the others, by name.
        also: files of the run that lie there already.

    Raises:
        OutputError: a file cannot be written.
    """
    (output / RESULTS).unlink(missing_ok=True)
    for name, content in files.items():
        if isinstance(content, str):
            write_text(output / name, content)
        else:
            io.write(output / name, content)
    written = {name: runs.file_sha256(output / name) for name in (*files, *also)}
    whole = {**results, "written": written}
    write_json(output / RESULTS, whole)
    return whole
