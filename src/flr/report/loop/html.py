"""The results of a loop as one HTML page, from the template `page.html.j2` beside it."""

from collections.abc import Mapping
from typing import Any

from flr.report.loop.views import panels, sentences, tables
from flr.report.made import flat
from flr.report.pages import PAGES


def page(results: Mapping[str, Any]) -> str:
    """The results as one HTML page that needs nothing from elsewhere and runs no script.

    Args:
        results: the whole of `results.json`.

    Returns:
        The page, all text in it escaped. The same results give the same bytes.
    """
    given = {name: value for name, value in results["options"].items() if value is not None}
    return PAGES.get_template("loop/page.html.j2").render(
        title="Round by round",
        results=results,
        sentences=sentences(results),
        panels=panels(results),
        tables=tables(results),
        made=list(flat("", given)),
    )
