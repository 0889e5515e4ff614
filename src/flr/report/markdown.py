"""Markdown in which no text of data is obeyed, and breaks no table."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flr.report.made import how_made
from flr.report.shown import printable
from flr.report.tables import Table

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


def table_lines(table: Table) -> list[str]:
    """The lines of a table: names to the left, figures to the right."""
    rule = ["---", *["---:"] * (len(table.header) - 1)]
    rows = [_line([escaped(name), *figures]) for name, *figures in table.rows]
    header = _line([escaped(name) for name in table.header])
    notes = ["", escaped(" ".join(table.notes))] if table.notes else []
    return ["", f"### {escaped(table.title)}", "", header, _line(rule), *rows, *notes]


def how_made_lines(results: Mapping[str, Any]) -> list[str]:
    """The lines that say how results were made."""
    facts = [f"- {escaped(name)}: {escaped(value)}" for name, value in how_made(results)]
    return ["", "## How it was made", "", *facts]
