"""`flr mine`: prompts in, preference data out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from flr.cli.progress import bars
from flr.mining import MineOptions, mine_file
from flr.report.mined import text
from flr.runs import Report


def mine(
    source: Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[MineOptions | None, Parameter(name="*")] = None,
) -> None:
    """Mine preference pairs from a policy's own responses.

    Of several responses to a prompt the best is set against the worst, by the likelihood of what
    the user would say next. Rows of FILE hold prompts, alone or with a single response or a pair
    (then responses are sampled first), prompt and responses (then they are scored first), or
    rewards too (then they are only paired). What is sampled and scored lies beside OUTPUT: for
    pairs.jsonl it is pairs.responses.jsonl and pairs.rewards.jsonl. The same command with --force
    and other ways of pairing, or flr mine pairs.rewards.jsonl -o OTHER, computes nothing anew. A
    killed run goes on where it was when the same command is given again.

    Args:
        source: JSONL, JSON, Parquet or CSV file, or a dataset id.
        output: the file to write, .jsonl or .parquet.
        config: YAML file with options, such as `n: 4`; the command line overrides it.
        options: what samples, what scores, what makes a pair.
    """
    del config  # read by the main door, before options are parsed
    console = Console(stderr=True)
    with bars(console) as progress_of:
        report = mine_file(
            source,
            output,
            options or MineOptions(),
            progress_of,
            lambda words: console.print(Text(f"warning: {words}", style="yellow")),
        )
    show(console, output, report)


def show(console: Console, output: Path, report: Report) -> None:
    """Prints what was found."""
    console.print(Text(text(report.record)))
    done = "" if report.computed else ": nothing was sampled or scored anew"
    console.print(Text(f"{output}{done}"))
