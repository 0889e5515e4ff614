"""Two scored responses, and texts that no rendering may obey."""

from dataclasses import replace

import numpy as np

from flr import rewards
from flr.report.explain.movements import Explained, Side
from flr.types import FollowUp, FollowUpSet, Message

FOLLOWUPS = (
    FollowUp("Right.", "correctness", 1),
    FollowUp("Exactly.", "correctness", 1),
    FollowUp("Wrong.", "correctness", -1),
    FollowUp("On topic.", "relevance", 1),
    FollowUp("Off topic.", "relevance", -1),
    FollowUp("What?", "relevance", -1),
)
SIZE = len(FOLLOWUPS)
EQUAL = {"correctness": 1.0, "relevance": 1.0}


def side(
    values: np.ndarray,
    label: str = "one",
    response: str | None = "Yes.",
    weights: dict[str, float] = EQUAL,
    followups: tuple[FollowUp, ...] = FOLLOWUPS,
) -> Side:
    by_category = rewards.by_category(
        values, FollowUpSet("test", "en", "Apache-2.0", "here", followups, weights)
    )
    reward = rewards.reward(by_category, weights)
    return Side(label, response, reward, by_category, followups, values)


FIRST = side(np.array([-1.0, -2.0, -4.0, -1.0, -2.0, -4.0]), "chosen", "Paris.")
SECOND = side(np.array([-1.0, -3.0, -3.0, -2.0, -3.0, -5.0]), "rejected", "London.")
PLAIN = Explained((Message("user", "Capital?"),), FIRST, SECOND, source="made by hand")

UGLY = (
    "<script>alert(1)</script>",
    "\"quoted\" 'both' & &amp; `ticks`",
    "a ]]> b <!-- c --> </style></html>",
    "NUL \x00, escape \x1b[31m, bell \x07, return \r, C1 \x9b",
    "emoji 👩‍👩‍👧 and flag 🇫🇷",
    "שלום עולם \u202eoverride\u2066",
    "[bold]markup[/bold] [/] [link=file:///etc]x[/link] :smile:",
    "{{ 7 * 7 }} {% raw %}",
    "lone \ud83d surrogate",
    "x" * 20_000,
)


def with_text(text: str) -> Explained:
    """A report that shows `text` wherever a user's or a model's text can stand."""
    followups = tuple(replace(f, text=text + f.text, category=text + f.category) for f in FOLLOWUPS)
    weights = {text + name: weight for name, weight in EQUAL.items()}
    one = side(FIRST.values, text, text, weights, followups)
    other = side(SECOND.values, text, text, weights, followups)
    return Explained((Message(text, text),), one, other, source=text)
