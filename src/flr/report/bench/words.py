"""How the figures of a benchmark are worded, and what each kind of set is measured by.

A figure is a mapping `value`, `interval` (two ends) and `count`, as `results.json` holds it; what
has no answer is None there and a dash here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, isfinite, log10
from typing import Any, TypeGuard

NONE = "–"
"""What stands where there is no answer."""

Figure = Mapping[str, Any]
"""`{"value": number or None, "interval": [low or None, high or None], "count": n}`."""


def known(number: Any) -> TypeGuard[float]:
    """Whether there is a finite number."""
    return isinstance(number, int | float) and isfinite(number)


def ends_of(figure: Figure | None) -> tuple[float, float] | None:
    """Both ends of a figure's interval; None where there is no interval."""
    low, high = (figure or {}).get("interval") or (None, None)
    return (float(low), float(high)) if known(low) and known(high) else None


def _worded(figure: Figure | None, form: Callable[[float], str], unit: str = "") -> str:
    """`value unit [low, high]`, without the interval where there is none."""
    if figure is None or not known(figure.get("value")):
        return NONE
    ends = ends_of(figure)
    interval = f" [{form(ends[0])}, {form(ends[1])}]" if ends else ""
    return f"{form(figure['value'])}{unit}{interval}"


def share(figure: Figure | None) -> str:
    """A part of a whole, in percent.

    Example:
        >>> share({"value": 0.575, "interval": [0.5, 0.625], "count": 400})
        '57.5 % [50.0, 62.5]'
    """
    return _worded(figure, lambda number: f"{100 * number:z.1f}", " %")


def share_of(figure: Figure | None) -> str:
    """A share, and of how many: a part of the set may be small.

    Example:
        >>> share_of({"value": 0.5, "interval": [0.0, 1.0], "count": 2})
        '50.0 % [0.0, 100.0] of 2'
    """
    worded = share(figure)
    return worded if figure is None or worded == NONE else f"{worded} of {figure['count']:,}"


def points(figure: Figure | None) -> str:
    """A difference of two parts, in percentage points, with its sign."""
    return _worded(figure, lambda number: f"{100 * number:+z.1f}")


def correlation(figure: Figure | None) -> str:
    """A correlation."""
    return _worded(figure, lambda number: f"{number:z.3f}")


def correlation_difference(figure: Figure | None) -> str:
    """A difference of two correlations, with its sign."""
    return _worded(figure, lambda number: f"{number:+z.3f}")


def short(number: float | int | None) -> str:
    """A number of any size in about three digits.

    Example:
        >>> short(0.012345), short(1834.2), short(-0.5), short(4.0), short(None)
        ('0.0123', '1,834', '-0.500', '4', '–')
    """
    if number is None or not known(number):
        return NONE
    size = abs(number)
    if size >= 1e9 or 0 < size < 1e-4:
        return f"{number:.2e}"
    digits = 0 if float(number).is_integer() else max(0, 2 - floor(log10(size)))
    return f"{number:z,.{digits}f}"


def reward_value(figure: Figure | None) -> str:
    """A mean reward, whatever its unit."""
    return _worded(figure, short)


def counted(count: int, noun: str) -> str:
    """`1 item`, `1,200 items`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """The names in one phrase.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


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
