"""The figures of a calibration's page: accuracy by number of follow-ups, probability by margin."""

from collections.abc import Mapping, Sequence
from typing import Any

from flr.report.bars import percents
from flr.report.svg import BLUE, DIM, INK, Canvas, size
from flr.report.words import ends_of, known

MARGINS = (56, 44, 14, 40)
"""Left, top, right and bottom; a key stands above the axes."""


def curve(points: Sequence[Mapping[str, Any]], prefix: str) -> str:
    """Accuracy on held-out prompts by the number of follow-ups, with that of random ones.

    Args:
        points: the record's `curve`.
        prefix: begins the identifiers, unique in the page.
    """
    canvas = Canvas(260, MARGINS)
    axes = canvas.axes
    counts = [one["followups"] for one in points]
    axes.set_xscale("log")
    ends = ([one["lowest"] for one in points], [one["highest"] for one in points])
    axes.fill_between(counts, *ends, color=DIM, alpha=0.25, linewidth=0)
    axes.plot(counts, [one["random"] for one in points], color=DIM, marker="s", markersize=3)
    for count, one in zip(counts, points, strict=True):
        interval = ends_of(one["accuracy"])
        if interval is not None:
            axes.plot([count, count], interval, color=INK, linewidth=1)
    shown = [(count, one["accuracy"]["value"]) for count, one in zip(counts, points, strict=True)]
    shown = [(count, value) for count, value in shown if known(value)]
    if shown:
        axes.plot(*zip(*shown, strict=True), color=BLUE, marker="D", markersize=4, linewidth=1.5)
    ticks = [count for count in (2, 5, 10, 20, 50, 100, 200, 500) if count <= counts[-1]]
    axes.set_xticks(ticks, [str(count) for count in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda number, _: percents(number))
    canvas.name_axes("Follow-ups", "Accuracy")
    canvas.key({"most useful": (BLUE, "D"), "random": (DIM, "s")})
    return canvas.svg("Accuracy on held-out prompts by number of follow-ups", prefix)


def probability(knots: Sequence[Sequence[float]], prefix: str) -> str:
    """How likely the response with the higher reward is the better one, by the margin.

    Args:
        knots: margins, nats a token, and probabilities, rising.
        prefix: begins the identifiers, unique in the page.
    """
    canvas = Canvas(260, MARGINS)
    axes = canvas.axes
    axes.axhline(0.5, color=DIM, linewidth=1, linestyle=(0, (3, 3)), zorder=0)
    axes.plot(*zip(*knots, strict=True), color=BLUE, linewidth=1.5)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter(lambda number, _: size(number))
    axes.yaxis.set_major_formatter(lambda number, _: percents(number))
    canvas.name_axes("Margin, nats a token", "Probability")
    return canvas.svg("Probability that the higher reward is right, by margin", prefix)
