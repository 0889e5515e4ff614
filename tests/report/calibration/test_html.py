"""The page of a calibration: its figures, well-formed, escaped."""

from xml.etree import ElementTree

import pytest

from flr.report.calibration.figures import curve, probability
from flr.report.calibration.html import page
from tests.report.calibration.samples import sample


def test_figures_are_drawn_also_of_little():
    record = sample()
    none = {"value": None, "interval": [None, None], "count": 0}
    for points in (
        record["curve"],
        record["curve"][:1],
        [{**record["curve"][0], "accuracy": none}],
    ):
        drawn = ElementTree.fromstring(curve(points, "a"))
        assert drawn.get("aria-label") == "Accuracy on held-out prompts by number of follow-ups"
    for knots in (record["probability"]["knots"], [[0.0, 0.5]]):
        ElementTree.fromstring(probability(knots, "b"))


@pytest.mark.parametrize("text", ["<script>throw 1</script>", "{{ 1 }}", "$x$", "\x1b\u202e"])
def test_what_users_name_is_escaped(text: str):
    made = page(sample(text))
    assert "<script" not in made
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert made == page(sample(text))
    assert "Accuracy 55.0 %" in made
