"""`flr align`: preference data in, an aligned policy out."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from flr.cli.progress import bar
from flr.runs import Report
from flr.training.preference import AlignOptions, align_file
from flr.training.run import is_main


def align(
    source: Annotated[str, Parameter(name="PAIRS", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[AlignOptions | None, Parameter(name="*")] = None,
) -> None:
    """Train a policy on preference data, by TRL's DPOTrainer or KTOTrainer.

    PAIRS is what flr mine writes: pairs (--format trl) for --method dpo, labelled responses
    (--format trl-kto) for --method kto. flr check runs first, and nothing is cut or dropped
    unasked. OUTPUT becomes a model folder for --policy and --model, with a card (README.md) and the
    record align.json. A run that was stopped goes on with --resume. Any setting of TRL's can be
    given and overrides ours: --trl.lr_scheduler_type cosine. docs/align.md says how several GPUs
    share a training.

    Args:
        source: JSONL, JSON, Parquet or CSV file, or a dataset id.
        output: the folder to make.
        config: YAML file with options, such as `beta: 0.2`; the command line overrides it.
        options: which policy is trained, and how.
    """
    del config  # read by the main door, before options are parsed
    # Bound to the stream of now: while TRL works, standard error is kept from it.
    console = Console(file=sys.stderr, quiet=not is_main())
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
    """Prints the closing summary of a run."""
    for line in _lines(report.record):
        console.print(Text(line))
    done = "" if report.computed else ": nothing to do, it was finished before"
    console.print(Text(f"{output}{done}"), soft_wrap=True)
    console.print(Text("Next:"))
    console.print(Text(f"    flr sample PROMPTS --policy {output} -o OUT.jsonl"), soft_wrap=True)


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    rank = record["adapter"]["rank"] if record["adapter"] else None
    what = "all weights" if rank is None else f"LoRA of rank {rank}"
    yield (
        f"{record['method']}, loss {record['loss_type']}, {what}, learning rate "
        f"{record['learning_rate']:g}: {record['steps']} steps over {record['rows_trained_on']} "
        f"rows in {record['seconds']:,.0f} seconds"
    )
    found = [
        f"{name} {record[name]['first']:.3f} -> {record[name]['last']:.3f}"
        for name in ("loss", "accuracy", "margin")
        if name in record
    ]
    yield f"training rows, first and last tenth of the steps: {', '.join(found)}"
    held_out = record["held_out_figures"]
    if "after" in held_out:
        before, after = held_out.get("before", {}), held_out["after"]
        words = [f"{name} {_change(before.get(name), now)}" for name, now in after.items()]
        yield f"{record['rows_held_out']} held-out rows, before and after: {', '.join(words)}"


def _change(before: float | None, now: float) -> str:
    return f"{now:.3f}" if before is None else f"{before:.3f} -> {now:.3f}"
