"""`flr explain`: which of the user's words moved a reward, in the terminal and as a page."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from flr.errors import OptionError
from flr.explaining import explain_row
from flr.files import check_page, write_text
from flr.options import ScorerOptions
from flr.report.explain.html import render_html
from flr.report.explain.terminal import render_terminal

PIPED_WIDTH = 100
"""Columns of what is written to no terminal, so that no table is cut."""


def console() -> Console:
    """Standard output, wide enough for every table where it is no terminal."""
    found = Console(highlight=False)
    if found.is_terminal:
        return found
    return Console(highlight=False, width=max(PIPED_WIDTH, found.width))


def explain(
    source: Annotated[str, Parameter(name="INPUT", allow_leading_hyphen=True)],
    /,
    *,
    row: int | None = None,
    html: Path | None = None,
    top: int = 5,
    options: Annotated[ScorerOptions | None, Parameter(name="*")] = None,
) -> None:
    """Show which follow-ups moved a reward most.

    INPUT is an output of flr score --per-followup, or any rows that flr score reads; of those, the
    responses that are needed are scored now. Of a pair, chosen is held against rejected; of several
    responses, the best against the worst; a single one against the mean of the file (of 16 rows
    where they are scored now).

    Args:
        source: a scored file, or rows to score.
        row: number of the row, from 1 [default: the first with two responses, else the first].
        html: also write the explanation as one self-contained page.
        top: follow-ups in each list.
        options: how to score rows that are not scored yet.
    """
    if top < 1:
        raise OptionError(f"--top {top}; 1 or more was expected")
    if html is not None:
        check_page(html)
    explained = explain_row(source, row, options)
    console().print(render_terminal(explained, top))
    if html is not None:
        write_text(html, render_html(explained, top))
        Console(stderr=True, soft_wrap=True).print(Text(f"{html}: the same as a page, with more"))
