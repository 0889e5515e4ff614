"""The environment of the HTML templates that lie beside this file."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flr.report.shown import printable, signed

FOLD = 700
"""Characters of a text that are shown at once; the whole of a longer one is folded."""


def minus(cell: str) -> str:
    """Words of figures with minus signs.

    Example:
        >>> minus("-0.5 [-1.0, 0.0] of set-2")
        '−0.5 [−1.0, 0.0] of set-2'
    """
    return re.sub(r"(?<![^\s\[])-(?=\d)", "−", cell)


def _page_signed(number: float, digits: int = 3) -> str:
    return signed(number, digits).replace("-", "−")


def _direction(number: float) -> str:
    return ("down", "", "up")[1 + (number > 0) - (number < 0)]


# Every expression is made printable, then escaped; a name that is missing is an error.
PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    finalize=lambda value: printable(value) if isinstance(value, str) else value,
)
PAGES.filters.update(signed=_page_signed, direction=_direction, minus=minus)
PAGES.globals.update(fold=FOLD)
