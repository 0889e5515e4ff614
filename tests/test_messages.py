"""Messages: their roles and texts, and what is said of one that cannot be used."""

from typing import Any

import pytest

from flr.messages import RowError, messages_of
from flr.types import Message

ASKED = {"role": "user", "content": "Capital of France?"}
ANSWERED = {"role": "assistant", "content": "Paris."}


def complaint(*messages: Any) -> str:
    with pytest.raises(RowError) as caught:
        messages_of(list(messages), "messages")
    return f"{caught.value.field}: {caught.value.message}"


def test_content_parts_are_joined_and_tool_calls_stand_without_content():
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}], "name": None}
    parts = [{"type": "text", "text": "Capital ", "image_url": None}, {"type": "text", "text": "?"}]
    tool = {"role": "tool", "content": "Paris", "tool_call_id": "1"}
    given = [{"role": "user", "content": parts}, call, tool, ANSWERED]
    assert messages_of(given, "messages") == (
        Message("user", "Capital ?"),
        Message("assistant", "", {"tool_calls": [{"id": "1"}]}),
        Message("tool", "Paris", {"tool_call_id": "1"}),
        Message("assistant", "Paris."),
    )


@pytest.mark.parametrize(
    ("role", "advice"),
    [
        ("human", "Use 'user'."),
        ("GPT", "Use 'assistant'."),
        ("asistant", "Did you mean 'assistant'?"),
        ("\ud83d", "unknown role '\\ud83d'"),
        ("x" * 500, "…'"),
    ],
)
def test_an_unknown_role_comes_with_advice(role: str, advice: str):
    said = complaint(ASKED, {"role": role, "content": "b"})
    assert said.startswith("messages[1].role: unknown role")
    assert advice in said
    assert len(said) < 200


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, "of type 'image_url' cannot be scored"),
        ({"text": "a"}, "without a `type` cannot be scored"),
        ({"type": "text", "text": 1}, "messages[0].content[0].text: expected a text, got a number"),
        ("a", "expected a content part (an object), got a text"),
    ],
)
def test_a_part_that_is_no_text_is_refused(part: Any, said: str):
    assert said in complaint({"role": "user", "content": [part]}, ANSWERED)


@pytest.mark.parametrize("field", ["content", "name"])
def test_half_surrogates_are_refused_where_a_model_would_read_them(field: str):
    said = complaint(ASKED, {**ANSWERED, field: "\ud83d"})
    assert said.startswith("messages[1]")
    assert "half of a surrogate pair" in said
