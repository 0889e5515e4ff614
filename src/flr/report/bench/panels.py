"""The figures that the page of a benchmark shows of one set, each with its title and caption."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flr.report.bars import Panel
from flr.report.bench.figures import MAX_DOTS, accuracy_bins, bars, dots, systems
from flr.report.bench.items import BIN_SIZE, Pair, accuracy_by_margin, pairs_of, responses
from flr.report.bench.words import LENGTH, SPOILT, kind_of, majority_of
from flr.report.words import counted, known

SIDES = {"pairwise": ("preferred", "other"), SPOILT: ("good", "spoilt")}
"""What the responses of a pair are called, by the kind of the set."""

Items = Sequence[Mapping[str, Any]]


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


def _spoilt_bars(name: str, of_set: Mapping[str, Any], reward: str, prefix: str) -> Panel:
    kind = kind_of(of_set)
    title = f"{kind.title}, by what the other one is"
    caption = (
        f"By {reward}. A bar begins at chance, a line is the 95 % interval; a bar to the left: the "
        "other one ranks above the good one more often than not."
    )
    figures = of_set["rewards"][reward]["subsets"]
    said = f"{title} on {name}, with 95 % intervals"
    return Panel(title, bars(kind, figures, f"{prefix}-bars", said, reward), caption)


def _dots_caption(count: int, noun: str, reward: str) -> str:
    shown = f", {MAX_DOTS:,} of them drawn" if count > MAX_DOTS else ""
    return f"By {reward}; {counted(count, noun)}{shown}. Diamonds: medians along the length."


def _margin_against_length(
    name: str, kind: str, pairs: Sequence[Pair], reward: str, prefix: str
) -> Panel:
    x = np.array([pair.longer_by for pair in pairs], dtype=np.float64)
    y = np.array([pair.margin for pair in pairs], dtype=np.float64)
    title = "Margin against difference of lengths"
    better, worse = SIDES[kind]
    names = (f"{better.capitalize()} minus {worse}, characters", "Margin")
    svg = dots({"": (x, y)}, names, f"{prefix}-difference", f"{title} on {name}")
    return Panel(title, svg, _dots_caption(len(pairs), "pair", reward))


def _reward_against_length(name: str, kind: str, items: Items, reward: str, prefix: str) -> Panel:
    """One series, or where people preferred some responses two."""
    scored = responses(items, reward)
    rewards = np.array([response.reward for response in scored], dtype=np.float64)
    lengths = np.array([len(response.text) for response in scored], dtype=np.float64)
    better = np.array([response.label == 1 for response in scored])
    sides = dict(zip(SIDES[kind], (better, ~better), strict=True)) if kind in SIDES else {}
    series = {side: (lengths[own], rewards[own]) for side, own in sides.items()}
    title = "Reward against length"
    of_all = {"": (lengths, rewards)}
    svg = dots(series or of_all, ("Characters", "Reward"), f"{prefix}-length", f"{title} on {name}")
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
    name: str, of_set: Mapping[str, Any], reward: str | None, items: Items, prefix: str
) -> list[Panel]:
    """The figures of one set: bars, reward against length, accuracy by margin, systems.

    A figure without anything to draw is left out, and of spoilt responses what is taken over all
    ways of spoiling.

    Args:
        name: of the set.
        of_set: its part of the results.
        reward: the reward that is shown in detail; None where there is none.
        items: the rows of the set.
        prefix: begins the identifiers, unique in the page.
    """
    kind = kind_of(of_set)
    if reward is None:
        return _bars(name, of_set, prefix)
    spoilt = kind.name == SPOILT
    drawn = [_spoilt_bars(name, of_set, reward, prefix)] if spoilt else _bars(name, of_set, prefix)
    if not items:
        return drawn
    pairs = pairs_of(of_set["kind"], items, reward)
    if reward != LENGTH:
        drawn.append(_reward_against_length(name, kind.name, items, reward, prefix))
    if reward != LENGTH and kind.name in SIDES:
        drawn.append(_margin_against_length(name, kind.name, pairs, reward, prefix))
    if len(pairs) >= BIN_SIZE and not spoilt:  # fewer say nothing of a margin
        chance = of_set["chance"] if kind.name == "pairwise" else 0.5
        drawn.append(_accuracy_by_margin(name, pairs, reward, chance, prefix))
    if kind.name == "ranking":
        figures = of_set["rewards"][reward]["systems"]
        drawn += _reward_against_elo(name, figures, reward, prefix)
    return drawn
