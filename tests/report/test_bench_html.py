"""The page of a benchmark: whole, escaped, and in need of nothing from elsewhere."""

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from flr.report.bench_html import FOLD, page
from tests.report.bench_samples import HOSTILE, REFERENCE, sample, with_text

VOID = {"meta"}


class Page(HTMLParser):
    """The tags of a page in order, its attributes, its text, and a check that tags close."""

    def __init__(self, rendered: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(rendered)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " " if tag in ("td", "th", "p", "dd") else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def words(rendered: str) -> str:
    return " ".join(Page(rendered).text.split())


def svgs(rendered: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", rendered, re.DOTALL)


def outline(rendered: str) -> list[str]:
    """The tags outside the figures and folded texts, which follow the data's sizes."""
    plain = re.sub(r"<svg.*?</svg>", "", rendered, flags=re.DOTALL)
    return [tag for tag in Page(plain).tags if tag not in ("details", "summary", "span", "div")]


@pytest.fixture(scope="module")
def whole() -> str:
    return page(*sample())


def test_every_set_has_its_figures(whole: str):
    drawn = [str(ElementTree.fromstring(svg).get("aria-label")) for svg in svgs(whole)]
    assert drawn == [
        "Accuracy of each reward on hh-helpful-base, with 95 % intervals",
        "Margin against difference of lengths on hh-helpful-base",
        "Margin against accuracy on hh-helpful-base",
        "Pearson of each reward on vicuna-single, with 95 % intervals",
        "Reward against length on vicuna-single",
        "Margin against accuracy on vicuna-single",
        "Spearman of each reward on wildbench, with 95 % intervals",
        "Reward against length on wildbench",
        "Mean reward against Elo on wildbench",
    ]


def test_the_page_says_what_the_figures_say(whole: str):
    shown = words(whole)
    assert f"By its 95 % interval, {REFERENCE} " in shown
    assert f"Where people and {REFERENCE} disagree most" in shown
    assert "Skipped: 1 item." in shown
    assert "dpo:model:ref" in shown
    assert "Suite paper: partial" in shown


def test_the_worst_disagreement_is_first_and_open(whole: str):
    results, items = sample()
    rows = [item for item in items if item["set"] == "hh-helpful-base"]
    worst = min(rows, key=lambda i: i["rewards"][REFERENCE][0] - i["rewards"][REFERENCE][1])
    first = whole[whole.index('<details class="case" open>') :]
    first = first[: first.index('<details class="case">')]
    assert worst["item"] in first
    for text in worst["responses"]:
        assert text in first
    assert len(re.findall(r'<details class="case" open>', whole)) == 2
    assert results["sets"].keys() == {"hh-helpful-base", "vicuna-single", "wildbench"}


def test_identifiers_are_unique_and_links_stay_on_the_page(whole: str):
    identifiers = [value for name, value in Page(whole).attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    targets = {str(value) for name, value in Page(whole).attributes if name == "href"}
    assert {target[1:] for target in targets} <= set(map(str, identifiers))
    labels = {value for name, value in Page(whole).attributes if name == "aria-labelledby"}
    assert labels <= set(identifiers)


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(whole: str):
    parsed = Page(whole)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(parsed.tags)
    assert not {name for name, _ in parsed.attributes if name == "src" or name[:2] == "on"}
    assert not re.search(r"https?:|url\((?!#)|@import", whole)


def test_the_page_is_accessible(whole: str):
    parsed = Page(whole)
    assert ("lang", "en") in parsed.attributes
    assert (parsed.tags.count("h1"), parsed.tags.count("main")) == (1, 1)
    assert parsed.tags.count("th") == sum(name == "scope" for name, _ in parsed.attributes)


@pytest.fixture(scope="module")
def small() -> str:
    return page(*sample(6))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_obeyed(text: str, small: str):
    rendered = page(*with_text(text))
    assert rendered.encode()
    assert outline(rendered) == outline(small)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", rendered)
    assert all(ElementTree.fromstring(svg).tag == "svg" for svg in svgs(rendered))


def test_the_same_input_gives_the_same_bytes(whole: str):
    assert page(*sample()) == whole


def test_items_may_come_one_by_one(whole: str):
    results, items = sample()
    assert page(results, iter(items)) == whole


def test_a_long_text_is_folded_and_whole():
    results, items = sample(1)
    long = "A" + "b" * 100_000 + "Z"
    items[0]["responses"][0] = long
    items[0]["rewards"][REFERENCE] = [0.0, 1.0]
    rendered = page(results, items)
    assert long in rendered
    assert f"All {len(long):,} characters" in rendered
    items[0]["responses"][0] = long[:FOLD]
    assert f"All {FOLD:,} characters" not in page(results, items)


def test_one_item_a_set_is_a_page():
    assert len(svgs(page(*sample(1)))) >= 6


def test_results_without_sets_or_items_are_a_page():
    results, _ = sample()
    assert "No set was benchmarked." in words(page(results | {"sets": {}}, []))
    without_items = page(results, [])
    assert len(svgs(without_items)) == 3  # the bars alone
    assert "disagree most" not in words(without_items)


def none_in(value: Any) -> Any:
    """Results in which no figure has an answer."""
    if isinstance(value, dict) and "interval" in value:
        return {**value, "value": None, "interval": [None, None]}
    if isinstance(value, dict):
        return {key: none_in(inner) for key, inner in value.items()}
    return value


def test_figures_without_an_answer_are_dashes():
    results, items = sample(6)
    rendered = page(none_in(results), items)
    assert f"Accuracy of {REFERENCE}: –." in words(rendered)
    assert "Mean reward against Elo" not in rendered
    assert "None" not in words(rendered).replace("None of", "")
    assert "nan" not in words(rendered).lower()


def test_without_a_reference_the_first_reward_is_shown():
    results, items = sample(6)
    for of_set in results["sets"].values():
        for figures in of_set["rewards"].values():
            figures["difference"] = None
    rendered = words(page(results | {"reference": None}, items))
    assert "each set shows its first reward in detail" in rendered
    assert "Difference to" not in rendered


def test_a_set_without_a_reward_says_so():
    results, items = sample(6)
    for of_set in results["sets"].values():
        of_set["rewards"] = {}
        of_set["majority"] = None
    rendered = page(results, items)
    assert "No reward was computed on this set." in words(rendered)
    assert svgs(rendered) == []


def test_names_keep_their_hyphens_and_numbers_get_minus_signs():
    results, items = sample(6)
    sets = {"helpsteer-2": results["sets"]["wildbench"]}
    for item in items:
        item["set"] = "helpsteer-2"
    rendered = page(results | {"sets": sets}, items)
    assert "helpsteer-2" in rendered
    assert "system-12" in words(rendered)
    assert re.search(r"\[−\d", words(rendered))


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, WCAG 2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_inks_and_marks_stand_out_in_light_and_dark(whole: str):
    roots = re.findall(r":root \{(.*?)\}", whole, re.DOTALL)
    schemes = [dict(re.findall(r"--(\w+): (#\w{6})", root)) for root in roots]
    light = {**schemes[0], **schemes[2]}
    dark = {**light, **schemes[1], **schemes[3]}
    for scheme in (light, dark):
        for ink in ("ink", "dim", "good"):
            assert contrast(scheme[ink], scheme["paper"]) >= 4.5, ink
        for mark in ("blue", "green", "vermillion"):
            assert contrast(scheme[mark], scheme["paper"]) >= 3, mark
