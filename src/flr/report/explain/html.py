"""The explanation of a reward as one HTML page, from the template `page.html.j2` beside it."""

from collections.abc import Sequence
from typing import Any

from flr.report.explain.movements import Explained, Movement, movements
from flr.report.pages import PAGES


def _part(
    explained: Explained, category: str, moves: Sequence[Movement], top: int
) -> dict[str, Any]:
    """What the page shows of one category."""
    own = [move for move in moves if move.followup.category == category]
    one, other = (side.by_category[category] for side in (explained.first, explained.second))
    return {
        "category": category,
        "first": one,
        "second": other,
        "difference": one - other,
        "shift": own[0].shift,
        "count": len(own),
        "shown": own[:top],
    }


def render_html(explained: Explained, top: int = 6) -> str:
    """The report as one HTML page that needs nothing from elsewhere and runs no script.

    Args:
        explained: what to show.
        top: follow-ups of each category.

    Returns:
        The page, all text in it escaped; it can be written as UTF-8 whatever the texts hold.

    Raises:
        UserError: sides that were scored with different follow-up sets.
    """
    moves = movements(explained.first, explained.second, explained.weights)
    parts = [_part(explained, name, moves, top) for name in explained.first.by_category]
    return PAGES.get_template("explain/page.html.j2").render(
        prompt=explained.prompt,
        first=explained.first,
        second=explained.second,
        source=explained.source,
        unit=explained.unit,
        parts=parts,
        largest_part=max(abs(part["difference"]) for part in parts),
        largest_move=max(abs(move.contribution) for move in moves),
    )
