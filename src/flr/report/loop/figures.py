"""The figures of a loop's page: one quantity along the rounds, each with its interval."""

from collections.abc import Callable, Sequence

from flr.report.svg import BLUE, DIM, INK, Canvas, size
from flr.report.words import Figure, ends_of, known

MARGINS = (56, 30, 14, 40)
"""Left, top, right and bottom; `−0.025` and `100 %` fit to the left."""


def rounds(
    figures: Sequence[Figure | None],
    name: str,
    prefix: str,
    title: str,
    word: Callable[[float], str] = size,
) -> str:
    """A line over the rounds, with an interval at each; dashed: where the first policy was.

    Args:
        figures: one a round, from 0; None or without a value where there is none.
        name: title of the vertical axis.
        prefix: begins the identifiers, unique in the page.
        title: what it shows.
        word: words a value at a tick.
    """
    canvas = Canvas(240, MARGINS)
    axes = canvas.axes
    shown = [(at, f) for at, f in enumerate(figures) if f is not None and known(f["value"])]
    for at, figure in shown:
        ends = ends_of(figure)
        if ends is not None:
            axes.plot([at, at], ends, color=INK, linewidth=1.2, solid_capstyle="butt")
    values = [figure["value"] for _, figure in shown]
    axes.plot([at for at, _ in shown], values, color=BLUE, marker="D", markersize=5, linewidth=1.5)
    if shown:
        axes.axhline(values[0], color=DIM, linewidth=1, linestyle=(0, (3, 3)), zorder=0)
    axes.set_xlim(-0.3, max(1, len(figures) - 1) + 0.3)
    axes.set_xticks(range(len(figures)))
    axes.yaxis.set_major_formatter(lambda number, _: word(number))
    canvas.name_axes("Round", name)
    return canvas.svg(title, prefix)
