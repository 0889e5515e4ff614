"""Prompts to token rows: what a policy reads before it answers, and where its answer ends.

The chat template renders the prompt's messages and opens the assistant's turn; that text is
tokenised once, and nothing is added to it. A prompt that is too long loses its oldest turns, whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from flr.errors import ContextOverflowError, RenderError
from flr.spans import PLACEHOLDERS, Frame, frame_of
from flr.template import Chat, ChatTokenizer, Template
from flr.turns import check_messages, opened_thought, shortened
from flr.types import Message

TEMPLATE_OPTION = "--policy-chat-template"


@final
@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt as the policy reads it.

    Args:
        tokens: ids, the opening of the assistant's turn included.
        dropped: how many of the oldest messages were left out to fit the model.
    """

    tokens: tuple[int, ...]
    dropped: int


@final
class Prompter:
    """Renders prompts for one policy.

    Args:
        tokenizer: a Hugging Face fast tokenizer.
        max_tokens: the longest prompt, tokens; None for no limit.
        chat_template: Jinja source to use in place of the tokenizer's own template.

    Raises:
        ModelError: no chat template, or a tokenizer that does not give character offsets.
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        *,
        max_tokens: int | None = None,
        chat_template: str | None = None,
    ) -> None:
        self.template = Template(tokenizer, chat_template, option=TEMPLATE_OPTION)
        self.max_tokens = max_tokens
        probe = [{"role": "user", "content": "Hello"}]
        (opened,) = self.template.render([probe], opened=True)
        self._opens = [opened] != self.template.render([probe])
        self.opened_thought = opened_thought(opened)
        """Tag of the think block that a response begins inside of, where the template opens one."""

    def row(self, messages: Sequence[Message]) -> PromptRow:
        """The token row of a prompt.

        Raises:
            RenderError: the template refuses the messages.
            SpecialTokenError: a message holds a special token.
            ContextOverflowError: the last user message, with what follows it, does not fit.
        """
        check_messages(self.template, messages)
        tokens = self._tokens(tuple(messages))
        if self.max_tokens is None or len(tokens) <= self.max_tokens:
            return PromptRow(tokens, dropped=0)
        for kept in shortened(messages):
            tokens = self._tokens(kept)
            if len(tokens) <= self.max_tokens:
                return PromptRow(tokens, len(messages) - len(kept))
        raise ContextOverflowError(
            f"the last prompt (with system messages) is {len(tokens)} tokens; beside the response "
            f"the policy takes {self.max_tokens}. A shorter prompt or a smaller --max-new-tokens "
            "is expected (--on-overflow skip leaves such rows out)"
        )

    def _tokens(self, messages: Sequence[Message]) -> tuple[int, ...]:
        chat = [one.as_dict() for one in messages]
        (text,) = self.template.render([chat], opened=True)
        ((tokens, _),) = self.template.encode([text if self._opens else self._opened(chat, text)])
        return tokens

    def _opened(self, chat: Chat, text: str) -> str:
        """A prompt with what its template writes before a response, unless that is but a space.

        For a template that opens no turn when it is asked to.
        """
        frame = self._frame(chat)
        prefix = frame.prefix if frame else ""
        return prefix if prefix.startswith(text) and prefix[len(text) :].strip() else text

    def _frame(self, chat: Chat) -> Frame | None:
        """What the template writes around a response; None where it does not keep its text."""
        chats = [[*chat, {"role": "assistant", "content": text}] for text in PLACEHOLDERS]
        return frame_of(*self.template.render(chats))

    def end_of_turn(self) -> int | None:
        """The token that the template writes after a response, where it is one of its own."""
        try:
            frame = self._frame([{"role": "user", "content": "Hello"}])
        except RenderError:
            return None
        if frame is None or not frame.suffix:
            return None
        ((tokens, _),) = self.template.encode([frame.suffix])
        own: Any = self.template.tokenizer.added_tokens_decoder
        return next((token for token in tokens if token in own), None)
