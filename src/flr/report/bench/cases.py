"""The disagreements that the page of a benchmark shows: where a reward and people differ most."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flr.report.bench.items import (
    Gap,
    Pair,
    Response,
    pairs_of,
    responses,
    widest_gaps,
    worst_pairs,
)
from flr.report.bench.words import CONTROL, SPOILT
from flr.report.tables import Table
from flr.report.words import known, short

EXCERPT = 90
"""Characters of the prompt in a disagreement's heading."""


@dataclass(frozen=True, slots=True)
class Side:
    """One response of a disagreement.

    Args:
        label: what people said of it, or what was done to it.
        reward: its reward, in words.
        system: who wrote it; empty where the set does not say.
        turns: messages before it that the other responses do not share.
        text: what it says.
    """

    label: str
    reward: str
    system: str
    turns: Sequence[Mapping[str, str]]
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One disagreement.

    Args:
        figure: how far the two differ, in words.
        excerpt: the beginning of the last prompt message, on one line.
        item: id of the item, and its subset where it has one.
        prompt: messages that all responses share, each with `role` and `content`.
        sides: the responses.
    """

    figure: str
    excerpt: str
    item: str
    prompt: Sequence[Mapping[str, str]]
    sides: tuple[Side, ...]


def _place(place: float) -> str:
    return f"{place:,.1f}".removesuffix(".0")


def _case(figure: str, item: Mapping[str, Any], *sides: Side) -> Case:
    asked = [*item["prompt"], *sides[0].turns]
    last = " ".join(asked[-1]["content"].split()) if asked else ""
    excerpt = last if len(last) <= EXCERPT else f"{last[: EXCERPT - 1]}…"
    named, subset = item["item"], item["subset"]
    if not named.endswith(subset):  # an id of a spoilt pair does
        named = f"{named}, {subset}"
    return Case(figure, excerpt, named, item["prompt"], sides)


def _side(label: str, response: Response) -> Side:
    return Side(label, short(response.reward), response.system, response.turns, response.text)


def _preferred(response: Response) -> str:
    return "Preferred by people" if response.label == 1 else "Other"


def _spoilt(response: Response) -> str:
    if response.label == 1:
        return "Good"
    way = response.item["subset"]
    return "Worse, as rated" if way == CONTROL else f"Spoilt: {way}"


def _pair_case(pair: Pair, reward: str, label: Callable[[Response], str]) -> Case:
    """All responses of the item, the preferred ones first."""
    ordered = sorted(responses([pair.item], reward), key=lambda response: -response.label)
    sides = (_side(label(response), response) for response in ordered)
    return _case(f"margin {short(pair.margin)}", pair.item, *sides)


def _gap_case(gap: Gap) -> Case:
    assert isinstance(gap.of, Response), "a gap of ratings is a response's"
    people, reward = _place(gap.by_people), _place(gap.by_reward)
    side = _side(f"Rated {short(gap.label)}", gap.of)
    return _case(f"place {people} by people, {reward} by reward", gap.of.item, side)


def cases(kind: str, items: Sequence[Mapping[str, Any]], reward: str) -> list[Case]:
    """The worst disagreements, pairs or rated responses, the worst first; none of a ranking.

    Args:
        kind: name of the set's kind.
        items: of the set.
        reward: the reward that is shown.
    """
    if kind in ("pairwise", SPOILT):
        label = _spoilt if kind == SPOILT else _preferred
        worst = worst_pairs(pairs_of("pairwise", items, reward))
        return [_pair_case(pair, reward, label) for pair in worst]
    if kind == "rating":
        entries = [(one, one.label, one.reward) for one in responses(items, reward)]
        return [_gap_case(gap) for gap in widest_gaps(entries)]
    return []


def systems_table(figures: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """The systems whose place by mean reward is furthest from that by Elo; None without any.

    Args:
        figures: mean reward of each system, with its `elo`.
    """
    entries = [
        (system, float(figure["elo"]), float(figure["value"]))
        for system, figure in figures.items()
        if known(figure["value"]) and known(figure["elo"])
    ]
    rows = []
    for gap in widest_gaps(entries) if entries else []:
        assert isinstance(gap.of, str), "a gap of a ranking is a system's"
        places = (_place(gap.by_people), _place(gap.by_reward))
        rows.append((gap.of, short(gap.label), short(gap.reward), *places))
    header = ("System", "Elo", "Mean reward", "Place by Elo", "Place by reward")
    return Table("Systems that stand furthest apart", header, tuple(rows)) if rows else None
