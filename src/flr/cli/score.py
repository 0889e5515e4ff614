"""`flr score`: rows in, rows with rewards out."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr import remote
from flr.cli.progress import bar
from flr.runs import Report
from flr.score_file import ScoreOptions, score_file
from flr.shards import done_with, parse


def score(
    source: Annotated[str, Parameter(name="INPUT", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[str, Parameter(alias="-o")],
    shard: str | None = None,
    config: Path | None = None,
    options: Annotated[ScoreOptions | None, Parameter(name="*")] = None,
) -> None:
    """Score every response of a file by how likely its follow-ups are.

    Rows may have messages; prompt and response (or completion); prompt, chosen and rejected;
    prompt and responses; hh-rlhf transcripts; or the paper's utterance lists. Every row keeps its
    columns and gets reward and reward_by_category (rewards, ... for several responses;
    reward_chosen, reward_rejected, ... for pairs). A killed run goes on where it was when the same
    command is given again, and ends with the same bytes. OUTPUT.run.json says how it was made.

    Args:
        source: JSONL, JSON, Parquet or CSV file, a folder of Parquet files, a URL of either (s3://,
            gs://), - for JSONL on standard input, or a dataset id.
        output: .jsonl or .parquet file to write, or a name without suffix for a folder of Parquet
            files. s3://, gs://: it is made in the working directory, and copied when it is whole.
        shard: I/N: compute part I of N only, on this machine; flr merge puts them together.
        config: YAML file with options, such as `set: short`; the command line overrides it.
        options: how to score.
    """
    del config  # read by the main door, before options are parsed
    options = options or ScoreOptions()
    here = remote.local(source, output, in_parts=shard is not None)
    console = Console(stderr=True)
    with bar(console, "responses") as progress:
        report = score_file(
            source,
            here,
            options,
            progress,
            lambda words: console.print(Text(f"warning: {words}", style="yellow")),
            part=None if shard is None else parse(shard),
        )
    if shard is not None:
        console.print(Text(done_with(here, report)))
    else:
        remote.copy(here, output)
        show(console, output, report)


def show(console: Console, output: str | Path, report: Report) -> None:
    """Prints the closing summary of a run."""
    record = report.record
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, words in _lines(record):
        table.add_row(Text(name, style="dim"), Text(words))
    console.print(table)
    done = "nothing to do, it was finished before" if not report.computed else ""
    console.print(Text(f"{output}" + (f": {done}" if done else "")))


def _lines(record: Any) -> list[tuple[str, str]]:
    """What the summary says, a line each."""
    summary = record["summary"]
    lines = [("responses", f"{record['responses']} in {record['rows']} rows")]
    if summary["count"]:
        low, lower, median, upper, high = summary["quantiles"]
        lines.append(("reward", f"mean {_number(summary['mean'])}, sd {_number(summary['sd'])}"))
        lines.append(
            ("quantiles", f"{low:.3f}  {lower:.3f}  {median:.3f}  {upper:.3f}  {high:.3f}")
        )
        lines.append(("with length", f"Spearman {_number(summary['length_spearman'])}"))
    if record["pair_accuracy"] is not None:
        lines.append(("chosen above rejected", f"{record['pair_accuracy']:.1%}"))
    for name, what in (("cut", "oldest turns left out"), ("skipped", "left out")):
        if record[name]:
            rows = ", ".join(str(entry[0]) for entry in record[name][:10])
            lines.append((name, f"{len(record[name])} responses ({what}), rows {rows}"))
    if record["tokenised_whole"]:
        lines.append(("slow", f"{record['tokenised_whole']} responses were tokenised whole"))
    lines.append(("path", "; ".join(record["paths"])))
    return lines


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"
