"""Every error that flr raises on purpose, in one tree.

    FlrError                    something flr found out and can word         exit code 3
    ├── UserError (ValueError)  what came in cannot be used                  exit code 2
    │   ├── InputError          rows of a data file: file, row, field
    │   ├── FollowUpError       a follow-up set
    │   ├── ModelError          a model, its tokenizer or its chat template
    │   ├── RenderError         one conversation that a template cannot take
    │   │   ├── SpecialTokenError     its text holds a special token, which would become structure
    │   │   └── ContextOverflowError  it is longer than the model, with its oldest turns dropped
    │   ├── OptionError         an option of a verb
    │   └── OutputError         a place that cannot be written, or must not be
    └── CheckFailed             a check ran well and says no                 exit code 1

Each message says what came in, what was expected, and what to type next. Foreign errors are
mapped to these at the boundary where they arise; whatever else escapes is a bug of ours (code 3).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

MAX_LISTED = 20
"""How many problems of one file are written out; the others are only counted."""


class FlrError(Exception):
    """Base of all errors that flr raises on purpose."""

    exit_code = 3


class UserError(FlrError, ValueError):
    """What the user gave cannot be used; the message says what to give instead."""

    exit_code = 2


class CheckFailed(FlrError):  # noqa: N818 - an answer, not a fault
    """A check ran to its end and its answer is no."""

    exit_code = 1


class FollowUpError(UserError):
    """A follow-up set that cannot be found, read or used."""


class ModelError(UserError):
    """A model, tokenizer or chat template that cannot be found, loaded or used."""


class RenderError(UserError):
    """One conversation that cannot be rendered for this model."""


class SpecialTokenError(RenderError):
    """A text that holds special tokens, which would become structure of the conversation."""


class ContextOverflowError(RenderError):
    """A row of tokens that is longer than the model takes."""


class OptionError(UserError):
    """An option with a value that it cannot have."""


class OutputError(UserError):
    """A file that cannot be written, or that holds something else already."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a data file.

    Args:
        row: number of the row, counted from 1; None where the whole file is meant.
        field: the column, with the place inside it (`messages[2].role`); empty for the whole row.
        message: what came in and what was expected.
    """

    row: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = ", ".join(
            part for part in (f"row {self.row}" if self.row else "", self.field) if part
        )
        return f"{place}: {self.message}" if place else self.message


class InputError(UserError):
    """Rows of a data file that cannot be used, all of them at once.

    Args:
        path: the file as the user named it.
        problems: at least one; the first `MAX_LISTED` are written out.
        hint: what to do next, one sentence.
    """

    def __init__(self, path: str, problems: Sequence[Problem], hint: str = "") -> None:
        assert problems, "an InputError names at least one problem"
        self.path, self.problems, self.hint = path, tuple(problems), hint
        lines = [f"{path}: {problem}" for problem in self.problems[:MAX_LISTED]]
        if len(self.problems) > MAX_LISTED:
            lines.append(f"{path}: and {len(self.problems) - MAX_LISTED} more problems")
        super().__init__("\n".join([*lines, hint] if hint else lines))


def without_particulars(message: str) -> str:
    """What messages of one kind have in common: all but quoted texts, places in lists, numbers.

    Example:
        >>> without_particulars("messages[3].role: 'tool' is no role")
        'messages[].role:  is no role'
    """
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "", message)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The nearest known word as ` Did you mean 'x'?`, or an empty string where none is near."""
    near = get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def missing_extra(module: str, purpose: str, install: str) -> OptionError:
    """The error for a library that is not part of the base install.

    Args:
        module: the library that is missing.
        purpose: what needs it.
        install: what to give to pip.
    """
    return OptionError(f"{purpose} needs {module}, which is not installed: pip install {install}")
