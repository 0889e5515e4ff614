"""The results of a comparison as Markdown tables to paste, from `results.json` alone."""

from collections.abc import Mapping
from typing import Any

from flr.report.compare.summary import alone_summary, left_out, policy_summary, title
from flr.report.compare.tables import against_table, category_tables, shared_tables
from flr.report.markdown import escaped, how_made_lines, table_lines


def _policy_lines(results: Mapping[str, Any], name: str) -> list[str]:
    lines = ["", f"## {escaped(name)}", ""]
    lines += [escaped(sentence) for sentence in policy_summary(results, name)]
    for table in (against_table(results, name), *category_tables(results, name)):
        lines += table_lines(table)
    return lines


def markdown(results: Mapping[str, Any]) -> str:
    """The results as Markdown.

    Args:
        results: the whole of `results.json`.

    Returns:
        Sentences and tables, then how they were made; the texts of data in it break no table and
        are not obeyed.
    """
    prompts = results["prompts"]
    lines = [f"# {escaped(title(results))}", ""]
    lines += [escaped(f"{prompts['count']} prompts of {prompts['source']}.")]
    lines += [line for note in results["notes"] for line in ("", escaped(note))]
    if not results["against"]:
        lines += ["", *map(escaped, alone_summary(results))]
    for name in results["against"]:
        lines += _policy_lines(results, name)
    lines += ["", "## All policies"]
    for table in shared_tables(results):
        lines += table_lines(table)
    lines += [line for sentence in left_out(results) for line in ("", escaped(sentence))]
    lines += ["", "Intervals are 95 %, by bootstrap over prompts. – : no answer."]
    return "\n".join([*lines, *how_made_lines(results), ""])
