"""A calibration as one HTML page, from the template `page.html.j2` beside it."""

from collections.abc import Mapping
from typing import Any

from flr.report.bars import Panel
from flr.report.calibration.figures import curve, probability
from flr.report.calibration.summary import sentences, tables
from flr.report.made import flat
from flr.report.pages import PAGES


def _panels(record: Mapping[str, Any]) -> list[Panel]:
    return [
        Panel(
            "How many follow-ups are enough",
            curve(record["curve"], "curve"),
            "Weights as they were. Lines: 95 % intervals; grey: 20 random orders.",
        ),
        Panel(
            "What a margin means",
            probability(record["probability"]["knots"], "probability"),
            "How likely the response with the higher reward is the better one.",
        ),
    ]


def page(record: Mapping[str, Any]) -> str:
    """The record as one HTML page that needs nothing from elsewhere and runs no script.

    Args:
        record: the whole record of `flr calibrate`.

    Returns:
        The page, all text in it escaped. The same record gives the same bytes.
    """
    told = ("input", "input_sha256", "followup_set", "calibrated_set", "counts", "versions")
    given = {name: value for name, value in record["options"].items() if value is not None}
    made = {**{name: record[name] for name in told}, "options": given}
    return PAGES.get_template("calibration/page.html.j2").render(
        title=f"Weights of {record['followup_set']['name']}",
        record=record,
        sentences=list(sentences(record)),
        panels=_panels(record),
        tables=tables(record),
        made=list(flat("", made)),
    )
