"""The explanation of a reward: its arithmetic, and two renderings that obey no text they show."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from flr import rewards
from flr.errors import UserError
from flr.report.explain import (
    Explained,
    Side,
    mean_side,
    movements,
    read_side,
    render_html,
    render_terminal,
)
from flr.types import FollowUp, FollowUpSet, Message

FOLLOWUPS = (
    FollowUp("Right.", "correctness", 1),
    FollowUp("Exactly.", "correctness", 1),
    FollowUp("Wrong.", "correctness", -1),
    FollowUp("On topic.", "relevance", 1),
    FollowUp("Off topic.", "relevance", -1),
    FollowUp("What?", "relevance", -1),
)
SIZE = len(FOLLOWUPS)
EQUAL = {"correctness": 1.0, "relevance": 1.0}


def side(
    values: np.ndarray,
    label: str = "one",
    response: str | None = "Yes.",
    weights: dict[str, float] = EQUAL,
    followups: tuple[FollowUp, ...] = FOLLOWUPS,
) -> Side:
    by_category = rewards.by_category(
        values, FollowUpSet("test", "en", "Apache-2.0", "here", followups, weights)
    )
    reward = rewards.reward(by_category, weights)
    return Side(label, response, reward, by_category, followups, values)


FIRST = side(np.array([-1.0, -2.0, -4.0, -1.0, -2.0, -4.0]), "chosen", "Paris.")
SECOND = side(np.array([-1.0, -3.0, -3.0, -2.0, -3.0, -5.0]), "rejected", "London.")
PLAIN = Explained((Message("user", "Capital?"),), FIRST, SECOND, source="made by hand")


def wire(**changes: Any) -> list[dict[str, Any]]:
    """`followups` of one response as they lie in a file, the first entry changed."""
    entries = [
        {
            "text": f.text,
            "category": f.category,
            "polarity": f.polarity,
            "logprob": -6.0,
            "tokens": 3,
        }
        for f in FOLLOWUPS
    ]
    entries[0] |= changes
    return entries


# The arithmetic.

values_of_set = st.lists(st.floats(-30, 0), min_size=SIZE, max_size=SIZE).map(np.array)
weights_of_set = st.fixed_dictionaries({name: st.floats(0.01, 10) for name in EQUAL})


def test_hand_derived_movements():
    # correctness: d = 0, 1 | -1: shift (0.5 - 1) / 2 = -0.25. relevance: all alike, by 1.
    moves = {move.followup.text: move for move in movements(FIRST, SECOND, {})}
    assert [moves[name].shift for name in ("Right.", "What?")] == [-0.25, 1.0]
    assert moves["Exactly."].moved == 1.25
    assert moves["Wrong."].moved == -0.75
    # Half the reward each; two positives share theirs, the one negative has its own.
    assert moves["Right."].contribution == 0.5 * 0.25 / 2
    assert moves["Exactly."].contribution == 0.5 * 1.25 / 2
    assert moves["Wrong."].contribution == 0.5 * 0.75
    assert [move.followup.text for move in movements(FIRST, SECOND, {})][:3] == [
        "Wrong.",
        "Exactly.",
        "Right.",
    ]
    assert all(moves[name].contribution == 0 for name in ("On topic.", "Off topic.", "What?"))


@given(values_of_set, values_of_set, weights_of_set)
def test_contributions_sum_to_the_difference_of_the_rewards(first, second, weights):
    one, other = side(first, weights=weights), side(second, weights=weights)
    parts = [move.contribution for move in movements(one, other, weights)]
    assert sum(parts) == pytest.approx(one.reward - other.reward, abs=1e-9)
    assert [abs(part) for part in parts] == sorted(map(abs, parts), reverse=True)


@given(values_of_set, values_of_set, st.floats(-5, 5), st.floats(-5, 5))
def test_what_moves_a_whole_category_moves_no_contribution(first, second, one, other):
    shifts = np.array([one] * 3 + [other] * 3)
    plain, shifted = (
        {move.followup: move.contribution for move in movements(side(values), side(second), {})}
        for values in (first, first + shifts)
    )
    assert shifted == pytest.approx(plain, abs=1e-9)


def test_a_category_of_weight_zero_adds_nothing():
    moves = movements(FIRST, SECOND, {"correctness": 0.0, "relevance": 1.0})
    assert all(move.contribution == 0 for move in moves if move.followup.category == "correctness")


@pytest.mark.parametrize(
    ("variant", "value"), [("mean", -2.0), ("pmi", -2.0), ("sum", -6.0), ("official", -6.0)]
)
def test_a_side_is_read_in_the_unit_of_its_variant(variant: str, value: float):
    read = read_side(
        "chosen", "Paris.", 0.5, {"correctness": 0.2, "relevance": 0.8}, wire(), variant
    )
    assert read.followups == FOLLOWUPS
    assert read.values.tolist() == [value] * SIZE
    assert (read.reward, read.response) == (0.5, "Paris.")


@pytest.mark.parametrize(
    "changes",
    [
        {"text": None},
        {"category": 3},
        {"polarity": 0},
        {"polarity": "+"},
        {"logprob": None},
        {"logprob": "-6"},
        {"tokens": 0},
        {"tokens": 2.5},
    ],
)
def test_an_entry_of_another_form_is_named(changes: dict[str, Any]):
    with pytest.raises(UserError, match=r"^followups\[0\]: expected text"):
        read_side("chosen", "", 0.0, EQUAL, wire(**changes))


def test_entries_that_are_not_even_mappings_are_named():
    with pytest.raises(UserError, match=r"^followups\[1\]: .* got \['long.{0,200}; make the file"):
        read_side("chosen", "", 0.0, EQUAL, [wire()[0], ["long"] * 10_000])


@pytest.mark.parametrize(
    ("categories", "entries", "said"),
    [
        (EQUAL, [], "correctness .*relevance"),
        ({}, [], "there is none"),
        (EQUAL, wire()[:4], r"relevance \(-1\)"),
        ({"relevance": 1.0}, wire(), r"correctness \(-1\), correctness \(\+1\)"),
    ],
)
def test_followups_must_be_those_of_the_categories(categories, entries, said: str):
    with pytest.raises(UserError, match=said):
        read_side("chosen", "", 0.0, categories, entries)


def test_sides_of_different_sets_are_refused():
    other = side(SECOND.values, followups=(*FOLLOWUPS[:-1], FollowUp("Eh?", "relevance", -1)))
    for refused in (
        lambda: movements(FIRST, other, {}),
        lambda: mean_side("mean", [FIRST, other]),
        lambda: render_html(replace(PLAIN, second=other)),
        lambda: render_terminal(replace(PLAIN, second=other)),
    ):
        with pytest.raises(UserError, match="different follow-up sets"):
            refused()


def test_mean_of_sides_that_come_one_by_one():
    def sides() -> Iterator[Side]:
        yield from (FIRST, SECOND, SECOND, FIRST)

    mean = mean_side("mean of 4 rows", sides())
    assert mean.response is None
    assert mean.values.tolist() == [-1.0, -2.5, -3.5, -1.5, -2.5, -4.5]
    assert mean.by_category == side(mean.values).by_category
    assert mean.reward == side(mean.values).reward
    assert mean_side("one", [FIRST]).values.tolist() == FIRST.values.tolist()


def test_mean_of_no_sides_is_refused():
    with pytest.raises(UserError, match="no scored response"):
        mean_side("mean", [])


def test_unit_is_the_variants():
    assert PLAIN.unit == "nats/token"
    assert replace(PLAIN, variant="official").unit == "logits"


# The renderings.

UGLY = (
    "<script>alert(1)</script>",
    "\"quoted\" 'both' & &amp; `ticks`",
    "a ]]> b <!-- c --> </style></html>",
    "NUL \x00, escape \x1b[31m, bell \x07, return \r, C1 \x9b",
    "emoji 👩‍👩‍👧 and flag 🇫🇷",
    "שלום עולם \u202eoverride\u2066",
    "[bold]markup[/bold] [/] [link=file:///etc]x[/link] :smile:",
    "{{ 7 * 7 }} {% raw %}",
    "lone \ud83d surrogate",
    "x" * 20_000,
)


def with_text(text: str) -> Explained:
    """A report that shows `text` wherever a user's or a model's text can stand."""
    followups = tuple(replace(f, text=text + f.text, category=text + f.category) for f in FOLLOWUPS)
    weights = {text + name: weight for name, weight in EQUAL.items()}
    one = side(FIRST.values, text, text, weights, followups)
    other = side(SECOND.values, text, text, weights, followups)
    return Explained((Message(text, text),), one, other, source=text)


def printed(explained: Explained, top: int = 5, width: int = 110) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(render_terminal(explained, top))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


class Page(HTMLParser):
    """The tags of a page in order, its attributes, its text, and a check that tags close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " " if tag in ("td", "th") else ""

    def handle_data(self, data: str) -> None:
        self.text += data


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


def test_html_shows_everything():
    page = Page(render_html(PLAIN))
    words = " ".join(page.text.split())
    for shown in ("Capital?", "Paris.", "London.", "made by hand", "Exactly.", "+1.250", "−0.750"):
        assert shown in words
    assert "What explains the reward: chosen against rejected" in words
    assert "Reward +2.250 +1.500 +0.750" in words


@pytest.mark.parametrize("text", UGLY)
def test_html_escapes_every_text(text: str):
    rendered = render_html(with_text(text))
    assert rendered.encode()
    assert Page(rendered).tags == Page(render_html(PLAIN)).tags
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", rendered)


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"]), min_size=1))
def test_html_shows_any_text_as_it_is(text: str):
    page = Page(render_html(with_text(text)))
    assert page.tags == Page(render_html(PLAIN)).tags
    assert page.text.count(text) >= 10


def test_html_keeps_lines_and_names_what_is_empty():
    response = "one\r\n\ttwo\n"
    page = Page(render_html(replace(PLAIN, first=replace(FIRST, response=response))))
    assert "one\n\ttwo\n" in page.text
    assert "Empty." in Page(render_html(replace(PLAIN, first=replace(FIRST, response="")))).text
    mean = replace(SECOND, response=None)
    assert "A mean of many responses" in Page(render_html(replace(PLAIN, second=mean))).text


def test_html_shows_as_many_as_asked():
    words = " ".join(Page(render_html(PLAIN, top=1)).text.split())
    assert "1 of 3 follow-ups" in words
    assert "Wrong." in words
    assert "Exactly." not in words


def test_bars_end_at_the_largest():
    widths = [value for name, value in Page(render_html(PLAIN)).attributes if name == "style"]
    shares = [float(str(value).removeprefix("width: ").removesuffix("%")) for value in widths]
    # differences 1.5 and 0; contributions 0.375, 0.3125, 0.0625 and three times 0
    assert shares == [50.0, 0.0, 50.0, 41.7, 8.3, 0.0, 0.0, 0.0]


def test_html_needs_nothing_from_elsewhere_and_runs_nothing():
    rendered = render_html(PLAIN)
    page = Page(rendered)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {name for name, _ in page.attributes if name in ("src", "href") or name[:2] == "on"}
    assert "url(" not in rendered
    assert "@import" not in rendered


def test_html_is_accessible():
    page = Page(render_html(PLAIN))
    assert ("lang", "en") in page.attributes
    assert page.tags.count("h1") == 1
    assert page.tags.count("main") == 1
    headers = page.tags.count("th")
    assert headers == sum(name == "scope" for name, _ in page.attributes)
    identifiers = {value for name, value in page.attributes if name == "id"}
    assert identifiers == {value for name, value in page.attributes if name == "aria-labelledby"}


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, WCAG 2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_html_has_contrast_in_light_and_dark():
    schemes = re.findall(r":root \{(.*?)\}", render_html(PLAIN), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for ink in ("ink", "dim", "good", "bad"):
            for paper in ("paper", "tint"):
                dark, light = sorted((luminance(colours[ink]), luminance(colours[paper])))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)
