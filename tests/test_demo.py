"""The demo's conversations are well formed, and length gives no answer away."""

from collections import Counter
from importlib.resources import files
from statistics import mean, median
from typing import Any

import pytest
import yaml

from flr.types import ROLES

CATEGORIES = [
    "understanding",
    "relevance",
    "correctness",
    "engagingness",
    "informativeness",
    "following",
]


def load(path: str) -> dict[str, Any]:
    return yaml.safe_load((files("flr") / path).read_text(encoding="utf-8"))


DEMO = load("demo/conversations.yaml")
ITEMS: list[dict[str, Any]] = DEMO["conversations"]
each_item = pytest.mark.parametrize("item", ITEMS, ids=[item["id"] for item in ITEMS])


def turns(item: dict[str, Any]) -> list[dict[str, str]]:
    """The prompt as messages, whichever way it is written."""
    prompt = item["prompt"]
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def test_the_file_says_what_it_is():
    assert list(DEMO) == ["name", "licence", "source", "conversations"]
    assert (DEMO["name"], DEMO["licence"]) == ("demo", "Apache-2.0")
    assert DEMO["source"].endswith(".")


def test_twenty_four_items_with_ids_of_their_own():
    assert len(ITEMS) == 24
    assert len({item["id"] for item in ITEMS}) == 24


def test_four_items_fail_in_each_category():
    assert Counter(item["fails"] for item in ITEMS) == dict.fromkeys(CATEGORIES, 4)


def test_the_categories_are_those_of_the_default_followups():
    assert list(load("data/followups/default.yaml")["categories"]) == CATEGORIES


@each_item
def test_an_item_has_its_fields_and_no_others(item: dict[str, Any]):
    assert list(item) == ["id", "fails", "prompt", "good", "bad"]


@each_item
def test_texts_are_neither_empty_nor_padded(item: dict[str, Any]):
    for text in [item["good"], item["bad"], *(turn["content"] for turn in turns(item))]:
        assert text
        assert text == text.strip()


@each_item
def test_the_two_responses_differ(item: dict[str, Any]):
    assert item["good"] != item["bad"]


@each_item
def test_a_prompt_ends_with_the_user(item: dict[str, Any]):
    assert all(set(turn) == {"role", "content"} and turn["role"] in ROLES for turn in turns(item))
    assert turns(item)[-1]["role"] == "user"


def test_the_items_cover_turns_code_and_scripts():
    texts = [str(item["prompt"]) for item in ITEMS]
    assert sum(len(turns(item)) > 1 for item in ITEMS) >= 2
    assert any("```" in text for text in texts)
    assert any(ord(character) > 0xFFFF for text in texts for character in text)  # an emoji


def test_length_is_no_cue():
    ratios = [len(item["bad"]) / len(item["good"]) for item in ITEMS]
    assert 0.8 <= median(ratios) <= 1.25
    assert all(0.7 <= ratio <= 1.3 for ratio in ratios)
    assert 0.35 <= mean(ratio > 1 for ratio in ratios) <= 0.65
