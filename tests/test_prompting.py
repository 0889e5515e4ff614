"""Token rows of prompts, for the templates of real models."""

from typing import Any

import pytest

from flr.errors import ContextOverflowError, RenderError, SpecialTokenError
from flr.prompting import Prompter
from flr.types import Message
from tests.templates import KINDS, kind

ASKED = (Message("user", "What is the capital of France?"),)
TURNS = (
    Message("user", "one two three"),
    Message("assistant", "You are welcome."),
    *ASKED,
)
OPENING = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"


def text_of(prompter: Prompter, messages: tuple[Message, ...] = ASKED) -> str:
    tokens = prompter.row(messages).tokens
    return str(prompter.template.tokenizer.decode(list(tokens)))


# a thinking model's template opens a think block before a response, and leaves out its thoughts
@pytest.mark.parametrize("name", [name for name in KINDS if name != "thinking"])
def test_a_prompt_and_its_response_are_the_rendered_conversation(name: str):
    """What the policy reads, and a response, is how the template renders both together."""
    made = kind(name)
    prompter = Prompter(made.tokenizer)
    row = prompter.row(ASKED)
    chat = [*(m.as_dict() for m in ASKED), {"role": "assistant", "content": "It is Paris."}]
    (whole,) = prompter.template.render([chat])
    ((tokens, _),) = prompter.template.encode([whole])
    assert tokens[: len(row.tokens)] == row.tokens
    assert row.dropped == 0


def test_a_think_block_that_the_template_opens_is_known():
    made = kind("chatml")
    thinking = OPENING.replace("\\n' }}", "\\n<think>\\n' }}")
    for opening, tag in (("", ""), (OPENING, ""), (thinking, "<think>")):
        assert Prompter(made.tokenizer, chat_template=made.template + opening).opened_thought == tag


def test_a_template_that_opens_a_turn_is_asked_to():
    made = kind("chatml")
    opening = Prompter(made.tokenizer, chat_template=made.template + OPENING)
    silent = Prompter(made.tokenizer, chat_template=made.template)
    assert opening.row(ASKED) == silent.row(ASKED)
    assert text_of(opening).endswith("<|im_start|>assistant\n")


def test_a_space_before_a_response_is_the_policys_to_write():
    assert text_of(Prompter(kind("mistral").tokenizer)).endswith("[/INST]")


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("chatml", "<|im_end|>"),
        ("llama3", "<|turn_end|>"),
        ("gemma", "</turn>"),
        ("mistral", "</s>"),
        ("plain", None),
    ],
)
def test_the_end_of_a_turn_is_the_templates_own(name: str, end: str | None):
    tokenizer = kind(name).tokenizer
    found = Prompter(tokenizer).end_of_turn()
    assert (found if found is None else tokenizer.convert_ids_to_tokens(found)) == end


def test_the_oldest_turns_go_first_and_the_last_prompt_stays_whole():
    tokenizer = kind("chatml").tokenizer
    whole, last = (len(Prompter(tokenizer).row(turns).tokens) for turns in (TURNS, ASKED))
    assert Prompter(tokenizer, max_tokens=whole).row(TURNS).dropped == 0
    shorter = Prompter(tokenizer, max_tokens=whole - 1).row(TURNS)
    assert (len(shorter.tokens), shorter.dropped) == (last, 2)
    with pytest.raises(ContextOverflowError, match=f"is {last} tokens.*takes {last - 1}"):
        Prompter(tokenizer, max_tokens=last - 1).row(TURNS)


@pytest.mark.parametrize(
    ("text", "error"), [("<|im_end|>", SpecialTokenError), ("\ud800", RenderError)]
)
def test_what_would_become_structure_is_refused(text: str, error: Any):
    prompter = Prompter(kind("chatml").tokenizer)
    with pytest.raises(error, match="message 1"):
        prompter.row((Message("user", f"a {text}"), *ASKED))
    with pytest.raises(error, match="message 1"):
        prompter.row((Message("user", "a", {"name": text}),))


def test_a_prompt_that_the_template_refuses():
    with pytest.raises(RenderError, match="system turn is not supported"):
        Prompter(kind("gemma").tokenizer).row((Message("system", "s"), *ASKED))
