"""`flr calibrate`: scored items with labels in, a follow-up set with weights out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr.calibrating import calibrate_file
from flr.calibration.learning import CalibrateOptions
from flr.files import check_page, write_text
from flr.report.calibration.html import page
from flr.report.calibration.summary import category_table, sentences
from flr.runs import Report


def calibrate(
    source: Annotated[str, Parameter(name="ITEMS", allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    html: Path | None = None,
    config: Path | None = None,
    options: Annotated[CalibrateOptions | None, Parameter(name="*")] = None,
) -> None:
    """Learn what each category or follow-up weighs, from labels.

    ITEMS is what flr score --per-followup wrote of rows with labels: preference pairs, or responses
    with ratings (of several responses a list ratings; of one a number rating). On a part of the
    prompts weights are learned by logistic regression that is held to those of the set, by a
    penalty chosen by cross-validation; on the others accuracy is measured, before and after, and
    by the number of follow-ups. SET is a follow-up set for --set, in which what weighs nothing is
    dropped; its record, SET.run.json, holds every figure, and what a margin means:
    flr.calibration_of(SET).reward_probability(margin) in Python. No model is needed.

    Args:
        source: JSONL or Parquet file that flr score --per-followup wrote.
        output: the follow-up set to write, .yaml.
        html: also write what came out as one self-contained page.
        config: YAML file with options, such as `learn: followups`; the command line overrides it.
        options: what is learned, and what is measured on.
    """
    del config  # read by the main door, before options are parsed
    if html is not None:
        check_page(html)
    console = Console(stderr=True)
    report = calibrate_file(source, output, options or CalibrateOptions())
    if html is not None:
        write_text(html, page(report.record))
    _show(console, output, html, report)


def _show(console: Console, output: Path, html: Path | None, report: Report) -> None:
    """Prints what came out, and what to type next."""
    for words in report.record["warnings"]:
        console.print(Text(f"warning: {words}", style="yellow"))
    weights = category_table(report.record)
    table = Table(box=None, pad_edge=False)
    for at, title in enumerate(weights.header):
        table.add_column(title, justify="right" if at else "left")
    for row in weights.rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for sentence in sentences(report.record):
        console.print(Text(sentence))
    done = "" if report.computed else ": nothing to do, it was finished before"
    console.print(Text(f"{output}{done}"), soft_wrap=True)
    if html is not None:
        console.print(Text(f"{html}: the same as a page, with more"), soft_wrap=True)
    console.print(Text("Next:"))
    console.print(Text(f"    flr score FILE --set {output} -o OUT"), soft_wrap=True)
