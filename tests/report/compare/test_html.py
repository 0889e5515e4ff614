"""The page of a comparison: whole, escaped, and in need of nothing from elsewhere."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from flr.report.compare.html import page
from flr.report.compare.markdown import markdown
from flr.report.compare.panels import LETTERS, rates
from flr.report.words import share
from tests.report.bench.samples import HOSTILE
from tests.report.compare.samples import FLR, sample, with_text
from tests.report.parsed import Page, blocks, cells, outline, svgs, words


@pytest.fixture(scope="module")
def whole() -> str:
    return page(sample())


def test_the_figures_are_drawn(whole: str):
    drawn = [str(ElementTree.fromstring(svg).get("aria-label")) for svg in svgs(whole)]
    assert drawn == [
        "Win rate of round-1 against smollm2 by reward, with 95 % intervals",
        f"Win rate of round-1 by category of {FLR}, with 95 % intervals",
        "Mean length of the responses of each policy, with 95 % intervals",
        "Verifiable prompts that each policy passes, by kind, with 95 % intervals",
    ]


def test_the_verdict_comes_first(whole: str):
    shown = words(whole)
    results = sample()
    rate = results["against"]["round-1"]["win_rate"][FLR]
    first = shown.index(f"the response of round-1 has the higher reward in {share(rate)}")
    assert first < shown.index("Of 30 verifiable prompts round-1 passes")
    assert shown.index("Of 30 verifiable") < shown.index("Win rate by reward")
    assert "Something that the user should know." in shown
    assert "A is smollm2 and B is round-1." in shown
    assert "smollm2: 1 prompt left out: too long" in shown


def test_twenty_examples_stand_side_by_side(whole: str):
    results = sample()
    assert len(results["examples"]) == 20
    assert len(re.findall('<details class="example" open>', whole)) == 20
    shown = words(whole)
    for one in results["examples"]:
        for name, text in one["responses"].items():
            assert " ".join(text.split()) in shown
            facts = f"{len(text):,} character"
            assert facts in shown
            assert f"direct:mean −{-one['rewards']['direct:mean'][name]:.2f}"[:18] in shown
    assert "cut off" in shown
    assert "Empty." in shown


def test_a_prompt_is_not_said_twice():
    results = sample(2, 6, 0)
    short = [{"role": "user", "content": "Tea,  my dear?"}]
    results["examples"][0]["prompt"] = [{"role": "user", "content": "Green tea?"}]
    results["examples"][1]["prompt"] = short
    results["examples"][2]["prompt"] = [{"role": "user", "content": "W" * 91}]
    rendered = page(results)
    assert rendered.count("Green tea?") == 1
    assert rendered.count("my dear?") == 2  # its heading is on one line, and so another text
    assert rendered.count("W" * 91) == 1
    assert rendered.count("W" * 89) == 2


def test_every_table_is_there(whole: str):
    assert re.findall(r"<h3><bdi>(.*?)</bdi></h3>", whole) == [
        "round-1 against smollm2",
        "Win rate of round-1 by category",
        "The responses of each policy",
        "Verifiable prompts passed",
    ]


def test_it_needs_nothing_and_runs_nothing(whole: str):
    assert not re.search(r"https?:|url\((?!#)|@import", whole)
    assert "<script" not in whole
    assert page(sample()) == whole


def test_several_policies_each_have_a_section():
    rendered = page(sample(3))
    assert '<a href="#policy-3">' in rendered
    assert len(svgs(rendered)) == 6
    assert "round-2 against smollm2" in words(rendered)


@pytest.mark.parametrize("policies", [1, 2])
def test_a_comparison_without_extras_is_a_page(policies: int):
    results = sample(policies, 3, 0)
    results["notes"] = results["left_out"] = results["examples"] = []
    rendered = page(results)
    assert "Side by side" not in rendered
    assert "Verifiable" not in words(rendered)
    assert len(svgs(rendered)) == (1 if policies == 1 else 3)


def none_in(value: Any) -> Any:
    """Results in which no figure has an answer."""
    if isinstance(value, dict) and "interval" in value:
        return {**value, "value": None, "interval": [None, None]}
    if isinstance(value, dict):
        return {key: none_in(inner) for key, inner in value.items()}
    return value


def test_figures_without_an_answer_are_dashes():
    results = none_in(sample())
    for rendered in (words(page(results)), markdown(results)):
        assert "None" not in rendered
        assert "nan" not in rendered.lower()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_is_obeyed(text: str):
    rendered = page(with_text(text))
    assert outline(rendered) == outline(page(with_text("x")))
    rendered.encode()
    for svg in svgs(rendered):
        ElementTree.fromstring(svg)
    attributes = Page(rendered).attributes
    assert not [name for name, _ in attributes if name.startswith("on")]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_markdown_keeps_its_form(text: str):
    plain, ugly = markdown(with_text("x")), markdown(with_text(text))
    assert ugly.encode()
    shapes = [
        [[len(cells(line)) for line in block] for block in blocks(one)] for one in (plain, ugly)
    ]
    assert shapes[0] == shapes[1]
    headings = [len(re.findall(r"^#+ ", one, re.MULTILINE)) for one in (plain, ugly)]
    assert headings[0] == headings[1]


def test_many_policies_share_a_figure_as_far_as_there_are_marks():
    figure = {"value": 0.5, "interval": [0.4, 0.6], "count": 9}
    columns = [{"all": figure, "json": figure}] * len(LETTERS)
    root = ElementTree.fromstring(rates(columns, "p", "What & <why>"))
    texts = [str(node.text) for node in root.iter("text")]
    assert {*LETTERS, "all", "json"} <= set(texts)


def test_markdown_says_what_the_page_says():
    shown = markdown(sample())
    assert "| Reward | Win rate | At similar length | Difference |" in shown
    assert "## How it was made" in shown
    assert "- passes" not in shown
