"""The results of a benchmark as one HTML page, from the template `page.html.j2` beside it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flr.report.bench.cases import cases, systems_table
from flr.report.bench.made import set_counts
from flr.report.bench.panels import panels
from flr.report.bench.summary import set_summary, shown_reward, summary, title
from flr.report.bench.tables import set_tables
from flr.report.bench.words import kind_of
from flr.report.made import fingerprints, how_made
from flr.report.pages import PAGES


def _set_view(
    number: int,
    name: str,
    of_set: Mapping[str, Any],
    reference: str | None,
    items: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What the template shows of one set."""
    reward = shown_reward(of_set, reference)
    kind = kind_of(of_set).name
    shown = of_set["rewards"].get(reward, {})
    return {
        "anchor": f"set-{number}",
        "name": name,
        "of": of_set,
        "kind": kind,
        "sentences": set_summary(of_set, reference),
        "counts": set_counts(of_set),
        "reward": reward,
        "panels": panels(name, of_set, reward, items, f"set-{number}"),
        "tables": set_tables(of_set, reference),
        "cases": cases(kind, items, reward) if reward is not None else [],
        "systems": systems_table(shown.get("systems") or {}),
    }


def page(results: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> str:
    """The results as one HTML page that needs nothing from elsewhere and runs no script.

    Args:
        results: the whole of `results.json`.
        items: the rows of `items.jsonl`.

    Returns:
        The page, all text in it escaped; it can be written as UTF-8 whatever the texts hold. The
        same results and items give the same bytes.
    """
    by_set: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        by_set.setdefault(item["set"], []).append(item)
    views = [
        _set_view(number, name, of_set, results["reference"], by_set.get(name, []))
        for number, (name, of_set) in enumerate(results["sets"].items(), 1)
    ]
    return PAGES.get_template("bench/page.html.j2").render(
        title=title(results),
        results=results,
        sentences=summary(results),
        sets=views,
        made=how_made(results),
        fingerprints=fingerprints(results),
    )
