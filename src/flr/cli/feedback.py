"""`flr feedback`: what people or judges said of responses, as conversations to train on."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.text import Text

from flr.errors import OptionError
from flr.feedback.building import BuildOptions, build_file
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
        f"{record['rows']} rows of {record['prompts']} prompts in the form {record['form']}; "
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
