"""The state of a loop: which stage of which round is finished, in a file that a person can read.

    DIR/state.yaml

The file tells whose the folder is; it does not decide what is done. Every stage knows by its own
records whether it is finished, so a state that was lost costs what it told, and --force once.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, final

import yaml

from flr.errors import UserError
from flr.files import write_text
from flr.runs import plain

STATE = "state.yaml"

HEADER = """\
# What `flr loop` has done in this folder; `flr loop status` shows it as a table.
# The command below, given again, goes on where it was.
"""

Stage = Literal["evaluate", "sample", "score", "mine", "align"]
Status = Literal["running", "finished"]


@dataclass(slots=True)
class StageState:
    """What is known of one stage of one round.

    Args:
        round: from 1; 0 is the first policy, which is evaluated alone.
        stage: what is done.
        status: `running` too where it was stopped.
        seconds: that it took, what runs that were killed spent on it is not known.
        finished: when.
        found: its main figures by name.
    """

    round: int
    stage: Stage
    status: Status = "running"
    seconds: float = 0.0
    finished: str | None = None
    found: Mapping[str, Any] = field(default_factory=dict[str, Any])


@final
class LoopState:
    """The stages of a loop, written to its folder whenever one begins or ends.

    Args:
        folder: of the loop.
        run: key of its options; see `flr.loop`.
        command: as the user gave it.
        rounds: how many there are to be.
        stages: in the order in which they were begun.
    """

    def __init__(
        self,
        folder: Path,
        *,
        run: str,
        command: str,
        rounds: int,
        stages: list[StageState] | None = None,
    ) -> None:
        self.folder, self.run, self.command, self.rounds = folder, run, command, rounds
        self.stages = stages or []
        self._running: StageState | None = None
        self._begun = 0.0

    def begin(self, number: int, stage: Stage) -> None:
        """Notes that a stage is worked on, or looked at again; the one before it is left so."""
        self._pause()
        if self._of(number, stage) is None:
            self.stages.append(StageState(number, stage))
        self._running = self._of(number, stage)
        self._begun = time.perf_counter()
        self.write()

    def finish(self, number: int, stage: Stage, found: Mapping[str, Any] | None = None) -> None:
        """Notes that a stage is finished, and its main figures by name where they are known."""
        self._pause()
        one = self._of(number, stage)
        if one is None:
            one = StageState(number, stage)
            self.stages.append(one)
        if one.status != "finished":
            one.finished = datetime.now(UTC).isoformat(timespec="seconds")
        one.status = "finished"
        if found is not None:
            one.found = plain(found)
        self.write()

    def _pause(self) -> None:
        """Adds the seconds since a stage was begun to it, where it was not finished before."""
        if self._running is not None and self._running.status != "finished":
            spent = time.perf_counter() - self._begun
            self._running.seconds = round(self._running.seconds + spent, 1)
        self._running = None

    def _of(self, number: int, stage: Stage) -> StageState | None:
        return next((s for s in self.stages if (s.round, s.stage) == (number, stage)), None)

    def write(self) -> None:
        """Writes the file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        told = {
            "command": self.command,
            "rounds": self.rounds,
            "run": self.run,
            "stages": [asdict(one) for one in self.stages],
        }
        text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100)
        write_text(self.folder / STATE, HEADER + text)


def text(folder: Path) -> str | None:
    """The file as it is; None where there is none."""
    path = folder / STATE
    return path.read_text("utf-8") if path.exists() else None


def read(folder: Path) -> LoopState | None:
    """The state of a folder; None where there is none.

    Raises:
        UserError: the file is none that a loop wrote.
    """
    path = folder / STATE
    try:
        told = yaml.safe_load(path.read_text("utf-8"))
        return LoopState(
            folder,
            run=told["run"],
            command=told["command"],
            rounds=told["rounds"],
            stages=[StageState(**one) for one in told["stages"]],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise UserError(
            f"{path} is no state that flr loop wrote ({type(error).__name__}: {error}); remove it "
            "and give --force once: what is finished is known by the other files"
        ) from error
