"""Bars from a middle to each figure, with its interval; what they stand for is the caller's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from flr.report.svg import BLUE, DIM, GREEN, INK, TEXT, Canvas, size
from flr.report.words import Figure, ends_of, known

ROW = 36
"""Height of one bar with its name above it."""

MIDDLE: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": (0, (3, 3)), "zorder": 0}
"""How the line from which bars begin is drawn."""

_TRIVIAL = ("length", "random", "majority")
_NAME_EMS = 18.0
"""Room for a name beside its figure, in sizes of the text; the tables show all of it."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure of a page.

    Args:
        title: what it shows.
        svg: the drawing, well-formed and escaped.
        caption: how to read it.
    """

    title: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Scale:
    """What bars are measured by.

    Args:
        title: of the axis.
        middle: where the bars begin.
        word: words a figure.
        ticks: words a number at the axis.
        least: how far the axis goes at least, to both sides of the middle.
    """

    title: str
    middle: float
    word: Callable[[Figure | None], str]
    ticks: Callable[[float, Any], str]
    least: float = 0.1


def sizes(number: float, _: Any = None) -> str:
    """A number at an axis."""
    return size(number)


def percents(number: float, _: Any = None) -> str:
    """A part of a whole at an axis."""
    return f"{100 * number:.0f} %"


def colour_of(reward: str) -> str:
    """Blue: follow-up likelihood; grey: trivial ways; green: other models."""
    return DIM if reward in _TRIVIAL else BLUE if reward.startswith("flr") else GREEN


def _ems(character: str) -> float:
    """No less than a character's width in common fonts."""
    narrow = character.isascii() and character.isprintable() and not character.isupper()
    return 0.62 if narrow and character not in "mw@%" else 1.0


def cut(name: str, room: float = _NAME_EMS) -> str:
    """A name that fits into a figure; of a longer one the beginning.

    Args:
        name: any text.
        room: sizes of the text.
    """
    fitting = sum(width <= room for width in accumulate(map(_ems, name)))
    return name if fitting == len(name) else f"{name[: fitting - 1]}…"


def _bar(canvas: Canvas, row: int, name: str, figure: Figure, scale: Scale, colour: str) -> None:
    """Name and figure on one line, the bar below it."""
    canvas.write(cut(name), 0.0, row + 0.3)
    canvas.write(scale.word(figure).replace("-", "−"), 1.0, row + 0.3, side="right")
    if not known(figure.get("value")):
        return
    value, middle, place = figure["value"], scale.middle, row + 0.62
    canvas.axes.plot([middle] * 2, [place - 0.2, place + 0.3], **MIDDLE)
    canvas.axes.barh(place, value - middle, left=middle, height=0.3, color=colour, alpha=0.55)
    canvas.axes.plot(value, place, marker="D", markersize=5, color=colour)
    ends = ends_of(figure)
    if ends is not None:
        canvas.axes.plot(ends, [place, place], color=INK, linewidth=1.5, solid_capstyle="butt")


def _reach(scale: Scale, figures: Mapping[str, Figure]) -> tuple[float, float]:
    """The ends of the axis: all bars and intervals, and the least to both sides of the middle."""
    numbers = [scale.middle - scale.least, scale.middle + scale.least]
    for figure in figures.values():
        numbers += [*(ends_of(figure) or ()), *filter(known, [figure.get("value")])]
    return min(numbers) - 0.1 * scale.least, max(numbers) + 0.1 * scale.least


def bars(
    scale: Scale,
    figures: Mapping[str, Figure],
    prefix: str,
    title: str,
    colour: Callable[[str], str] = colour_of,
) -> str:
    """A bar from the middle to each figure, with its interval; the name above it.

    Args:
        scale: what they are measured by.
        figures: by name, at least one.
        prefix: begins the identifiers, unique in the page.
        title: what it shows.
        colour: of the bar of a name.
    """
    canvas = Canvas(ROW * len(figures) + 40, (18, 4, 18, 36))
    axes = canvas.axes
    for row, (name, figure) in enumerate(figures.items()):
        _bar(canvas, row, name, figure, scale, colour(name))
    axes.set_ylim(len(figures), 0)
    axes.set_yticks([])
    axes.set_xlim(*_reach(scale, figures))
    axes.xaxis.set_major_formatter(scale.ticks)
    axes.set_xlabel(scale.title, fontsize=TEXT, color=INK)
    return canvas.svg(title, prefix)
