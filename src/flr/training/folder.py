"""The folder of a trained policy: who made it, whether it is whole, what of a stopped run is left.

DIR/*.safetensors, config.json, tokenizer.json, ...    the model
DIR/README.md, DIR/align.json                          its card and its record
DIR/checkpoints/                                       of a run that is not finished
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flr import runs
from flr.errors import OutputError
from flr.files import make_folder, write_text
from flr.training.card import card

RECORD, CARD, CHECKPOINTS = "align.json", "README.md", "checkpoints"

LIBRARIES = ("trl", "peft", "datasets")


def versions() -> dict[str, str]:
    """Versions of everything that has a say in a training."""
    found = dict(runs.versions())
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def read_record(output: Path) -> dict[str, Any]:
    """The record of a folder; empty where there is none that can be read."""
    try:
        found = json.loads((output / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_done(output: Path, run_key: str) -> bool:
    """Whether the folder holds what exactly this run has made, whole."""
    record = read_record(output)
    written = record.get("written")
    return (
        record.get("run") == run_key
        and isinstance(written, dict)
        and all(
            (output / name).is_file() and runs.file_sha256(output / name) == sha
            for name, sha in written.items()
        )
    )


def check_free(output: Path, run_key: str, *, resume: bool, force: bool) -> None:
    """Raises where the folder holds something that this run must not touch.

    Raises:
        OutputError: it is no folder, it holds what another run made, or a run that was stopped.
    """
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; name a folder")
    if force or not output.exists() or not any(output.iterdir()):
        return
    if read_record(output).get("run") != run_key:
        raise OutputError(
            f"{output} holds something else (other data, options, policy or versions made it); "
            "give another folder, or --force to replace it"
        )
    if not resume:
        raise OutputError(
            f"{output} holds a run that was stopped; give --resume to go on from its last "
            "checkpoint, or --force to begin anew"
        )


def begin(output: Path, run_key: str, *, force: bool) -> None:
    """Marks the folder as this run's own; what another run made there is removed.

    Only what `flr align` writes is removed, never a file of somebody else.
    """
    make_folder(output)
    record = read_record(output)
    if force and record.get("run") != run_key:
        for name in record.get("written", ()):
            (output / name).unlink(missing_ok=True)
        shutil.rmtree(output / CHECKPOINTS, ignore_errors=True)
    if record.get("run") != run_key:
        write_text(output / RECORD, json.dumps({"run": run_key}) + "\n")


def last_checkpoint(output: Path) -> Path | None:
    """The last checkpoint that is whole; those that a kill has left half are removed."""
    whole: list[tuple[int, Path]] = []
    for path in (output / CHECKPOINTS).glob("checkpoint-*"):
        try:
            # Transformers writes this file last.
            step = json.loads((path / "trainer_state.json").read_text("utf-8"))["global_step"]
            whole.append((int(step), path))
        except (OSError, ValueError, KeyError, TypeError):
            shutil.rmtree(path, ignore_errors=True)
    return max(whole)[1] if whole else None


def close(
    output: Path, run_key: str, record: Mapping[str, Any], files: Sequence[str]
) -> dict[str, Any]:
    """Writes card and record beside the weights, then removes the checkpoints.

    Args:
        output: the folder, with the model in it.
        run_key: of the run.
        record: what is known of it.
        files: names of those that the model is made of.
    """
    plain = runs.plain(dict(record))
    write_text(output / CARD, card(plain, is_adapter="adapter_config.json" in files))
    written = {name: runs.file_sha256(output / name) for name in (*files, CARD)}
    whole = {"run": run_key, **plain, "written": written}
    write_text(output / RECORD, json.dumps(whole, indent=1) + "\n")
    shutil.rmtree(output / CHECKPOINTS, ignore_errors=True)
    return whole
