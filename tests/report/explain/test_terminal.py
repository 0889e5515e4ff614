"""The explanation in a terminal shows everything and obeys no text."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from flr.errors import UserError
from flr.report.explain.movements import Explained
from flr.report.explain.terminal import render_terminal
from flr.types import FollowUp
from tests.report.explain.samples import FIRST, FOLLOWUPS, PLAIN, SECOND, UGLY, side, with_text


def printed(explained: Explained, top: int = 5, width: int = 110) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(render_terminal(explained, top))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_terminal_shows_rewards_and_both_lists():
    shown = printed(PLAIN)
    assert "Paris." in shown
    assert "London." in shown
    lines = [line.split() for line in shown.splitlines()]
    # correctness: -1.5 + 4 = 2.5 against -2 + 3 = 1; relevance: -1 + 3 = 2 against -2 + 4 = 2
    assert ["correctness", "+2.500", "+1.000", "+1.500", "│██████████"] in lines
    assert ["relevance", "+2.000", "+2.000", "+0.000", "│"] in lines
    assert ["reward", "+2.250", "+1.500", "+0.750"] in lines
    assert ["+", "Exactly.", "correctness", "+1.250", "+0.3125"] in lines
    assert ["-", "Wrong.", "correctness", "-0.750", "+0.3750"] in lines
    likelier, less_likely = shown.index("Likelier after chosen"), shown.index("Less likely after")
    assert likelier < shown.index("Exactly.") < less_likely < shown.index("Wrong.")


def test_terminal_shows_as_many_as_asked():
    shown = printed(PLAIN, top=1)
    assert "Exactly." in shown
    assert "Right." not in shown


def test_terminal_shows_two_equal_sides_and_a_mean_without_a_text():
    shown = printed(Explained((), FIRST, replace(FIRST, label="mean", response=None)))
    assert "+0.000" in shown
    assert "█" not in shown


@pytest.mark.parametrize("text", UGLY)
def test_terminal_obeys_no_text(text: str):
    shown = printed(with_text(text))
    allowed = re.compile(r"\x1b\[[0-9;]*m")  # rich's own bold and dim
    plain = allowed.sub("", shown)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", plain)
    assert shown.encode()
    start = "".join(text.split())[:3]
    assert start in "".join(plain.split())


def test_sides_of_different_sets_are_refused():
    other = side(SECOND.values, followups=(*FOLLOWUPS[:-1], FollowUp("Eh?", "relevance", -1)))
    with pytest.raises(UserError, match="different follow-up sets"):
        render_terminal(replace(PLAIN, second=other))
