"""The figures that the page of a comparison shows, each with its title and caption."""

from collections.abc import Mapping, Sequence
from typing import Any

from flr.report.bars import Panel, Scale, bars, colour_of, cut, percents, sizes
from flr.report.compare.summary import LENGTH
from flr.report.svg import BLUE, DIM, GREEN, INK, LINE, TEXT, VERMILLION, Canvas
from flr.report.words import Figure, ends_of, known, listed, reward_value, share

LETTERS = "ABCDEF"
"""What policies are called in a figure's key, where their names would not fit."""

_MARKS = (
    (DIM, "o"),
    (BLUE, "^"),
    (VERMILLION, "D"),
    (GREEN, "s"),
    (BLUE, "v"),
    (VERMILLION, "P"),
)
"""Colour and marker of each policy in turn."""

NAME, LANE = 18, 11
"""Heights of a name and of the line of a policy below it, in a figure's own units."""

WINS = Scale("Win rate; dashed: chance", 0.5, share, percents)


def _drawable(figures: Mapping[str, Figure]) -> bool:
    return any(known(figure["value"]) for figure in figures.values())


def win_panel(results: Mapping[str, Any], name: str, prefix: str) -> list[Panel]:
    """The win rate of a policy under each reward."""
    rates: Mapping[str, Figure] = results["against"][name]["win_rate"]
    if not _drawable(rates):
        return []
    caption = (
        f"Share of pairs in which {name} has the higher reward. A bar begins at chance, a line is "
        f"the 95 % interval. Under {LENGTH}: how often its response is the longer one."
    )
    said = f"Win rate of {name} against {results['reference']} by reward, with 95 % intervals"
    return [Panel("Win rate by reward", bars(WINS, rates, f"{prefix}-wins", said), caption)]


def category_panel(results: Mapping[str, Any], name: str, prefix: str) -> list[Panel]:
    """The win rate of a policy in each category, under the first reward that has categories."""
    by_reward: Mapping[str, Mapping[str, Figure]] = results["against"][name]["win_rate_by_category"]
    drawable = [reward for reward, rates in by_reward.items() if _drawable(rates)]
    if not drawable:
        return []
    reward = drawable[0]
    said = f"Win rate of {name} by category of {reward}, with 95 % intervals"
    colour = colour_of(reward)
    drawn = bars(WINS, by_reward[reward], f"{prefix}-categories", said, lambda _: colour)
    return [Panel("Win rate by category", drawn, f"By {reward}.")]


def length_panel(results: Mapping[str, Any], prefix: str) -> list[Panel]:
    """How long the responses of each policy are."""
    lengths = {name: one["figures"]["characters"] for name, one in results["policies"].items()}
    scale = Scale("Mean characters of a response", 0.0, reward_value, sizes, least=1.0)
    said = "Mean length of the responses of each policy, with 95 % intervals"
    drawn = bars(scale, lengths, f"{prefix}-length", said, lambda _: DIM)
    return [Panel("Length of the responses", drawn, "A line is the 95 % interval.")]


def _marks(canvas: Canvas, row: int, height: int, figures: Sequence[Figure]) -> None:
    """The figures of one row, each policy's on a line of its own below the name."""
    for at, figure in enumerate(figures):
        colour, marker = _MARKS[at]
        place = row + (NAME + LANE * (at + 0.5)) / height
        ends = ends_of(figure)
        if ends is not None:
            canvas.axes.plot(ends, [place, place], color=colour, linewidth=1.5)
        if known(figure["value"]):
            canvas.axes.plot(figure["value"], place, marker=marker, markersize=6, color=colour)


def rates(columns: Sequence[Mapping[str, Figure]], prefix: str, title: str) -> str:
    """A row a part of the prompts, in it a mark for the share of each policy.

    Args:
        columns: figures by part, of each policy in turn; at most as many as `LETTERS`.
        prefix: begins the identifiers, unique in the page.
        title: what it shows.
    """
    parts, height = list(columns[0]), NAME + LANE * len(columns) + 4
    canvas = Canvas(height * len(parts) + 64, (18, 28, 18, 36))
    axes = canvas.axes
    for row, part in enumerate(parts):
        canvas.write(cut(part), 0.0, row + 15 / height)
        axes.axhline(row, color=LINE, linewidth=0.5, zorder=0)
        _marks(canvas, row, height, [column[part] for column in columns])
    axes.set_ylim(len(parts), 0)
    axes.set_yticks([])
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(percents)
    axes.set_xlabel("Passed", fontsize=TEXT, color=INK)
    canvas.key(dict(zip(LETTERS, _MARKS[: len(columns)], strict=False)))
    return canvas.svg(title, prefix)


def verifiable_panel(results: Mapping[str, Any], prefix: str) -> list[Panel]:
    """The pass rates of the policies by kind of verifiable prompt."""
    passed = {name: one["figures"]["verifiable"] for name, one in results["policies"].items()}
    if not all(passed.values()):
        return []
    shown = list(passed)[: len(LETTERS)]
    columns = [{"all": passed[n]["pass_rate"], **passed[n]["by_kind"]} for n in shown]
    names = listed([f"{letter} is {name}" for letter, name in zip(LETTERS, shown, strict=False)])
    more = f" Of {len(passed)} policies {len(shown)} are drawn." if len(passed) > len(shown) else ""
    said = "Verifiable prompts that each policy passes, by kind, with 95 % intervals"
    drawn = rates(columns, f"{prefix}-verifiable", said)
    return [Panel("Verifiable prompts passed", drawn, f"{names}.{more} Lines: 95 % intervals.")]


def policy_panels(results: Mapping[str, Any], name: str, prefix: str) -> list[Panel]:
    """The figures of one policy held against the reference; one without an answer is left out."""
    return [*win_panel(results, name, prefix), *category_panel(results, name, prefix)]


def shared_panels(results: Mapping[str, Any], prefix: str) -> list[Panel]:
    """The figures of all policies together."""
    return [*length_panel(results, prefix), *verifiable_panel(results, prefix)]
