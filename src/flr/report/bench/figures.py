"""The figures of a benchmark's page: bars, reward against length, accuracy by margin, systems.

Colour says nothing alone: every bar is named, responses of two sides are circles and triangles,
medians are diamonds on a line, and the line of chance is dashed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from flr.report.bars import MIDDLE, Scale, colour_of, percents, sizes
from flr.report.bars import bars as drawn
from flr.report.bench.items import Bin
from flr.report.bench.words import Kind
from flr.report.svg import (
    BLUE,
    LINE,
    VERMILLION,
    Canvas,
    round_numbers,
    size,
)
from flr.report.words import Figure, ends_of

MARGINS = (52, 30, 10, 40)
"""Left, top, right and bottom of what is not a bar; `−0.025` and `100 %` fit to the left."""

MAX_DOTS = 500
"""Dots that a figure draws; of more, some drawn by lot, since rows may come in a pattern."""

Series = Mapping[str, tuple[Float[np.ndarray, " dot"], Float[np.ndarray, " dot"]]]
"""x and y of the dots, by their name: one side, or two."""

_SIDES = ((BLUE, "o"), (VERMILLION, "^"))
"""Colour and marker of the dots of each side."""


def bars(
    kind: Kind, figures: Mapping[str, Figure], prefix: str, title: str, of: str | None = None
) -> str:
    """A bar from chance to each figure, with its interval; the name above it.

    Args:
        kind: how the figures are worded, and what chance is.
        figures: by name, at least one.
        prefix: begins the identifiers.
        title: what it shows.
        of: the reward that all figures are of; None where each has the name of its own.
    """
    ticks = percents if kind.main == "accuracy" else sizes
    scale = Scale(f"{kind.title}; dashed: chance", kind.chance, kind.word, ticks)
    return drawn(scale, figures, prefix, title, lambda name: colour_of(of or name))


def _ticks(low: float, high: float) -> list[float]:
    """Zero and powers of ten from 100 on, both signs; round numbers where that is hardly any."""
    sizes = [0.0, *(sign * 10.0**power for power in range(2, 9) for sign in (-1, 1))]
    between = sorted(tick for tick in sizes if low <= tick <= high)
    return between if len(between) > 1 else round_numbers(low, high)


def _medians(
    x: Float[np.ndarray, " dot"], y: Float[np.ndarray, " dot"]
) -> tuple[list[float], list[float]]:
    """Medians of x and y in up to ten bins of equally many dots, along x."""
    parts = np.array_split(np.argsort(x, kind="stable"), min(10, max(1, len(x) // 10)))
    x_medians, y_medians = ([float(np.median(of[part])) for part in parts] for of in (x, y))
    return x_medians, y_medians


def _lot(count: int, most: int) -> Int[np.ndarray, " drawn"]:
    """At most so many of the dots, always the same ones."""
    return np.random.default_rng(0).permutation(count)[:most]


def _draw_side(canvas: Canvas, series: Series, side: int) -> None:
    """The dots of one side and their medians, in another colour where it is the only one."""
    x, y = list(series.values())[side]
    drawn = _lot(len(x), MAX_DOTS // len(series))
    colour, marker = _SIDES[side]
    canvas.axes.scatter(
        x[drawn], y[drawn], s=9, color=colour, marker=marker, alpha=0.35, linewidths=0
    )
    line = VERMILLION if len(series) == 1 else colour
    canvas.axes.plot(*_medians(x, y), color=line, marker="D", markersize=4, linewidth=1.5)


def dots(series: Series, names: tuple[str, str], prefix: str, title: str) -> str:
    """Dots over a length, which goes linearly to 100 characters and by powers of ten from there.

    Args:
        series: length, or difference of lengths, in characters; and reward, or margin.
        names: titles of both axes.
        prefix: begins the identifiers.
        title: what it shows.
    """
    canvas = Canvas(260, MARGINS)
    axes = canvas.axes
    for side in range(len(series)):
        _draw_side(canvas, series, side)
    axes.set_xscale("symlog", linthresh=100)
    axes.set_xticks(_ticks(*axes.get_xlim()), minor=False)
    axes.xaxis.set_major_formatter(sizes)
    axes.yaxis.set_major_formatter(sizes)
    if min(y.min() for _, y in series.values()) < 0 < max(y.max() for _, y in series.values()):
        axes.axhline(0, color=LINE, linewidth=1, zorder=0)
    canvas.name_axes(*names)
    if len(series) > 1:
        canvas.key(dict(zip(series, _SIDES, strict=True)))
    return canvas.svg(title, prefix)


def accuracy_bins(bins: Sequence[Bin], chance: float, prefix: str, title: str) -> str:
    """Accuracy, with its interval, of pairs in bins of their absolute margin.

    Args:
        bins: at least one, the smallest margins first.
        chance: the accuracy of a reward that knows nothing.
        prefix: begins the identifiers.
        title: what it shows.
    """
    canvas = Canvas(260, MARGINS)
    axes = canvas.axes
    for place, one in enumerate(bins):
        ends = ends_of(one.figure)
        if ends is not None:
            axes.plot([place, place], ends, color=BLUE, linewidth=1.5)
    values = [one.figure["value"] for one in bins]
    axes.plot(range(len(bins)), values, color=BLUE, marker="D", markersize=5, linewidth=1)
    axes.axhline(chance, **MIDDLE)
    axes.set_xticks(
        range(len(bins)), [size(one.margin, 2 if one.margin < 99.5 else 3) for one in bins]
    )
    axes.set_xlim(-0.5, len(bins) - 0.5)
    axes.set_ylim(min(chance - 0.2, *values) - 0.05, 1.03)
    axes.yaxis.set_major_formatter(percents)
    canvas.name_axes("Median absolute margin of the bin", "Accuracy; dashed: chance")
    return canvas.svg(title, prefix)


def systems(figures: Mapping[str, Figure], prefix: str, title: str) -> str:
    """The mean reward of each system, with its interval, over its Elo number.

    Args:
        figures: by system, each with `elo`; at least one.
        prefix: begins the identifiers.
        title: what it shows.
    """
    canvas = Canvas(260, MARGINS)
    axes = canvas.axes
    for figure in figures.values():
        ends = ends_of(figure)
        if ends is not None:
            axes.plot([figure["elo"]] * 2, ends, color=LINE, linewidth=1.5, zorder=1)
    elo, values = ([figure[key] for figure in figures.values()] for key in ("elo", "value"))
    axes.scatter(elo, values, s=22, marker="D", color=BLUE)
    axes.yaxis.set_major_formatter(sizes)
    canvas.name_axes("Elo", "Mean reward")
    return canvas.svg(title, prefix)
