"""The folder of an aligned policy: whose it is, where a stopped run goes on, how it becomes whole.

    DIR/*.safetensors, config.json, tokenizer.json, ...    the model
    DIR/README.md                                          its card
    DIR/align.json                                         how it was made
    DIR/checkpoints/                                       of a run that is not finished

The record says whose the folder is from the first moment on, and comes last in its whole form;
config.json comes last of the model's files. So a folder that a kill has left half made is neither
taken for finished nor for a model, and a folder that has no such record is never touched.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from flr import runs
from flr.errors import FlrError, OutputError
from flr.files import make_folder, write_text
from flr.runs import Store

RECORD, CARD, WORK, LOCK = "align.json", "README.md", "checkpoints", "run.sqlite"

MARK = "whole.json"
"""Written into a checkpoint when all of it is there: whose it is, and the sizes of its files."""


@final
@dataclass(frozen=True, slots=True)
class Spent:
    """What a training has taken so far.

    Args:
        seconds: of training.
        tokens: that went through the policy, prompts and responses.
    """

    seconds: float = 0.0
    tokens: int = 0


def read_record(output: Path) -> dict[str, Any]:
    """The record of a folder; empty where there is none that can be read."""
    return _read(output / RECORD)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _files(record: Mapping[str, Any]) -> dict[str, str | None]:
    """The files that a record calls its own, as they lie below the folder, and their hashes."""
    found = record.get("files")
    names = found if isinstance(found, dict) else {}
    return {name: sha for name, sha in names.items() if _lies_below(name)}


def _lies_below(name: str) -> bool:
    path = Path(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def is_done(output: Path, run_key: str) -> bool:
    """Whether the folder holds what exactly this run has made, whole and unchanged."""
    record = read_record(output)
    files = _files(record)
    return (
        record.get("run") == run_key
        and record.get("state") == "finished"
        and bool(files)
        and all(
            (output / name).is_file() and runs.file_sha256(output / name) == sha
            for name, sha in files.items()
        )
    )


def _differing(record: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """In what another run differs, as far as its record says it."""
    before = record.get("options")
    given = before if isinstance(before, dict) else {}
    differing = [name for name in asked if name in given and given[name] != asked[name]]
    words = [f"{name} {given[name]}, now {asked[name]}" for name in differing]
    return "; ".join(words) or "the data, the policy, versions or the machine have changed"


def check_free(
    output: Path, run_key: str, asked: Mapping[str, Any], *, resume: bool, force: bool
) -> None:
    """Raises where the folder holds something that this run must not touch.

    Args:
        output: the folder, or where it is to be.
        run_key: of this run.
        asked: the options of this run, plain, to say what differs.
        resume: go on with this run, where it was stopped.
        force: replace what another run of `flr align` has made. Nothing else is ever replaced.

    Raises:
        OutputError: it is no folder, or holds what is not of `flr align`, or another run, or this
            one, stopped or damaged.
    """
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; name a folder")
    if not output.exists() or all(path.name.startswith(LOCK) for path in output.iterdir()):
        return
    record = read_record(output)
    if not isinstance(record.get("run"), str):
        raise OutputError(
            f"{output} holds something that flr align did not make, which is never replaced; give "
            "another folder"
        )
    if force:
        return
    if record["run"] != run_key:
        raise OutputError(
            f"{output} was made otherwise ({_differing(record, asked)}); give another folder, or "
            "--force to replace it"
        )
    if record.get("state") == "finished":
        raise OutputError(
            f"{output}: its files are no longer those that were written; give another folder, or "
            "--force to make it anew"
        )
    if not resume:
        raise OutputError(
            f"{output} holds a run that was stopped: give --resume to go on from its last whole "
            "checkpoint, or --force to begin anew"
        )


@contextmanager
def held(output: Path, run_key: str, asked: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
    """The folder while a run works in it, one at a time; made where it is missing.

    After an error of ours nothing is left behind, unless there is a checkpoint to go on from.

    Args:
        output: a folder that `check_free` lets be taken; what is ours in it and is not gone on from
            is removed.
        run_key: of this run.
        asked: its options, plain.
        resume: keep the checkpoints of this run that are whole.

    Raises:
        OutputError: another process works in it, or it cannot be written.
    """
    make_folder(output)
    failed = None
    with Store(output / LOCK):
        _begin(output, run_key, asked, resume=resume)
        try:
            yield
        except FlrError as error:
            failed = error
            if last_whole(output / WORK, run_key) is None:
                _discard(output)
    (output / LOCK).unlink(missing_ok=True)
    if failed is not None:
        with suppress(OSError):  # there is something left in it
            output.rmdir()
        raise failed


def _begin(output: Path, run_key: str, asked: Mapping[str, Any], *, resume: bool) -> None:
    """Makes the folder this run's own."""
    record = read_record(output)
    if resume and record.get("run") == run_key and record.get("state") != "finished":
        for path in (output / WORK).glob("checkpoint-*"):
            if _mark(path, run_key) is None:
                shutil.rmtree(path)
        return
    _discard(output)
    _write(output, {"run": run_key, "state": "begun", "options": asked})


def _discard(output: Path) -> None:
    """Removes what `flr align` has made of a folder, and nothing else; the record last."""
    for name in _files(read_record(output)):
        (output / name).unlink(missing_ok=True)
        with suppress(OSError):  # the folder itself, or one that holds something else
            (output / name).parent.rmdir()
    shutil.rmtree(output / WORK, ignore_errors=True)
    (output / RECORD).unlink(missing_ok=True)


def _write(output: Path, record: Mapping[str, Any]) -> None:
    write_text(output / RECORD, json.dumps(record, indent=1) + "\n")


def _sizes(folder: Path) -> dict[str, int]:
    """Every file below a folder, and its bytes."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MARK)
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(found)}


def mark(checkpoint: Path, run_key: str, spent: Spent) -> None:
    """Says that a checkpoint is whole."""
    told = {"run": run_key, **asdict(spent), "files": _sizes(checkpoint)}
    write_text(checkpoint / MARK, json.dumps(told) + "\n")


def _mark(checkpoint: Path, run_key: str) -> Spent | None:
    """What had been spent up to a checkpoint; None where it is not whole, or another run's."""
    told = _read(checkpoint / MARK)
    if told.get("run") != run_key or told.get("files") != _sizes(checkpoint):
        return None
    return Spent(told["seconds"], told["tokens"])


def last_whole(work: Path, run_key: str) -> tuple[Path, Spent] | None:
    """The last checkpoint that is whole, and what had been spent up to it."""
    steps = {
        int(number): path
        for path in work.glob("checkpoint-*")
        if (number := path.name.removeprefix("checkpoint-")).isdecimal()
    }
    for step in sorted(steps, reverse=True):
        spent = _mark(steps[step], run_key)
        if spent is not None:
            return steps[step], spent
    return None


def finish(output: Path, model: Path, record: Mapping[str, Any], card: str) -> dict[str, Any]:
    """Moves the model into the folder, writes card and record, and removes what is left over.

    Args:
        output: the folder.
        model: in `WORK`, with the model's files.
        record: plain data, with `run`.
        card: the text of the card.

    Returns:
        The whole record.
    """
    write_text(model / CARD, card)
    files = {name: runs.file_sha256(model / name) for name in _sizes(model)}
    _write(output, {**read_record(output), "files": files})
    for name in sorted(files, key=lambda name: name.endswith("config.json")):
        make_folder((output / name).parent)
        (model / name).replace(output / name)
    whole = {"run": record["run"], "state": "finished", **record, "files": files}
    _write(output, whole)
    shutil.rmtree(output / WORK, ignore_errors=True)
    return whole
