"""`flr merge`: shards in, the file that one run would have made out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from flr.cli import sample, score
from flr.cli.progress import bar
from flr.merging import merge as merge_shards
from flr.runs import Report


def merge(
    output: Annotated[Path, Parameter(name="OUTPUT")],
    /,
    *,
    force: bool = False,
) -> None:
    """Put the shards of flr score or flr sample together.

    Each shard was computed by `--shard I/N` with the same command otherwise, on any machine of the
    same kind. OUTPUT has the same bytes as of one run without shards, where transformers or
    llama.cpp ran the model; nothing is computed. Shards that are missing, not finished or of
    another run are named, and nothing is written.

    Args:
        output: as it was given to the shards; they lie beside it.
        force: replace an OUTPUT that was made otherwise.
    """
    console = Console(stderr=True)
    with bar(console, "merged") as progress:
        merged = merge_shards(output, progress, force=force)
    show = {"score": score.show, "sample": sample.show}[merged.verb]
    record = merged.report.record
    show(console, output, Report(record, computed=record["blocks"]["all"]))  # by the shards
