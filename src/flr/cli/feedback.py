"""`flr feedback`: what people or judges said of responses, as conversations to train on."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.text import Text

from flr.cli.progress import bar
from flr.errors import OptionError
from flr.feedback.building import BuildOptions, build_file
from flr.feedback.logs import LogOptions, from_logs
from flr.feedback.rewriting import RewriteOptions, rewrite_file
from flr.report.shown import printable
from flr.report.words import counted
from flr.runs import Report

app = App(name="feedback", help="Make training conversations of feedback, for flr tune.")


@app.command
def build(
    *sources: Annotated[str, Parameter(name="INPUT", allow_leading_hyphen=True)],
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[BuildOptions | None, Parameter(name="*")] = None,
) -> None:
    """Make training conversations of critiques and other feedback.

    Rows of INPUT have a prompt, a response and feedback (one text or several), perhaps with a
    score; or they are as UltraFeedback, Feedback-Bench, FeedbackQA or prometheus-eval are
    published, which is recognised by their columns. What is empty, broken, a duplicate, too short
    or too long, or quotes the whole response is left out and counted; a judge's label at the end
    (Score: 4) is cut off. OUTPUT holds conversations of which flr tune learns the last message
    alone. Its own output is an INPUT, too, to put it into the other form.

    Args:
        sources: JSONL, JSON, Parquet or CSV files, or dataset ids.
        output: the file to write, .jsonl or .parquet.
        config: YAML file with options, such as `held_out: 0.1`; the command line overrides it.
        options: what is kept, in which form.
    """
    del config  # read by the main door, before options are parsed
    chosen = options or BuildOptions()
    if not sources:
        raise OptionError(
            "flr feedback build needs INPUT; `flr feedback build --help` says what it is"
        )
    show(Console(stderr=True), output, build_file(sources, output, chosen))


@app.command(name="from-logs")
def from_logs_(
    *sources: Annotated[str, Parameter(name="LOGS", allow_leading_hyphen=True)],
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[LogOptions | None, Parameter(name="*")] = None,
) -> None:
    """Make training conversations of chat logs: what users really said next.

    Rows of LOGS have messages or a conversation (which may end with the user), or are transcripts
    such as those of hh-rlhf. Each turn of the user after one of the assistant becomes the feedback
    on the conversation up to it; a turn that opens a new topic is left out. Cleaning, forms and
    held-out prompts are those of flr feedback build; conversations that begin alike are held out
    together. Beside text and role nothing of a message is kept but its tool calls; other columns of
    a row are.

    Args:
        sources: JSONL, JSON, Parquet or CSV files, or dataset ids.
        output: the file to write, .jsonl or .parquet.
        config: YAML file with options, such as `cut: first-sentence`; the command line overrides
            it.
        options: what is kept, in which form.
    """
    del config  # read by the main door, before options are parsed
    if not sources:
        raise OptionError(
            "flr feedback from-logs needs LOGS; `flr feedback from-logs --help` says what it is"
        )
    show(Console(stderr=True), output, from_logs(sources, output, options or LogOptions()))


@app.command
def rewrite(
    source: Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    config: Path | None = None,
    options: Annotated[RewriteOptions | None, Parameter(name="*")] = None,
) -> None:
    """Put critiques into a user's own words.

    Rows of FILE are those of flr feedback build. By rules, which know English alone and need no
    model, the first sentences of a critique are turned (the response: your answer, the user: me)
    and those that speak of scores go. By model, a chat model of your choice writes them, with a
    prompt that --template replaces; its drafts lie beside OUTPUT (of said.jsonl: said.drafts.jsonl)
    and a killed run goes on where it was when the same command is given again. What tells a rating,
    speaks about the assistant or the user, speaks to nobody, is too short or too long, or copies
    the critique or the response is left out and counted; these checks know English alone, too. The
    critique stays in the column critique, and every other column as it is; a row that has a
    critique is rewritten from it.

    Args:
        source: JSONL, JSON, Parquet or CSV file, or a dataset id.
        output: the file to write, .jsonl or .parquet.
        config: YAML file with options, such as `by: model`; the command line overrides it.
        options: who writes, and what passes.
    """
    del config  # read by the main door, before options are parsed
    console = Console(stderr=True)
    chosen = options or RewriteOptions()
    if chosen.by == "rules":
        show_rewritten(console, output, rewrite_file(source, output, chosen))
        return
    with bar(console, "rows") as progress:
        report = rewrite_file(source, output, chosen, progress)
    show_rewritten(console, output, report)


def show_rewritten(console: Console, output: Path, report: Report) -> None:
    """Prints what was rewritten, and what to type next."""
    record = report.record
    console.print(Text(f"{record['rows']} of {record['found']} critiques in a user's words"))
    if record["left_out"]:
        reasons = (f"{reason}: {count}" for reason, count in record["left_out"].items())
        console.print(Text(f"left out: {', '.join(reasons)}"))
    for critique, text in record["examples"][:1]:
        console.print(Text(f"  from: {_line(critique)}\n  to:   {_line(text)}"), soft_wrap=True)
    done = "" if report.computed else ": nothing to do, it was finished before"
    console.print(Text(f"{output}{done}"), soft_wrap=True)
    console.print(Text("Next:"))
    console.print(Text(f"    flr tune {output} -o DIR"), soft_wrap=True)


def _line(text: str) -> str:
    """A text on one line, short, and without what could steer the terminal."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= 200 else f"{line[:199]}…"


def show(console: Console, output: Path, report: Report) -> None:
    """Prints what was made, and what to type next."""
    for line in _lines(report.record):
        console.print(Text(line))
    done = "" if report.computed else ": nothing to do, it was finished before"
    console.print(Text(f"{output}{done}"), soft_wrap=True)
    held_out = report.record["held_out"]
    more = f" --held-out {output.with_name(held_out)}" if held_out else ""
    console.print(Text("Next:"))
    console.print(Text(f"    flr tune {output}{more} -o DIR"), soft_wrap=True)


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{counted(record['rows'], 'row')} of {counted(record['prompts'], 'prompt')} "
        f"in the form {record['form']}; "
        f"{record['rows_held_out']} of {record['prompts_held_out']} others are held out"
    )
    if record["scores"].keys() - {"None"}:
        counts = (f"{score}: {count}" for score, count in record["scores"].items())
        yield f"scores: {', '.join(counts)}"
    if record["left_out"]:
        reasons = (f"{reason}: {count}" for reason, count in record["left_out"].items())
        yield f"left out of {record['found']}: {', '.join(reasons)}"
    if record["labels_cut"]:
        yield f"{record['labels_cut']} texts lost a label at their end"
