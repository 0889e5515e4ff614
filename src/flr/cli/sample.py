"""`flr sample`: prompts in, prompts with a policy's responses out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from flr import remote
from flr.cli.progress import bar
from flr.runs import Report
from flr.sample_file import SampleOptions, sample_file
from flr.shards import done_with, parse


def sample(
    source: Annotated[str, Parameter(name="PROMPTS", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[str, Parameter(alias="-o")],
    shard: str | None = None,
    config: Path | None = None,
    options: Annotated[SampleOptions | None, Parameter(name="*")] = None,
) -> None:
    """Sample several responses of a policy to every prompt of a file.

    Rows may be any that flr score reads (the prompt of their response is taken), or hold a prompt
    or messages alone. Every row keeps its columns, but those that spoke of other responses, and
    gets prompt, responses, finish_reasons (stop; length where a response was cut off) and
    response_tokens. A killed run goes on where it was when the same command is given again, and
    ends with the same bytes on the same kind of machine. OUTPUT.run.json says how it was made.

    Args:
        source: JSONL, JSON, Parquet or CSV file, a folder of Parquet files, a URL of either (s3://,
            gs://), - for JSONL on standard input, or a dataset id.
        output: .jsonl or .parquet file to write, or a name without suffix for a folder of Parquet
            files. s3://, gs://: it is made in the working directory, and copied when it is whole.
        shard: I/N: compute part I of N only, on this machine; flr merge puts them together.
        config: YAML file with options, such as `n: 4`; the command line overrides it.
        options: what samples, and how.
    """
    del config  # read by the main door, before options are parsed
    options = options or SampleOptions()
    here = remote.local(source, output, in_parts=shard is not None)
    console = Console(stderr=True)
    with bar(console, "prompts") as progress:
        part = None if shard is None else parse(shard)
        report = sample_file(source, here, options, progress, part)
    if shard is not None:
        console.print(Text(done_with(here, report)))
    else:
        remote.copy(here, output)
        show(console, output, report)


def show(console: Console, output: str | Path, report: Report) -> None:
    """Prints the closing summary of a run."""
    record = report.record
    reasons = record["finish_reasons"]
    rate = record["tokens_per_second"]
    lines = [
        f"{record['responses']} responses to {record['prompts']} prompts, "
        f"{reasons.get('length', 0)} of them cut off at --max-new-tokens",
        f"{record['response_tokens']:,} tokens" + (f", {rate:,.0f} a second" if rate else ""),
    ]
    for name, what in (("cut", "oldest turns left out"), ("skipped", "left out")):
        if record[name]:
            rows = ", ".join(str(entry[0]) for entry in record[name][:10])
            lines.append(f"{len(record[name])} prompts ({what}), rows {rows}")
    done = "" if report.computed else ": nothing to do, it was finished before"
    console.print(Text("\n".join([*lines, f"{output}{done}"])))
