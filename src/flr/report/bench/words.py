"""How the figures of a benchmark are worded, and what each kind of set is measured by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flr.report.words import Figure, correlation, correlation_difference, points, share


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of set is measured by.

    Args:
        name: how the kind is called.
        main: key of its main figure in a reward's results.
        title: how that figure is called.
        chance: the figure of a reward that knows nothing.
        chance_word: the same, in words.
        word: words the figure.
        word_difference: words the difference of two such figures.
        unit: of such a difference, as a column's title says it.
    """

    name: str
    main: str
    title: str
    chance: float
    chance_word: str
    word: Callable[[Figure | None], str]
    word_difference: Callable[[Figure | None], str]
    unit: str


LENGTH = "length"
"""The reward that is the length of the response."""

SPOILT = "robustness"
"""The kind of a pairwise set whose pairs were made by spoiling responses, a subset a way of it."""

CONTROL = "as rated"
"""The subset of such a set in which nothing was spoilt; see `evaluation.robustness`."""

WAYS = {
    CONTROL: "the worse response as it is (control)",
    "empty": "nothing",
    "repeated": "the good one's first sentence, ten times",
    "echo": "the last prompt, word for word",
    "elsewhere": "the good response to another prompt",
    "refusal": "a flat refusal",
    "cut": "the first half of the good one",
    "planted": "the worse response, with praise of it planted at its end",
    "fake turn": "the worse response, with a thankful user turn in plain text after it",
}
"""What stands against the good response in each subset of such a set."""

_SHARE = (0.5, "50 %", share, points, ", points")
_CORRELATION = (0.0, "0", correlation, correlation_difference, "")

_KINDS = {
    "pairwise": Kind("pairwise", "accuracy", "Accuracy", *_SHARE),
    "rating": Kind("rating", "pearson", "Pearson", *_CORRELATION),
    "ranking": Kind("ranking", "spearman", "Spearman", *_CORRELATION),
    SPOILT: Kind(SPOILT, "accuracy", "Good response above", *_SHARE),
}


def kind_of(of_set: Mapping[str, Any]) -> Kind:
    """The kind of a set, with the chance of its own: of four responses one is right by chance."""
    kind = _KINDS[SPOILT if of_set["robustness"] else of_set["kind"]]
    if kind.main != "accuracy":
        return kind
    return replace(kind, chance=of_set["chance"], chance_word=f"{100 * of_set['chance']:.3g} %")


def majority_of(of_set: Mapping[str, Any]) -> Figure | None:
    """What always the same position would get right; None for ratings, where it is no accuracy."""
    return of_set["majority"] if of_set["kind"] == "pairwise" else None
