"""The figures that the page of a benchmark shows of one set, each with its title and caption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flr.report.bench_figures import MAX_DOTS, accuracy_bins, bars, dots, systems
from flr.report.bench_items import Pair, Response, accuracy_by_margin, pairs_of
from flr.report.bench_words import counted, kind_of, known, majority_of


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure.

    Args:
        title: what it shows.
        svg: the drawing, well-formed and escaped.
        caption: how to read it.
    """

    title: str
    svg: str
    caption: str


def _bars(name: str, of_set: Mapping[str, Any], prefix: str) -> list[Panel]:
    kind = kind_of(of_set)
    mains = {reward: figures.get(kind.main) for reward, figures in of_set["rewards"].items()}
    mains["majority"] = majority_of(of_set)
    figures = {reward: figure for reward, figure in mains.items() if figure is not None}
    if not figures:
        return []
    title = f"{kind.title} of each reward"
    caption = (
        "A bar begins at chance, a line is the 95 % interval. Blue: FLR; grey: trivial ways; "
        "green: other models."
    )
    svg = bars(kind, figures, f"{prefix}-bars", f"{title} on {name}, with 95 % intervals")
    return [Panel(title, svg, caption)]


def _dots_caption(count: int, noun: str, reward: str) -> str:
    shown = f", {MAX_DOTS} of them drawn" if count > MAX_DOTS else ""
    return f"By {reward}; {counted(count, noun)}{shown}. Diamonds: medians along the length."


def _margin_against_length(name: str, pairs: Sequence[Pair], reward: str, prefix: str) -> Panel:
    x = np.array([pair.longer_by for pair in pairs], dtype=np.float64)
    y = np.array([pair.margin for pair in pairs], dtype=np.float64)
    title = "Margin against difference of lengths"
    names = ("Preferred minus other, characters", "Margin")
    svg = dots(x, y, names, f"{prefix}-length", f"{title} on {name}")
    return Panel(title, svg, _dots_caption(len(pairs), "pair", reward))


def _reward_against_length(
    name: str, scored: Sequence[Response], reward: str, prefix: str
) -> Panel:
    x = np.array([len(response.text) for response in scored], dtype=np.float64)
    y = np.array([response.reward for response in scored], dtype=np.float64)
    title = "Reward against length"
    svg = dots(x, y, ("Characters", "Reward"), f"{prefix}-length", f"{title} on {name}")
    return Panel(title, svg, _dots_caption(len(scored), "response", reward))


def _accuracy_by_margin(
    name: str, pairs: Sequence[Pair], reward: str, chance: float, prefix: str
) -> Panel:
    title = "Margin against accuracy"
    svg = accuracy_bins(accuracy_by_margin(pairs), chance, f"{prefix}-margin", f"{title} on {name}")
    caption = (
        f"By {reward}; {counted(len(pairs), 'pair')} in bins of equal size, with 95 % intervals. "
        "A reward that knows when it is sure rises to the right."
    )
    return Panel(title, svg, caption)


def _reward_against_elo(
    name: str, figures: Mapping[str, Any], reward: str, prefix: str
) -> list[Panel]:
    both = {
        system: figure
        for system, figure in figures.items()
        if known(figure["value"]) and known(figure["elo"])
    }
    if not both:
        return []
    title = "Mean reward against Elo"
    svg = systems(both, f"{prefix}-systems", f"{title} on {name}")
    caption = f"By {reward}; {counted(len(both), 'system')}, with 95 % intervals."
    return [Panel(title, svg, caption)]


def panels(
    name: str,
    of_set: Mapping[str, Any],
    reward: str | None,
    scored: Sequence[Response],
    prefix: str,
) -> list[Panel]:
    """The figures of one set: bars, reward against length, accuracy by margin, systems.

    A figure without anything to draw is left out.

    Args:
        name: of the set.
        of_set: its part of the results.
        reward: the reward that is shown in detail; None where there is none.
        scored: every response that has it.
        prefix: begins the identifiers, unique in the page.
    """
    drawn = _bars(name, of_set, prefix)
    if reward is None or not scored:
        return drawn
    pairs = pairs_of(of_set["kind"], scored)
    if of_set["kind"] != "pairwise":
        drawn.append(_reward_against_length(name, scored, reward, prefix))
    elif pairs:
        drawn.append(_margin_against_length(name, pairs, reward, prefix))
    if pairs:
        chance = of_set["chance"] if of_set["kind"] == "pairwise" else 0.5
        drawn.append(_accuracy_by_margin(name, pairs, reward, chance, prefix))
    if of_set["kind"] == "ranking":
        figures = of_set["rewards"][reward]["systems"]
        drawn += _reward_against_elo(name, figures, reward, prefix)
    return drawn
