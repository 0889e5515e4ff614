"""The loss covers exactly the tokens of the feedback, on every template, in both forms."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.chat import DEFAULT_OPENING, Form, Renderer
from flr.errors import InputError, OptionError
from flr.feedback.rows import FORMS, Feedback, row_of
from flr.measuring import SKIP_ALL
from flr.sources import Source
from flr.template import Template
from flr.training import masked
from flr.training.inputs import Base
from flr.training.masked import NOT_LEARNED, Masked
from flr.types import Conversation, Message
from tests.templates import KINDS, is_plain, kind, true_row
from tests.training.small import put

SAID = (
    "That is not what I asked.",
    "\U0001f44d\U0001f3fd great",
    "two\n\nlines",
    "谢谢你",
    "NUL \0",
)
TALKS = [
    Conversation.of("Capital of France?", "It is Paris."),
    Conversation.of("", ""),
    Conversation(
        tuple(Message(role, text) for role, text in [("user", "One?"), ("assistant", "1")] * 3)
    ),
]


def base(name: str, longest: int | None = None) -> Base:
    tokenizer = kind(name).tokenizer
    source = Source(name, Path(), None, "identity")
    return Base(source, tokenizer, Template(tokenizer), longest)


def masks(
    tmp: Path, rows: list[dict[str, Any]], name: str = "chatml", limit: int = 2048, **given: Any
) -> Masked:
    source = put(tmp / "rows.jsonl", rows)
    lessons = masked.read(source, None)
    renderer = masked.renderer_of(lessons, base(name, given.pop("longest", None)), limit)
    return masked.mask(source, lessons, renderer, **{"left_out": (), **given})


def learned(row: Any) -> list[int]:
    """Indices of the tokens with a label, which is the token itself."""
    pairs = enumerate(zip(row["input_ids"], row["labels"], strict=True))
    found = [(at, token, label) for at, (token, label) in pairs if label != NOT_LEARNED]
    assert all(token == label for _, token, label in found)
    return [at for at, _, _ in found]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", KINDS)
def test_what_is_learned_are_the_tokens_of_the_feedback(tmp_path: Path, name: str, form: Form):
    """By the oracle: the conversation rendered whole, tokenized once, offsets looked up."""
    said = [Feedback(talk, text) for talk in TALKS for text in SAID]
    made = masks(tmp_path, [row_of(one, form) for one in said], name)
    for one, row in zip(said, made.rows.taken, strict=True):
        written = row_of(one, form)
        last = {"role": written["completion"][0]["role"]}
        ids, start, stop = true_row(kind(name).tokenizer, written["prompt"], last, one.text)
        assert tuple(row["input_ids"]) == ids
        assert learned(row) == list(range(start, stop))
    assert made.learned == sum(len(learned(row)) for row in made.rows.taken)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\ue000"), max_size=9)


@pytest.mark.parametrize("name", ["chatml", "mistral"])
@settings(max_examples=25)
@given(
    form=st.sampled_from(FORMS),
    prompt=texts.filter(is_plain),
    response=texts.filter(is_plain),
    text=texts.filter(str.strip).filter(is_plain),
)
def test_a_tuned_model_is_asked_for_what_it_was_trained_to_say(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    form: Form,
    prompt: str,
    response: str,
    text: str,
):
    talk = Conversation.of(prompt, response)
    tmp = tmp_path_factory.mktemp("rows")
    (row,) = masks(tmp, [row_of(Feedback(talk, text), form)], name).rows.taken
    (asked,) = Renderer(kind(name).tokenizer, form=form).followups(talk, [text]).rows
    assert tuple(row["input_ids"]) == asked.tokens
    assert learned(row) == list(range(asked.start, asked.stop))


@pytest.mark.parametrize("prompt", ["Tea?", [{"role": "user", "content": "Tea?"}]])
@pytest.mark.parametrize("completion", ["Yes.", [{"role": "assistant", "content": "Yes."}]])
def test_plain_chat_is_learned_by_its_completion(tmp_path: Path, prompt: Any, completion: Any):
    (row,) = masks(tmp_path, [{"prompt": prompt, "completion": completion}]).rows.taken
    tokenizer = kind("chatml").tokenizer
    assert tokenizer.decode([row["input_ids"][at] for at in learned(row)]) == "Yes."
    assert tokenizer.decode(row["input_ids"]).startswith("<|im_start|>user\nTea?<|im_end|>")


def test_an_opening_of_its_own_is_kept(tmp_path: Path):
    row = row_of(Feedback(TALKS[0], "Fine."), "role-switched", "Ask me something.")
    lessons = masked.read(put(tmp_path / "rows.jsonl", [row]), None)
    assert masked.renderer_of(lessons, base("chatml"), 99).opening == "Ask me something."
    row["prompt"][0]["content"] = [{"type": "text", "text": "Ask me something."}]
    assert masked.read(put(tmp_path / "rows.jsonl", [row]), None) == lessons
    plain = masked.read(
        put(tmp_path / "rows.jsonl", [row_of(Feedback(TALKS[0], "F."), "user")]), None
    )
    assert masked.renderer_of(plain, base("chatml"), 99).opening == DEFAULT_OPENING


def test_a_long_conversation_loses_its_oldest_turns_and_a_long_last_one_is_named(tmp_path: Path):
    rows = [row_of(Feedback(talk, "Fine."), "user") for talk in (TALKS[2], TALKS[0])]
    whole = masks(tmp_path, rows)
    longest = max(len(row["input_ids"]) for row in whole.rows.taken)
    made = masks(tmp_path, rows, limit=longest - 1)
    assert made.cut == [(1, 2)]
    assert masks(tmp_path, rows, longest=longest - 1).cut == [(1, 2)]  # what the model takes
    with pytest.raises(InputError, match=r"row 2: .*tokens, the model takes 20"):
        masks(tmp_path, rows, limit=20)
    with pytest.raises(InputError, match="every row was left out"):
        masks(tmp_path, rows, limit=4, left_out=SKIP_ALL)


def test_what_would_become_structure_is_named_or_left_out(tmp_path: Path):
    talk = Conversation.of("Tea?", "<|im_end|>")
    rows = [row_of(Feedback(one, "Fine."), "user") for one in (TALKS[0], talk)]
    with pytest.raises(InputError, match=r"row 2: .*special token '<\|im_end\|>'"):
        masks(tmp_path, rows)
    made = masks(tmp_path, rows, left_out=SKIP_ALL)
    assert len(made.rows.taken) == 1
    assert made.skipped[0][0] == 2


GOOD = row_of(Feedback(TALKS[0], "Fine."), "user")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "a"}, "row 2, completion: missing"),
        ({"completion": "a"}, "row 2, prompt: missing"),
        ({"prompt": "a", "completion": 3}, "row 2, completion: expected a text"),
        ({"prompt": [], "completion": "a"}, "row 2, prompt: expected a list of messages"),
        ({**GOOD, "form": "both"}, "row 2, form: expected one of user, role-switched"),
        ({"prompt": "a", "completion": "b"}, "row 2, form: none .plain chat., but row 1 has user"),
        (
            row_of(Feedback(TALKS[0], "Fine."), "role-switched"),
            "--form ...` puts all rows into one",
        ),
        ("text", "row 2: an object with columns was expected"),
        ({**GOOD, "completion": [{"role": "user", "content": ""}]}, "row 2: .*no tokens"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: Any, says: str):
    with pytest.raises(InputError, match=says):
        masks(tmp_path, [GOOD, row])


def test_two_openings_are_two_forms(tmp_path: Path):
    rows = [row_of(Feedback(TALKS[0], "Fine."), "role-switched", text) for text in ("Ask.", "Go.")]
    with pytest.raises(InputError, match=r"row 2, prompt\[0\]: opens otherwise than row 1"):
        masks(tmp_path, rows)


def test_a_file_that_is_none_is_named(tmp_path: Path):
    (tmp_path / "half.jsonl").write_text(json.dumps(GOOD) + '\n{"prompt": [')
    with pytest.raises(InputError, match="row 2: is not whole and valid JSON"):
        masked.read(str(tmp_path / "half.jsonl"), None)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="has no rows"):
        masked.read(str(tmp_path / "empty.jsonl"), None)
    with pytest.raises(OptionError, match="give a file in place of -"):
        masked.read("-", None)
