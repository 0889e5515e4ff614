"""The explanation as a page: whole, escaped, accessible, and in need of nothing from elsewhere."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.errors import UserError
from flr.report.explain.html import render_html
from flr.types import FollowUp
from tests.report.explain.samples import FIRST, FOLLOWUPS, PLAIN, SECOND, UGLY, side, with_text
from tests.report.parsed import Page, contrast


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


@settings(max_examples=40)
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


def test_html_has_contrast_in_light_and_dark():
    schemes = re.findall(r":root \{(.*?)\}", render_html(PLAIN), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for ink in ("ink", "dim", "good", "bad"):
            for paper in ("paper", "tint"):
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)


def test_sides_of_different_sets_are_refused():
    other = side(SECOND.values, followups=(*FOLLOWUPS[:-1], FollowUp("Eh?", "relevance", -1)))
    with pytest.raises(UserError, match="different follow-up sets"):
        render_html(replace(PLAIN, second=other))
