"""WildBench: prompts joined with outputs, and Elo numbers."""

import pytest

from flr.datasets.loading import load
from flr.datasets.raw import NO_RESPONSE
from flr.datasets.wildbench import NO_ELO, NO_PROMPT, elo
from flr.errors import InputError, UserError
from tests.datasets.samples import WILDBENCH, outputs, put

LLAMA, GEMMA = "Llama-2-7b-chat-hf", "gemma-2b-it"


def test_the_list_has_thirty_models():
    numbers = elo()
    assert len(numbers) == 30
    assert max(numbers, key=lambda model: numbers[model]) == "gpt-4o-2024-05-13"
    assert numbers[GEMMA] == min(numbers.values()) == 978


def test_sessions_with_the_responses_of_all_models(tmp_path):
    put(tmp_path / "WildBench" / "v2" / "test-0.parquet", WILDBENCH)
    folder = tmp_path / "wild_bench_v2"
    put(folder / f"{GEMMA}.json", outputs(("s2", "g2"), ("s1", "g1"), ("s9", "to nothing")))
    put(folder / "nobody.json", outputs(("s1", "n1"), ("s2", "n2")))
    put(folder / LLAMA / "train-00000-of-00001.parquet", outputs(("s1", "l1")))
    dataset = load("wildbench", tmp_path)
    assert (dataset.kind, len(dataset.files)) == ("ranking", 4)
    assert dataset.left_out == {NO_ELO: 2, NO_PROMPT: 1}
    found = {item.id: item for item in dataset.items}
    assert set(found) == {"s1", "s2"}
    one = found["s1"]
    responses = [conversation.response for conversation in one.conversations]
    by_system = zip(one.systems, responses, one.labels, strict=True)
    assert sorted(by_system) == [(LLAMA, "l1", 1013.0), (GEMMA, "g1", 978.0)]
    assert [m.role for m in one.conversations[0].prompt] == ["user", "assistant", "user"]
    assert (one.group, one.subset) == ("s1", "Math")
    assert found["s2"].systems == (GEMMA,)


def test_an_output_given_twice_counts_once(tmp_path):
    put(tmp_path / "wildbench" / "v2.jsonl", WILDBENCH)
    put(tmp_path / "wildbench" / "outputs" / f"{GEMMA}.jsonl", outputs(("s1", "a"), ("s1", "b")))
    (item,) = load("wildbench", tmp_path).items
    assert [c.response for c in item.conversations] == ["b"]


@pytest.mark.parametrize("output", [[], [None], None])
def test_an_output_without_a_response_is_left_out(tmp_path, output):
    put(tmp_path / "wildbench" / "v2.jsonl", WILDBENCH)
    rows = outputs(("s1", "a"), ("s2", "b"))
    rows[0]["output"] = output
    put(tmp_path / "wildbench" / "outputs" / f"{GEMMA}.jsonl", rows)
    dataset = load("wildbench", tmp_path)
    assert [item.id for item in dataset.items] == ["s2"]
    assert dataset.left_out == {NO_RESPONSE: 1}


def test_prompts_alone_are_not_the_set(tmp_path):
    put(tmp_path / "wildbench" / "v2.jsonl", WILDBENCH)
    with pytest.raises(UserError, match=r"wild_bench_v2/\*"):
        load("wildbench", tmp_path)


def test_only_unknown_models(tmp_path):
    put(tmp_path / "wildbench" / "v2.jsonl", WILDBENCH)
    put(tmp_path / "wildbench" / "outputs" / "nobody.jsonl", outputs(("s1", "a")))
    with pytest.raises(UserError, match=f"nothing in .* 1 {NO_ELO}"):
        load("wildbench", tmp_path)


@pytest.mark.parametrize(
    ("prompt", "output", "said"),
    [
        ({"conversation_input": []}, {}, "conversation_input: expected a list of messages, got an"),
        ({"session_id": None}, {}, "session_id: expected a text, got null"),
        (
            {"conversation_input": [{"role": "assistant", "content": "a"}]},
            {},
            "expected the last message to be a user's, got assistant",
        ),
        ({}, {"output": 3}, "output: expected a text or a list of one, got a number"),
        ({}, {"output": [3]}, r"output\[0\]: expected a text, got a number"),
    ],
)
def test_bad_rows(tmp_path, prompt, output, said):
    put(tmp_path / "wildbench" / "v2.jsonl", [{**WILDBENCH[0], **prompt}])
    row = {**outputs(("s1", "a"))[0], **output}
    put(tmp_path / "wildbench" / "outputs" / f"{GEMMA}.jsonl", [row])
    with pytest.raises(InputError, match=said):
        load("wildbench", tmp_path)
