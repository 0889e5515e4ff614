"""The Markdown of a benchmark: tables that hold together whatever the data are called."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.report.bench.markdown import markdown
from flr.report.markdown import escaped
from tests.report.bench.samples import HOSTILE, REFERENCE, sample, with_text
from tests.report.parsed import blocks, cells


def test_every_set_and_reward_is_there():
    results, _ = sample()
    text = markdown(results)
    for name, of_set in results["sets"].items():
        kind = "robustness" if of_set["robustness"] else of_set["kind"]
        assert f"\n## {name} ({kind})\n" in text
        assert f"Source: {of_set['source']}\n" in text
    assert [block[0].startswith("| Reward |") for block in blocks(text)].count(True) == 4
    assert "- dpo:model:ref: the model is not here" in text
    assert results["notes"][0] in text
    assert text.endswith("- options.reward: flr, direct, length\n")


def test_the_reference_is_the_first_row_of_its_table():
    header, rule, first, *_ = blocks(markdown(sample()[0]))[0]
    assert cells(header)[:3] == ["Reward", "Accuracy", f"Difference to {REFERENCE}, points"]
    assert set(cells(rule)[1:]) == {"---:"}
    assert cells(first)[0] == REFERENCE
    assert re.fullmatch(r"\d\d\.\d % \[\d\d\.\d, \d\d\.\d\]", cells(first)[1])


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_a_table(text: str):
    plain, ugly = markdown(sample(6)[0]), markdown(with_text(text)[0])
    assert ugly.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", ugly)
    assert "<script" not in ugly.replace("\\<script", "")
    shapes = [
        [[len(cells(line)) for line in block] for block in blocks(page)] for page in (plain, ugly)
    ]
    assert shapes[0] == shapes[1]
    headings = [len(re.findall(r"^#+ ", page, re.MULTILINE)) for page in (plain, ugly)]
    assert headings[0] == headings[1]


@given(st.text())
def test_escaped_text_is_one_line_without_an_open_bar(text: str):
    shown = escaped(text)
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<>`*]", shown)


def test_underscores_and_brackets_that_are_letters_stay():
    assert escaped("mt_bench 0.5 [0.4, 0.6]") == "mt_bench 0.5 [0.4, 0.6]"
    assert escaped("_a_ [b](c) [d]: e") == r"\_a\_ [b\](c) [d\]: e"


def test_results_without_a_set_still_say_how_they_were_made():
    results, _ = sample()
    text = markdown(results | {"sets": {}, "notes": []})
    assert "No set was benchmarked." in text
    assert "- versions.torch: 2.13.0" in text
    assert not blocks(text)


def test_the_same_results_give_the_same_text():
    assert markdown(sample()[0]) == markdown(sample()[0])
