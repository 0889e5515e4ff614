from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.chat import DEFAULT_OPENING, Form, Renderer
from flr.errors import RenderError
from flr.feedback.rows import FORMS, Feedback, feedback_of, row_of
from flr.messages import RowError
from flr.types import Conversation, Message
from tests.templates import kind

TALK = Conversation(
    (
        Message("system", "Be brief."),
        Message("user", "Capital of France?"),
        Message("assistant", "Paris."),
        Message("user", "And of Spain?"),
        Message("assistant", "Lisbon."),
    )
)
SAID = Feedback(TALK, "That is Portugal's.", {"score": 1.0, "source": "me"})


def test_the_user_says_it_in_the_next_turn():
    row = row_of(SAID, "user")
    assert row["prompt"] == [message.as_dict() for message in TALK.messages]
    assert row["completion"] == [{"role": "user", "content": SAID.text}]
    assert (row["form"], row["score"], row["source"]) == ("user", 1.0, "me")


def test_role_switched_the_assistant_has_asked_and_says_it():
    row = row_of(SAID, "role-switched")
    assert row["prompt"] == [
        {"role": "user", "content": DEFAULT_OPENING},
        {"role": "assistant", "content": "And of Spain?"},
        {"role": "user", "content": "Lisbon."},
    ]
    assert row["completion"] == [{"role": "assistant", "content": SAID.text}]


@pytest.mark.parametrize("form", FORMS)
def test_a_row_renders_to_the_tokens_that_are_scored(form: Form):
    """What is trained on is, token for token, what the model is asked of afterwards."""
    tokenizer = kind("chatml").tokenizer
    row = row_of(SAID, form)
    text = tokenizer.apply_chat_template([*row["prompt"], *row["completion"]], tokenize=False)
    (scored,) = Renderer(tokenizer, form=form).followups(TALK, [SAID.text]).rows
    assert tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) == scored.tokens


texts = st.text(st.characters(codec="utf-8"), max_size=9)


@given(st.sampled_from(FORMS), texts, texts, texts, st.floats(allow_nan=False))
def test_what_is_read_back_is_what_was_said(
    form: Form, prompt: str, response: str, text: str, score: float
):
    said = Feedback(Conversation.of(prompt, response), text, {"score": score})
    assert feedback_of(row_of(said, form)) == said


def test_without_a_user_there_is_no_role_to_switch():
    alone = Feedback(Conversation((Message("assistant", "Hello"),)), "Hi")
    with pytest.raises(RenderError, match="user message"):
        row_of(alone, "role-switched")


GOOD = row_of(SAID, "user")
SWITCHED = row_of(SAID, "role-switched")


@pytest.mark.parametrize(
    ("row", "field", "says"),
    [
        ({}, "form", "one of user, role-switched, got nothing"),
        ({**GOOD, "form": "usr"}, "form", "got 'usr'"),
        ({**GOOD, "form": 3}, "form", "got nothing"),
        ({**GOOD, "prompt": []}, "prompt", "empty list"),
        ({**GOOD, "prompt": None}, "prompt", "got null"),
        ({**GOOD, "prompt": GOOD["prompt"][:2]}, "prompt", "must be the assistant's response"),
        ({**GOOD, "completion": "no"}, "completion", "got a text"),
        ({**GOOD, "completion": GOOD["completion"] * 2}, "completion", "one message of the user"),
        ({**GOOD, "form": "role-switched"}, "completion", "one message of the assistant"),
        ({**SWITCHED, "prompt": SWITCHED["prompt"][:2]}, "prompt", "got user, assistant"),
    ],
)
def test_a_row_that_is_none_is_named(row: dict[str, Any], field: str, says: str):
    with pytest.raises(RowError, match=says) as caught:
        feedback_of(row)
    assert caught.value.field == field
