"""What `flr demo` prints of its scored conversations: ranking, verdict, one explanation.

Nothing is chosen by its outcome: every response is ranked, every prompt that the model gets wrong
is named, and the pair explained is the file's first.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr import io
from flr.explaining import explain_row
from flr.report.explain.movements import Explained
from flr.report.explain.terminal import render_terminal
from flr.score_record import SIDES
from flr.stats import bootstrap_interval, pairwise_points

_NAMES = {"chosen": Text("good", "blue"), "rejected": Text("bad", "dark_orange")}

_NARROW: dict[str, Any] = {
    "box": None,
    "pad_edge": False,
    "padding": (0, 1, 0, 0),
    "title_justify": "left",
}
"""Tables of 80 columns, whatever the model says."""


@dataclass(frozen=True, slots=True)
class _Response:
    """One scored response: its prompt's id, `chosen` or `rejected`, and its rewards."""

    id: str
    side: str
    reward: float
    by_category: dict[str, float]


def _responses(rows: Sequence[dict[str, Any]]) -> list[_Response]:
    return [
        _Response(row["id"], side, row[f"reward_{side}"], row[f"reward_{side}_by_category"])
        for row in rows
        for side in SIDES
    ]


def _ranking(responses: Sequence[_Response]) -> Table:
    """Every response, the highest reward first."""
    categories = list(responses[0].by_category)
    caption = ", ".join(f"{name[:3]} = {name}" for name in categories)
    table = Table(
        title="All responses, ranked by their reward (nats/token)",
        caption=f"rewards by category: {caption}",
        caption_justify="left",
        **_NARROW,
    )
    table.add_column("", justify="right")
    table.add_column("reward", justify="right")
    table.add_column("is")
    table.add_column("response to", overflow="fold")
    for name in categories:
        table.add_column(name[:3], justify="right")
    ranked = sorted(responses, key=lambda response: -response.reward)
    for rank, one in enumerate(ranked, 1):
        parts = [f"{part:+z.2f}" for part in one.by_category.values()]
        table.add_row(str(rank), f"{one.reward:+z.3f}", _NAMES[one.side], one.id, *parts)
    return table


def _margins(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """Reward of the good response less that of the bad one."""
    return np.array([row["reward_chosen"] - row["reward_rejected"] for row in rows])


def _pairs_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Every prompt: whether the good response has the higher reward, and which one is longer."""
    table = Table(
        title="Is the good response above the bad one?",
        **_NARROW,
    )
    table.add_column("prompt", overflow="fold")
    table.add_column("bad fails in")
    for header in ("good", "bad", "margin"):
        table.add_column(header, justify="right")
    table.add_column("")
    table.add_column("longer")
    for row, margin in zip(rows, _margins(rows).tolist(), strict=True):
        numbers = [f"{one:+z.3f}" for one in (row["reward_chosen"], row["reward_rejected"], margin)]
        verdict = Text("right", "blue") if margin > 0 else Text("WRONG", "bold dark_orange")
        longer = "good" if len(row["chosen"]) > len(row["rejected"]) else "bad"
        table.add_row(row["id"], row["fails"], *numbers, verdict, longer)
    return table


def _share(points: np.ndarray) -> str:
    """How many are right, as a count and in percent, with its interval."""
    low, high = bootstrap_interval(points)
    return (
        f"{points.sum():g} of {len(points)} ({points.mean():.0%}, "
        f"95% interval {low:.0%} to {high:.0%})"
    )


def _verdict(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Accuracy beside that of length, by category, and what is wrong, line by line."""
    right = pairwise_points(_margins(rows))
    lengths = np.array([float(len(row["chosen"]) - len(row["rejected"])) for row in rows])
    fails = [row["fails"] for row in rows]
    each = Counter[str]()
    for name, point in zip(fails, right.tolist(), strict=True):
        each[name] += point
    wrong = [
        f"{row['id']} ({row['fails']})" for row, one in zip(rows, right, strict=True) if one < 1
    ]
    return [
        f"By reward, good is above bad: {_share(right)}",
        f"By length, good is above bad: {_share(pairwise_points(lengths))}",
        "By what the bad one fails in: "
        + ", ".join(
            f"{name} {each[name]:g} of {fails.count(name)}" for name in dict.fromkeys(fails)
        ),
        f"Wrong: {', '.join(wrong) or 'none'}",
    ]


def _with_names(explained: Explained) -> Explained:
    first, second = (
        replace(side, label=str(_NAMES[side.label])) for side in (explained.first, explained.second)
    )
    return replace(explained, first=first, second=second)


def show_scores(out: Console, output: Path) -> None:
    """Prints ranking, verdict and one explanation of the scored conversations."""
    rows = io.read(str(output))
    out.print(Text(), _ranking(_responses(rows)), Text(), _pairs_table(rows), Text(), sep="\n")
    for line in _verdict(rows):
        out.print(Text(line))
    out.print(Text(f"\nThe first of these prompts, explained: {rows[0]['id']}", "bold"))
    out.print(render_terminal(_with_names(explain_row(str(output), 1))))
