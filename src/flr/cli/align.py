"""`flr align`: preference data in, a trained policy out."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr.cli.progress import bar
from flr.runs import Report
from flr.training.preference import AlignOptions, align_file

FIGURES = ("loss", "rewards/accuracies", "rewards/margins")


def align(
    source: Annotated[str, Parameter(name="PAIRS", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[AlignOptions | None, Parameter(name="*")] = None,
) -> None:
    """Train a policy on preference data, by TRL's DPOTrainer or KTOTrainer.

    PAIRS is what flr mine writes: --format trl for --method dpo, --format trl-kto for --method kto.
    flr check looks at it first: nothing of it is cut or dropped unless --check warn accepts that.
    OUTPUT becomes a model folder that transformers loads and that --policy and --model take, with a
    card (README.md) and a record (align.json) that say how it was made. A run that was killed goes
    on from its last checkpoint with --resume. Several GPUs: accelerate launch -m flr align ...; see
    docs/align.md.

    Args:
        source: JSONL, JSON or Parquet file, or a dataset id.
        output: a folder, made where it is missing.
        config: YAML file with options, such as `lora: true`; the command line goes before it.
        options: which policy, and how it is trained.
    """
    del config  # read by the main door, before options are parsed
    main = os.environ.get("RANK", "0") == "0"
    console = Console(stderr=True, quiet=not main)
    with bar(console, "steps") as progress:
        report = align_file(
            source,
            output,
            options or AlignOptions(),
            progress,
            lambda words: console.print(Text(f"warning: {words}", style="yellow")),
        )
    show(console, output, report)


def show(console: Console, output: Path, report: Report) -> None:
    """Prints the closing summary of a training."""
    record = report.record
    settings = record["settings"]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row(
        Text("trained", "dim"),
        f"{record['method']}, {record['steps']} steps on {record['rows']} rows, "
        f"learning rate {settings['learning_rate']:g}, beta {settings['beta']:g}",
    )
    for name in FIGURES:
        first, last = (record["figures"].get(f"{name}, {end}") for end in ("first", "last"))
        if first is not None:
            table.add_row(Text(name, "dim"), f"{first:.4g} at first, {last:.4g} at last")
    for name in FIGURES:
        before, after = (record["figures"].get(f"held out, {at}: {name}") for at in _TIMES)
        if before is not None:
            table.add_row(Text(f"{name}, held out", "dim"), f"{before:.4g}, then {after:.4g}")
    console.print(table)
    done = "" if report.computed else ": nothing to do, it was finished before"
    console.print(Text(f"{output}{done}; flr compare and flr sample take it as a policy"))


_TIMES = ("before", "after")
