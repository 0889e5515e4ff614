"""`flr feedback from-logs`: every real next turn, cut or dropped as asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import io
from flr.errors import InputError
from flr.feedback.logs import NEW_TOPIC, NO_TURN, LogOptions, from_logs, next_turns
from flr.messages import transcript_of
from flr.runs import Report
from flr.types import Conversation, Message
from tests.datasets.samples import SHARED
from tests.training.small import put

TALK = ["How do I boil rice?", "In water.", "Thanks! How long?", "Ten minutes.", "Great."]


def said(texts: list[str], **extra: Any) -> list[dict[str, Any]]:
    return [
        {"role": ("user", "assistant")[at % 2], "content": text, **extra}
        for at, text in enumerate(texts)
    ]


def made(tmp: Path, rows: Any, name: str = "out.jsonl", /, **given: Any) -> Report:
    options: dict[str, Any] = {"form": "user", **given}
    return from_logs([put(tmp / "in.jsonl", rows)], tmp / name, LogOptions(**options))


def texts(tmp: Path, name: str = "out.jsonl") -> list[str]:
    return [row["completion"][0]["content"] for row in io.read(str(tmp / name))]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": said(TALK)},
        {"conversation": said(TALK)},
        {"conversation": TALK},
        {"prompt": said(TALK), "response": "Glad to hear."},
        {
            "chosen": "\n\nHuman: How do I boil rice?\n\nAssistant: In water.\n\n"
            "Human: Thanks! How long?\n\nAssistant: Ten minutes.\n\n"
            "Human: Great.\n\nAssistant: Bye.",
            "rejected": "\n\nHuman: How do I boil rice?\n\nAssistant: In oil.",
        },
    ],
    ids=["messages", "conversation", "utterances", "prompt", "transcript"],
)
def test_every_form_of_log_gives_the_same_turns(tmp_path: Path, row: dict[str, Any]):
    made(tmp_path, [row])
    rows = io.read(str(tmp_path / "out.jsonl"))
    assert texts(tmp_path) == ["Thanks! How long?", "Great."]
    assert [[one["content"] for one in row["prompt"]] for row in rows] == [TALK[:2], TALK[:4]]
    assert [row["turn"] for row in rows] == [1, 2]
    assert len({row["group"] for row in rows}) == 1


def test_the_first_sentence_alone(tmp_path: Path):
    made(tmp_path, [{"messages": said(TALK)}], cut="first-sentence")
    assert texts(tmp_path) == ["Thanks!", "Great."]


def test_new_topics_are_left_out_and_counted_or_kept(tmp_path: Path):
    log = {"messages": said([*TALK[:2], "Who wrote the Iliad and the Odyssey?"])}
    record = made(tmp_path, [log, {"messages": said(TALK)}]).record
    assert record["left_out"] == {NEW_TOPIC: 1}
    assert record["rows"] == 2
    record = made(tmp_path, [log], "kept.jsonl", new_topics="keep").record
    assert (record["rows"], record["left_out"]) == (1, {})


def test_who_says_nothing_more_is_counted(tmp_path: Path):
    rows = [{"messages": said(TALK)}, {"messages": said(TALK[:2])}, {"messages": said(TALK[:1])}]
    assert made(tmp_path, rows).record["left_out"] == {NO_TURN: 2}
    with pytest.raises(InputError, match="nothing is left"):
        made(tmp_path, rows[1:], "none.jsonl")


def test_what_many_say_of_many_responses_stays(tmp_path: Path):
    rows = [{"messages": said([f"Tea {at}?", f"Yes, {at}.", "Thanks!"])} for at in range(9)]
    assert made(tmp_path, [*rows, rows[0]]).record["left_out"] == {"duplicate": 1}
    assert texts(tmp_path) == ["Thanks!"] * 9


def test_conversations_that_begin_alike_are_on_one_side(tmp_path: Path):
    rows = [
        {
            "messages": said([f"Tea {at // 2}?", f"Yes {at}.", f"Why {at}?", "So.", f"No {at}."]),
            "source": f"server {at % 2}",
        }
        for at in range(20)
    ]
    report = made(tmp_path, rows, held_out=0.3)
    sides = [io.read(str(tmp_path / name)) for name in ("out.jsonl", "out.held-out.jsonl")]
    openings = [{row["prompt"][0]["content"] for row in side} for side in sides]
    assert openings[0].isdisjoint(openings[1])
    assert list(map(len, openings)) == [7, 3]
    assert report.record["rows_held_out"] == len(sides[1]) == 12


@pytest.mark.parametrize("name", ["messages", "prompt"])
def test_columns_stay_but_nothing_private_of_messages_and_nothing_of_the_row_s_own(
    tmp_path: Path, name: str
):
    private = said(TALK[:3], ip="1.2.3.4", name="J. Doe")
    row = {name: private, "id": 7, "form": "x", "score": 3, "critique": "The response is bad."}
    made(tmp_path, [{**row, "response": "Yes."} if name == "prompt" else {**row, "prompt": 5}])
    (found,) = io.read(str(tmp_path / "out.jsonl"))
    assert (found["id"], found["form"]) == (7, "user")
    assert not found.keys() & {"score", "critique"}
    assert all(set(one) == {"role", "content"} for one in found["prompt"])


def test_the_same_command_again_does_nothing(tmp_path: Path):
    first, again = (made(tmp_path, [{"messages": said(TALK)}]) for _ in range(2))
    assert (first.computed, again.computed, again.record) == (1, 0, first.record)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"text": "hi"}, "fits no row form"),
        ({"messages": []}, "row 2, messages"),
        ({"messages": "hi"}, "row 2, messages"),
        ({"conversation": ["a", 5]}, "row 2, conversation[1]"),
        ({"messages": [{"role": "bot", "content": "a"}]}, "Use 'assistant'"),
        ({"prompt": "a", "response": "\ud800"}, "surrogate"),
        (5, "expected an object"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: Any, says: str):
    with pytest.raises(InputError) as caught:
        made(tmp_path, [{"messages": said(TALK)}, row])
    assert says in str(caught.value)
    (tmp_path / "in.jsonl").write_text(json.dumps({"messages": said(TALK)}) + '\n{"messages": [')
    with pytest.raises(InputError, match="row 2"):
        from_logs([str(tmp_path / "in.jsonl")], tmp_path / "o.jsonl", LogOptions())


def test_ugly_turns_are_cleaned_or_kept_as_they_are(tmp_path: Path):
    turns = ["", "a\x00b", "\U0001f375", "nan", "Tea \U0001f375, why?"]
    made(tmp_path, [{"messages": said(["Tea?", "Yes.", turn])} for turn in turns])
    assert texts(tmp_path) == ["Tea \U0001f375, why?"]


messages = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.text(max_size=3)),
    max_size=9,
)


@given(messages)
def test_a_turn_is_the_user_s_after_the_assistant_s_and_all_before_it_is_there(
    talk: list[Message],
):
    for at, one in enumerate(next_turns(talk), 1):
        end = len(one.conversation.messages)
        assert one.conversation == Conversation(tuple(talk[:end]))
        assert talk[end] == Message("user", one.text)
        assert one.about["turn"] == at


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared data folder {SHARED} is absent")
def test_hh(tmp_path: Path):
    source = str(SHARED / "hh-rlhf" / "helpful-base" / "test.jsonl.gz")
    report = from_logs([source], tmp_path / "out.jsonl", LogOptions(form="user"))
    counted = report.record["rows"] + sum(report.record["left_out"].values())
    logs = [transcript_of(row["chosen"], "chosen").messages for row in io.read(source)]
    turns = [
        (log[at - 1].role, one.role) == ("assistant", "user")
        for log in logs
        for at, one in enumerate(log)
        if at
    ]
    silent = report.record["left_out"][NO_TURN]
    assert counted - silent == sum(turns)
    assert report.record["rows"] > 0.95 * sum(turns)
