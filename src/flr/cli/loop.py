"""`flr loop`: sample, score, mine, align, evaluate, and again."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr import loop_state
from flr.cli.progress import bars
from flr.errors import UserError
from flr.loop import REPORT, run_loop
from flr.loop_options import LoopOptions
from flr.loop_state import LoopState, StageState
from flr.report.shown import printable

app = App(name="loop")


@app.default
def loop(
    source: Annotated[str, Parameter(name="PROMPTS", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[LoopOptions | None, Parameter(name="*")] = None,
) -> None:
    """Improve a policy round by round, and see whether it got better.

    Each round samples responses of the policy, scores them, sets the best against the worst, trains
    the policy on those pairs, and holds the policies so far against the first one on prompts that
    are kept apart, by categories of follow-ups that chose no pair. Every finished stage is kept: a
    killed loop goes on where it was when the same command is given again, and with more --rounds it
    goes on after the last one. The same prompts are sampled anew in every round.

    Args:
        source: JSONL, JSON, Parquet or CSV file with prompts, or a dataset id.
        output: a folder; state.yaml in it tells how far the loop is, report.html what came out.
        config: YAML file with options, such as `n: 4`; the command line overrides it.
        options: what samples, what scores, what makes a pair, what trains.
    """
    del config  # read by the main door, before options are parsed
    console = Console(stderr=True)
    with bars(console) as progress_of:
        report = run_loop(
            source,
            output,
            options or LoopOptions(),
            progress_of,
            lambda words: console.print(Text(f"warning: {words}", style="yellow")),
            command=shlex.join(["flr", *sys.argv[1:]]),
        )
    status(output)
    done = "" if report.computed else ": nothing to do, it was finished before"
    console.print(Text(f"{output / REPORT}{done}"))


@app.command
def status(folder: Annotated[Path, Parameter(name="DIR")], /) -> None:
    """Show how far a loop is.

    Args:
        folder: of the loop.
    """
    state = loop_state.read(folder)
    if state is None:
        raise UserError(f"{folder} holds no loop; `flr loop PROMPTS -o {folder}` begins one there")
    console = Console(stderr=True, highlight=False)
    console.print(_table(state))
    console.print(Text(f"{_left(state)}\n{printable(state.command)}", "dim"), soft_wrap=True)


def _table(state: LoopState) -> Table:
    """A line a stage."""
    table = Table(box=None, pad_edge=False)
    for title in ("round", "stage", "", "seconds"):
        table.add_column(title, justify="right" if title == "seconds" else "left")
    table.add_column("found", overflow="fold")
    for one in state.stages:
        table.add_row(
            str(one.round),
            one.stage,
            Text(one.status, "green" if one.status == "finished" else "yellow"),
            f"{one.seconds:,.0f}",
            Text(_found(one)),
        )
    return table


def _found(one: StageState) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in one.found.items())


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def _left(state: LoopState) -> str:
    evaluated = [one.round for one in state.stages if (one.stage, one.status) == _LAST]
    done = max(evaluated, default=0)
    return f"{done} of {state.rounds} rounds are finished" + (
        "" if done >= state.rounds else "; the same command goes on:"
    )


_LAST = ("evaluate", "finished")
