"""Each rating set: its items from a small file of its shape."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.datasets.base import Dataset
from flr.datasets.loading import load
from flr.datasets.rating import NO_RATING
from flr.datasets.raw import NO_RESPONSE, rating_of
from flr.errors import InputError
from flr.messages import RowError
from flr.types import Conversation
from tests.datasets.samples import (
    FEEDBACKQA,
    FILES,
    FLASK,
    HELPSTEER,
    SINGLE,
    ULTRAFEEDBACK,
    judge,
    put,
    put_set,
)


def loaded(folder: Path, name: str) -> Dataset:
    put_set(folder, name)
    dataset = load(name, folder)
    assert (dataset.name, dataset.kind) == (name, "rating")
    return dataset


def test_flask_is_rated_by_people(tmp_path):
    dataset = loaded(tmp_path, "flask")
    (item,) = dataset.items
    assert item.labels == (4.5, 2.0, 2.0)
    assert item.conversations[2] == Conversation.of("p", "e")
    assert dataset.left_out == {NO_RATING: 2}


def test_criteria_of_flask_are_subsets(tmp_path):
    rows = [
        {**FLASK[0], "idx": 5, "response_source": who, "criteria": criterion}
        for who in ("x", "y")
        for criterion in ("Logic", "Style")
    ]
    put(tmp_path / "flask.json", rows)
    items = load("flask", tmp_path).items
    assert [(item.subset, item.group) for item in items] == [("Logic", "5"), ("Style", "5")]
    assert {item.systems for item in items} == {("x", "y")}


@pytest.mark.parametrize("name", ["mtbench-single", "vicuna-single"])
def test_judge_single(tmp_path, name):
    dataset = loaded(tmp_path, name)
    first, second = dataset.items
    assert first.conversations == (
        Conversation.of("p", "answer of x"),
        Conversation.of("p", "answer of y"),
    )
    assert first.labels == (2.0, pytest.approx(13 / 3))
    assert first.systems == ("x", "y")
    assert (first.group, first.subset, second.group) == ("1", "writing", "2")
    # The dialogue stays text of one user message.
    assert second.conversations[0].prompt[0].content == "User: hi\n\nAssistant: 👋\n\nUser: go on"
    assert dataset.left_out == {NO_RATING: 1}


def test_different_prompts_of_one_question_stay_apart_in_one_group(tmp_path):
    rows = [{**SINGLE[0], "instruction": judge(f"p{i}", "r")} for i in range(3)]
    items = load("vicuna-single", put(tmp_path / "vicuna_eval.jsonl", rows).parent).items
    assert [len(item.conversations) for item in items] == [1, 1, 1]
    assert {item.group for item in items} == {"1"}
    assert len({item.id for item in items}) == 3


def test_feedback_bench(tmp_path):
    (item,) = loaded(tmp_path, "feedback-bench").items
    assert (item.labels, item.group) == ((1.0, 5.0), "p")


def test_helpsteer(tmp_path):
    (item,) = loaded(tmp_path, "helpsteer").items
    assert item.labels == (4.0, 0.0)
    assert item.conversations[1] == Conversation.of("p", "b")


def test_ultrafeedback_takes_the_mean_of_aspects(tmp_path):
    dataset = loaded(tmp_path, "ultrafeedback")
    (item,) = dataset.items
    assert item.labels == (3.5, 3.0)
    assert (item.systems, item.subset) == (("x", "y"), "flan")
    assert dataset.left_out == {NO_RATING: 1}


def test_ultrafeedback_as_parquet(tmp_path):
    """Parquet gives nulls for aspects that only other rows have."""
    put(tmp_path / "ultrafeedback.parquet", [*ULTRAFEEDBACK, {**ULTRAFEEDBACK[0], "source": None}])
    assert [item.labels for item in load("ultrafeedback", tmp_path).items] == [(3.5, 3.0)] * 2


def test_feedbackqa(tmp_path):
    (item,) = loaded(tmp_path, "feedbackqa").items
    assert item.labels == (2.5, 2.5)
    assert item.conversations[0] == Conversation.of("Where?", "Here.")
    assert (item.group, item.subset) == ("Where?", "CDC")


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("vicuna-single", {**SINGLE[0], "instruction": "Hi"}, "instruction: expected a judge's"),
        (
            "vicuna-single",
            {**SINGLE[0], "instruction": judge("p", "r").partition("###Ref")[0]},
            "instruction: expected '###Reference Answer' or '###Score Rubrics:' after",
        ),
        ("vicuna-single", {"instruction": judge("p", "r")}, "gpt4_score: expected a column"),
        ("vicuna-single", {**SINGLE[0], "gpt4_score": {"a": 1}}, "got an object"),
        ("helpsteer", {**HELPSTEER[0], "helpfulness": True}, "got true or false"),
        ("feedbackqa", {**FEEDBACKQA[0], "rating": ["Bad", "Good"]}, "rating[1]: expected one of"),
        ("feedbackqa", {**FEEDBACKQA[0], "rating": "Bad"}, "rating: expected a list of ratings"),
        ("feedbackqa", {**FEEDBACKQA[0], "rating": [None]}, "got null"),
        ("feedbackqa", {**FEEDBACKQA[0], "passage": "p"}, "passage: expected an object with"),
        ("feedbackqa", {**FEEDBACKQA[0], "passage": {"reference": {}}}, "section_content: is miss"),
        (
            "ultrafeedback",
            {**ULTRAFEEDBACK[0], "completions": [{"response": "r"}]},
            "completions[0].annotations: is missing",
        ),
        (
            "ultrafeedback",
            {**ULTRAFEEDBACK[0], "completions": [{"response": "r", "annotations": None}]},
            "completions[0].annotations: expected an object of aspects, got null",
        ),
        (
            "ultrafeedback",
            {**ULTRAFEEDBACK[0], "completions": {}},
            "expected a list of completions",
        ),
    ],
)
def test_a_wrong_column(tmp_path, name, row, said):
    put(tmp_path / FILES[name][0], [row])
    with pytest.raises(InputError) as caught:
        load(name, tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize("empty", [[], None])
@pytest.mark.parametrize(
    ("name", "field", "reason"),
    [("ultrafeedback", "completions", NO_RESPONSE), ("feedbackqa", "rating", NO_RATING)],
)
def test_an_empty_list_is_left_out_and_counted(tmp_path, name, field, reason, empty):
    rows = FILES[name][1]
    whole = loaded(tmp_path, name)
    put(tmp_path / FILES[name][0], [{**rows[0], field: empty}, *rows])
    dataset = load(name, tmp_path)
    assert [item.labels for item in dataset.items] == [item.labels for item in whole.items]
    added = {key: n - whole.left_out.get(key, 0) for key, n in dataset.left_out.items()}
    assert {key: n for key, n in added.items() if n} == {reason: 1}


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=5))
def test_a_list_s_rating_is_its_mean_however_written(runs):
    mean = math.fsum(runs) / len(runs)
    assert rating_of(runs, "f") == rating_of(str(runs), "f") == pytest.approx(mean)
    assert rating_of([str(run) for run in runs], "f") == pytest.approx(mean)


@pytest.mark.parametrize(
    "value",
    [
        *(None, math.nan, math.inf, "", "N/A", "nan", "[1, 2", [], "[]", [1, None], [1, math.nan]),
        *("[1, NaN]", [1, [2]], [True], "true", '{"a": 1}', "[" * 100_000, "9" * 5000, 10**400),
    ],
)
def test_no_rating(value):
    assert rating_of(value, "f") is None


@pytest.mark.parametrize("value", [True, {"a": 1}])
def test_what_cannot_be_a_rating(value):
    with pytest.raises(RowError, match="expected a number or a list"):
        rating_of(value, "f")
