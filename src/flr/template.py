"""A tokenizer and its chat template: the boundary at which their errors become ours.

It renders chats and tokenises texts as they are, and knows which texts would become structure.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, final, runtime_checkable

from jinja2 import TemplateError, TemplateSyntaxError

from flr.errors import ModelError, RenderError, SpecialTokenError

BRACKETED = re.compile(r"[<\[{|].*[>\]}|]", re.DOTALL)

Chat = list[dict[str, Any]]
Offsets = list[tuple[int, int]]


@runtime_checkable
class ChatTokenizer(Protocol):
    """What is used of a Hugging Face fast tokenizer."""

    chat_template: Any

    @property
    def is_fast(self) -> bool:
        """Whether it gives character offsets."""
        ...

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """Added tokens by id."""
        ...

    @property
    def special_tokens_map(self) -> Mapping[str, Any]:
        """The text of each special token by its name (`bos_token`)."""
        ...

    def decode(self, token_ids: Any, *, skip_special_tokens: bool = False) -> Any:
        """The text of ids."""
        ...

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """The template's text of each chat."""
        ...

    def __call__(self, text: Any, *args: Any, **kwargs: Any) -> Any:
        """Ids, and offsets where asked for, of each text."""
        ...


def _template_source(tokenizer: ChatTokenizer, override: str | None, option: str | None) -> str:
    """The Jinja source: the override, or the tokenizer's own."""
    template = override if override is not None else tokenizer.chat_template
    if isinstance(template, Mapping):
        template = template.get("default")
    if not template:
        given = f"give its Jinja template with {option} FILE, or " if option else ""
        raise ModelError(
            "the model has no chat template, so how it marks a user's turn is not known; "
            f"{given}name a chat (instruct) model"
        )
    return template


def _special_pattern(tokenizer: ChatTokenizer, template: str) -> re.Pattern[str]:
    """Matches what would become structure: special tokens, and the template's own marks.

    Marks are added tokens in brackets (`<tool_call>`, `[INST]`) that the template's source holds.
    Other added tokens (runs of spaces, words) are ordinary text.
    """
    contents = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if token.special or (BRACKETED.fullmatch(token.content) and token.content in template)
    }
    return any_of(contents)


def any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Matches each of these texts, the longest first; nothing where all of them are blank.

    Example:
        >>> any_of(["a", "ab"]).sub("", "xaby")
        'xy'
    """
    longest_first = sorted(filter(str.strip, texts), key=lambda mark: (-len(mark), mark))
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _splitting_ids(tokenizer: ChatTokenizer) -> frozenset[int]:
    """Added tokens at whose first character a text falls into two independent parts.

    Not those that are matched after normalisation, nor those that look at what is before them.
    """
    return frozenset(
        number
        for number, token in tokenizer.added_tokens_decoder.items()
        if not (token.normalized or token.lstrip or token.single_word)
    )


def check_unicode(text: str, place: str) -> None:
    """Raises where a text holds half a surrogate pair, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RenderError(
            f"{place} holds half a surrogate pair; valid Unicode is expected"
        ) from error


@final
class Template:
    """The chat template of a tokenizer.

    Args:
        tokenizer: a Hugging Face fast tokenizer.
        override: Jinja source to use in place of the tokenizer's own.
        option: by which the user gives one; None where he cannot.

    Raises:
        ModelError: there is no template, or the tokenizer does not give character offsets.
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        override: str | None = None,
        *,
        option: str | None = "--chat-template",
    ) -> None:
        if not tokenizer.is_fast:
            raise ModelError(
                "the model's tokenizer does not say which characters a token covers; "
                "a fast tokenizer (a model with a tokenizer.json) is expected"
            )
        self.tokenizer = tokenizer
        self.source = _template_source(tokenizer, override, option)
        self.special = _special_pattern(tokenizer, self.source)
        self.splitting = _splitting_ids(tokenizer)

    def check(self, text: str, place: str, allowed: Sequence[str] = ()) -> None:
        """Raises where a text is not valid Unicode, or holds a special token.

        Args:
            text: what goes into the template.
            place: what the text is, for the message.
            allowed: special tokens that it may hold.
        """
        check_unicode(text, place)
        found = next((m[0] for m in self.special.finditer(text) if m[0] not in allowed), None)
        if found is not None:
            raise SpecialTokenError(
                f"{place} holds the tokenizer's special token {found!r}, which would become "
                "structure; plain text is expected (--on-special skip leaves such rows out)"
            )

    def render(self, chats: Sequence[Chat], *, opened: bool = False) -> list[str]:
        """The template's text of each chat, as it is.

        Args:
            chats: messages in the form that templates take.
            opened: end with the opening of the assistant's turn, for it to go on.

        Raises:
            RenderError: the template refuses one of them, with the template's own message.
            ModelError: the template is not valid Jinja.
        """
        try:
            return self.tokenizer.apply_chat_template(
                list(chats),
                chat_template=self.source,
                tokenize=False,
                add_generation_prompt=opened,
            )
        except TemplateSyntaxError as error:
            raise ModelError(f"the chat template is not valid Jinja: {error}") from error
        except (TemplateError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise RenderError(
                f"the chat template does not take this conversation: {error}"
            ) from error

    def encode(self, texts: Sequence[str]) -> list[tuple[tuple[int, ...], list[tuple[int, int]]]]:
        """Ids and character offsets of each text; nothing is added, nothing cut."""
        encoded = self.tokenizer(
            list(texts),
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return list(zip(map(tuple, encoded["input_ids"]), encoded["offset_mapping"], strict=True))
