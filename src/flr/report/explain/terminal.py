"""The explanation of a reward for a terminal, as rich renderables; no text in it is obeyed."""

from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table
from rich.text import Text

from flr.report.explain.movements import Explained, Movement, movements
from flr.report.shown import printable, signed

EXCERPT = 280
"""Characters of a prompt or response that the terminal shows; the HTML page shows all."""

BAR_CELLS = 10
"""Terminal cells of the longest bar on each side of zero."""

_GOOD, _BAD = "blue", "dark_orange"


def _one_line(text: str, longest: int | None = None) -> Text:
    line = " ".join(printable(text).split())
    return Text(line if longest is None or len(line) <= longest else line[: longest - 1] + "…")


def _colour(number: float) -> str:
    return (_BAD, "", _GOOD)[1 + int(np.sign(number))]


def _bar(number: float, largest: float) -> Text:
    """A bar to the right of the middle for more than 0, to the left for less."""
    bar = "█" * round(BAR_CELLS * abs(number) / largest) if largest else ""
    left, right = ("", bar) if number > 0 else (bar, "")
    return Text(f"{left:>{BAR_CELLS}}│{right:<{BAR_CELLS}}", _colour(number))


def _texts_table(explained: Explained) -> Table:
    """The last prompt message and the responses, each cut to an excerpt."""
    table = Table.grid(padding=(0, 2))
    if explained.prompt:
        table.add_row(Text("prompt"), _one_line(explained.prompt[-1].content, EXCERPT))
    for side in (explained.first, explained.second):
        if side.response is not None:
            table.add_row(_one_line(side.label), _one_line(side.response, EXCERPT))
    return table


def _rewards_table(explained: Explained) -> Table:
    first, second = explained.first, explained.second
    largest = max(
        abs(first.by_category[name] - second.by_category[name]) for name in first.by_category
    )
    table = Table(title=f"Reward ({explained.unit})", title_justify="left", box=SIMPLE)
    table.add_column("category")
    for header in (first.label, second.label, "difference"):
        table.add_column(_one_line(header), justify="right")
    table.add_column("")
    for name, one in first.by_category.items():
        other = second.by_category[name]
        figures = map(signed, (one, other, one - other))
        table.add_row(_one_line(name), *figures, _bar(one - other, largest))
    table.add_section()
    figures = map(signed, (first.reward, second.reward, first.reward - second.reward))
    table.add_row("reward", *figures, style="bold")
    return table


def _movers_table(title: str, moves: Sequence[Movement]) -> Table:
    table = Table(title=_one_line(title), title_justify="left", box=SIMPLE)
    table.add_column("")
    table.add_column("the user's words")
    table.add_column("category")
    table.add_column("moved", justify="right")
    table.add_column("adds", justify="right")
    for move in moves:
        mark = Text("+", _GOOD) if move.followup.polarity > 0 else Text("-", _BAD)
        words, category = _one_line(move.followup.text), _one_line(move.followup.category)
        adds = Text(signed(move.contribution, 4), _colour(move.contribution))
        table.add_row(mark, words, category, signed(move.moved), adds)
    return table


def render_terminal(explained: Explained, top: int = 5) -> Group:
    """The report for a terminal: texts, reward by category, the follow-ups that moved most.

    Args:
        explained: what to show.
        top: follow-ups in each of the two lists, likelier and less likely.

    Raises:
        UserError: sides that were scored with different follow-up sets.
    """
    first, second = explained.first, explained.second
    moves = movements(first, second, explained.weights)
    likelier = [move for move in moves if move.moved > 0][:top]
    less_likely = [move for move in moves if move.moved < 0][:top]
    note = (
        "+ is said by a satisfied user, - by a dissatisfied one. moved: beside its category, "
        f"{explained.unit}. adds: to the difference of the rewards."
    )
    return Group(
        *([_one_line(explained.source)] if explained.source else []),
        _texts_table(explained),
        Text(),
        _rewards_table(explained),
        _movers_table(f"Likelier after {first.label} than after {second.label}", likelier),
        _movers_table(f"Less likely after {first.label} than after {second.label}", less_likely),
        Text(note, "dim"),
    )
