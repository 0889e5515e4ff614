"""Checks of preference data: every fault is found, named and counted, and no row breaks them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.errors import OptionError, Problem, RenderError
from flr.preferences.checks import APART, Finding, check
from flr.preferences.trainers import TRAINERS, Limit
from flr.types import Message

Rows = list[Any]

ASKED = {"role": "user", "content": "Capital of France?"}
SYSTEM = {"role": "system", "content": "Be brief."}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def turn(tag: str, text: str) -> dict[str, str]:
    return {"from": tag, "value": text}


PAIR = {"prompt": [ASKED], "chosen": [said("Paris.")], "rejected": [said("Lyon.")]}
WHOLE = {"chosen": [ASKED, said("Paris.")], "rejected": [ASKED, said("Lyon.")]}
TEXTS = {"prompt": "Capital of France?", "chosen": "Paris.", "rejected": "Lyon."}
KTO = {"prompt": [ASKED], "completion": [said("Paris.")], "label": True}
KTO_BAD = {"prompt": [ASKED], "completion": [said("Lyon.")], "label": False}
SHAREGPT = {
    "conversations": [turn("human", "Capital of France?")],
    "chosen": turn("gpt", "Paris."),
    "rejected": turn("gpt", "Lyon."),
}
ALPACA = {"instruction": "Capital?", "input": "France", "chosen": "Paris.", "rejected": "Lyon."}
SHAREGPT_KTO = {
    "conversations": [turn("human", "Capital of France?"), turn("gpt", "Paris.")],
    "kto_tag": True,
}
SHAREGPT_KTO_BAD = {
    "conversations": [turn("human", "Capital of France?"), turn("gpt", "Lyon.")],
    "kto_tag": False,
}
GOOD_ROWS: dict[str, Rows] = {
    "trl-dpo": [PAIR],
    "trl-kto": [KTO, KTO_BAD],
    "llama-factory": [SHAREGPT],
    "llama-factory-kto": [SHAREGPT_KTO, SHAREGPT_KTO_BAD],
    "openrlhf": [{**PAIR, "margin": 0.5}],
    "rewardbench": [WHOLE],
}
each_trainer = pytest.mark.parametrize("trainer", list(TRAINERS))


def findings(trainer: str, rows: Rows, **options: Any) -> tuple[Finding, ...]:
    return check(enumerate(rows, 1), trainer, **options)


def lines(trainer: str, rows: Rows, **options: Any) -> list[str]:
    return [str(finding) for finding in findings(trainer, rows, **options)]


@pytest.mark.parametrize(
    ("trainer", "labels", "apart"),
    [
        ("trl-kto", [True] * 9 + [False] * 3, True),
        ("trl-kto", [True, True, True, False] * 3, False),
        ("trl-kto", [True, False], False),
        ("llama-factory-kto", [True] * 9 + [False] * 3, False),
    ],
)
def test_labels_that_lie_apart(trainer: str, labels: list[bool], apart: bool):
    """Are told where the trainer takes rows as they lie."""
    kinds = dict(zip((True, False), GOOD_ROWS[trainer], strict=True))
    rows = [kinds[label] for label in labels]
    assert any(one.message == APART for one in findings(trainer, rows)) == apart


@pytest.mark.parametrize(("trainer", "row"), [("trl-dpo", PAIR), ("trl-kto", KTO)])
def test_what_trl_renders_beside_messages_is_told(trainer: str, row: dict[str, Any]):
    rows = [*GOOD_ROWS[trainer][1:], {**row, "tools": [{"name": "t"}]}, {**row, "tools": None}]
    (found,) = (one for one in findings(trainer, rows) if "rendered with `tools`" in one.message)
    assert (found.level, found.field, len(found.rows)) == ("warning", "prompt", 1)


@pytest.mark.parametrize("nothing", ["[]", "", [], None])
def test_tools_that_are_none_are_not_rendered(nothing: Any):
    rows = [{**row, "tools": nothing} for row in GOOD_ROWS["trl-dpo"]]
    assert not any("rendered with" in one.message for one in findings("trl-dpo", rows))


@each_trainer
def test_good_rows_pass(trainer: str):
    assert lines(trainer, GOOD_ROWS[trainer]) == []


@pytest.mark.parametrize(
    ("trainer", "row"),
    [
        ("openrlhf", WHOLE),
        ("openrlhf", TEXTS),
        ("openrlhf", {**PAIR, "margin": None}),
        ("rewardbench", TEXTS),
        ("rewardbench", {**TEXTS, "prompt": [ASKED]}),
        ("rewardbench", {**WHOLE, "prompt": "not read"}),
        ("llama-factory", ALPACA),
        ("llama-factory", {**ALPACA, "input": "", "history": [["Hi", "Hello."]]}),
        ("llama-factory", {**SHAREGPT, "chosen": turn("function_call", "{}")}),
        (
            "llama-factory",
            {
                **SHAREGPT,
                "conversations": [
                    turn("system", "Be brief."),
                    turn("human", "Warm?"),
                    turn("function_call", "{}"),
                    turn("observation", "22 degrees"),
                ],
            },
        ),
        ("trl-dpo", {**PAIR, "prompt": [SYSTEM, ASKED], "source": "hh", "messages": [ASKED]}),
    ],
)
def test_other_forms_that_a_trainer_takes(trainer: str, row: Any):
    assert lines(trainer, [row]) == []


@pytest.mark.parametrize(
    ("trainer", "row", "field", "message"),
    [
        ("trl-dpo", {"prompt": [ASKED], "chosen": [said("x")]}, "rejected", "missing"),
        ("trl-dpo", {**PAIR, "chosen": None}, "chosen", "null; the trainer needs"),
        ("trl-dpo", {**PAIR, "chosen": [said(" \n")]}, "chosen", "is empty"),
        ("trl-dpo", {**PAIR, "rejected": [said("Paris. ")]}, "chosen and rejected", "the same"),
        ("trl-dpo", {**PAIR, "prompt": "Capital?"}, "prompt", "is a text, but `chosen` is a list"),
        ("trl-dpo", {**PAIR, **WHOLE}, "chosen", "whole conversation, but it is put after"),
        ("trl-dpo", {**PAIR, "chosen": []}, "chosen", "got an empty list"),
        ("trl-dpo", {**PAIR, "chosen": said("x")}, "chosen", "got an object"),
        ("trl-dpo", {**PAIR, "chosen": [ASKED]}, "chosen[0].role", "expected 'assistant'"),
        ("trl-dpo", {**PAIR, "prompt": [said("x")]}, "prompt", "has no user message"),
        ("trl-dpo", {**PAIR, "prompt": [ASKED, said("x")]}, "prompt", "last message is not"),
        ("trl-dpo", {**PAIR, "prompt": [{**ASKED, "content": " "}]}, "prompt", "message is empty"),
        ("trl-dpo", {**PAIR, "prompt": [turn("human", "x")]}, "prompt[0].role", "rename `from`"),
        ("trl-dpo", {**PAIR, "completion": "x"}, "completion", "TRL may go by it"),
        ("trl-dpo", {**PAIR, "images": None}, "images", "one of images"),
        (
            "trl-dpo",
            {**WHOLE, "rejected": [SYSTEM, ASKED, said("x")]},
            "rejected",
            "is not that of `chosen`",
        ),
        ("trl-dpo", {"chosen": "Paris.", "rejected": "Lyon."}, "chosen", "must be a transcript"),
        ("trl-kto", {**KTO, "label": 1}, "label", "expected true or false, got a number"),
        ("trl-kto", {**KTO, "label": "true"}, "label", "expected true or false, got a text"),
        ("trl-kto", {**KTO, "label": math.nan}, "label", "expected true or false, got a number"),
        ("trl-kto", {**KTO, "label": None}, "label", "null"),
        ("trl-kto", {"completion": [said("x")], "label": True}, "prompt", "missing"),
        ("trl-kto", {**PAIR, **KTO}, "chosen", "whatever `label` says"),
        ("trl-kto", {**KTO, "completion": [said("")]}, "completion", "is empty"),
        ("llama-factory", {**SHAREGPT, "conversations": []}, "conversations", "an empty list"),
        ("llama-factory", PAIR, "conversations", "missing"),
        ("llama-factory", {**SHAREGPT, "chosen": "x"}, "chosen", "expected an object with `from`"),
        ("llama-factory", {**SHAREGPT, "chosen": turn("human", "x")}, "chosen.from", "'gpt'"),
        ("llama-factory", {**SHAREGPT, "chosen": turn("gpt", "")}, "chosen", "is empty"),
        (
            "llama-factory",
            {**SHAREGPT, "conversations": [ASKED]},
            "conversations[0].from",
            "expected one of human",
        ),
        (
            "llama-factory",
            {**SHAREGPT, "conversations": [turn("human", "a"), turn("human", "b")]},
            "prompt",
            "LLaMA-Factory skips such a row",
        ),
        ("llama-factory", {**ALPACA, "history": 5}, "history", "a list of pairs of texts"),
        ("llama-factory-kto", {**SHAREGPT_KTO, "kto_tag": 0}, "kto_tag", "got a number"),
        (
            "llama-factory-kto",
            {"conversations": [turn("human", "x")], "kto_tag": True},
            "conversations",
            "must be the assistant's response",
        ),
        ("openrlhf", {**PAIR, "margin": math.nan}, "margin", "expected a finite number"),
        ("openrlhf", {**PAIR, "margin": True}, "margin", "expected a finite number"),
        ("rewardbench", PAIR, "chosen", "hold the response alone"),
        ("rewardbench", {"chosen": "a", "rejected": "b"}, "prompt", "missing"),
        (
            "rewardbench",
            {"chosen": [SYSTEM, ASKED, said("a")], "rejected": [SYSTEM, ASKED, said("b")]},
            "prompt",
            "leave the system prompt out",
        ),
        (
            "rewardbench",
            {"chosen": [ASKED, ASKED, said("a")], "rejected": [ASKED, ASKED, said("b")]},
            "prompt",
            "by their position",
        ),
        ("openrlhf", ["Capital?", "Paris."], "", "expected an object with columns, got a list"),
        ("openrlhf", Problem(1, "", "is not JSON"), "", "is not JSON"),
    ],
)
def test_a_fault_is_an_error_with_its_place(trainer: str, row: Any, field: str, message: str):
    rows = [*GOOD_ROWS[trainer], row]
    (finding,) = findings(trainer, rows)
    assert (finding.level, finding.field, finding.rows) == ("error", field, (len(rows),))
    assert message in finding.message


@pytest.mark.parametrize(
    ("trainer", "row", "message"),
    [
        ("trl-dpo", WHOLE, "missing; TRL takes the messages with which both sides begin"),
        (
            "trl-dpo",
            {
                "chosen": "\n\nHuman: Capital?\n\nAssistant: Paris.",
                "rejected": "\n\nHuman: Capital?\n\nAssistant: Lyon.",
            },
            "missing; TRL takes all characters",
        ),
        ("trl-dpo", TEXTS, "without the model's chat template"),
        (
            "openrlhf",
            {
                "chosen": "\n\nHuman: Capital?\n\nAssistant: Paris.",
                "rejected": "\n\nHuman: Capital?\n\nAssistant: Lyon.",
            },
            "takes the whole text for the response",
        ),
        ("trl-dpo", {**PAIR, "prompt": [ASKED, ASKED]}, "do not speak in turn"),
        ("openrlhf", {**PAIR, "prompt": [ASKED, SYSTEM, ASKED]}, "do not speak in turn"),
    ],
)
def test_what_a_trainer_takes_otherwise_than_expected_is_a_warning(
    trainer: str, row: Any, message: str
):
    (finding,) = findings(trainer, [row])
    assert (finding.level, finding.field, finding.rows) == ("warning", "prompt", (1,))
    assert message in finding.message


@pytest.mark.parametrize("label", [True, False])
def test_one_label_only(label: bool):
    rows = [{**KTO, "label": label}, {**KTO_BAD, "label": label}]
    (line,) = lines("trl-kto", rows)
    word = "true" if label else "false"
    assert line == f"error: label: is {word} in every row; training needs true and false ones"
    tagged = [{**row, "kto_tag": label} for row in (SHAREGPT_KTO, SHAREGPT_KTO_BAD)]
    assert lines("llama-factory-kto", tagged) == [line.replace("label", "kto_tag")]


def test_an_empty_file():
    assert lines("trl-dpo", []) == ["error: has no rows"]


def test_rows_of_two_forms():
    (finding,) = findings("openrlhf", [PAIR, {**TEXTS, "chosen": "Paris!"}])
    assert finding.rows == (2,)
    assert "holds plain texts, but the first row messages" in finding.message


def test_a_row_that_repeats_another():
    other = {**PAIR, "rejected": [said("Nice.")]}
    (finding,) = findings("trl-dpo", [PAIR, other, {**PAIR, "margin": 1}, PAIR])
    assert (finding.level, finding.rows) == ("error", (3, 4))
    (finding,) = findings("trl-kto", [KTO, KTO_BAD, {**KTO, "label": False}])
    assert (finding.level, finding.field, finding.rows) == ("error", "label", (3,))
    tagged = [SHAREGPT_KTO, SHAREGPT_KTO_BAD, {**SHAREGPT_KTO, "kto_tag": False}]
    (finding,) = findings("llama-factory-kto", tagged)
    assert (finding.field, finding.rows) == ("kto_tag", (3,))


def test_the_response_of_a_conversation_is_named_by_its_place():
    empty = [turn("human", "Capital of Spain?"), turn("gpt", " ")]
    longer = [turn("human", "a"), turn("gpt", "b"), turn("human", "c"), turn("gpt", "")]
    rows = [{"conversations": one, "kto_tag": True} for one in (empty, longer)]
    found = lines("llama-factory-kto", [*GOOD_ROWS["llama-factory-kto"], *rows])
    assert found == ["error: conversations[1]: is empty (2 rows: 3, 4)"]


def test_a_file_for_another_trainer_is_told_all_columns_that_this_one_needs():
    needs = {
        "trl-dpo": "chosen: missing; the trainer needs chosen, rejected",
        "trl-kto": "prompt: missing; the trainer needs prompt, completion, label",
        "llama-factory-kto": "kto_tag: missing; the trainer needs this column",
    }
    for trainer, words in needs.items():
        assert lines(trainer, [{"question": "a", "answer": "b"}]) == [f"error: {words} (1 row: 1)"]


def test_prompts_that_are_held_out_too():
    spain = {**PAIR, "prompt": [{**ASKED, "content": "Capital of Spain?"}]}
    held_out = [{**PAIR, "chosen": [said("It is Paris.")]}, {"prompt": "?"}, 7]
    found = findings("trl-dpo", [spain, PAIR], against=enumerate(held_out, 1))
    overlap, unread = found
    assert (overlap.level, overlap.field, overlap.rows) == ("error", "prompt", (2,))
    assert str(unread).startswith("warning: 2 held-out rows cannot be read")
    assert findings("trl-dpo", [spain], against=enumerate([PAIR], 1)) == ()


def test_many_rows_with_one_fault_are_one_line():
    rows = [{**KTO, "label": number} for number in range(1_000)]
    expected = "error: label: expected true or false, got a number (1,000 rows: 1, 2, 3, 4, 5, ...)"
    assert lines("trl-kto", rows) == [expected]


def test_places_and_quoted_texts_do_not_split_a_fault():
    roles = ["narrator", "it's", "x" * 99]
    rows = [
        {**PAIR, "prompt": [ASKED] * number + [{**ASKED, "role": role}]}
        for number, role in enumerate(roles)
    ]
    (finding, *_) = findings("trl-dpo", [PAIR, *rows])
    assert finding.field == "prompt[0].role"
    assert "unknown role 'narrator'" in finding.message
    assert finding.rows == (2, 3, 4)
    unread = findings("trl-dpo", [*rows[1:], PAIR])
    assert unread[0].rows == (1, 2)


def test_errors_come_before_warnings():
    rows = [TEXTS, {**TEXTS, "chosen": ""}]
    assert [finding.level for finding in findings("trl-dpo", rows)] == ["error", "warning"]


def words(content: str | tuple[Message, ...]) -> int:
    """A token a word; in a chat template one more for each message's header, also an opened one."""
    if isinstance(content, str):
        return len(content.split())
    opened = content[-1].role != "assistant"
    return opened + sum(1 + len(message.content.split()) for message in content)


def pair(prompt: int, chosen: int, rejected: int) -> dict[str, Any]:
    """A pair with so many tokens: the prompt's has two headers, the responses' are part of it."""
    return {
        "prompt": [{"role": "user", "content": "w " * (prompt - 2)}],
        "chosen": [said("c " * chosen)],
        "rejected": [said("r " * rejected)],
    }


def lost(trainer: str, row: Any, limit: int) -> list[str]:
    (*found,) = findings(trainer, [row], limit=Limit(limit, words))
    return [
        f"{finding.level} {finding.field} {finding.message.partition(':')[0]}" for finding in found
    ]


BEYOND, FILLED = "goes beyond the limit", "alone fills the limit"


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((6, 4, 3), []),
        ((6, 5, 4), [f"error chosen {BEYOND}"]),
        ((6, 9, 5), [f"error chosen {BEYOND}", f"error rejected {BEYOND}"]),
        ((9, 1, 2), [f"error rejected {BEYOND}"]),
        ((10, 1, 2), [f"error prompt {FILLED}"]),
        ((99, 1, 2), [f"error prompt {FILLED}"]),
    ],
)
def test_trl_drops_and_cuts(sizes: tuple[int, int, int], expected: list[str]):
    assert lost("trl-dpo", pair(*sizes), 10) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((7, 2, 3), []),
        ((7, 2, 4), [f"error rejected {BEYOND}"]),
        ((8, 1, 2), [f"error prompt {FILLED}"]),
    ],
)
def test_openrlhf_drops_a_row_that_leaves_two_tokens(
    sizes: tuple[int, int, int], expected: list[str]
):
    assert lost("openrlhf", pair(*sizes), 10) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((16, 4, 3), []),
        ((17, 4, 3), ["error prompt"]),  # a short response is kept, the prompt gets the rest: 16
        ((5, 15, 10), []),
        ((5, 16, 10), ["error chosen"]),  # a short prompt is kept, the response gets the rest: 15
        ((30, 10, 9), ["error chosen", "error rejected", "error prompt"]),  # 20 * 10/40 = 5 and 15
        ((10, 10, 1), []),
    ],
)
def test_llama_factory_shares_the_room(sizes: tuple[int, int, int], expected: list[str]):
    prompt, chosen, rejected = sizes
    row = {
        "conversations": [turn("human", "w " * (prompt - 2))],
        "chosen": turn("gpt", "c " * chosen),
        "rejected": turn("gpt", "r " * rejected),
    }
    found = lost("llama-factory", row, 20)
    assert [" ".join(one.split()[:2]) for one in found] == expected


def test_rewardbench_cuts_nothing():
    long = {"chosen": [ASKED, said("c " * 20)], "rejected": [ASKED, said("r")]}
    assert lost("rewardbench", long, 10) == [f"warning chosen {BEYOND}; RewardBench leaves it so"]


def test_plain_texts_are_counted_without_a_template():
    row = {"prompt": "one two ", "completion": "three four", "label": True}
    bad = {**row, "completion": "three", "label": False}
    found = findings("trl-kto", [row, bad], limit=Limit(3, words))
    assert [(one.level, one.field, one.rows) for one in found] == [
        ("error", "completion", (1,)),
        ("warning", "prompt", (1, 2)),
    ]


def test_the_rows_that_are_lost_are_counted():
    rows = [{**pair(6, 4 + number % 2, 1), "id": number} for number in range(100)]
    rows = [{**row, "rejected": [said(f"r{number}")]} for number, row in enumerate(rows)]
    (finding,) = findings("trl-dpo", rows, limit=Limit(10, words))
    assert finding.rows == tuple(range(2, 101, 2))
    assert str(finding).endswith("TRL cuts its end off (50 rows: 2, 4, 6, 8, 10, ...)")


def test_a_template_that_refuses_a_conversation_is_a_finding():
    def count(_: str | tuple[Message, ...]) -> int:
        raise RenderError("the template wants user and assistant in turn")

    (line,) = lines("trl-dpo", [PAIR], limit=Limit(10, count))
    assert line.startswith("error: cannot be tokenized: the template wants")


def test_bad_options_are_said():
    with pytest.raises(OptionError, match=r"no trainer 'trl-dp'.*Did you mean 'trl-dpo'"):
        check([], "trl-dp")
    with pytest.raises(OptionError, match="--max-length 0"):
        Limit(0, words)


@each_trainer
def test_many_good_rows(trainer: str):
    rows = [json.loads(json.dumps(row)) for row in GOOD_ROWS[trainer]] * 300
    (finding,) = findings(trainer, rows)
    assert finding.message == "repeats an earlier row"
    assert len(finding.rows) == len(rows) - len(GOOD_ROWS[trainer])


@each_trainer
@pytest.mark.parametrize("levels", [900, 100_000])
def test_deep_rows(trainer: str, levels: int):
    value: Any = []
    for _ in range(levels):
        value = [value]
    good = GOOD_ROWS[trainer][0]
    carried = [{"role": "user", "content": "x", "from": "human", "value": "x", "extra": value}]
    for column in good:
        assert findings(trainer, [{**good, column: value}])[0].level == "error"
        findings(trainer, [{**good, column: carried}])  # may be taken, must not raise


texts = st.sampled_from(["", " ", "x", "🙂\0", "\ud83d", "\n\nHuman: a\n\nAssistant: b", "gpt"])
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | texts
turns = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "tool", "human"]) | scalars,
        "from": st.sampled_from(["human", "gpt", "system", "observation"]) | scalars,
        "content": texts | scalars | st.lists(scalars, max_size=2),
        "value": texts | scalars,
        "tool_calls": st.lists(scalars, max_size=1) | scalars,
    },
)
values = st.recursive(
    scalars | turns | st.lists(turns, max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
columns = [*PAIR, *KTO, *SHAREGPT, *SHAREGPT_KTO, *ALPACA, "margin", "history", "images"]
any_row = st.dictionaries(st.sampled_from(columns), values, max_size=6) | values


@each_trainer
@settings(max_examples=40)
@given(rows=st.lists(any_row, max_size=3), base=st.booleans())
def test_no_row_breaks_a_check(trainer: str, rows: Rows, base: bool):
    if base:  # near to a good row: one that is, with some columns replaced
        rows = [{**GOOD_ROWS[trainer][0], **row} if isinstance(row, dict) else row for row in rows]
    held_out = enumerate(rows[:1], 1)
    for finding in findings(trainer, rows, against=held_out, limit=Limit(5, words)):
        assert str(finding).startswith(finding.level)
        assert set(finding.rows) <= set(range(1, len(rows) + 1))
