"""The disagreements that the page of a benchmark shows: where a reward and people differ most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flr.report.bench_items import Gap, Pair, Response, pairs_of, widest_gaps, worst_pairs
from flr.report.bench_tables import Table
from flr.report.bench_words import known, short

EXCERPT = 90
"""Characters of the prompt in a disagreement's heading."""


@dataclass(frozen=True, slots=True)
class Side:
    """One response of a disagreement.

    Args:
        label: what people said of it.
        reward: its reward, in words.
        system: who wrote it; empty where the set does not say.
        text: what it says.
    """

    label: str
    reward: str
    system: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One disagreement.

    Args:
        figure: how far the two differ, in words.
        excerpt: the beginning of the last prompt message, on one line.
        item: id of the item, and its subset where it has one.
        prompt: messages, each with `role` and `content`.
        sides: the responses.
    """

    figure: str
    excerpt: str
    item: str
    prompt: Sequence[Mapping[str, str]]
    sides: tuple[Side, ...]


def _place(place: float) -> str:
    return f"{place:,.1f}".removesuffix(".0")


def _case(figure: str, response: Response, *sides: Side) -> Case:
    item = response.item
    last = " ".join(item["prompt"][-1]["content"].split()) if item["prompt"] else ""
    excerpt = last if len(last) <= EXCERPT else f"{last[: EXCERPT - 1]}…"
    named = f"{item['item']}, {item['subset']}" if item["subset"] else item["item"]
    return Case(figure, excerpt, named, item["prompt"], sides)


def _side(label: str, response: Response) -> Side:
    return Side(label, short(response.reward), response.system, response.text)


def _pair_case(pair: Pair) -> Case:
    sides = (_side("Preferred by people", pair.better), _side("Other", pair.worse))
    return _case(f"margin {short(pair.margin)}", pair.better, *sides)


def _gap_case(gap: Gap) -> Case:
    assert isinstance(gap.of, Response), "a gap of ratings is a response's"
    people, reward = _place(gap.by_people), _place(gap.by_reward)
    side = _side(f"Rated {short(gap.label)}", gap.of)
    return _case(f"place {people} by people, {reward} by reward", gap.of, side)


def cases(kind: str, scored: Sequence[Response]) -> list[Case]:
    """The worst disagreements, pairs or rated responses, the worst first; none of a ranking.

    Args:
        kind: of the set.
        scored: every response that has the reward.
    """
    if kind == "pairwise":
        return [_pair_case(pair) for pair in worst_pairs(pairs_of(kind, scored))]
    if kind == "rating":
        gaps = widest_gaps([(response, response.label, response.reward) for response in scored])
        return [_gap_case(gap) for gap in gaps]
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
