"""Each pairwise set: its items from a small file of its shape."""

from pathlib import Path

import pytest

from flr.datasets.base import Dataset
from flr.datasets.loading import load
from flr.datasets.pairwise import NO_VOTE, SAME
from flr.datasets.raw import NO_RESPONSE
from flr.errors import InputError
from flr.types import Conversation, Message
from tests.datasets.samples import (
    ALPACAFARM,
    FILES,
    HH,
    LLMBAR,
    MTBENCH_HUMAN,
    PREFERENCE_BENCH,
    REWARDBENCH_2,
    SAFE_RLHF,
    SHP,
    put,
    put_set,
    transcript,
)


def loaded(folder: Path, name: str) -> Dataset:
    put_set(folder, name)
    dataset = load(name, folder)
    assert (dataset.name, dataset.kind) == (name, "pairwise")
    assert all(item.labels[0] == 1.0 for item in dataset.items)
    return dataset


def responses(dataset: Dataset) -> list[tuple[str, ...]]:
    return [tuple(c.response for c in item.conversations) for item in dataset.items]


def complaint(folder: Path, name: str, rows: list) -> str:
    """What is said of bad rows, without the file's name."""
    path = put(folder / FILES[name][0], rows)
    with pytest.raises(InputError) as caught:
        load(name, folder)
    assert caught.value.path == str(path)
    return str(caught.value).replace(f"{path}: ", "")


@pytest.mark.parametrize(
    "name", ["hh-helpful-base", "hh-helpful-online", "hh-helpful-rejection", "hh-harmless-base"]
)
def test_hh(tmp_path, name):
    dataset = loaded(tmp_path, name)
    assert responses(dataset) == [("Yes 🍵.", "No."), ("Gladly.", ""), ("Yes.", "Me.")]
    assert [item.group for item in dataset.items] == ["Tea?", "Tea?", "Why?"]
    assert [item.id for item in dataset.items] == [f"{FILES[name][0]}:{n}" for n in (1, 2, 4)]
    assert dataset.left_out == {SAME: 1}
    chosen, rejected = dataset.items[2].conversations
    # Two dialogues that part before the last response keep their own prompts.
    assert [m.content for m in chosen.prompt] == ["Why?", "So.", "Really?"]
    assert [m.content for m in rejected.prompt] == ["Why?", "Ask.", "Whom?"]
    assert {item.position for item in dataset.items} == {None}


def test_shp(tmp_path):
    first, second = (dataset := loaded(tmp_path, "shp")).items
    assert responses(dataset) == [("b", "a"), ("c", "d")]
    assert first.conversations[0] == Conversation.of("h", "b")
    assert (first.position, second.position) == (2, 1)
    assert first.group == second.group == "h"
    assert first.subset == "baking"
    assert dataset.left_out == {NO_VOTE: 1}


def test_alpacafarm(tmp_path):
    dataset = loaded(tmp_path, "alpacafarm")
    assert responses(dataset) == [("3", "4"), ("Lo", "La")]
    assert [item.group for item in dataset.items] == ["Add.\n\n1, 2", "Sing."]
    assert dataset.left_out == {SAME: 1, NO_VOTE: 1}


def test_safe_rlhf_goes_by_helpfulness(tmp_path):
    dataset = loaded(tmp_path, "safe-rlhf")
    assert responses(dataset) == [("b", "a")]
    assert dataset.items[0].position == 2


def test_mtbench_human(tmp_path):
    dataset = loaded(tmp_path, "mtbench-human")
    first, second = dataset.items
    assert dataset.left_out == {NO_VOTE: 2}
    assert first.conversations == (Conversation.of("q1", "a1"), Conversation.of("q1", "b1"))
    assert responses(dataset)[1] == ("b2", "a2")
    assert [m.content for m in second.conversations[0].prompt] == ["q1", "b1", "q2"]
    assert (first.systems, second.systems) == (("x", "y"), ("y", "x"))
    assert (first.position, second.position) == (1, 2)
    assert (first.subset, second.subset) == ("turn-1", "turn-2")
    assert first.group == second.group == "81"


def test_rewardbench(tmp_path):
    dataset = loaded(tmp_path, "rewardbench")
    assert responses(dataset) == [("a", "b"), ("c", "d")]
    assert [item.subset for item in dataset.items] == ["math-prm", "hep-cpp"]
    # Six code subsets of 164, and the maths problems count as much as they do together.
    reasoning = dataset.sections["Reasoning"]
    assert reasoning["math-prm"] == 6 * 164 == sum(reasoning.values()) / 2
    assert sum(len(subsets) for subsets in dataset.sections.values()) == 23


def test_rewardbench_2_has_several_right_ones(tmp_path):
    dataset = loaded(tmp_path, "rewardbench-2")
    assert responses(dataset) == [("a", "b", "c", "d"), ("a", "b", "c")]
    assert [item.labels for item in dataset.items] == [(1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0)]
    assert [item.subset for item in dataset.items] == ["Math", "Ties"]
    assert dataset.left_out == {SAME: 1}


def test_preference_bench(tmp_path):
    dataset = loaded(tmp_path, "preference-bench")
    assert responses(dataset) == [("a", "b"), ("b", "a")]
    assert [item.position for item in dataset.items] == [1, 2]


@pytest.mark.parametrize(
    ("folder", "subset"),
    [
        ("Natural", "natural"),
        ("Adversarial/Neighbor", "adversarial-neighbor"),
        ("Adversarial/GPTInst", "adversarial-gptinst"),
        ("Adversarial/GPTOut", "adversarial-gptout"),
        ("Adversarial/Manual", "adversarial-manual"),
    ],
)
def test_llmbar(tmp_path, folder, subset):
    put(tmp_path / "LLMBar" / folder / "dataset.json", LLMBAR)
    dataset = load("llmbar", tmp_path)
    assert responses(dataset) == [("b", "a"), ("a", "b")]
    assert [item.position for item in dataset.items] == [2, 1]
    assert {item.subset for item in dataset.items} == {subset}


def test_bad_rows_are_all_named_with_field_expectation_and_finding(tmp_path):
    rows = [SHP[0], {**SHP[0], "history": 3}, {"history": "h", "a": 1}, {**SHP[0], "labels": "x"}]
    said = complaint(tmp_path, "shp", rows).splitlines()
    assert said[:3] == [
        "row 2, history: expected a text, got a number",
        "row 3, human_ref_A: expected a column of this name; the columns are 'history', 'a'",
        "row 4, labels: expected '1', '0', a tie or null, got 'x'",
    ]


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("hh-harmless-base", {"chosen": "no transcript", "rejected": HH[0]["rejected"]}, "chosen"),
        ("hh-harmless-base", {**HH[0], "rejected": None}, "rejected: expected a text or a list"),
        ("hh-harmless-base", {**HH[0], "chosen": transcript("Only a question")}, "chosen"),
        ("hh-harmless-base", {"chosen": HH[0]["chosen"]}, "rejected: expected a column"),
        ("alpacafarm", {**ALPACAFARM[0], "preference": True}, "preference: expected '1', '2'"),
        ("alpacafarm", {**ALPACAFARM[0], "preference": 0}, "'1', '2', a tie or null, got '0'"),
        ("shp", {**SHP[0], "labels": 10**400}, "labels: expected '1', '0', a tie or null, got '10"),
        ("shp", {**SHP[0], "labels": 1e300}, "labels: expected '1', '0', a tie or null, got '10"),
        ("shp", {**SHP[0], "labels": float("inf")}, "got 'inf'"),
        (
            "llmbar",
            {**LLMBAR[0], "label": 1.5},
            "label: expected '1', '2', a tie or null, got '1.5",
        ),
        ("alpacafarm", {**ALPACAFARM[0], "output_1": "\ud800"}, "output_1: holds \\ud800"),
        ("safe-rlhf", {**SAFE_RLHF[0], "better_response_id": [1]}, "better_response_id: expected"),
        ("mtbench-human", {**MTBENCH_HUMAN[0], "turn": 3}, "turn: expected 1 or 2, got '3'"),
        (
            "mtbench-human",
            {**MTBENCH_HUMAN[0], "conversation_a": MTBENCH_HUMAN[0]["conversation_a"][:1]},
            "conversation_a: the last of its 1 messages must be the assistant's response",
        ),
        ("preference-bench", {**PREFERENCE_BENCH[0], "orig_preference": "C"}, "got 'C'"),
        ("rewardbench-2", {**REWARDBENCH_2[0], "chosen": "a"}, "chosen: expected a list of resp"),
        ("llmbar", {**LLMBAR[0], "input": None}, "input: expected a text, got null"),
    ],
)
def test_a_wrong_column(tmp_path, name, row, said):
    assert said in complaint(tmp_path, name, [row])


@pytest.mark.parametrize("vote", [None, float("nan"), "tie", "Tie (both bad)"])
def test_votes_without_a_preference_are_left_out(tmp_path, vote):
    put(tmp_path / "llmbar.jsonl", [*LLMBAR, {**LLMBAR[0], "label": vote}])
    dataset = load("llmbar", tmp_path)
    assert (len(dataset.items), dataset.left_out) == (2, {NO_VOTE: 1})


@pytest.mark.parametrize("field", ["chosen", "rejected"])
@pytest.mark.parametrize("responses", [[], None])
def test_a_row_without_a_response_is_left_out(tmp_path, field, responses):
    put(tmp_path / "rewardbench-2.jsonl", [*REWARDBENCH_2, {**REWARDBENCH_2[0], field: responses}])
    dataset = load("rewardbench-2", tmp_path)
    assert (len(dataset.items), dataset.left_out) == (2, {SAME: 1, NO_RESPONSE: 1})


@pytest.mark.parametrize("vote", [2, 2.0, "2", " 2"])
def test_votes_as_number_or_text(tmp_path, vote):
    put(tmp_path / "llmbar.jsonl", [{**LLMBAR[0], "label": vote}])
    assert load("llmbar", tmp_path).items[0].position == 2


def test_the_preference_form_of_any_file(tmp_path):
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    answers = [[{"role": "assistant", "content": text}] for text in ("Hello", "No")]
    rows = [
        {"prompt": "p", "chosen": "a", "rejected": "b", "subset": "easy"},
        {"prompt": asked, "chosen": answers[0], "rejected": answers[1], "subset": None},
        {"chosen": [*asked, *answers[0]], "rejected": [*asked, *answers[1]], "subset": 4},
    ]
    dataset = load(str(put(tmp_path / "mine.jsonl", rows)))
    assert [item.subset for item in dataset.items] == ["easy", "", "4"]
    assert dataset.items[1].conversations == dataset.items[2].conversations
    assert dataset.items[1].conversations[0].prompt[0] == Message("system", "Be brief.")
    assert [item.group for item in dataset.items] == ["p", "Be brief.\n\nHi", "Be brief.\n\nHi"]
    assert list(dataset.files) == ["mine.jsonl"]
