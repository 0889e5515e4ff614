"""`flr compare`: do the responses of one policy beat those of another?"""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr.cli.progress import bars
from flr.comparing import CompareOptions, compare_policies, named
from flr.errors import OptionError
from flr.report.compare.summary import LENGTH, left_out, told
from flr.report.words import NONE, points, reward_value, share
from flr.result_files import ResultsReport


def compare(
    *policies: str,
    prompts: Annotated[str, Parameter(allow_leading_hyphen=True)],
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[CompareOptions | None, Parameter(name="*")] = None,
) -> None:
    """Compare policies: do the responses of B beat those of A?

    All policies answer the same prompts, drawn with the same seeds. Their responses are compared by
    one or several rewards (how often B's has the higher one, and how often among pairs of similar
    length), by length, by how they repeat themselves, and with --verifiable by prompts whose
    responses a program checks. Intervals are 95 %, by paired bootstrap over prompts. A killed run
    goes on where it was when the same command is given again, and --force with one policy
    more at the end computes nothing anew for the others.

    Args:
        policies: two or more: Hugging Face ids, folders, .gguf files, adapter folders, or smollm2;
            the others are held against the first.
        prompts: rows with prompts: JSONL, JSON, Parquet or CSV file, - for JSONL on standard input,
            or a dataset id.
        output: a folder for report.html, results.md, results.json, items.jsonl and the responses.
        config: YAML file with options, such as `max_new_tokens: 96`; the command line overrides it.
        options: how policies are asked, and by what they are compared.
    """
    del config  # read by the main door, before options are parsed
    if len(policies) < 2:
        raise OptionError(
            f"flr compare needs two policies or more, and {'one' if policies else 'none'} was "
            "given: flr compare A B --prompts FILE -o FOLDER"
        )
    console = Console(stderr=True)
    with bars(console) as progress_of:
        report = compare_policies(
            named(policies),
            prompts,
            output,
            options or CompareOptions(),
            progress_of,
            lambda words: console.print(Text(f"warning: {words}", style="yellow")),
            command=shlex.join(["flr", *sys.argv[1:]]),
        )
    show(console, output, report)


def show(console: Console, output: Path, report: ResultsReport) -> None:
    """Prints the main figures and where the page lies."""
    results = report.results
    for header, *rows in (_wins(results), _responses(results)):
        table = Table(box=None, pad_edge=False)
        for at, title in enumerate(header):
            table.add_column(title, justify="right" if at else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table, "", sep="\n")
    for name in results["against"]:
        console.print(Text(told(results, name)))
    for sentence in left_out(results):
        console.print(Text(f"warning: {sentence}", style="yellow"))
    done = ": nothing to do, it was finished before" if report.finished_before else ""
    console.print(Text(f"{output / 'report.html'}{done}"))


def _wins(results: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """A row a policy and reward; how often its response is the longer one stands beside it."""
    yield "policy", "reward", "win rate", "at similar length", "longer"
    for name, figures in results["against"].items():
        for reward in figures["win_rate"]:
            if reward != LENGTH:
                rates = (figures["win_rate"], figures["win_rate_similar_length"])
                worded = [share(of[reward]) for of in rates]
                yield name, reward, *worded, share(figures["longer"])


def _responses(results: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """A row a policy: its responses, and the verifiable prompts that it passes."""
    yield "policy", "characters", "unfinished", "verifiable", f"less {results['reference']}"
    for name, policy in results["policies"].items():
        figures, against = policy["figures"], results["against"].get(name, {})
        passed = figures["verifiable"]
        yield (
            name,
            reward_value(figures["characters"]),
            share(figures["unfinished"]),
            share(passed["pass_rate"]) if passed else NONE,
            points(against.get("verifiable_difference")),
        )
