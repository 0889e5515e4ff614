from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from flr.chat import DEFAULT_OPENING, Renderer
from flr.errors import (
    ContextOverflowError,
    FollowUpError,
    ModelError,
    RenderError,
    SpecialTokenError,
)
from flr.spans import TokenRow
from flr.types import Conversation, Message
from tests.templates import KINDS, is_plain, kind, true_row

FOLLOWUPS = (
    "Thank you, that is exactly what I needed!",
    "That is not what I asked.",
    "ok",
    "...",
    '"Quoted" isn\'t it?',
    "谢谢你，这正是我需要的。",
    "👍🏽 great 👩‍👩‍👧",
    "two\n\nlines",
    "NUL \0 inside",
    "half a mark <|im_ or [INST",
)
CHATS = {
    "short": [("user", "Capital of France?"), ("assistant", "It is Paris.")],
    "empty response": [("user", "Capital of France?"), ("assistant", "")],
    "empty prompt": [("user", ""), ("assistant", "Hm?")],
    "many turns": [("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2")] * 9,
    "ugly": [("user", "\0 \n\n  ¿"), ("assistant", "  👩‍👩‍👧 </b> \n\n\n")],
    "ends like a mark": [("user", "[INST"), ("assistant", "a < b <|im_start|")],
    "system": [("system", "Be brief."), ("user", "Capital?"), ("assistant", "Paris.")],
    "tool": [
        ("user", "Capital?"),
        ("assistant", "I look it up."),
        ("tool", '{"answer": "Paris"}'),
        ("assistant", "Paris."),
    ],
    "thoughts": [
        ("user", "Capital?"),
        ("assistant", "<think>\nFrance... Paris\n</think>\n\nParis."),
        ("user", "Sure?"),
        ("assistant", "<think>\nyes\n</think>\n\nYes."),
    ],
}


def conversation(turns: Sequence[tuple[str, str]]) -> Conversation:
    return Conversation(tuple(Message(role, content) for role, content in turns))


def dicts(talk: Conversation) -> list[dict[str, Any]]:
    return [message.as_dict() for message in talk.messages]


def expected_rows(name: str, talk: Conversation, texts: Sequence[str]) -> tuple[TokenRow, ...]:
    """What the oracle says of a conversation and follow-ups in the form `user`."""
    tokenizer = kind(name).tokenizer
    return tuple(
        TokenRow(*true_row(tokenizer, dicts(talk), {"role": "user"}, text)) for text in texts
    )


CASES = [
    (name, chat)
    for name in KINDS
    for chat in CHATS
    if kind(name).takes_system or chat not in ("system", "tool")
]


@pytest.mark.parametrize(("name", "chat"), CASES)
def test_every_row_is_the_truth_and_split_where_it_can_be(name: str, chat: str) -> None:
    talk = conversation(CHATS[chat])
    rendered = Renderer(kind(name).tokenizer).followups(talk, FOLLOWUPS)
    assert rendered.rows == expected_rows(name, talk, FOLLOWUPS)
    assert rendered.split == kind(name).splits
    assert rendered.conversation == talk
    assert rendered.dropped == 0


PIECES = (
    "\n",
    "\n\n",
    " ",
    "  ",
    "<",
    "|im",
    "▁",
    "é",
    "e\u0301",
    "İ",
    "👍🏽",
    "\0",
    "\t",
    "Ġ",
    "Ċ",
)
texts = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\ue000"), max_size=12),
    st.lists(st.sampled_from([*PIECES, "it is", "User:", "[INST", "not", "."]), max_size=8).map(
        "".join
    ),
).filter(is_plain)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=40)
@given(
    turns=st.lists(texts, min_size=1, max_size=2),
    response=texts,
    followups=st.lists(texts.filter(str.strip), min_size=1, max_size=6),
)
def test_any_text_gives_the_rows_of_the_truth(
    name: str, turns: list[str], response: str, followups: list[str]
) -> None:
    pairs = [(("user", turn), ("assistant", response)) for turn in turns]
    talk = conversation([turn for pair in pairs for turn in pair])
    rendered = Renderer(kind(name).tokenizer).followups(talk, followups)
    assert rendered.rows == expected_rows(name, talk, followups)
    if all(text == text.strip() for text in followups):
        assert rendered.split == (kind(name).splits and len(followups) > 1)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=30)
@given(prompt=texts, response=texts)
def test_any_response_gives_the_row_of_the_truth(name: str, prompt: str, response: str) -> None:
    # this template removes line breaks before a response, which is no longer the text then
    assume(name != "thinking" or response == response.strip())
    talk = Conversation.of(prompt, response)
    (row,) = Renderer(kind(name).tokenizer).response(talk).rows
    chat, last = dicts(talk)[:1], {"role": "assistant"}
    ids, start, stop = true_row(kind(name).tokenizer, chat, last, response)
    assert row.tokens == ids
    if start >= 0:
        assert (row.start, row.stop) == (start, stop)
    else:
        assert row.start == row.stop


def test_an_empty_response_has_an_empty_span_where_it_would_stand() -> None:
    tokenizer = kind("chatml").tokenizer
    (row,) = Renderer(tokenizer).response(Conversation.of("Capital?", "")).rows
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Capital?"}, {"role": "assistant", "content": ""}],
        tokenize=False,
    )
    before = text.removesuffix("<|im_end|>\n")
    assert row.tokens == tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    assert row.start == row.stop == len(tokenizer(before, add_special_tokens=False)["input_ids"])


def test_a_token_across_the_edge_belongs_to_the_followup() -> None:
    template = "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}"
    tokenizer = kind("plain").tokenizer
    rendered = Renderer(tokenizer, chat_template=template).followups(
        Conversation.of("Capital?", "Paris."), ["is it"]
    )
    (row,) = rendered.rows
    assert (
        tokenizer.decode(row.tokens[row.start : row.stop]) == " is it"
    )  # with the context's space
    assert not rendered.split


@pytest.mark.parametrize("name", ["llama3", "gemma", "mistral", "mistral-special"])
def test_bos_stands_once(name: str) -> None:
    tokenizer = kind(name).tokenizer
    rendered = Renderer(tokenizer).followups(Conversation.of("Capital?", "Paris."), FOLLOWUPS)
    for row in rendered.rows:
        assert row.tokens[0] == tokenizer.bos_token_id
        assert row.tokens.count(tokenizer.bos_token_id) == 1


def test_a_template_may_trim_followups() -> None:
    talk = Conversation.of("Capital?", "Paris.")
    rendered = Renderer(kind("llama3").tokenizer).followups(talk, ["  Thanks \n", "Thanks"])
    assert rendered.rows[0] == rendered.rows[1]
    assert not rendered.split


def test_rows_of_a_trimmed_offset_begin_with_their_space() -> None:
    template = "{% for m in messages %}{{ '<|head|>' + m.content + '<|turn_end|>' }}{% endfor %}"
    tokenizer = kind("llama3").tokenizer  # its offsets leave out spaces
    (row,) = (
        Renderer(tokenizer, chat_template=template)
        .followups(Conversation.of("Capital?", "Paris."), ["    Thanks"])
        .rows
    )
    assert tokenizer.decode(row.tokens[row.start : row.stop]) == "    Thanks"


def test_a_template_that_depends_on_the_followup_goes_the_whole_way_alone() -> None:
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
        "{% if 'Rome' in messages[1].content and 'ok' in m.content %}{{ 'so: ' }}{% endif %}"
        "{{ m.content + '<|im_end|>\\n' }}{% endfor %}"
    )
    renderer = Renderer(kind("chatml").tokenizer, chat_template=template)
    texts = ["ok", "no"]
    usual = renderer.followups(Conversation.of("Capital?", "Paris."), texts)
    other = renderer.followups(Conversation.of("Capital?", "Rome."), texts)
    assert usual.split
    assert not other.split
    row, decode = other.rows[0], kind("chatml").tokenizer.decode
    assert decode(row.tokens[: row.stop]).endswith("so: ok")
    assert decode(row.tokens[row.start : row.stop]) == " ok"  # with the context's space


class Moody(PreTrainedTokenizerFast):
    """Breaks the rule that a text falls apart at its added tokens, where the text says Rome."""

    def __call__(self, text: Any = None, *args: Any, **kwargs: Any) -> Any:
        encoded = super().__call__(text, *args, **kwargs)
        for ids, one in zip(encoded["input_ids"], text, strict=True):
            ids[-1] += "Rome" in one
        return encoded


def test_each_conversations_rows_are_checked_against_the_truth() -> None:
    tokenizer = Moody(tokenizer_object=kind("chatml").tokenizer.backend_tokenizer)
    renderer = Renderer(tokenizer, chat_template=kind("chatml").template)
    talks = [Conversation.of("Capital?", text) for text in ("Paris.", "Rome.", "Oslo.")]
    rendered = [renderer.followups(talk, FOLLOWUPS) for talk in talks]
    assert [one.split for one in rendered] == [True, False, True]
    usual = expected_rows("chatml", talks[1], FOLLOWUPS)
    assert [row.tokens[-1] for row in rendered[1].rows] == [row.tokens[-1] + 1 for row in usual]


def test_split_does_not_depend_on_what_was_rendered_before() -> None:
    first, second = Conversation.of("Capital?", "Paris."), Conversation.of("One?", "Two.")
    renderer = Renderer(kind("chatml").tokenizer)
    together = [renderer.followups(talk, FOLLOWUPS) for talk in (first, second, first)]
    alone = [Renderer(kind("chatml").tokenizer).followups(t, FOLLOWUPS) for t in (first, second)]
    assert together == [*alone, alone[0]]


def test_other_followups_get_other_tails() -> None:
    renderer = Renderer(kind("chatml").tokenizer)
    talk = Conversation.of("Capital?", "Paris.")
    for texts in (FOLLOWUPS[:2], FOLLOWUPS[2:5], FOLLOWUPS[:2]):
        assert renderer.followups(talk, texts).rows == expected_rows("chatml", talk, texts)


def test_thoughts_are_stripped_where_asked() -> None:
    tokenizer = kind("chatml").tokenizer
    bare = [("user", "Capital?"), ("assistant", "Paris."), ("user", "Sure?"), ("assistant", "Yes.")]
    renderer = Renderer(tokenizer, strip_thinking=True)
    stripped = renderer.followups(conversation(CHATS["thoughts"]), FOLLOWUPS)
    assert stripped.rows == expected_rows("chatml", conversation(bare), FOLLOWUPS)
    kept = Renderer(tokenizer).followups(conversation(CHATS["thoughts"]), FOLLOWUPS)
    assert kept.rows != stripped.rows


@pytest.mark.parametrize(
    ("response", "left"),
    [
        ("<think>a</think>\n\nParis.", "Paris."),
        ("<think>a</think>One<think>b</think> two", "Onetwo"),
        ("  <think>never closed", ""),
        ("opened by the template</think>\nParis.", "Paris."),
        ("a < b, think!", "a < b, think!"),
    ],
)
def test_what_is_a_thought(response: str, left: str) -> None:
    renderer = Renderer(kind("chatml").tokenizer, strip_thinking=True)
    talk = Conversation.of("Capital?", response)
    expected = renderer.response(Conversation.of("Capital?", left))
    assert renderer.response(talk).rows == expected.rows


def test_reasoning_fields_go_with_the_thoughts() -> None:
    template = "{% for m in messages %}{{ m.reasoning_content or '' }}|{{ m.content }}{% endfor %}"
    message = Message("assistant", "Paris.", {"reasoning_content": "hm"})
    talk = Conversation((Message("user", "Capital?"), message))
    rows = [
        Renderer(kind("plain").tokenizer, chat_template=template, strip_thinking=strip)
        .followups(talk, ["ok"])
        .rows[0]
        for strip in (False, True)
    ]
    texts = [kind("plain").tokenizer.decode(row.tokens) for row in rows]
    assert texts == ["|Capital?hm|Paris.|ok", "|Capital?|Paris.|ok"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_message_with_a_special_token_is_refused(number: int) -> None:
    turns = [("user", "Capital?"), ("assistant", "Paris.")]
    turns[number] = (turns[number][0], "x <|im_end|> y")
    renderer = Renderer(kind("chatml").tokenizer)
    for rows_of in (lambda talk: renderer.followups(talk, FOLLOWUPS), renderer.response):
        with pytest.raises(SpecialTokenError, match=rf"message {number + 1} .*'<\|im_end\|>'"):
            rows_of(conversation(turns))


def test_a_followup_with_a_special_token_is_refused_each_time() -> None:
    renderer = Renderer(kind("mistral").tokenizer)
    for _ in range(2):
        with pytest.raises(SpecialTokenError, match="follow-up 'ok </s>'"):
            renderer.followups(Conversation.of("Capital?", "Paris."), ["ok </s>"])


def test_thinking_tags_are_structure_only_for_the_user() -> None:
    renderer = Renderer(kind("thinking").tokenizer)
    renderer.followups(Conversation.of("Capital?", "<think>a</think>Paris."), ["ok"])
    with pytest.raises(SpecialTokenError, match="'<think>'"):
        renderer.followups(Conversation.of("Say <think>", "No."), ["ok"])


def test_half_a_surrogate_pair_is_refused_wherever_it_is() -> None:
    renderer = Renderer(kind("chatml").tokenizer)
    with pytest.raises(RenderError, match=r"message 2 \(assistant\) holds half a surrogate"):
        renderer.followups(Conversation.of("Capital?", "\ud83d"), ["ok"])
    with pytest.raises(RenderError, match="holds half a surrogate"):
        renderer.followups(Conversation.of("Capital?", "Paris."), ["\ud83d"])
    named = Renderer(
        kind("plain").tokenizer,
        chat_template="{% for m in messages %}{{ m.name }}{{ m.content }}{% endfor %}",
    )
    message = Message("assistant", "Paris.", {"name": "\ud83d"})
    with pytest.raises(RenderError, match="holds half a surrogate"):
        named.followups(Conversation((Message("user", "Capital?"), message)), ["ok"])


def test_special_tokens_in_other_fields_are_refused_too() -> None:
    call = {"function": {"name": "find<|im_end|>", "arguments": {"q": ["x"]}}}
    message = Message("assistant", "", {"tool_calls": [call]})
    conversation = Conversation((Message("user", "Capital?"), message))
    with pytest.raises(SpecialTokenError, match="message 2"):
        Renderer(kind("chatml").tokenizer).followups(conversation, ["ok"])


def longest(rows: Sequence[TokenRow]) -> int:
    return max(len(row.tokens) for row in rows)


TURNS = [
    ("system", "Be brief."),
    ("user", "One?"),
    ("assistant", "1"),
    ("user", "Two?"),
    ("assistant", "2"),
    ("user", "Three?"),
    ("assistant", "3 and a longer response"),
]


def test_the_oldest_turns_go_first_and_whole() -> None:
    tokenizer = kind("chatml").tokenizer
    free = Renderer(tokenizer)
    for dropped in (0, 2, 4):
        kept = conversation([TURNS[0], *TURNS[1 + dropped :]])
        expected = free.followups(kept, FOLLOWUPS)
        limit = longest(expected.rows)
        fitted = Renderer(tokenizer, max_tokens=limit).followups(conversation(TURNS), FOLLOWUPS)
        assert fitted.dropped == dropped
        assert fitted.conversation == kept
        assert fitted.rows == expected.rows


def test_what_cannot_be_dropped_is_an_error() -> None:
    tokenizer = kind("chatml").tokenizer
    shortest = conversation([TURNS[0], *TURNS[-2:]])
    limit = longest(Renderer(tokenizer).followups(shortest, FOLLOWUPS).rows)
    renderer = Renderer(tokenizer, max_tokens=limit - 1)
    for talk in (shortest, conversation(TURNS)):
        with pytest.raises(ContextOverflowError, match=rf"{limit} tokens.*takes {limit - 1}"):
            renderer.followups(talk, FOLLOWUPS)


def test_what_is_kept_begins_with_a_user_turn() -> None:
    turns = [
        ("assistant", "Hello, how can I help?"),
        ("user", "Look it up"),
        ("assistant", "I call a tool"),
        ("tool", "Paris"),
        ("assistant", "Paris."),
        ("user", "Sure?"),
        ("assistant", "Yes."),
    ]
    tokenizer = kind("chatml").tokenizer
    for kept in (1, 5):
        limit = longest(Renderer(tokenizer).followups(conversation(turns[kept:]), ["ok"]).rows)
        fitted = Renderer(tokenizer, max_tokens=limit).followups(conversation(turns), ["ok"])
        assert fitted.conversation == conversation(turns[kept:])
        assert fitted.dropped == kept


def test_responses_fit_by_themselves() -> None:
    tokenizer = kind("chatml").tokenizer
    whole = Renderer(tokenizer).response(conversation(TURNS))
    limit = longest(whole.rows)
    assert Renderer(tokenizer, max_tokens=limit).response(conversation(TURNS)) == whole
    less = Renderer(tokenizer, max_tokens=limit - 1).response(conversation(TURNS))
    assert less.dropped == 2


def test_the_empty_response_keeps_the_turns_of_the_real_one() -> None:
    tokenizer = kind("chatml").tokenizer
    limit = longest(Renderer(tokenizer).followups(conversation(TURNS), FOLLOWUPS).rows) - 1
    renderer = Renderer(tokenizer, max_tokens=limit)
    rendered = renderer.followups(conversation(TURNS), FOLLOWUPS)
    empty = renderer.followups(rendered.conversation.with_response(""), FOLLOWUPS)
    assert rendered.dropped == 2
    assert empty.dropped == 0
    assert empty.conversation.prompt == rendered.conversation.prompt


def test_a_refusal_is_in_the_templates_own_words() -> None:
    talk = conversation(CHATS["system"])
    with pytest.raises(RenderError, match="a system turn is not supported"):
        Renderer(kind("gemma").tokenizer).followups(talk, FOLLOWUPS)
    with pytest.raises(RenderError, match="roles must alternate"):
        Renderer(kind("mistral").tokenizer).followups(talk, FOLLOWUPS)


def test_a_broken_template_is_the_models_fault() -> None:
    talk = Conversation.of("Capital?", "Paris.")
    with pytest.raises(ModelError, match="not valid Jinja"):
        Renderer(kind("plain").tokenizer, chat_template="{% for").followups(talk, ["ok"])
    with pytest.raises(RenderError, match="does not take this conversation"):
        Renderer(kind("plain").tokenizer, chat_template="{{ messages[0].x.y }}").followups(
            talk, ["ok"]
        )


def test_a_template_that_leaves_the_followup_out() -> None:
    template = "{% for m in messages[:2] %}{{ m.content }}{% endfor %}"
    renderer = Renderer(kind("plain").tokenizer, chat_template=template)
    with pytest.raises(RenderError, match="rewrites the text 'ok'"):
        renderer.followups(Conversation.of("Capital?", "Paris."), ["ok"])


def test_a_followup_without_tokens_and_no_followup_at_all() -> None:
    talk = Conversation.of("Capital?", "Paris.")
    with pytest.raises(FollowUpError, match="no tokens of its own"):
        Renderer(kind("llama3").tokenizer).followups(talk, ["ok", "  "])
    with pytest.raises(FollowUpError, match="at least one"):
        Renderer(kind("llama3").tokenizer).followups(talk, [])


@pytest.mark.parametrize("name", ["llama3", "chatml-system", "mistral", "thinking", "plain"])
def test_role_switched(name: str) -> None:
    talk = conversation(CHATS["thoughts"])
    chat = [
        {"role": "user", "content": DEFAULT_OPENING},
        {"role": "assistant", "content": "Sure?"},
        {"role": "user", "content": "Yes."},
    ]
    last, tokenizer = {"role": "assistant"}, kind(name).tokenizer
    renderer = Renderer(tokenizer, form="role-switched", strip_thinking=True)
    rendered = renderer.followups(talk, FOLLOWUPS)
    assert rendered.rows == tuple(TokenRow(*true_row(tokenizer, chat, last, f)) for f in FOLLOWUPS)
    # in this form Mistral's template writes no added token after the conversation
    assert rendered.split == (name not in ("mistral", "plain"))
    # the response's own likelihood is that of the conversation as it was
    usual = Renderer(tokenizer, strip_thinking=True)
    assert renderer.response(talk) == usual.response(talk)


def test_role_switched_needs_a_prompt_and_a_plain_opening() -> None:
    tokenizer = kind("chatml").tokenizer
    talk = conversation([("system", "Greet."), ("assistant", "Hello!")])
    with pytest.raises(RenderError, match="needs a user message"):
        Renderer(tokenizer, form="role-switched").followups(talk, ["ok"])
    with pytest.raises(SpecialTokenError, match="opening"):
        Renderer(tokenizer, form="role-switched", opening="Ask<|im_end|>")


@pytest.mark.parametrize("name", KINDS)
def test_official_rows_end_as_many_tokens_before_the_end_as_the_bag_has(name: str) -> None:
    tokenizer, talk = kind(name).tokenizer, Conversation.of("Capital?", "Paris.")
    renderer = Renderer(tokenizer)
    rows = renderer.official(renderer.followups(talk, FOLLOWUPS), FOLLOWUPS)
    for row, text in zip(rows, FOLLOWUPS, strict=True):
        chat = [*dicts(talk), {"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(chat, tokenize=True)["input_ids"]
        bag = tokenizer(text)["input_ids"]
        # the published code: logits[0, -len(bag):, :][0, bag]
        assert list(row.bag) == bag
        assert list(row.tokens) == ids[: len(ids) - len(bag) + 1]
    assert (rows[0].bag[0] == tokenizer.bos_token_id) == (tokenizer.bos_token is not None)
