"""The page of a loop: every round in every figure and table, well-formed, escaped."""

from xml.etree import ElementTree

import pytest

from flr.report.loop.figures import rounds
from flr.report.loop.html import page
from flr.report.loop.views import mined_table, panels, rounds_table, sentences, time_table
from tests.report.loop.samples import sample


def test_a_line_has_a_mark_a_round_and_a_gap_where_there_is_no_figure():
    figures = [{"value": 0.5, "interval": [0.4, 0.6], "count": 9}, None]
    figures.append({"value": 0.7, "interval": [None, None], "count": 9})
    drawn = ElementTree.fromstring(rounds(figures, "Reward", "a", "What & <why>"))
    assert drawn.get("aria-label") == "What & <why>"
    for nothing in ([], [None], [{"value": None, "interval": [None, None], "count": 0}]):
        ElementTree.fromstring(rounds(nothing, "Reward", "a", "title"))


def test_every_quantity_has_a_panel():
    titles = [panel.title for panel in panels(sample())]
    assert titles == [
        "Reward on held-out prompts",
        "Reward on held-out prompts",
        "Verifiable prompts passed",
        "Length of the responses",
        "Unfinished responses",
        "Distance from the first policy",
    ]
    without = sample()
    for policy in without["evaluation"]["policies"].values():
        policy["figures"]["verifiable"] = policy["figures"]["divergence"] = None
    assert len(panels(without)) == 4


def test_the_tables_have_every_round():
    results = sample()
    table = rounds_table(results)
    assert table.header == ("", *results["evaluation"]["policies"])
    assert {row[0]: row[1] for row in table.rows}["Won, direct:mean"] == "–"
    assert "Verifiable prompts passed" in {row[0] for row in table.rows}
    assert mined_table(results).rows == tuple(
        (f"round {k}", "96", "11", "6", "0.693", "0.610") for k in (1, 2)
    )
    seconds = {row[0]: row[1:] for row in time_table(results).rows}
    assert seconds["evaluate"] == ("12.5", "12.5", "12.5")
    assert seconds["align"] == ("–", "12.5", "12.5")


def test_the_split_of_the_follow_ups_is_said_first():
    said = sentences(sample())
    assert "chosen by default:relevance" in said[0]
    assert "judged by default:following, on 40 prompts" in said[0]
    assert len(said) > 2


@pytest.mark.parametrize("text", ["<script>throw 1</script>", "{{ 1 }}", "$x$", "\x1b\u202e"])
def test_what_users_name_is_escaped(text: str):
    made = page(sample(text))
    assert "<script" not in made
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert made == page(sample(text))
