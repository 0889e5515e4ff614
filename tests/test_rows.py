"""Rows: every form, what is said of a bad one, and that any row is parsed whole or named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr.errors import InputError
from flr.rows import FORMS_HINT, MAX_DEPTH, Row, parse
from flr.types import Conversation

PARIS = Conversation.of("Capital of France?", "Paris.")
LYON = Conversation.of("Capital of France?", "Lyon.")
ASKED = {"role": "user", "content": "Capital of France?"}
ANSWERED = {"role": "assistant", "content": "Paris."}
WRONG = {"role": "assistant", "content": "Lyon."}


def one(row) -> Row:
    (parsed,) = parse([row], "data.jsonl")
    return parsed


def complaint(row) -> str:
    """What is said of one bad row, without the file's name and the hint."""
    with pytest.raises(InputError) as caught:
        parse([row], "data.jsonl")
    (problem,) = caught.value.problems
    assert str(caught.value).startswith(f"data.jsonl: {problem}")
    assert problem.row == 1
    return str(problem).removeprefix("row 1").removeprefix(", ")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASKED, ANSWERED]},
        {"prompt": "Capital of France?", "response": "Paris."},
        {"prompt": "Capital of France?", "completion": "Paris."},
        {"prompt": [ASKED], "completion": [ANSWERED]},
        {"prompt": [ASKED], "response": ANSWERED},
        {"conversation": ["Capital of France?", "Paris."]},
        ["Capital of France?", "Paris."],
        {"prompt": "Capital of France?", "response": "Paris.", "completion": None},
        {"messages": [ASKED, ANSWERED], "prompt": "other", "response": "ignored"},
    ],
)
def test_single_forms(row):
    parsed = one(row)
    assert parsed.form == "single"
    assert parsed.conversations == (PARIS,)
    assert parsed.columns == (row if isinstance(row, dict) else {"conversation": row})


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Capital of France?", "chosen": "Paris.", "rejected": "Lyon."},
        {"prompt": [ASKED], "chosen": [ANSWERED], "rejected": [WRONG]},
        {"prompt": "Capital of France?", "chosen": [ANSWERED], "rejected": "Lyon."},
        {"chosen": [ASKED, ANSWERED], "rejected": [ASKED, WRONG]},
        {"prompt": [ASKED], "chosen": [ASKED, ANSWERED], "rejected": [ASKED, WRONG]},
        {
            "prompt": "Capital of France?",
            "chosen": [ASKED, ANSWERED],
            "rejected": [ASKED, WRONG],
            "messages": [ASKED, ANSWERED],
        },
        {
            "chosen": "\n\nHuman: Capital of France?\n\nAssistant: Paris.",
            "rejected": "\n\nHuman: Capital of France?\n\nAssistant: Lyon.",
        },
        {
            "chosen": "Human: Capital of France?\n\nAssistant: Paris.",
            "rejected": "\nHuman:Capital of France?\n\nAssistant:Lyon.",
        },
    ],
)
def test_pair_forms(row):
    parsed = one(row)
    assert parsed.form == "pair"
    assert parsed.conversations == (PARIS, LYON)


@pytest.mark.parametrize(
    "responses", [["Paris.", "Lyon."], [ANSWERED, WRONG], [[ANSWERED], "Lyon."]]
)
def test_several_responses(responses):
    parsed = one({"prompt": "Capital of France?", "responses": responses})
    assert parsed.form == "several"
    assert parsed.conversations == (PARIS, LYON)


def test_rows_keep_order_number_and_columns():
    rows = [{"prompt": "a", "response": str(i), "id": i, "note": None} for i in range(5)]
    parsed = parse(rows, "data.jsonl")
    assert [row.number for row in parsed] == [1, 2, 3, 4, 5]
    assert [row.columns for row in parsed] == rows
    assert [row.conversations[0].response for row in parsed] == ["0", "1", "2", "3", "4"]


def test_a_transcript_keeps_turns_of_one_side_and_every_character():
    chosen = "\n\nHuman: a\n\nb \n\nAssistant:  x\n\nAssistant: \n\nHuman: c\n\nAssistant: "
    (conversation, _) = one({"chosen": chosen, "rejected": chosen}).conversations
    assert [(m.role, m.content) for m in conversation.messages] == [
        ("user", "a\n\nb "),
        ("assistant", " x"),
        ("assistant", ""),
        ("user", "c"),
        ("assistant", ""),
    ]


def test_transcripts_may_part_before_the_last_response():
    row = {"chosen": "Human: a\n\nAssistant: x", "rejected": "Human: b\n\nAssistant: y"}
    assert [c.prompt[0].content for c in one(row).conversations] == ["a", "b"]


def test_the_paper_s_lists_alternate_from_the_user():
    messages = one(["a", "b", "c", "d"]).conversations[0].messages
    assert [m.role for m in messages] == ["user", "assistant", "user", "assistant"]
    assert [m.content for m in messages] == ["a", "b", "c", "d"]


def test_ugly_texts_pass_unchanged():
    text = "\x00 \u2028 👩‍👩‍👧 \ufeff\r\n<|im_end|>"
    assert one({"prompt": text, "response": ""}).conversations == (Conversation.of(text, ""),)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("text", "expected an object (or a list of utterances), got a text"),
        (None, "got null"),
        ({}, "it has no columns"),
        ({"input": "a", "prompt": "b"}, "its columns are 'input', 'prompt'"),
        ({"prompt": "b", "response": None}, "its columns are 'prompt', 'response' (null)"),
        (
            {"prompt": "a", "response": "b", "completion": "c"},
            "completion: there is a `response` too; keep one of the two",
        ),
        ({"prompt": 3, "response": "b"}, "prompt: expected a text or a list of messages, got a nu"),
        ({"prompt": [], "response": "b"}, "prompt: expected a list of messages, got an empty list"),
        ({"prompt": [ANSWERED], "response": "b"}, "prompt: has no user message"),
        ({"prompt": "a", "response": True}, "response: expected a text or one assistant message"),
        ({"prompt": "a", "response": [ASKED]}, "response[0].role: expected 'assistant', got 'user"),
        ({"prompt": "a", "response": []}, "response: expected a text or one assistant message, go"),
        ({"prompt": "a", "responses": "b"}, "responses: expected a list of responses, got a text"),
        ({"prompt": "a", "responses": []}, "responses: expected a list of responses, got an empty"),
        ({"prompt": "a", "responses": ["b", 1]}, "responses[1]: expected a text or one assistant"),
        ({"messages": "hi"}, "messages: expected a list of messages, got a text"),
        ({"messages": [ASKED]}, "messages: the last of its 1 messages must be the assistant's res"),
        ({"messages": [ANSWERED]}, "messages: no user message comes before the response"),
        ({"messages": [ASKED, "b"]}, "messages[1]: expected a message, an object with `role` and"),
        ({"messages": [{"content": "a"}]}, "messages[0].role: expected one of system, developer,"),
        ({"messages": [{"from": "human"}]}, "messages[0].role: missing; rename `from` to `role`"),
        ({"messages": [{"role": 1}]}, "messages[0].role: expected one of system, developer, user"),
        ({"messages": [{"role": "user"}]}, "messages[0].content: expected a text or a list of te"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content: expected a text"),
        (
            {"conversation": ["a", "b", "c"]},
            "conversation: the number of utterances is odd (3), so",
        ),
        ({"conversation": [ASKED, ANSWERED]}, "conversation[0]: expected a text (lists of message"),
        ([], "conversation: expected a list of utterances, got an empty list"),
        ({"chosen": "Paris.", "rejected": "Lyon."}, "chosen: without a `prompt` a text must be a"),
        (
            {"chosen": "Human: a\n\nAssistant: b\n\nHuman: c", "rejected": "Human: a"},
            "chosen: the last of its 3 messages must be the assistant's response",
        ),
        (
            {"chosen": [ASKED, ANSWERED], "rejected": [{**ASKED, "content": "?"}, WRONG]},
            "rejected: its prompt is not that of `chosen`",
        ),
        (
            {"prompt": "other", "chosen": [ASKED, ANSWERED], "rejected": [ASKED, WRONG]},
            "chosen: is a whole conversation, but its prompt is not that of `prompt`",
        ),
        ({"prompt": "half \ud83d", "response": "b"}, "prompt: holds \\ud83d, half of a surrogate"),
    ],
)
def test_a_bad_row_is_named_by_field_and_expectation(row, said):
    assert said in complaint(row)


def nested(levels: int) -> object:
    """A row with this many objects and lists inside each other, itself the outermost."""
    value: object = 0
    for _ in range(levels - 1):
        value = [value]
    return {"prompt": "a", "response": "b", "other": value}


def test_the_deepest_row_passes_and_the_next_does_not():
    assert one(nested(MAX_DEPTH - 1)).form == "single"
    assert "nested more than 100 levels" in complaint(nested(MAX_DEPTH))
    assert "nested more than 100 levels" in complaint(nested(50_000))


def test_half_surrogates_in_other_columns_pass():
    assert one({"prompt": "a", "response": "b", "note\udc00": "\ud83d"}).form == "single"


def test_all_bad_rows_are_named_at_once():
    rows = [{"prompt": "a", "response": i if i % 2 else "b"} for i in range(60)]
    with pytest.raises(InputError) as caught:
        parse(rows, "data.jsonl")
    assert [problem.row for problem in caught.value.problems] == list(range(2, 61, 2))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "data.jsonl: and 10 more problems"


def test_a_file_of_unknown_columns_gets_one_line_and_the_forms():
    with pytest.raises(InputError) as caught:
        parse([{"input": "a", "output_1": "b"}] * 30, "data.json")
    assert str(caught.value).splitlines() == [
        "data.json: each of the 30 rows fits no row form: its columns are 'input', 'output_1'",
        FORMS_HINT,
    ]


def test_no_rows():
    with pytest.raises(InputError, match=r"^data.jsonl: has no rows$"):
        parse([], "data.jsonl")


TEXTS = st.text(max_size=8)
HALVES = st.text(st.characters(codec=None), max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | HALVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(HALVES | st.sampled_from(["role", "content", "type"]), inner, max_size=3)
    ),
    max_leaves=8,
)
USERS = st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS})
ASSISTANTS = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": TEXTS}, optional={"name": VALUES}
)
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS | VALUES}))
OTHERS = st.fixed_dictionaries({"role": TEXTS | st.just("tool"), "content": TEXTS | PARTS | VALUES})
CHATS = st.tuples(USERS, ASSISTANTS).map(list) | st.lists(USERS | OTHERS | ASSISTANTS, max_size=4)
TRANSCRIPTS = st.lists(st.sampled_from(["\n\nHuman: ", "\n\nAssistant: ", "a"])).map("".join)
SIDES = TEXTS | CHATS | TRANSCRIPTS | st.lists(ASSISTANTS, max_size=2) | VALUES
ROWS = st.one_of(
    st.fixed_dictionaries({"messages": CHATS | VALUES}),
    st.fixed_dictionaries({"conversation": st.lists(TEXTS) | VALUES}),
    st.fixed_dictionaries({"prompt": TEXTS | CHATS, "response": SIDES}),
    st.fixed_dictionaries({"prompt": TEXTS | CHATS, "responses": st.lists(SIDES) | VALUES}),
    st.fixed_dictionaries({"chosen": SIDES, "rejected": SIDES}, optional={"prompt": TEXTS | CHATS}),
    st.dictionaries(HALVES, VALUES, max_size=3),
    st.lists(TEXTS, max_size=4),
    VALUES,
)


def outcome(rows) -> list[Row] | InputError:
    try:
        return parse(rows, "data.jsonl")
    except InputError as error:
        return error


@given(st.lists(ROWS, max_size=3))
@settings(max_examples=500)
def test_any_rows_parse_whole_or_are_named(rows):
    parsed = outcome(rows)
    if isinstance(parsed, InputError):
        numbers = [problem.row for problem in parsed.problems]
        assert str(parsed).encode("utf-8")  # it can be printed
        assert numbers == [None] or set(numbers) <= set(range(1, len(rows) + 1))
        return
    assert len(parsed) == len(rows)
    for conversation in (c for row in parsed for c in row.conversations):
        assert conversation.messages[-1].role == "assistant"
        "".join(message.content for message in conversation.messages).encode("utf-8")
