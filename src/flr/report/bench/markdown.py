"""The results of a benchmark as Markdown tables to paste, from `results.json` alone."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flr.report.bench.made import how_made, set_counts
from flr.report.bench.summary import set_summary, summary, title
from flr.report.bench.tables import Table, set_tables
from flr.report.bench.words import kind_of
from flr.report.shown import printable

_OBEYED = re.compile(r"[\\`*<>|~&$#]|\](?=[(\[:])|(?<!\w)_|_(?!\w)")
"""What Markdown would obey: an underscore beside a word, a bracket before a link's target."""


def escaped(text: str) -> str:
    """The text on one line, shown by Markdown as it is.

    Example:
        >>> print(escaped("a|b\\n<script> mtbench_single"))
        a\\|b \\<script\\> mtbench_single
    """
    return _OBEYED.sub(r"\\\g<0>", " ".join(printable(text).split()))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(table: Table) -> list[str]:
    """The lines of a table: names to the left, figures to the right."""
    rule = ["---", *["---:"] * (len(table.header) - 1)]
    rows = [_line([escaped(name), *figures]) for name, *figures in table.rows]
    header = _line([escaped(name) for name in table.header])
    notes = ["", escaped(" ".join(table.notes))] if table.notes else []
    return ["", f"### {escaped(table.title)}", "", header, _line(rule), *rows, *notes]


def _set_lines(name: str, of_set: Mapping[str, Any], reference: str | None) -> list[str]:
    lines = ["", f"## {escaped(name)} ({kind_of(of_set).name})", ""]
    lines += [escaped(sentence) for sentence in set_summary(of_set, reference)]
    for table in set_tables(of_set, reference):
        lines += _table(table)
    lines += ["", escaped(set_counts(of_set)), "", f"Source: {escaped(of_set['source'])}"]
    if of_set["not_computed"]:
        lines += ["", "Not computed:", ""]
        lines += [
            f"- {escaped(reward)}: {escaped(reason)}"
            for reward, reason in of_set["not_computed"].items()
        ]
    return lines


def _how_made_lines(results: Mapping[str, Any]) -> list[str]:
    facts = [f"- {escaped(name)}: {escaped(value)}" for name, value in how_made(results)]
    return ["", "## How it was made", "", *facts]


def markdown(results: Mapping[str, Any]) -> str:
    """The results as Markdown.

    Args:
        results: the whole of `results.json`.

    Returns:
        Sentences and tables set by set, then how they were made; the texts of data in it break no
        table and are not obeyed.
    """
    lines = [f"# {title(results)}", ""]
    lines += [escaped(sentence) for sentence in summary(results)]
    lines += [line for note in results["notes"] for line in ("", escaped(note))]
    for name, of_set in results["sets"].items():
        lines += _set_lines(name, of_set, results["reference"])
    if results["sets"]:
        lines += ["", "Intervals are 95 %, by bootstrap over prompts. – : no answer."]
    return "\n".join([*lines, *_how_made_lines(results), ""])
