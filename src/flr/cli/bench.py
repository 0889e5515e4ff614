"""`flr bench`: does a reward agree with people, and better than the trivial ways?"""

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr.benching import BenchOptions
from flr.benching import bench as run_bench
from flr.cli.progress import bar
from flr.datasets.loading import available
from flr.report.bench.words import SPOILT, kind_of
from flr.result_files import ResultsReport

app = App(name="bench")

Output = Annotated[Path, Parameter(alias="-o")]
Options = Annotated[BenchOptions | None, Parameter(name="*")]


@app.default
def bench(
    *names: str,
    output: Output,
    config: Path | None = None,
    options: Options = None,
) -> None:
    """Compare rewards with what people said of responses, beside the trivial ones.

    Args:
        names: sets of `flr bench list`, or files or hub ids of preference pairs.
        output: a folder for results.json, results.md, items.jsonl and report.html; a killed run
            goes on from what lies in it when the same command is given again.
        config: YAML file with options, such as `limit: 100`; the command line overrides it.
        options: what is compared, and how.
    """
    del config  # read by the main door, before options are parsed
    _run(names, output, options or BenchOptions(), robustness=False)


@app.command
def robustness(
    *names: str,
    output: Output,
    config: Path | None = None,
    options: Options = None,
) -> None:
    """Can a reward be fooled? Good responses of any set against spoilt and bold ones.

    For each good response of the sets: an empty one, its first sentence ten times, the prompt
    echoed, a good response to another prompt, a refusal, the good one cut in the middle, and a
    worse one with praise planted in it, or a thankful user turn after it. Reported is how often the
    good one ranks above each.

    Args:
        names: sets of `flr bench list`, or files or hub ids of preference pairs.
        output: a folder for results.json, results.md, items.jsonl and report.html; a killed run
            goes on from what lies in it when the same command is given again.
        config: YAML file with options, such as `limit: 100`; the command line overrides it.
        options: what is compared, and how.
    """
    del config
    _run(names, output, options or BenchOptions(), robustness=True)


@app.command(name="list")
def list_(*, data_dir: Path | None = None) -> None:
    """List the sets, where each is read from, and which lie below a data folder.

    Args:
        data_dir: folder with the sets' files.
    """
    table = Table(box=None, pad_edge=False)
    for title in ("set", "kind", "what, and where from"):
        table.add_column(title, overflow="fold")
    for spec, files in available(data_dir):
        hub = ", ".join(dict.fromkeys(one.id for one in spec.hub))
        here = f"{len(files)} file{'s' * (len(files) > 1)} here" if files else ""
        place = here or hub or spec.origin.partition(",")[0]
        told = Text.assemble(f"{spec.about}\n", (place, "green" if files else "dim"))
        if spec.licence:
            told.append(f" ({spec.licence})", "dim")
        table.add_row(spec.name, spec.kind, told)
    console = Console()
    console.print(table)
    if data_dir is None:
        more = "--data-dir FOLDER marks the sets that lie below it; flr bench reads them there."
        console.print(Text(f"\n{more}"))


def _run(names: tuple[str, ...], output: Path, options: BenchOptions, *, robustness: bool) -> None:
    console = Console(stderr=True)
    with bar(console, "conversations") as progress:
        report = run_bench(
            names,
            output,
            options,
            progress,
            robustness=robustness,
            command=shlex.join(["flr", *sys.argv[1:]]),
            warn=lambda words: console.print(Text(f"warning: {words}", style="yellow")),
        )
    show(console, output, report)


def show(console: Console, output: Path, report: ResultsReport) -> None:
    """Prints the main figures of a run."""
    for name, found in report.results["sets"].items():
        table = Table(box=None, pad_edge=False)
        header, *rows = _cells(found, report.results["reference"])
        for at, title in enumerate(header):
            table.add_column(title, justify="right" if at else "left")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(Text(_title(name, found), "bold"), table, sep="\n")
    done = ": nothing to do, it was finished before" if report.finished_before else ""
    console.print(Text(f"{output / 'report.html'}{done}"))


def _cells(found: Any, reference: str) -> Iterator[Sequence[str]]:
    """The header, then a row a reward: its main figure; or, of spoilt responses, a row a way."""
    kind, rewards = kind_of(found), found["rewards"]
    if kind.name == SPOILT:
        yield "good above", *rewards
        for way in dict.fromkeys(way for one in rewards.values() for way in one["subsets"]):
            yield way, *(_number(one["subsets"][way]) for one in rewards.values())
    else:
        yield "reward", kind.main, "95 % interval", f"less {reference}", "95 % interval"
        for reward, one in rewards.items():
            own, less = one[kind.main], one["difference"]
            against = ("", "") if less is None else (_number(less), _interval(less))
            yield reward, _number(own), _interval(own), *against


def _title(name: str, found: Any) -> str:
    left = sum(found["left_out"].values()) + len(found["skipped"])
    return f"{name}: {found['items']} items of {found['groups']} prompts, {left} left out"


def _number(figure: Any) -> str:
    return "-" if figure["value"] is None else f"{figure['value']:.3f}"


def _interval(figure: Any) -> str:
    low, high = figure["interval"]
    return "-" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
