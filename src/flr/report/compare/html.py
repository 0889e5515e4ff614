"""The results of a comparison as one HTML page, from the template `page.html.j2` beside it."""

from collections.abc import Mapping
from typing import Any

from flr.report.compare.examples import examples
from flr.report.compare.panels import policy_panels, shared_panels
from flr.report.compare.summary import alone_summary, left_out, policy_summary, title, told
from flr.report.compare.tables import against_table, category_tables, shared_tables
from flr.report.made import fingerprints, how_made
from flr.report.pages import PAGES


def _policy_view(number: int, name: str, results: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of one policy held against the reference."""
    anchor = f"policy-{number}"
    return {
        "anchor": anchor,
        "name": name,
        "told": told(results, name),
        "sentences": policy_summary(results, name),
        "panels": policy_panels(results, name, anchor),
        "tables": [against_table(results, name), *category_tables(results, name)],
    }


def page(results: Mapping[str, Any]) -> str:
    """The results as one HTML page that needs nothing from elsewhere and runs no script.

    Args:
        results: the whole of `results.json`.

    Returns:
        The page, all text in it escaped; it can be written as UTF-8 whatever the texts hold. The
        same results give the same bytes.
    """
    return PAGES.get_template("compare/page.html.j2").render(
        title=title(results),
        results=results,
        alone=[] if results["against"] else alone_summary(results),
        views=[_policy_view(n, name, results) for n, name in enumerate(results["against"], 2)],
        panels=shared_panels(results, "all"),
        tables=shared_tables(results),
        examples=examples(results),
        left_out=left_out(results),
        made=how_made(results),
        fingerprints=fingerprints(results),
    )
