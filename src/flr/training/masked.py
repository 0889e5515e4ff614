"""Feedback as token rows with a loss mask: the very rows, and spans, by which flr scores.

A row of a file holds feedback (`flr.feedback.rows`), or, with no column `form`, a prompt and a
completion as TRL takes them: plain chat. What is learned of a row are the tokens of its feedback,
or completion, and no others: not the turn's header, nor its end. `Renderer` says which those are,
so a tuned model is asked for exactly what it was trained to say.

Templates rarely have the marks that TRL's own assistant-only loss needs, and none has marks for a
last user turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from flr import io
from flr.chat import DEFAULT_OPENING, Form, Renderer
from flr.errors import InputError, OptionError, Problem, RenderError, UserError
from flr.feedback.rows import Feedback, feedback_of, form_of
from flr.messages import RowError, messages_of, prompt_of, response_of
from flr.reading import Numbered
from flr.spans import TokenRow
from flr.training.inputs import Base, Rows
from flr.types import Conversation, Message

NOT_LEARNED = -100
"""The label of a token that has no part in the loss, as torch and TRL have it."""


@final
@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learned of one row.

    Args:
        number: of the row in its file.
        conversation: what was said before; for plain chat with the completion.
        text: the feedback; None for plain chat.
        form: of the row; None for plain chat.
        opening: of a role-switched row, else empty.
    """

    number: int
    conversation: Conversation
    text: str | None
    form: Form | None
    opening: str

    @property
    def prompt(self) -> tuple[Message, ...]:
        """What the response answers."""
        return self.conversation.prompt


@final
@dataclass(frozen=True, slots=True)
class Masked:
    """The rows of a file as TRL is given them.

    Args:
        rows: `taken` has `input_ids` and `labels`, one label a token.
        learned: tokens that have a part in the loss, over all rows.
        cut: rows whose oldest messages were left out to fit, with how many.
        skipped: rows that were left out, with the reason.
    """

    rows: Rows
    learned: int
    cut: Sequence[tuple[int, int]]
    skipped: Sequence[tuple[int, str]]


def _plain(number: int, columns: Mapping[str, Any]) -> Lesson:
    prompt, answer = columns.get("prompt"), columns.get("completion")
    if prompt is None or answer is None:
        missing = "prompt" if prompt is None else "completion"
        raise RowError(missing, "missing; rows of `flr feedback build` have prompt and completion")
    said = response_of(answer, "completion")
    return Lesson(number, Conversation((*prompt_of(prompt), said)), None, None, "")


def _lesson(number: int, columns: Mapping[str, Any]) -> Lesson:
    if columns.get("form") is None:
        return _plain(number, columns)
    said: Feedback = feedback_of(columns)
    form = form_of(columns)
    first = messages_of(columns["prompt"], "prompt")[0]
    opening = first.content if form == "role-switched" else ""
    return Lesson(number, said.conversation, said.text, form, opening)


def _differing(one: Lesson, first: Lesson) -> Problem | None:
    """What is wrong with a row that is not of the first one's form."""
    if one.form != first.form:
        told, expected = (lesson.form or "none (plain chat)" for lesson in (one, first))
        message = (
            f"{told}, but row {first.number} has {expected}; a model learns one form "
            "(`flr feedback build FILE --form ...` puts all rows into one)"
        )
        return Problem(one.number, "form", message)
    if one.opening != first.opening:
        message = f"opens otherwise than row {first.number}; one opening a file is expected"
        return Problem(one.number, "prompt[0]", message)
    return None


def read(source: str, split: str | None, like: Lesson | None = None) -> list[Lesson]:
    """What is learned of each row of a file, all in one form.

    Args:
        source: a file or hub id.
        split: of a data set on the hub.
        like: a row whose form the rows must have; None where that is the first one's.

    Raises:
        InputError: it cannot be read, holds no rows, or rows that are none or of two forms.
        OptionError: standard input, which cannot be read by every process.
    """
    if source == "-":
        raise OptionError("flr tune reads its rows in every process; give a file in place of -")
    found: list[Lesson] = []
    problems: list[Problem] = []
    for number, value in io.items(source, split=split):
        if not isinstance(value, Mapping):
            unread = Problem(number, "", "an object with columns was expected")
            problems.append(value if isinstance(value, Problem) else unread)
            continue
        try:
            found.append(_lesson(number, value))
        except RowError as error:
            problems.append(Problem(number, error.field, error.message))
    if found and not problems:
        first = like or found[0]
        problems = [wrong for one in found if (wrong := _differing(one, first))]
    if problems or not found:
        raise InputError(source, problems or [Problem(None, "", "has no rows")])
    return found


def renderer_of(lessons: Sequence[Lesson], base: Base, max_length: int) -> Renderer:
    """What renders the rows of one form, no longer than `max_length` tokens."""
    first = lessons[0]
    return Renderer(
        base.tokenizer,
        form=first.form or "user",
        max_tokens=min(max_length, base.longest or max_length),
        opening=first.opening or DEFAULT_OPENING,
    )


def _taken(row: TokenRow) -> dict[str, list[int]]:
    """A row with its labels: those of the span, and `NOT_LEARNED` everywhere else."""
    labels = [NOT_LEARNED] * len(row.tokens)
    labels[row.start : row.stop] = row.tokens[row.start : row.stop]
    return {"input_ids": list(row.tokens), "labels": labels}


def mask(
    source: str,
    lessons: Sequence[Lesson],
    renderer: Renderer,
    left_out: tuple[type[Exception], ...],
) -> Masked:
    """The token rows of a file.

    Args:
        source: the file, for errors.
        lessons: of its rows.
        renderer: of their form.
        left_out: errors of a row that leave it out and do not stop the run.

    Raises:
        InputError: rows that the template does not take, that are too long, or of which nothing is
            to be learned; all of them.
    """
    taken: list[Mapping[str, Any]] = []
    items: list[Numbered] = []
    cut: list[tuple[int, int]] = []
    skipped: list[tuple[int, str]] = []
    problems: list[Problem] = []
    for one in lessons:
        try:
            row, dropped = _row(one, renderer)
        except left_out as error:
            skipped.append((one.number, str(error)))
            continue
        except (RenderError, UserError) as error:
            problems.append(Problem(one.number, "", str(error)))
            continue
        if dropped:
            cut.append((one.number, dropped))
        taken.append(_taken(row))
        items.append((one.number, one))
    if problems or not taken:
        raise InputError(source, problems or [Problem(None, "", "every row was left out")])
    learned = sum(label != NOT_LEARNED for row in taken for label in row["labels"])
    return Masked(Rows(source, items, taken), learned, cut, skipped)


def _row(one: Lesson, renderer: Renderer) -> tuple[TokenRow, int]:
    """The token row, and how many of the oldest messages were left out of it."""
    if one.text is None:
        rendered = renderer.response(one.conversation)
    else:
        rendered = renderer.followups(one.conversation, [one.text])
    (row,) = rendered.rows
    if row.start == row.stop:
        raise RenderError("its completion has no tokens, so nothing is to be learned of it")
    return row, rendered.dropped
