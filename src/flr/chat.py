"""Conversations to token rows, through the tokenizer's own chat template.

The truth, for a follow-up f after a conversation c: the template renders c with f appended as the
next user turn to one text, that text is tokenised once (nothing is added: the template has written
its BOS itself), and the tokens that overlap f's characters are scored (`spans` finds them).

Two ways lead to the rows of one conversation with its K follow-ups.
- Whole: all K renderings are tokenised from their first to their last character.
- Split: a tokenizer cuts a text at its added tokens before it normalises or merges anything. So at
  the last of them before f a row falls into a head, the same for all K follow-ups, and a tail, the
  same for all conversations ("<|im_start|>user\\n" f "<|im_end|>\\n"). Tails are tokenised once.
What is checked, for every conversation: each of its K texts is rendered and is, character for
character, what head and tail stand for; and two of its K rows, picked by its content, are tokenised
whole and are, token for token, what head and tail give. What is not checked but rests on the
tokenizer's rule above: that its other K - 2 rows fall apart at the same place (on one small
conversation all K are checked, when the tails are made). A conversation for which one of these
fails goes the whole way, alone.

What a template does to a conversation (drops thoughts, injects a system prompt) is its own affair:
`template_report` tells of it, nothing here fights it.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final
from zlib import crc32

from flr.errors import ContextOverflowError, FollowUpError, RenderError
from flr.spans import PLACEHOLDERS, Frame, TokenRow, characters, frame_of, token_span
from flr.template import Chat, ChatTokenizer, Template, check_unicode
from flr.turns import check_messages, shortened, without_thoughts
from flr.types import Conversation, Message

DEFAULT_OPENING = (
    "Ask me a question that you would like to have answered. I will answer it as well as I can, "
    "and then please tell me frankly how well my answer served you."
)
"""The user's first turn in the role-switched form."""

Form = Literal["user", "role-switched"]


def role_switched(messages: Sequence[Message], opening: str) -> tuple[Message, ...]:
    """The messages before the follow-up in the role-switched form; of several turns the last.

    Args:
        messages: a conversation that ends with the response.
        opening: the first user turn.

    Raises:
        RenderError: no user has asked anything.

    Example:
        >>> asked = Conversation.of("Two?", "Three").messages
        >>> [message.content for message in role_switched(asked, "Ask me.")]
        ['Ask me.', 'Two?', 'Three']
    """
    prompts = [message.content for message in messages if message.role == "user"]
    if not prompts:
        raise RenderError("the role-switched form needs a user message before the response")
    turns = (("user", opening), ("assistant", prompts[-1]), ("user", messages[-1].content))
    return tuple(Message(role, content) for role, content in turns)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The rows of one conversation.

    Args:
        conversation: what was rendered: the given one without the dropped messages. Its
            `with_response("")` is the same prompt, with the same turns dropped.
        rows: one for each text, in order.
        split: whether the rows were put together from head and tails, which a lone one never is.
            It depends on the conversation and the texts alone, not on what was rendered before.
        dropped: how many of the oldest messages were left out to fit the model.
    """

    conversation: Conversation
    rows: tuple[TokenRow, ...]
    split: bool
    dropped: int


@dataclass(frozen=True, slots=True)
class OfficialRow:
    """What the published code reads: the mean raw logit of `bag` at the last of `tokens`."""

    tokens: tuple[int, ...]
    bag: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Open:
    """A chat whose last message has its text left open."""

    before: Chat
    last: dict[str, Any]

    def filled(self, text: str) -> Chat:
        return [*self.before, {**self.last, "content": text}]


@dataclass(frozen=True, slots=True)
class _Tails:
    """The ends of the rows of all conversations: the frame from its last added token on."""

    frame: Frame
    rows: tuple[TokenRow, ...]

    def end(self, frame: Frame, rendered: Sequence[str], texts: Sequence[str]) -> bool:
        """Whether each of a conversation's renderings is its frame around the text, and ends so."""
        return (
            frame.prefix.endswith(self.frame.prefix)
            and frame.suffix == self.frame.suffix
            and all(full == frame.around(text) for full, text in zip(rendered, texts, strict=True))
        )


def _joined(head: tuple[int, ...], tails: Sequence[TokenRow]) -> tuple[TokenRow, ...]:
    """The rows of one head and each tail."""
    shift = len(head)
    return tuple(
        TokenRow(head + tail.tokens, shift + tail.start, shift + tail.stop) for tail in tails
    )


def _joined_like(
    sample: Mapping[int, TokenRow], tails: Sequence[TokenRow]
) -> tuple[TokenRow, ...] | None:
    """The rows with the sample's own head; None where they are not the sample's at its indices."""
    index, row = next(iter(sample.items()))
    rows = _joined(row.tokens[: len(row.tokens) - len(tails[index].tokens)], tails)
    return rows if all(rows[i] == truth for i, truth in sample.items()) else None


@final
class Renderer:
    """Renders conversations for one model: the tokens it sees, and which of them are scored.

    Args:
        tokenizer: a Hugging Face fast tokenizer.
        form: who says the follow-up. `user`: the user, in the next turn. `role-switched`, for a
            model tuned on feedback: the user asks for a question (`opening`), the assistant asks
            the last prompt, the user gives the response, and the follow-up is the assistant's.
        max_tokens: the longest row that the model takes, in tokens; None for no limit. The oldest
            turns are dropped, whole, until the longest row fits.
        chat_template: Jinja source to use in place of the tokenizer's own template.
        strip_thinking: remove `<think>` blocks and reasoning fields of assistant messages first.
        opening: the first user turn in the role-switched form.

    Raises:
        ModelError: no chat template, or a tokenizer that does not give character offsets.
        SpecialTokenError: the opening holds a special token.

    Example:
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> from transformers import PreTrainedTokenizerFast
        >>> letters = {letter: i for i, letter in enumerate(pre_tokenizers.ByteLevel.alphabet())}
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(letters, [])))
        >>> template = "{% for m in messages %}{{ m.role + ':' + m.content + '.' }}{% endfor %}"
        >>> renderer = Renderer(tokenizer, chat_template=template)
        >>> (row,) = renderer.followups(Conversation.of("Two?", "Three"), ["No"]).rows
        >>> tokenizer.decode(row.tokens[row.start : row.stop]).replace(" ", "")
        'No'
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        *,
        form: Form = "user",
        max_tokens: int | None = None,
        chat_template: str | None = None,
        strip_thinking: bool = False,
        opening: str = DEFAULT_OPENING,
    ) -> None:
        self.template = Template(tokenizer, chat_template)
        self.form, self.opening = form, opening
        self.max_tokens, self.strip_thinking = max_tokens, strip_thinking
        self._texts: tuple[str, ...] = ()
        self._tails: _Tails | None = None
        self.template.check(opening, "the opening of the role-switched form")

    def _messages(self, conversation: Conversation) -> tuple[Message, ...]:
        """The messages as they go into the template, checked."""
        messages = conversation.messages
        if self.strip_thinking:
            messages = tuple(map(without_thoughts, messages))
        check_messages(self.template, messages)
        return messages

    def _before_followup(self, conversation: Conversation) -> _Open:
        """The chat with the follow-up's turn left open."""
        messages = self._messages(conversation)
        if self.form == "user":
            return _Open([message.as_dict() for message in messages], {"role": "user"})
        before = [message.as_dict() for message in role_switched(messages, self.opening)]
        return _Open(before, {"role": "assistant"})

    def _rendered(self, opened: _Open, texts: Sequence[str]) -> list[str]:
        return self.template.render([opened.filled(text) for text in texts])

    def _frame(self, opened: _Open) -> tuple[Frame | None, int]:
        """What is around the open text, and a number that depends on the chat's content alone."""
        first, second = self._rendered(opened, PLACEHOLDERS)
        check_unicode(first, "a field of the conversation")
        return frame_of(first, second), crc32(first.encode())

    def _whole(
        self, rendered: Sequence[str], texts: Sequence[str], frame: Frame | None
    ) -> tuple[TokenRow, ...]:
        """The rows, each tokenised from its first to its last character."""
        rows = []
        for (ids, offsets), full, text in zip(
            self.template.encode(rendered), rendered, texts, strict=True
        ):
            rows.append(TokenRow(ids, *token_span(offsets, *characters(full, text, frame))))
        return tuple(rows)

    def _check_length(self, rows: Sequence[TokenRow]) -> None:
        longest = max(len(row.tokens) for row in rows)
        if self.max_tokens is not None and longest > self.max_tokens:
            raise ContextOverflowError(
                f"the last prompt and the response (with system messages and the text to score) "
                f"are {longest} tokens, the model takes {self.max_tokens}; a shorter row is "
                "expected (--on-overflow skip leaves such rows out)"
            )

    def _make_tails(self, texts: tuple[str, ...]) -> _Tails | None:
        """The tails, from a small conversation; None where they are not the ends of its rows."""
        if len(texts) == 1:
            return None  # a row alone shares nothing
        opened = self._before_followup(Conversation.of("Hello", "Hi"))
        frame, _ = self._frame(opened)
        if frame is None:
            return None
        ((ids, offsets),) = self.template.encode([frame.around(PLACEHOLDERS[0])])
        cuts = [
            index
            for index, (_, right) in enumerate(offsets)
            if ids[index] in self.template.splitting and right <= len(frame.prefix)
        ]
        if not cuts:
            return None
        end = Frame(frame.prefix[offsets[cuts[-1]][0] :], frame.suffix)
        tails = self._whole([end.around(text) for text in texts], texts, end)
        truth = self._whole(self._rendered(opened, texts), texts, frame)
        return _Tails(end, tails) if _joined(ids[: cuts[-1]], tails) == truth else None

    def _tails_of(self, texts: tuple[str, ...]) -> _Tails | None:
        """The tails of these texts, which are checked; remembered until other texts come."""
        if texts != self._texts:
            for text in texts:
                self.template.check(text, f"the follow-up {text[:60]!r}")
            try:
                self._tails = self._make_tails(texts)
            except RenderError:
                self._tails = None
            self._texts = texts
        return self._tails

    def _followup_rows(
        self, conversation: Conversation, texts: tuple[str, ...]
    ) -> tuple[tuple[TokenRow, ...], bool]:
        """The rows, and whether they are split. Two are made first: far too long ends there."""
        opened = self._before_followup(conversation)
        tails = self._tails_of(texts)
        frame, number = self._frame(opened)
        picks = (number % len(texts), (number + len(texts) // 2) % len(texts))
        picked = [texts[pick] for pick in picks]
        sample = self._whole(self._rendered(opened, picked), picked, frame)
        self._check_length(sample)
        rendered = self._rendered(opened, texts)
        split = None
        if frame and tails and tails.end(frame, rendered, texts):
            split = _joined_like(dict(zip(picks, sample, strict=True)), tails.rows)
        rows = split or self._whole(rendered, texts, frame)
        self._check_length(rows)
        return rows, split is not None

    def _response_rows(self, conversation: Conversation) -> tuple[tuple[TokenRow, ...], bool]:
        """The one row of a conversation in which its response is scored."""
        *before, last = [message.as_dict() for message in self._messages(conversation)]
        opened = _Open(before, last)
        frame, _ = self._frame(opened)
        rows = self._whole(self.template.render([[*before, last]]), [last["content"]], frame)
        self._check_length(rows)
        return rows, False

    def _fitted(
        self,
        conversation: Conversation,
        rows_of: Callable[[Conversation], tuple[tuple[TokenRow, ...], bool]],
    ) -> Rendered:
        """The rows of the conversation, its oldest turns dropped until they fit."""

        def fits(kept: Conversation) -> bool:
            try:
                rows_of(kept)
            except ContextOverflowError:
                return False
            return True

        shorter = [Conversation(turns) for turns in shortened(conversation.messages)]
        try:
            return Rendered(conversation, *rows_of(conversation), dropped=0)
        except ContextOverflowError:
            if not shorter:
                raise
        first = bisect_left(shorter, True, key=fits)
        kept = shorter[min(first, len(shorter) - 1)]
        dropped = len(conversation.messages) - len(kept.messages)
        return Rendered(kept, *rows_of(kept), dropped=dropped)

    def check(self, conversation: Conversation, texts: Sequence[str]) -> None:
        """Raises what `followups` would raise, at the cost of one rendering for most conversations.

        Tokens are counted only where the text is long enough that they could be too many: a token
        covers at least one byte, and normalisation rarely makes three bytes of one.
        """
        longest = max(texts, key=len)
        (full,) = self._rendered(self._before_followup(conversation), [longest])
        if self.max_tokens is not None and 3 * len(full.encode()) > self.max_tokens:
            self.followups(conversation, texts)

    def followups(self, conversation: Conversation, texts: Sequence[str]) -> Rendered:
        """The rows of a conversation with each text as its follow-up.

        Args:
            conversation: ends with the response, which may be empty.
            texts: the follow-ups, at least one.

        Returns:
            One row a text, in order; its span are the text's tokens, at least one.

        Raises:
            FollowUpError: a text has no tokens of its own.
            RenderError: the template refuses the conversation.
            SpecialTokenError: a message or a text holds a special token.
            ContextOverflowError: the last prompt and the response alone do not fit.
        """
        texts = tuple(texts)
        if not texts:
            raise FollowUpError("there are no follow-ups; at least one is expected")
        rendered = self._fitted(conversation, lambda kept: self._followup_rows(kept, texts))
        for row, text in zip(rendered.rows, texts, strict=True):
            if row.start == row.stop:
                raise FollowUpError(
                    f"the follow-up {text[:60]!r} has no tokens of its own in this model's "
                    "rendering; a text in a script that the tokenizer knows is expected"
                )
        return rendered

    def response(self, conversation: Conversation) -> Rendered:
        """The row of a conversation in which its response is scored (no follow-up, user form).

        Raises:
            RenderError: the template refuses the conversation, or rewrites the response.
            SpecialTokenError: a message holds a special token.
            ContextOverflowError: the last prompt and the response alone do not fit.
        """
        return self._fitted(conversation, self._response_rows)

    def official(self, rendered: Rendered, texts: Sequence[str]) -> tuple[OfficialRow, ...]:
        """The rows of the published code's quantity, which is not a likelihood.

        With the row of a conversation and its follow-up, and b the number of ids that the tokenizer
        gives for the follow-up alone (its default special tokens included), that code reads the
        raw logits b places before the row's end and takes the mean of those of the b ids.

        Args:
            rendered: from `followups`, with the same texts.
            texts: the follow-ups.

        Source: github.com/e0397123/FLR, run_llama3.py, get_outputs_withprobs.
        """
        bags = [
            tuple(ids) for ids in self.template.tokenizer(list(texts), verbose=False)["input_ids"]
        ]
        return tuple(
            OfficialRow(row.tokens[: max(len(row.tokens) - len(bag), 0) + 1], bag)
            for row, bag in zip(rendered.rows, bags, strict=True)
        )
