"""Text that a policy's chat template has written, read back into messages.

Some trainers hand over text as the policy reads and writes it. What is done, so that the policy's
own tokens never reach the reward:

- A prompt is taken apart at what the template writes around the messages of a small conversation,
  whatever its family, and the messages found are rendered again. Only where that gives the same
  text, character for character, are they taken; a date that the template writes before the
  messages is not compared, since it was that of another day perhaps.
- Otherwise a prompt in which there are special tokens of the policy is one message of the user,
  with those tokens removed; the roles' names stay in its text, so such prompts are counted.
- A prompt without special tokens is one message of the user, as it is.
- From a response the policy's special tokens are removed wherever they stand (its end of turn,
  padding), as `decode(..., skip_special_tokens=True)` does, and what the template writes between
  its opening and a response (Mistral's space). Where the prompt's text, or what the template
  writes after messages, ends by opening a think block, the response begins inside it.

Not recovered: tool calls, turns of one role in a row.
"""

import re
from dataclasses import dataclass
from typing import Any, final

from flr.errors import ModelError, RenderError
from flr.template import ChatTokenizer, Template, any_of
from flr.turns import OPENED_THOUGHT, THINK_TAGS, opened_thought
from flr.types import Message

_SYSTEM, _FIRST, _ANSWER, _SECOND = "\ue000\ue001\ue002\ue003"
_PLACES = re.compile("[\ue000-\ue003]")
_DATE = "\ue004"
_CLOCK = f"{{% macro strftime_now(form) %}}{_DATE}{{% endmacro %}}\n"
"""Before a template: a character of no language in place of today's date."""

_WRITTEN = re.compile(r"<[|｜]\w+[|｜]>|\[INST\]|<start_of_turn>")


@dataclass(frozen=True, slots=True)
class _Marks:
    """What a template writes around texts.

    Args:
        first: before the first message of a user.
        response: between a user's text and the response.
        user: between a response and the next user's text.
        opening: after the last user's text.
        system: before a system's text, and between it and the user's; None where it takes none.
    """

    first: str
    response: str
    user: str
    opening: str
    system: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class ReadBack:
    """The messages of a rendered prompt.

    Args:
        messages: at least one.
        exact: False where only its special tokens were removed.
    """

    messages: tuple[Message, ...]
    exact: bool


@final
class PolicyText:
    """Reads what one policy's template has written.

    Args:
        tokenizer: the policy's, with its chat template if it has one.

    Example:
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> from transformers import PreTrainedTokenizerFast
        >>> letters = {letter: i for i, letter in enumerate(pre_tokenizers.ByteLevel.alphabet())}
        >>> tokenizer = PreTrainedTokenizerFast(
        ...     tokenizer_object=Tokenizer(models.BPE(letters, [])), eos_token="</s>"
        ... )
        >>> tokenizer.chat_template = (
        ...     "{% for m in messages %}{{ m.role + ': ' + m.content + '</s>' }}{% endfor %}"
        ...     "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
        ... )
        >>> policy = PolicyText(tokenizer)
        >>> [message.content for message in policy.prompt("user: Tea?</s>assistant: ").messages]
        ['Tea?']
        >>> policy.response("Green.</s></s>")
        'Green.'
    """

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        special = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        named = [str(token) for token in tokenizer.special_tokens_map.values()]
        self._special = any_of({*special, *named} - {*THINK_TAGS})
        self._bos = str(tokenizer.special_tokens_map.get("bos_token", ""))
        try:
            source = Template(tokenizer, option=None).source
            self._template = Template(tokenizer, _CLOCK + source, option=None)
        except ModelError:  # a base model: there is no template that could have written anything
            self._template = None
        self._marks = self._learn()
        simple = self._render([{"role": "user", "content": _FIRST}]) or ""
        self._opening, self._dated = opened_thought(simple), _dated(simple)

    @property
    def opening(self) -> str:
        """The tag of a think block that the template opens after any prompt, else nothing."""
        return self._opening

    def prompt(self, text: str) -> ReadBack:
        """The messages that a prompt's text holds."""
        found = self._parse(text)
        if found is not None:
            return ReadBack(found, exact=True)
        if not self._special.search(text):
            return ReadBack((Message("user", text),), exact=True)
        plain = OPENED_THOUGHT.sub("", self._special.sub("", text)).strip()
        return ReadBack((Message("user", plain),), exact=False)

    def response(self, text: str) -> str:
        """A response without the policy's tokens."""
        marks = self._marks
        if marks and marks.response.startswith(marks.opening):  # " [/INST] " and " [/INST]"
            text = text.removeprefix(marks.response.removeprefix(marks.opening))
        return self._special.sub("", text)

    def parted(self, text: str) -> tuple[str, str] | None:
        """The prompt and the last response of a whole conversation's text, or None.

        Each as `prompt` and `response` take it; what the template writes behind a response is left
        out.

        Args:
            text: as the template writes it where no further turn is opened.
        """
        marks = self._marks
        before, found, after = text.rpartition(marks.response if marks else "\0")
        if not found or marks is None:
            return None
        return before + marks.opening, after.removesuffix(self._closing())

    def _closing(self) -> str:
        """What the template writes behind a response that is the last of a conversation."""
        chat = [{"role": "user", "content": _FIRST}, {"role": "assistant", "content": _ANSWER}]
        text = self._template.render([chat])[0] if self._template else ""
        return text.rpartition(_ANSWER)[2]

    def decoded(self, text: str) -> str:
        """A text after the policy's tokenizer has read and written it, special tokens included."""
        ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def _render(self, chat: list[dict[str, Any]]) -> str | None:
        """A prompt as the template writes it, without a BOS token; None where it refuses."""
        try:
            text = self._template.render([chat], opened=True)[0] if self._template else None
        except RenderError:
            return None
        return None if text is None else text.removeprefix(self._bos)

    def _around(self, *turns: tuple[str, str]) -> list[str]:
        """What the template writes around placeholder texts; empty where it does not keep them."""
        text = self._render([{"role": role, "content": content} for role, content in turns])
        kept = text is not None and [content for _, content in turns] == _PLACES.findall(text)
        return _PLACES.split(text) if text is not None and kept else []

    def _learn(self) -> _Marks | None:
        turns = (("user", _FIRST), ("assistant", _ANSWER), ("user", _SECOND))
        around = self._around(*turns)
        if not around or not all(around[1:3]):
            return None
        with_system = self._around(("system", _SYSTEM), turns[0])
        system = (with_system[0], with_system[1]) if with_system and with_system[1] else None
        first, response, user, opening = around
        return _Marks(first, response, user, opening, system)

    def _parse(self, text: str) -> tuple[Message, ...] | None:
        """The messages that render to exactly this text."""
        text = self._dated.sub(lambda found: found[1] + _DATE, text.removeprefix(self._bos))
        for messages in self._candidates(text) if self._marks else ():
            if self._render([message.as_dict() for message in messages]) == text:
                return messages
        return None

    def _candidates(self, text: str) -> list[tuple[Message, ...]]:
        """The messages that a text might hold: without a system's, and with one."""
        marks = self._marks
        assert marks is not None
        if not text.endswith(marks.opening):
            return []
        body, found = text[: len(text) - len(marks.opening)], []
        if body.startswith(marks.first):
            found.append(_turns(body.removeprefix(marks.first), marks))
        if marks.system and body.startswith(marks.system[0]):
            system, between, rest = body.removeprefix(marks.system[0]).partition(marks.system[1])
            if between:
                found.append((Message("system", system), *_turns(rest, marks)))
        return found


def _dated(text: str) -> re.Pattern[str]:
    """Matches what a template writes up to a date, and the date; nothing where it writes none."""
    before, date, after = text.partition(_DATE)
    if not date:
        return any_of([])
    return re.compile(rf"\A({re.escape(before)}).+?(?={re.escape(after[:1])})")


def looks_written(prompt: str) -> bool:
    """Whether a prompt holds a mark of the known chat templates.

    Example:
        >>> looks_written("<|im_start|>user\\nTea?"), looks_written("Tea <br> or coffee?")
        (True, False)
    """
    return _WRITTEN.search(prompt) is not None


def _turns(text: str, marks: _Marks) -> tuple[Message, ...]:
    """Texts of user and assistant in turn, cut wherever a mark stands."""
    texts = any_of({marks.response, marks.user}).split(text)
    return tuple(Message(("user", "assistant")[at % 2], one) for at, one in enumerate(texts))
