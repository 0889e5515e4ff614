from typing import Any

import pytest
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from flr.errors import ModelError, SpecialTokenError
from flr.template import Template
from tests.templates import TEMPLATES, byte_level, fast


def test_no_template_says_what_to_type() -> None:
    tokenizer = fast(byte_level([]), None)
    with pytest.raises(ModelError, match="--chat-template FILE"):
        Template(tokenizer)
    assert Template(tokenizer, TEMPLATES["plain"]).source == TEMPLATES["plain"]


def test_of_several_templates_the_default_one_is_taken() -> None:
    tokenizer: Any = fast(byte_level([]), None)
    tokenizer.chat_template = {"tool_use": "{{ 'tools' }}", "default": TEMPLATES["plain"]}
    assert Template(tokenizer).render([[{"role": "user", "content": "Hi"}]]) == ["User:Hi\n"]
    tokenizer.chat_template = {"tool_use": "{{ 'tools' }}"}
    with pytest.raises(ModelError, match="--chat-template FILE"):
        Template(tokenizer)


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow(PreTrainedTokenizerFast):
        @property
        def is_fast(self) -> bool:
            return False

    slow = Slow(tokenizer_object=byte_level([]))
    with pytest.raises(ModelError, match="fast tokenizer"):
        Template(slow, TEMPLATES["plain"])


def test_added_tokens_are_structure_only_where_the_template_writes_them() -> None:
    tokenizer = byte_level(["<s>"])
    plain = ["<tool_call>", "<table>", "    ", "user", "\n\n"]
    tokenizer.add_tokens([AddedToken(text, special=False) for text in plain])
    source = "{% for m in messages %}\n\n    {{ '<tool_call>' + m.content + 'user' }}{% endfor %}"
    template = Template(fast(tokenizer, source))
    template.check("a <table>, a user and\n\n    spaces, </s> <s", "the text")
    for mark in ("<s>", "<tool_call>"):
        with pytest.raises(SpecialTokenError, match=mark):
            template.check(f"a{mark}", "the text")
        template.check(f"a{mark}", "the text", allowed=[mark])


def test_tokens_that_look_around_do_not_split() -> None:
    tokenizer = byte_level(["<s>"])
    tokenizer.add_special_tokens(
        [
            AddedToken("<left>", lstrip=True),
            AddedToken("<right>", rstrip=True),
            AddedToken("<word>", single_word=True),
            AddedToken("<norm>", normalized=True),
        ]
    )
    wrapped: Any = fast(tokenizer, TEMPLATES["plain"])
    names = {wrapped.convert_ids_to_tokens(number) for number in Template(wrapped).splitting}
    assert names == {"<s>", "<right>"}
