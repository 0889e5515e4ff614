"""The page of a benchmark: whole, escaped, and in need of nothing from elsewhere."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from flr.report.bench.html import page
from flr.report.pages import FOLD
from flr.report.words import share
from tests.report.bench.samples import HH, HOSTILE, REFERENCE, ROBUSTNESS, sample, with_text
from tests.report.parsed import Page, contrast, outline, svgs, words


@pytest.fixture(scope="module")
def whole() -> str:
    return page(*sample())


def test_every_set_has_its_figures(whole: str):
    drawn = [str(ElementTree.fromstring(svg).get("aria-label")) for svg in svgs(whole)]
    assert drawn == [
        "Accuracy of each reward on hh-helpful-base, with 95 % intervals",
        "Reward against length on hh-helpful-base",
        "Margin against difference of lengths on hh-helpful-base",
        "Margin against accuracy on hh-helpful-base",
        "Pearson of each reward on vicuna-single, with 95 % intervals",
        "Reward against length on vicuna-single",
        "Margin against accuracy on vicuna-single",
        "Spearman of each reward on wildbench, with 95 % intervals",
        "Reward against length on wildbench",
        "Mean reward against Elo on wildbench",
        "Good response above, by what the other one is on robustness of hh-helpful-base, with 95 % "
        "intervals",
        "Reward against length on robustness of hh-helpful-base",
        "Margin against difference of lengths on robustness of hh-helpful-base",
    ]


def test_the_page_says_what_the_figures_say(whole: str):
    shown = words(whole)
    assert f"By its 95 % interval, {REFERENCE} " in shown
    assert f"Where people and {REFERENCE} disagree most" in shown
    assert "Skipped for every reward: 1 item and 1 single response." in shown
    assert "skipped: item-7, response 3" in shown
    assert f"On {ROBUSTNESS}, {REFERENCE} is fooled most by" in shown
    assert f"Where {REFERENCE} is fooled most" in shown
    assert "dpo:model:ref" in shown
    assert "Suite paper: partial" in shown


def test_the_worst_disagreement_is_first_and_open(whole: str):
    results, items = sample()
    rows = [item for item in items if item["set"] == HH]
    worst = min(rows, key=lambda row: row["margins"][REFERENCE])
    first = whole[whole.index('<details class="case" open>') :]
    first = first[: first.index('<details class="case">')]
    assert worst["item"] in first
    for text in worst["responses"]:
        assert text in first
    assert len(re.findall(r'<details class="case" open>', whole)) == len(results["sets"]) - 1


def test_turns_that_a_response_has_alone_stand_beside_it(whole: str):
    text = words(whole)
    first, second = (f"The {side} one's first answer. user And in winter?" for side in "AB")
    assert text.index(first) < text.index("Preferred by people", text.index(first))
    assert text.index(second) < text.index("Other reward", text.index(second))


def test_what_the_passes_did_is_told_and_what_they_depend_on_folded(whole: str):
    assert "pass smollm2 1,234 conversations, 1 of them skipped" in words(whole)
    folded = whole[whole.index("<summary><h3>What the numbers of <bdi>pass ") :]
    assert "<dt>wanted.followups</dt><dd>True</dd>" in folded[: folded.index("</details>")]


def test_a_page_of_spoilt_responses_says_nothing_of_people():
    results, items = sample(6)
    sets = {ROBUSTNESS: results["sets"][ROBUSTNESS]}
    rendered = page(results | {"sets": sets}, [item for item in items if item["set"] == ROBUSTNESS])
    shown = words(rendered)
    assert "Can a reward be fooled?" in shown
    assert "people" not in shown
    assert share(sets[ROBUSTNESS]["rewards"][REFERENCE]["accuracy"]) not in shown


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


def test_the_same_items_one_by_one_give_the_same_bytes(whole: str):
    results, items = sample()
    assert page(results, iter(items)) == whole


def test_a_long_text_is_folded_and_whole():
    results, items = sample(1)
    long = "A" + "b" * 100_000 + "Z"
    items[0]["responses"][0] = long
    items[0]["margins"][REFERENCE] = -1.0
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
    assert len(svgs(without_items)) == 4  # the bars alone
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
