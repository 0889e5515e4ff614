"""Prompts of several families of templates, read back from their text."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from flr.integrations.rendered import PolicyText
from flr.turns import opened_thought
from tests.integrations.small import LONG, TEA, chatml
from tests.templates import byte_level, fast, is_plain, kind

IM = "<|im_start|>assistant\n"
OPENINGS = {
    "llama3": "<|head|>assistant<|/head|>\n\n",
    "chatml": IM,
    "chatml-system": IM,
    "gemma": "<turn>model\n",
    "mistral": "",
    "mistral-special": "",
    "thinking": f"{IM}<think>\n",
    "plain": "Assistant:",
}
"""What each of the test templates would write before a response."""


def tokenizer_of(name: str) -> Any:
    one = kind(name)
    text = OPENINGS[name].replace("\n", "\\n")
    template = f"{one.template}{{% if add_generation_prompt %}}{{{{ '{text}' }}}}{{% endif %}}"
    backend = one.tokenizer.backend_tokenizer
    return fast(backend, template, **dict(one.tokenizer.special_tokens_map))


def rendered(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def as_dicts(policy: PolicyText, text: str) -> list[dict[str, Any]]:
    read = policy.prompt(text)
    assert read.exact
    return [message.as_dict() for message in read.messages]


@pytest.mark.parametrize(
    ("name", "system"),
    [(name, LONG[:count]) for name in OPENINGS for count in range(kind(name).takes_system + 1)],
)
def test_each_family_is_read_back_exactly(name: str, system: list[dict[str, str]]):
    tokenizer = tokenizer_of(name)
    messages = [*system, *LONG[1:3], {"role": "user", "content": "\U0001f375 [x] {y} \x00 é"}]
    for count in (len(system) + 1, len(messages)):
        text = rendered(tokenizer, messages[:count])
        assert as_dicts(PolicyText(tokenizer), text) == messages[:count]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(is_plain)


@given(texts, texts, texts, texts)
def test_what_is_read_back_renders_to_the_same_text(
    system: str, first: str, answer: str, last: str
):
    tokenizer = kind_cache["chatml-system"]
    roles = ("system", "user", "assistant", "user")
    contents = (system, first, answer, last)
    text = rendered(
        tokenizer, [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]
    )
    read = policies["chatml-system"].prompt(text)
    assert read.exact
    assert [(one.role, one.content) for one in read.messages] == list(
        zip(roles, contents, strict=True)
    )


kind_cache = {"chatml-system": tokenizer_of("chatml-system")}
policies = {name: PolicyText(one) for name, one in kind_cache.items()}


def test_a_trimmed_text_comes_back_trimmed():
    tokenizer = tokenizer_of("llama3")
    assert (
        as_dicts(PolicyText(tokenizer), rendered(tokenizer, [{**TEA[0], "content": " Tea? "}]))
        == TEA
    )


def test_a_prompt_without_its_bos_is_the_same_prompt():
    tokenizer = tokenizer_of("llama3")
    text = rendered(tokenizer, LONG[1:3] + TEA)
    assert text.startswith("<|begin|>")
    assert as_dicts(PolicyText(tokenizer), text.removeprefix("<|begin|>")) == LONG[1:3] + TEA


@pytest.mark.parametrize("system", [[], LONG[:1]])
def test_a_prompt_of_another_day_is_read_back(system: list[dict[str, str]]):
    template = (
        "{{ '<|im_start|>system\\nKnowledge: 2023\\nToday: ' + strftime_now('%d %b %Y') + '\\n' }}"
        "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}"
        "{{ '<|im_end|>' }}{% for m in messages if m.role != 'system' %}"
        "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    tokenizer = fast(byte_level(["<|im_start|>", "<|im_end|>"]), template)
    policy, messages = PolicyText(tokenizer), [*system, *LONG[1:]]
    today = rendered(tokenizer, messages)
    then = re.sub("Today: .*", "Today: 26 Jul 2024", today)
    assert today != then
    assert as_dicts(policy, today) == as_dicts(policy, then) == messages
    assert not policy.prompt(then.replace("Knowledge: 2023", "Knowledge: 2024")).exact


def test_a_system_message_that_the_template_writes_itself_is_not_one_of_the_prompt():
    tokenizer = tokenizer_of("chatml-system")
    text = rendered(tokenizer, TEA)
    assert "You are a kind assistant called Bo." in text
    assert as_dicts(PolicyText(tokenizer), text) == TEA


def test_a_system_message_that_the_template_writes_into_the_users_comes_back_there():
    template = (
        "{% set ns = namespace(s='') %}{% for m in messages %}{% if m.role == 'system' %}"
        "{% set ns.s = m.content + '\\n\\n' %}{% elif m.role == 'user' %}"
        "{{ '[INST]' + (ns.s if loop.index0 < 2 else '') + m.content + '[/INST]' }}"
        "{% else %}{{ m.content + '</s>' }}{% endif %}{% endfor %}"
    )
    tokenizer = fast(byte_level(["</s>", "[INST]", "[/INST]"]), template, eos_token="</s>")
    text = rendered(tokenizer, [*LONG[:1], *TEA])
    assert as_dicts(PolicyText(tokenizer), text) == [
        {"role": "user", "content": "Be brief.\n\nTea?"}
    ]


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        ("<|im_start|>tool\n4<|im_end|>\n<|im_start|>assistant\n", "tool\n4\nassistant"),
        ("<|im_start|>user\nTea?<|im_end|>", "user\nTea?"),
        (f"{chatml(TEA)}<think>\n", "user\nTea?\nassistant"),
        (chatml([*TEA, *TEA]), "user\nTea?\nuser\nTea?\nassistant"),
        ("<|im_end|>", ""),
    ],
)
def test_what_cannot_be_read_back_loses_its_special_tokens_and_says_so(text: str, flat: str):
    read = PolicyText(tokenizer_of("chatml")).prompt(text)
    assert not read.exact
    assert [one.as_dict() for one in read.messages] == [{"role": "user", "content": flat}]


@pytest.mark.parametrize(
    "text", ["", "Tea?", "User: Tea?\nAssistant: ", "\U0001f375" * 9999, "\x00"]
)
def test_plain_text_is_one_message_as_it_is(text: str):
    assert as_dicts(PolicyText(tokenizer_of("chatml")), text) == [{"role": "user", "content": text}]


def test_a_policy_without_a_template_has_special_tokens_still():
    tokenizer = fast(byte_level(["</s>"]), None, eos_token="</s>")
    policy = PolicyText(tokenizer)
    assert as_dicts(policy, "Tea?") == TEA
    assert policy.response("Green.</s>") == "Green."


def test_a_template_that_does_not_keep_texts_reads_nothing_back():
    template = "{% for m in messages %}{{ '<|im_start|>' + m.content * 2 }}{% endfor %}"
    tokenizer = fast(byte_level(["<|im_start|>"]), template)
    assert not PolicyText(tokenizer).prompt("<|im_start|>Tea?Tea?").exact


def test_responses_lose_special_tokens_wherever_they_are_and_nothing_else(policy: Path):
    read = PolicyText(AutoTokenizer.from_pretrained(policy))
    text = "<|pad|><|pad|> Green,<|im_end|>\n\U0001f375 <b>tea</b>\x00 <|other|> <|im_end|><|pad|>"
    assert read.response(text) == " Green,\n\U0001f375 <b>tea</b>\x00 <|other|> "


def test_think_tags_that_are_special_tokens_stay_until_the_thoughts_are_removed():
    marks = ["<think>", "</think>", "<|im_start|>", "<|im_end|>"]
    tokenizer = fast(byte_level(marks), kind("chatml").template, eos_token="<|im_end|>")
    text = "<think>Hm.</think>Green.<|im_end|>"
    assert PolicyText(tokenizer).response(text) == "<think>Hm.</think>Green."


@pytest.mark.parametrize(
    ("prompt", "tag"),
    [(f"{IM}<think>\n", "<think>"), (f"{IM}<think>\n\n</think>\n\n", ""), (IM, ""), ("", "")],
)
def test_a_prompt_may_open_a_think_block(prompt: str, tag: str):
    assert opened_thought(prompt) == tag
