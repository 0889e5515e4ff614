"""The result files of a benchmark: written whole, known again, never replaced unasked.

`results.json` holds the key of its run and the hashes of the others, so a run that is finished is
known, and one that a kill has torn is not taken for finished.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flr import io, runs
from flr.errors import OutputError
from flr.files import write_text
from flr.report.bench.html import page
from flr.report.bench.markdown import markdown

RESULTS = "results.json"
FILES = ("results.md", "items.jsonl", "report.html")


def _differing(found: Any, asked: Mapping[str, Any]) -> str:
    """In what earlier results are of another run, as far as they say it."""
    if not isinstance(found, dict) or not isinstance(found.get("options"), dict):
        return "not of flr bench"
    before = {**found["options"], "sets": list(found.get("sets", ()))}
    differing = [name for name in asked if name != "force" and before.get(name) != asked[name]]
    words = [f"{name} {before.get(name)}, and now {asked[name]}" for name in differing]
    return "; ".join(words) or "data, models, follow-ups or versions have changed"


def earlier(
    output: Path, run_key: str, asked: Mapping[str, Any], *, force: bool
) -> dict[str, Any] | None:
    """The results of this very run, where all its files lie in the folder as they were written.

    Args:
        output: the folder.
        run_key: names the run.
        asked: its options by name, and its `sets`, to say what differs.
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
            f"{output} holds other results ({_differing(found, asked)}); give another folder, or "
            "--force to replace them (what run.sqlite holds is not computed again)"
        )
    return found if found and same and _is_whole(output, found.get("written")) else None


def _is_whole(output: Path, written: Any) -> bool:
    """Whether the files that were written lie there as they were."""
    return isinstance(written, dict) and all(
        (output / name).is_file() and written.get(name) == runs.file_sha256(output / name)
        for name in FILES
    )


def write(
    output: Path, results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Writes all result files and returns the results with the hash of each.

    results.json, which says that the run is done, goes first and comes last: a kill in between
    leaves no results beside files that are not theirs.
    """
    (output / RESULTS).unlink(missing_ok=True)
    io.write(output / "items.jsonl", rows)
    write_text(output / "results.md", markdown(results))
    write_text(output / "report.html", page(results, rows))
    whole = {**results, "written": {name: runs.file_sha256(output / name) for name in FILES}}
    write_text(output / RESULTS, json.dumps(whole, indent=1, allow_nan=False) + "\n")
    return whole
