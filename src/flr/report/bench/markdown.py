"""The results of a benchmark as Markdown tables to paste, from `results.json` alone."""

from collections.abc import Mapping
from typing import Any

from flr.report.bench.made import set_counts
from flr.report.bench.summary import set_summary, summary, title
from flr.report.bench.tables import set_tables
from flr.report.bench.words import kind_of
from flr.report.markdown import escaped, how_made_lines, table_lines


def _set_lines(name: str, of_set: Mapping[str, Any], reference: str | None) -> list[str]:
    lines = ["", f"## {escaped(name)} ({kind_of(of_set).name})", ""]
    lines += [escaped(sentence) for sentence in set_summary(of_set, reference)]
    for table in set_tables(of_set, reference):
        lines += table_lines(table)
    lines += ["", escaped(set_counts(of_set)), "", f"Source: {escaped(of_set['source'])}"]
    if of_set["not_computed"]:
        lines += ["", "Not computed:", ""]
        lines += [
            f"- {escaped(reward)}: {escaped(reason)}"
            for reward, reason in of_set["not_computed"].items()
        ]
    return lines


def markdown(results: Mapping[str, Any]) -> str:
    """The results as Markdown.

    Args:
        results: the whole of `results.json`.

    Returns:
        Sentences and tables set by set, then how they were made; the texts of data in it break no
        table and are not obeyed.
    """
    lines = [f"# {title(results)}", ""]
    lines += [escaped(sentence) for sentence in summary(results)]
    lines += [line for note in results["notes"] for line in ("", escaped(note))]
    for name, of_set in results["sets"].items():
        lines += _set_lines(name, of_set, results["reference"])
    if results["sets"]:
        lines += ["", "Intervals are 95 %, by bootstrap over prompts. – : no answer."]
    return "\n".join([*lines, *how_made_lines(results), ""])
