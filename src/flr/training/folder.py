"""The folder of a trained model: whose it is, where a stopped run goes on, how it becomes whole.

    DIR/*.safetensors, config.json, tokenizer.json, ...    the model
    DIR/README.md                                          its card
    DIR/align.json, or tune.json                           how it was made, by which verb
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

CARD, WORK, LOCK = "README.md", "checkpoints", "run.sqlite"

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


def _differing(record: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """In what another run differs, as far as its record says it."""
    before = record.get("options")
    given = before if isinstance(before, dict) else {}
    differing = [name for name in asked if name in given and given[name] != asked[name]]
    words = [f"{name} {given[name]}, now {asked[name]}" for name in differing]
    return "; ".join(words) or "the data, the policy, versions or the machine have changed"


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


@final
@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and the run that wants it.

    Args:
        path: of the folder, or where it is to be.
        verb: of flr: `align` or `tune`.
        run_key: of the run.
        asked: its options, plain, to say what differs.
    """

    path: Path
    verb: str
    run_key: str
    asked: Mapping[str, Any]

    @property
    def work(self) -> Path:
        """Where checkpoints lie."""
        return self.path / WORK

    @property
    def _record(self) -> Path:
        return self.path / f"{self.verb}.json"

    def read(self) -> dict[str, Any]:
        """The record; empty where there is none that can be read."""
        return _read(self._record)

    def _write(self, record: Mapping[str, Any]) -> None:
        write_text(self._record, json.dumps(record, indent=1) + "\n")

    def is_done(self) -> bool:
        """Whether it holds what exactly this run has made, whole and unchanged."""
        record = self.read()
        files = _files(record)
        return (
            record.get("run") == self.run_key
            and record.get("state") == "finished"
            and bool(files)
            and all(
                (self.path / name).is_file() and runs.file_sha256(self.path / name) == sha
                for name, sha in files.items()
            )
        )

    def check_free(self, *, resume: bool, force: bool) -> None:
        """Raises where it holds something that this run must not touch.

        Args:
            resume: go on with this run, where it was stopped.
            force: replace what another run of this verb has made. Nothing else is ever replaced.

        Raises:
            OutputError: it is no folder, or holds what is not of this verb, or another run, or this
                one, stopped or damaged.
        """
        path, record = self.path, self.read()
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path}: is a file; name a folder")
        if not path.exists() or all(one.name.startswith(LOCK) for one in path.iterdir()):
            return
        if not isinstance(record.get("run"), str):
            raise OutputError(
                f"{path} holds something that flr {self.verb} did not make, which is never "
                "replaced; give another folder"
            )
        if force:
            return
        if record["run"] != self.run_key:
            raise OutputError(
                f"{path} was made otherwise ({_differing(record, self.asked)}); give another "
                "folder, or --force to replace it"
            )
        if record.get("state") == "finished":
            raise OutputError(
                f"{path}: its files are no longer those that were written; give another folder, or "
                "--force to make it anew"
            )
        if not resume:
            raise OutputError(
                f"{path} holds a run that was stopped: give --resume to go on from its last whole "
                "checkpoint, or --force to begin anew"
            )

    @contextmanager
    def held(self, *, resume: bool) -> Iterator[None]:
        """The folder while the run works in it, one at a time; made where it is missing.

        What `check_free` has let be taken and is not gone on from is removed. After an error of
        ours nothing is left behind, unless there is a checkpoint to go on from.

        Args:
            resume: keep the checkpoints of this run that are whole.

        Raises:
            OutputError: another process works in it, or it cannot be written.
        """
        make_folder(self.path)
        failed = None
        with Store(self.path / LOCK):
            self._begin(resume=resume)
            try:
                yield
            except FlrError as error:
                failed = error
                if last_whole(self.work, self.run_key) is None:
                    self._discard()
        (self.path / LOCK).unlink(missing_ok=True)
        if failed is not None:
            with suppress(OSError):  # there is something left in it
                self.path.rmdir()
            raise failed

    def _begin(self, *, resume: bool) -> None:
        """Makes the folder this run's own."""
        record = self.read()
        if resume and record.get("run") == self.run_key and record.get("state") != "finished":
            for path in self.work.glob("checkpoint-*"):
                if _mark(path, self.run_key) is None:
                    shutil.rmtree(path)
            return
        self._discard()
        self._write({"run": self.run_key, "state": "begun", "options": self.asked})

    def _discard(self) -> None:
        """Removes what the verb has made of it, and nothing else; the record last."""
        for name in _files(self.read()):
            (self.path / name).unlink(missing_ok=True)
            with suppress(OSError):  # the folder itself, or one that holds something else
                (self.path / name).parent.rmdir()
        shutil.rmtree(self.work, ignore_errors=True)
        self._record.unlink(missing_ok=True)

    def finish(self, model: Path, record: Mapping[str, Any], card: str) -> dict[str, Any]:
        """Moves the model into the folder, writes card and record, removes what is left over.

        Args:
            model: in `work`, with the model's files.
            record: plain data.
            card: the text of the card.

        Returns:
            The whole record.
        """
        write_text(model / CARD, card)
        files = {name: runs.file_sha256(model / name) for name in _sizes(model)}
        self._write({**self.read(), "files": files})
        for name in sorted(files, key=lambda name: name.endswith("config.json")):
            make_folder((self.path / name).parent)
            (model / name).replace(self.path / name)
        whole = {"run": self.run_key, "state": "finished", **record, "files": files}
        self._write(whole)
        shutil.rmtree(self.work, ignore_errors=True)
        return whole
