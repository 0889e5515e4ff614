"""How figures are worded.

A figure is a mapping `value`, `interval` (two ends) and `count`, as `results.json` holds it; what
has no answer is None there and a dash here.
"""

from collections.abc import Callable, Mapping, Sequence
from math import floor, isfinite, log10
from typing import Any, TypeGuard

LEAST_PROMPTS = 20
"""Prompts below which nothing is said to be told from anything: of two pairs a coin gets both right
one time in four, and a bootstrap of two equal points has no width."""

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


def side_of(figure: Figure | None, point: float) -> str:
    """Where an interval lies: `above` the point, `below` it, `on` it; `unknown` without one."""
    ends = ends_of(figure)
    if ends is None:
        return "unknown"
    return "above" if ends[0] > point else "below" if ends[1] < point else "on"


def by_side(sides: Mapping[str, str], words: Mapping[str, str]) -> str:
    """The names by their side, in the order of `words`: `better than a and b; worse than c`."""
    by_side = {side: [name for name in sides if sides[name] == side] for side in words}
    return "; ".join(f"{words[side]} {listed(names)}" for side, names in by_side.items() if names)
