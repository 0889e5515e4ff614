"""Which training conversations are held out: whole talks, and no prompt that is in the main file.

A talk is all that has one `group`, or, of what has none, all that begins with the same turn of the
user; what has none but begins as a group does is of that group's talk. Talks may share prompts, and
some are shared by very many (`Go on.`): were those held out together, too, then nearly everything
would be. So a row that is drawn to be held out, but whose prompt lies in the main file as well, is
left out of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flr.chat import Form
from flr.errors import OptionError
from flr.feedback.rows import Feedback, feedback_of, row_of
from flr.messages import opening_key, prompt_key
from flr.mined.rows import Made, split


@dataclass(frozen=True, slots=True)
class Parted:
    """Rows of the two files.

    Args:
        main: rows to learn from.
        held_out: rows of other talks and of other prompts.
        prompts: how many prompts the main rows have, as their form leaves them.
        prompts_held_out: how many the others have.
        shared: how many rows are left out: drawn to be held out, but their prompts lie in main.
    """

    main: list[Mapping[str, Any]]
    held_out: list[Mapping[str, Any]]
    prompts: int
    prompts_held_out: int
    shared: int


def _group(value: Any) -> str:
    """A group's name; empty where there is none. 0 is one, NaN an empty cell."""
    empty = value is None or value != value or value in ([], {})
    return "" if empty else str(value)


def _talks(said: Sequence[Feedback]) -> list[str]:
    """The talk of each feedback."""
    openings = [opening_key(one.conversation.messages) for one in said]
    groups = [_group(one.about.get("group")) for one in said]
    of_opening: dict[str, str] = {}
    for opening, group in zip(openings, groups, strict=True):
        if group:
            of_opening[opening] = min(group, of_opening.get(opening, group))
    return [
        group or of_opening.get(opening, opening)
        for opening, group in zip(openings, groups, strict=True)
    ]


def _prompt(row: Mapping[str, Any]) -> str:
    return prompt_key(feedback_of(row).conversation)


def part(said: Sequence[Feedback], form: Form, share: float, seed: int) -> Parted:
    """Makes rows, and draws the talks that are held out.

    Args:
        said: all that is written.
        form: of the rows.
        share: part of the talks that is held out.
        seed: which talks.

    Raises:
        OptionError: no row can be held out, and some should be.

    Example:
        >>> from flr.types import Conversation
        >>> talks = [Conversation.of(f"Tea {at}?", "Yes") for at in range(3)]
        >>> said = [Feedback(talk, text) for talk in talks for text in ("No.", "Never.")]
        >>> parted = part(said, "user", share=0.3, seed=0)
        >>> len(parted.main), len(parted.held_out), parted.prompts, parted.prompts_held_out
        (4, 2, 2, 1)
    """
    made = [Made(talk, row_of(one, form)) for talk, one in zip(_talks(said), said, strict=True)]
    main, drawn = split(made, share, seed)
    known = {_prompt(one.row) for one in main}
    prompts = [_prompt(one.row) for one in drawn]
    kept = [one.row for one, prompt in zip(drawn, prompts, strict=True) if prompt not in known]
    if share and not kept:
        raise OptionError(
            f"--held-out {share}: nothing can be held out, because all is one talk, or the prompts "
            "of the talks that were drawn lie in the other file, too. Leave it out, or give "
            f"another --seed{'' if form == 'user' else ' or --form user, which keeps whole talks'}"
        )
    others = len(set(prompts) - known)
    return Parted([one.row for one in main], kept, len(known), others, len(drawn) - len(kept))
