"""What counts as a prompt, and what is said of rows that hold none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import io
from flr.errors import InputError, Problem
from flr.prompts import OF_RESPONSES, parse_prompts
from flr.types import Message

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tea? 🍵"}]
ANSWER = {"role": "assistant", "content": "Yes."}


def one(**columns: Any) -> Any:
    (row,) = parse_prompts([(3, columns)], "p.jsonl")
    return row


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": ASKED},
        {"messages": ASKED},
        {"messages": [*ASKED, ANSWER]},
        {"prompt": ASKED, "response": "Yes."},
        {"prompt": ASKED, "responses": ["Yes.", "No."]},
        {"prompt": ASKED, "responses": ["Yes."], "finish_reasons": ["stop"]},
        {"prompt": ASKED, "chosen": "Yes.", "rejected": "No."},
        {"chosen": [*ASKED, ANSWER], "rejected": [*ASKED, ANSWER]},
        {"prompt": ASKED, "response": None, "rewards": None},
    ],
)
def test_the_prompt_of_every_form_is_the_same(columns: dict[str, Any]):
    row = one(**columns, id=7)
    assert row.number == 3
    assert [message.as_dict() for message in row.messages] == ASKED
    assert row.columns["id"] == 7
    assert not set(row.columns) & set(OF_RESPONSES)


def test_a_text_is_a_user_turn():
    assert one(prompt="a\x00b").messages == (Message("user", "a\x00b"),)
    assert one(conversation=["a", "b", "c", "d"]).messages[-1] == Message("user", "c")
    row = one(chosen="\n\nHuman: a\n\nAssistant: b", rejected="\n\nHuman: a\n\nAssistant: c")
    assert row.messages == (Message("user", "a"),)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({}, "fits no row form"),
        ({"text": "a"}, "fits no row form"),
        ({"prompt": ""}, None),
        ({"prompt": 3}, "expected a text"),
        ({"prompt": [ANSWER]}, "no user message"),
        ({"prompt": [*ASKED, ANSWER]}, "last message is the assistant's"),
        ({"messages": [ASKED[0]]}, "no user message"),
        ({"prompt": "\ud800"}, "surrogate"),
        ({"prompt": "a", "responses": ["b"], "rewards": [0.5]}, "drop the column to sample anew"),
        ({"prompt": "a", "reward": 0.0, "response": "b"}, "drop the column to sample anew"),
    ],
)
def test_what_is_no_prompt_is_named(columns: dict[str, Any], says: str | None):
    if says is None:  # an empty question is one: the follow-up model takes it too
        assert one(**columns).messages == (Message("user", ""),)
        return
    with pytest.raises(InputError, match=says) as caught:
        one(**columns)
    assert [problem.row for problem in caught.value.problems] == [3]


def test_all_bad_rows_are_named_at_once_and_no_rows_are_an_error():
    items = [(1, {"prompt": "a"}), (2, 5), (3, Problem(3, "", "broken")), (4, {"prompt": None})]
    with pytest.raises(InputError) as caught:
        parse_prompts(items, "p.jsonl")
    assert [problem.row for problem in caught.value.problems] == [2, 3, 4]
    with pytest.raises(InputError, match="has no rows"):
        parse_prompts([], "p.jsonl")


def test_prompts_come_from_files(tmp_path: Any):
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in "abc"), "utf-8")
    assert [row.messages[0].content for row in io.load_prompts(str(path), limit=2)] == ["a", "b"]


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
NAME = st.sampled_from(["prompt", "messages", "response", "responses", "chosen", "rejected"])


@given(st.lists(st.dictionaries(NAME, VALUE, max_size=4) | VALUE, max_size=4))
def test_nothing_but_an_input_error_is_raised(rows: list[Any]):
    try:
        found = parse_prompts(enumerate(rows, 1), "p.jsonl")
    except InputError:
        return
    assert len(found) == len(rows)
    assert all(row.messages[-1].role != "assistant" for row in found)
