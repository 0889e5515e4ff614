"""`flr tune`: feedback in, a follow-up model that has learned from it out."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from flr.cli.progress import bar
from flr.runs import Report
from flr.training.run import is_main
from flr.training.tuning import TuneOptions, tune_file


def tune(
    source: Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[TuneOptions | None, Parameter(name="*")] = None,
) -> None:
    """Train a follow-up model on feedback, by TRL's SFTTrainer.

    FILE is what flr feedback writes: conversations that end with feedback, which alone is learned.
    With --held-out FILE2 training ends when held-out feedback gets no likelier, and the weights are
    kept under which it was likeliest, looked at every --save-steps. OUTPUT becomes a model folder
    for --model, with a card (README.md) and the record tune.json; the form in which it has learned
    is chosen by itself where it scores. A run that was stopped goes on with --resume. Any setting
    of TRL's can be given and overrides ours: --trl.lr_scheduler_type cosine. docs/align.md says how
    several GPUs share a training.

    Args:
        source: JSONL, JSON, Parquet or CSV file, or a dataset id.
        output: the folder to make.
        config: YAML file with options, such as `epochs: 2`; the command line overrides it.
        options: which model is trained, and how.
    """
    del config  # read by the main door, before options are parsed
    # Bound to the stream of now: while TRL works, standard error is kept from it.
    console = Console(file=sys.stderr, quiet=not is_main())
    with bar(console, "steps") as progress:
        report = tune_file(
            source,
            output,
            options or TuneOptions(),
            progress,
            lambda words: console.print(Text(f"warning: {words}", style="yellow")),
        )
    _show(console, output, report)


def _show(console: Console, output: Path, report: Report) -> None:
    """Prints the closing summary of a run."""
    for line in _lines(report.record):
        console.print(Text(line))
    done = "" if report.computed else ": nothing to do, it was finished before"
    console.print(Text(f"{output}{done}"), soft_wrap=True)
    console.print(Text("Next:"))
    console.print(Text(f"    flr bench PAIRS --model {output} -o bench-tuned"), soft_wrap=True)


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    rank = record["adapter"]["rank"] if record["adapter"] else None
    what = "all weights" if rank is None else f"LoRA of rank {rank}"
    yield (
        f"{record['form'] or 'plain chat'}, {what}, learning rate {record['learning_rate']:g}: "
        f"{record['steps']} steps over {record['rows_trained_on']} rows, "
        f"{record['tokens_learned']:,} tokens learned, in {record['seconds']:,.0f} seconds"
    )
    if "loss" in record:
        first, last = (record["loss"][end] for end in ("first", "last"))
        yield f"loss in nats a token, first and last tenth of the steps: {first:.3f} -> {last:.3f}"
    held_out = record["held_out_figures"]
    if "after" in held_out:
        before = held_out.get("before", {}).get("loss")
        words = "" if before is None else f"{before:.3f} -> "
        now = held_out["after"]["loss"]
        yield (
            f"{record['rows_held_out']} held-out rows, mean loss of a row in nats a token, before "
            f"and after: {words}{now:.3f}"
        )
        if before is not None and now >= before:
            yield (
                "warning: held-out feedback has become no likelier; a smaller --learning-rate or "
                "more rows may help"
            )
