"""Formats of preference data: what each row holds, and what cannot be written."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.errors import UserError
from flr.preferences.checks import check
from flr.preferences.formats import MISREAD_BY_TRL, PAIRED, UNPAIRED, dataset_info, in_turn
from flr.types import ROLES, Conversation, Message

SYSTEM, ASKED = Message("system", "Be brief. 🙂\0"), Message("user", "Capital of France?")
GOOD = Conversation((SYSTEM, ASKED, Message("assistant", "Paris.")))
BAD = GOOD.with_response("Lyon.")
MARGINS = {"margin": 0.25, "reward_chosen": 1.0}

TRAINER = {"trl": "trl-dpo"}
"""The trainer that reads a format, where it has another name."""


def rows_of(format_name: str, pairs: list[tuple[Conversation, Conversation]]) -> list[Any]:
    """The rows of pairs; an unpaired format has two rows a pair."""
    if format_name in PAIRED:
        return [PAIRED[format_name](good, bad, MARGINS) for good, bad in pairs]
    write = UNPAIRED[format_name]
    return [write(one, one is good, MARGINS) for good, bad in pairs for one in (good, bad)]


def faults(format_name: str, rows: list[Any]) -> list[str]:
    trainer = TRAINER.get(format_name, format_name)
    read = json.loads(json.dumps(rows))
    return [str(finding) for finding in check(enumerate(read, 1), trainer)]


each_format = pytest.mark.parametrize("format_name", [*PAIRED, *UNPAIRED])


@pytest.mark.parametrize("format_name", ["trl", "openrlhf"])
def test_pairs_of_messages(format_name: str):
    assert PAIRED[format_name](GOOD, BAD, MARGINS) == {
        "prompt": [SYSTEM.as_dict(), ASKED.as_dict()],
        "chosen": [{"role": "assistant", "content": "Paris."}],
        "rejected": [{"role": "assistant", "content": "Lyon."}],
        **MARGINS,
    }


def test_a_labelled_response_for_trl():
    assert UNPAIRED["trl-kto"](BAD, False, {"reward": -1.0}) == {
        "prompt": [SYSTEM.as_dict(), ASKED.as_dict()],
        "completion": [{"role": "assistant", "content": "Lyon."}],
        "label": False,
        "reward": -1.0,
    }


def test_pairs_for_llama_factory():
    assert PAIRED["llama-factory"](GOOD, BAD, MARGINS) == {
        "conversations": [
            {"from": "system", "value": "Be brief. 🙂\0"},
            {"from": "human", "value": "Capital of France?"},
        ],
        "chosen": {"from": "gpt", "value": "Paris."},
        "rejected": {"from": "gpt", "value": "Lyon."},
        **MARGINS,
    }


def test_a_labelled_response_for_llama_factory():
    assert UNPAIRED["llama-factory-kto"](Conversation.of("Hi", "Ho"), True, {}) == {
        "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}],
        "kto_tag": True,
    }


def test_entries_of_dataset_info():
    assert dataset_info("mined", "mined.jsonl", paired=True) == {
        "mined": {
            "file_name": "mined.jsonl",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {
                "messages": "conversations",
                "chosen": "chosen",
                "rejected": "rejected",
            },
        }
    }
    unpaired = dataset_info("mined", "mined.parquet", paired=False)["mined"]
    assert unpaired["columns"] == {"messages": "conversations", "kto_tag": "kto_tag"}
    assert unpaired["ranking"] is False


@each_format
def test_what_is_written_passes_the_check_of_its_trainer(format_name: str):
    turns = (ASKED, Message("assistant", "Paris."), Message("user", "And of Spain?"))
    spain = Conversation((*turns, Message("assistant", "Madrid.")))
    pairs = [(GOOD, BAD), (spain, spain.with_response("Barcelona."))]
    assert faults(format_name, rows_of(format_name, pairs)) == []


@each_format
def test_columns_of_its_own_come_first_and_win(format_name: str):
    (plain, *_) = rows_of(format_name, [(GOOD, BAD)])
    own = [name for name in plain if name not in MARGINS]
    extra = {"source": "hh", **dict.fromkeys(own, "taken")}
    write = PAIRED.get(format_name)
    row = write(GOOD, BAD, extra) if write else UNPAIRED[format_name](GOOD, True, extra)
    assert list(row) == [*own, "source"]
    assert {name: row[name] for name in own} == {name: plain[name] for name in own}


def test_columns_that_trl_would_misread_are_left_out():
    extra = dict.fromkeys(MISREAD_BY_TRL, "text")
    pair, labelled = PAIRED["trl"](GOOD, BAD, extra), UNPAIRED["trl-kto"](GOOD, True, extra)
    assert list(pair) == ["prompt", "chosen", "rejected"]
    assert list(labelled) == ["prompt", "completion", "label"]


def test_messages_keep_what_else_they_carry_where_the_format_can_hold_it():
    called = Message("assistant", "", {"tool_calls": [{"id": "1"}]})
    told = Message("tool", "22 degrees", {"tool_call_id": "1"})
    warm = Conversation((Message("user", "Warm?"), called, told, Message("assistant", "Yes.")))
    row = PAIRED["trl"](warm, warm.with_response("No."), {})
    assert row["prompt"][1] == {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    assert faults("trl", [row]) == []
    with pytest.raises(UserError, match="tool calls, which the sharegpt form cannot hold"):
        PAIRED["llama-factory"](warm, warm.with_response("No."), {})


@pytest.mark.parametrize("role", ["tool", "developer"])
def test_llama_factory_refuses_roles_that_it_lacks(role: str):
    odd = Conversation((Message(role, "x"), ASKED, Message("assistant", "Paris.")))
    with pytest.raises(UserError, match=f"role '{role}'.*or write the format trl"):
        PAIRED["llama-factory"](odd, odd.with_response("Lyon."), {})
    with pytest.raises(UserError, match=f"role '{role}'"):
        UNPAIRED["llama-factory-kto"](odd, True, {})


def test_llama_factory_refuses_what_it_would_skip():
    twice = Conversation((ASKED, ASKED, Message("assistant", "Paris.")))
    with pytest.raises(UserError, match="LLaMA-Factory would skip it"):
        PAIRED["llama-factory"](twice, twice.with_response("Lyon."), {})
    assert PAIRED["trl"](twice, twice.with_response("Lyon."), {})["prompt"] == [ASKED.as_dict()] * 2


@each_format
@pytest.mark.parametrize("prompt", [(), (ASKED, Message("assistant", "Par")), (SYSTEM,)])
def test_a_prompt_that_asks_nothing_is_refused(format_name: str, prompt: tuple[Message, ...]):
    answered = Conversation((*prompt, Message("assistant", "Paris.")))
    with pytest.raises(UserError, match="the last message of a prompt must be the user's"):
        rows_of(format_name, [(answered, answered.with_response("Lyon."))])


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ("user", True),
        ("system user", True),
        ("developer user", True),
        ("user assistant user", True),
        ("user assistant tool tool assistant user", True),
        ("", False),
        ("system", False),
        ("tool", False),
        ("assistant user", False),
        ("user user", False),
        ("user tool", False),
        ("tool user", False),
        ("user system user", False),
        ("system system user", False),
        ("user assistant assistant user", False),
        ("user assistant tool user", False),
    ],
)
def test_in_turn(roles: str, expected: bool):
    assert in_turn([Message(role, "x") for role in roles.split()]) is expected


prompts = st.lists(
    st.builds(Message, st.sampled_from(ROLES), st.text("ab🙂\0 \n", min_size=1, max_size=4)),
    max_size=5,
)


@each_format
@settings(max_examples=50)
@given(prompt=prompts)
def test_any_prompt_is_refused_or_understood(format_name: str, prompt: list[Message]):
    good = Conversation((*prompt, Message("assistant", "Paris.")))
    try:
        rows = rows_of(format_name, [(good, good.with_response("Lyon."))])
    except UserError:
        return
    asks = prompt[-1].content.strip() and any(message.role == "user" for message in prompt)
    errors = [fault for fault in faults(format_name, rows) if fault.startswith("error")]
    assert bool(errors) != bool(asks), errors
