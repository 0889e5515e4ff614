"""Is a file of preference data what its trainer will understand, and will any of it be lost?

Rows are read as the trainer reads them (`trainers`); each that it cannot use is a finding. The
others are looked at one by one, as a whole (forms, labels, repeated rows) and beside held-out rows.
Faults of one kind are one finding, however many rows have them. A row that cannot be read is not
looked at any further, so of a mended file there may be more to say.

No file is opened here, and no tokenizer: how many tokens a conversation has is a function's answer.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from flr.errors import OptionError, Problem, UserError, did_you_mean, without_particulars
from flr.messages import RowError, comparable, kind_of
from flr.preferences.formats import ends_in_question, in_turn
from flr.preferences.reading import Example, Reader
from flr.preferences.trainers import TRAINERS, Level, Limit, Trainer

SHOWN = 5
"""How many row numbers of a finding are written out."""

APART = (
    "true and false rows lie apart; the trainer takes rows as they lie, a step's neighbours "
    "together: mix them"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault, and all rows that have it.

    Args:
        level: `error` where the trainer refuses, loses or mistakes something, or learns it twice;
            else `warning`.
        field: the column, with the place inside it in the first of the rows; may be empty.
        message: what is wrong in the first of the rows, and what to do.
        rows: numbers of the rows; none where the whole file is meant.
    """

    level: Level
    field: str
    message: str
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = f"{self.field}: " if self.field else ""
        return f"{self.level}: {place}{self.message}{self._rows_shown()}"

    def _rows_shown(self) -> str:
        if not self.rows:
            return ""
        shown = ", ".join(str(row) for row in self.rows[:SHOWN])
        more = ", ..." if len(self.rows) > SHOWN else ""
        return f" ({len(self.rows):,} row{'s' * (len(self.rows) > 1)}: {shown}{more})"


_Fault = tuple[int | None, Level, str, str]
"""The number of a row, or None for the whole file; a level, a field and a message."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that the trainer understands; what was asked and answered, for comparing."""

    number: int
    example: Example
    asked: tuple[Hashable, ...]
    answered: tuple[Hashable, ...]


def _row(number: int, value: Any, read: Reader) -> _Row:
    if isinstance(value, Problem):
        raise RowError(value.field, value.message)
    if not isinstance(value, Mapping):
        raise RowError("", f"expected an object with columns, got {kind_of(value)}")
    try:
        example = read(value)
        asked = comparable(example.prompt)
        answered = comparable(tuple(example.responses.values()))
    except RecursionError:
        raise RowError("", "is nested too deeply") from None
    return _Row(number, example, asked, answered)


def _understood(items: Iterable[tuple[int, Any]], read: Reader) -> tuple[list[_Row], list[_Fault]]:
    rows: list[_Row] = []
    faults: list[_Fault] = []
    for number, value in items:
        try:
            rows.append(_row(number, value, read))
        except RowError as error:
            faults.append((number, "error", error.field, error.message))
    return rows, faults


def _in_prompt(row: _Row, trainer: Trainer) -> Iterator[_Fault]:
    prompt, note = row.example.prompt, row.example.note
    if note:
        yield row.number, "warning", "prompt", note
    if not ends_in_question(prompt):
        yield row.number, "error", "prompt", "its last message is not the user's (or a tool's)"
    elif not prompt[-1].content.strip():
        yield row.number, "error", "prompt", "its last message is empty"
    if ends_in_question(prompt) and not in_turn(prompt):
        message = f"user and assistant do not speak in turn; {trainer.out_of_turn}"
        yield row.number, trainer.turns, "prompt", message


def _in_responses(row: _Row) -> Iterator[_Fault]:
    responses = row.example.responses
    for name, message in responses.items():
        if not message.content.strip() and not message.extra.get("tool_calls"):
            yield row.number, "error", name, "is empty"
    if len(set(row.answered)) < len(row.answered):
        yield row.number, "error", " and ".join(responses), "are the same"


def _too_long(row: _Row, trainer: Trainer, limit: Limit) -> Iterator[_Fault]:
    example = row.example
    begin = example.prompt[-1].content if example.is_plain else example.prompt
    try:
        prompt = limit.count(begin)
        totals = {
            name: limit.count(
                begin + message.content if isinstance(begin, str) else (*begin, message)
            )
            for name, message in example.responses.items()
        }
    except UserError as error:
        yield row.number, "error", "", f"cannot be tokenized: {error}"
        return
    lengths = {name: max(0, total - prompt) for name, total in totals.items()}
    for fault in trainer.lost(prompt, lengths, limit.tokens):
        yield row.number, *fault


def _of_other_forms(rows: Sequence[_Row]) -> Iterator[_Fault]:
    """A trainer decides by the first row how it reads all of them."""
    for row in rows:
        if row.example.form != rows[0].example.form:
            message = f"holds {row.example.form}, but the first row {rows[0].example.form}"
            yield row.number, "error", "", f"{message}; give all rows one form"


def _one_label(rows: Sequence[_Row], column: str) -> Iterator[_Fault]:
    labels = {row.example.label for row in rows}
    if len(labels) == 1 and None not in labels:
        only = "true" if True in labels else "false"
        yield None, "error", column, f"is {only} in every row; training needs true and false ones"


def _apart(rows: Sequence[_Row], column: str) -> Iterator[_Fault]:
    """Labels that change less than half as often as in a random order, of a file that is not."""
    labels = [row.example.label for row in rows]
    share = labels.count(True) / max(1, len(labels))
    changes = sum(one != other for one, other in pairwise(labels))
    if changes < share * (1 - share) * (len(labels) - 1):
        yield None, "warning", column, APART


def _repeated(rows: Sequence[_Row], column: str) -> Iterator[_Fault]:
    seen: dict[Hashable, bool | None] = {}
    for row in rows:
        texts, label = (row.asked, row.answered), row.example.label
        if texts not in seen:
            seen[texts] = label
        elif seen[texts] == label:
            yield row.number, "error", "", "repeats an earlier row"
        else:
            yield (
                row.number,
                "error",
                column,
                "an earlier row has the same texts, labelled otherwise",
            )


def _overlapping(rows: Sequence[_Row], held_out: Sequence[_Row], unread: int) -> Iterator[_Fault]:
    prompts = {row.asked for row in held_out}
    for row in rows:
        if row.asked in prompts:
            yield row.number, "error", "prompt", "is a held-out prompt too; split by prompt"
    if unread:
        message = f"{unread} held-out rows cannot be read and were not compared; check that file"
        yield None, "warning", "", message


def _grouped(faults: Iterable[_Fault]) -> tuple[Finding, ...]:
    """One finding a kind of fault, errors first, else in the order in which they were found."""
    kinds: dict[Hashable, tuple[_Fault, list[int]]] = {}
    for fault in faults:
        number, level, field, message = fault
        kind = level, without_particulars(field), without_particulars(message)
        _, numbers = kinds.setdefault(kind, (fault, []))
        numbers.extend(() if number is None else (number,))
    found = [Finding(*first[1:], tuple(numbers)) for first, numbers in kinds.values()]
    return tuple(sorted(found, key=lambda finding: finding.level))


def check(
    rows: Iterable[tuple[int, Any]],
    trainer: str,
    *,
    against: Iterable[tuple[int, Any]] = (),
    limit: Limit | None = None,
) -> tuple[Finding, ...]:
    """What is wrong with the rows of a file, for one trainer.

    Args:
        rows: number and value of each row as it was read, a `Problem` where it could not be.
        trainer: one of `TRAINERS`.
        against: held-out rows of the same form; their prompts must not be in the file.
        limit: how long rows may be; None looks at no lengths.

    Returns:
        The findings, errors first; none where the trainer understands all and loses nothing.

    Raises:
        OptionError: there is no such trainer.

    Example:
        >>> rows = [{"prompt": "2 + 2?", "completion": "4", "label": 1}]
        >>> for finding in check(enumerate(rows, 1), "trl-kto"):
        ...     print(finding)
        error: label: expected true or false, got a number (1 row: 1)
    """
    if trainer not in TRAINERS:
        raise OptionError(
            f"no trainer {trainer!r}; expected one of {', '.join(TRAINERS)}."
            f"{did_you_mean(trainer, list(TRAINERS))}"
        )
    chosen = TRAINERS[trainer]
    known, faults = _understood(rows, chosen.read)
    if not known and not faults:
        faults.append((None, "error", "", "has no rows"))
    for row in known:
        faults += [*_in_prompt(row, chosen), *_in_responses(row)]
        faults += _too_long(row, chosen, limit) if limit else ()
    held_out, unread = _understood(against, chosen.read)
    faults += [*_of_other_forms(known), *_one_label(known, chosen.label)]
    faults += () if chosen.shuffles else _apart(known, chosen.label)
    faults += _repeated(known, chosen.label)
    faults += _overlapping(known, held_out, len(unread))
    return _grouped(faults)
