"""From published feedback to training conversations: read, clean, balance, split by prompt, write.

    rows -> what each says -> what is fit -> as many of each score -> one form, two files

No model is needed. Everything that is left out is counted, and told.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flr import io, runs
from flr.chat import Form
from flr.errors import InputError, OptionError, Problem
from flr.feedback.cleaning import Cleaned, CleaningOptions, clean
from flr.feedback.parting import Parted, part
from flr.feedback.rows import Feedback
from flr.feedback.sources import EXPECTED, Found, Rationale, feedback_in
from flr.messages import RowError, prompt_key
from flr.mined.files import begin, check_places, held_out_of, outputs
from flr.runs import Report

RATIONALE = "said of one aspect (--rationales)"

SHARED = "drawn to be held out, but the prompt is in the other file, too"


@dataclass(frozen=True, kw_only=True)
class WritingOptions:
    """In which form conversations are written, and which are held out."""

    form: Form = "role-switched"
    """Who gives the feedback: the assistant, who has asked and was answered (role-switched), or the
    user, in the next turn (user)."""
    held_out: float = 0.0
    """Part of the conversations that goes into a second file: for out.jsonl it is
    out.held-out.jsonl. All rows of a `group` go together, or, without that column, all that begin
    with the same turn of the user; what still shares a prompt with the first file is left out."""
    seed: int = 0
    """Of what is drawn: prompts that are held out, rows that balance scores."""
    split: str | None = None
    """Split of a Hugging Face dataset."""
    limit: int | None = None
    """Take the first N rows of each input only."""
    force: bool = False
    """Replace an OUTPUT that was made otherwise."""

    def __post_init__(self) -> None:
        if not 0 <= self.held_out < 1:
            raise OptionError(f"--held-out {self.held_out}; 0 or more and below 1 was expected")


@dataclass(frozen=True, kw_only=True)
class BuildOptions(WritingOptions, CleaningOptions):
    """How training conversations are made of feedback."""

    rationales: bool = False
    """Of UltraFeedback take what is said of each aspect, too, and not the critique alone."""
    balance: bool = False
    """Leave out rows by lot, until there are as many of each score."""

    def __post_init__(self) -> None:
        WritingOptions.__post_init__(self)
        CleaningOptions.__post_init__(self)


def _read(source: str, options: BuildOptions) -> list[Found]:
    """What the rows of a file say; all bad rows are named at once."""
    found: list[Found] = []
    problems: list[Problem] = []
    for number, value in io.items(source, split=options.split, limit=options.limit):
        if isinstance(value, Problem):
            problems.append(value)
            continue
        try:
            found += feedback_in(number, value)
        except RowError as error:
            problems.append(Problem(number, error.field, error.message))
    if problems or not found:
        raise InputError(
            io.named(source), problems or [Problem(None, "", "holds no feedback")], EXPECTED
        )
    return found


def level(about: Mapping[str, Any]) -> int | None:
    """The score in some columns as a whole number, the nearest; None where there is none."""
    score = about.get("score")
    return None if score is None else round(score)


def balanced(found: Sequence[Feedback], seed: int) -> list[Feedback]:
    """As many of each score as there are of the rarest, in their order.

    Args:
        found: all of them with a score.
        seed: which are left out.

    Raises:
        OptionError: one has no score.

    Example:
        >>> from flr.types import Conversation
        >>> scores = (1.0, 1.0, 5.0, 1.2)
        >>> said = [Feedback(Conversation.of("a", "b"), str(at), {"score": score})
        ...         for at, score in enumerate(scores)]
        >>> sorted(level(one.about) for one in balanced(said, seed=0))
        [1, 5]
    """
    levels = [level(one.about) for one in found]
    if None in levels:
        lacking = levels.count(None)
        raise OptionError(f"--balance needs scores, and {lacking} of {len(found)} items have none")
    most = min(Counter(levels).values(), default=0)

    def place(at: int) -> str:
        one = found[at]
        told = [seed, prompt_key(one.conversation), one.conversation.response, one.text]
        return hashlib.sha256(repr(told).encode()).hexdigest()

    kept = set[int]()
    for own in set(levels):
        drawn = sorted((at for at in range(len(found)) if levels[at] == own), key=place)
        kept.update(drawn[:most])
    return [one for at, one in enumerate(found) if at in kept]


def _scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many there are of each score, from the lowest; those without one last."""
    counts = Counter(map(level, rows))
    order = sorted(counts, key=lambda score: (score is None, score))
    return {str(score): counts[score] for score in order}


def write(
    parted: Parted, output: Path, run_key: str, options: WritingOptions, told: dict[str, Any]
) -> Report:
    """Writes the main rows, held-out ones beside them, and the record.

    Args:
        parted: the rows.
        output: the main file.
        run_key: of the run.
        options: form and held-out prompts.
        told: what the record says.

    Raises:
        OutputError: a file holds something else, or cannot be written.
    """
    main, others = parted.main, parted.held_out
    paths = outputs(output, has_held_out=bool(others))
    begin(paths, others, run_key, force=options.force)
    io.write(output, main)
    record = {
        **told,
        "form": options.form,
        "rows": len(main),
        "rows_held_out": len(others),
        "left_out": told["left_out"] | ({SHARED: parted.shared} if parted.shared else {}),
        "prompts": parted.prompts,
        "prompts_held_out": parted.prompts_held_out,
        "held_out": held_out_of(output).name if others else None,
        "scores": _scores([*main, *others]),
        "options": asdict(options),
        "versions": runs.versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Report(runs.write_record(output, run_key, record), computed=1)


def finished_before(output: Path, run_key: str, options: WritingOptions) -> Report | None:
    """What this very run has written before, if it has.

    Raises:
        OutputError: a file is there that it has not written.
    """
    record = runs.read_record(output)
    both = record.get("held_out") is None or runs.is_done(held_out_of(output), run_key)
    if runs.is_done(output, run_key) and both:
        return Report(record, computed=0)
    for path in outputs(output, has_held_out=options.held_out > 0):
        runs.check_free(path, run_key, force=options.force)
    return None


def write_cleaned(
    sources: Sequence[str],
    found: Sequence[Found],
    cleaned: Cleaned,
    kept: Sequence[Feedback],
    output: Path,
    options: WritingOptions,
) -> Report:
    """Writes what is left of some feedback, unless the same command has done so.

    Args:
        sources: of the feedback.
        found: all of it.
        cleaned: what is left of it, and why the rest is not.
        kept: what is written, of what is left.
        output: `.jsonl` or `.parquet`.
        options: all that the rows were made by.

    Raises:
        InputError: nothing is left.
        OptionError: nothing can be held out, and some should be.
        OutputError: OUTPUT cannot be written, or holds something else.
    """
    if not kept:
        reasons = ", ".join(f"{name}: {count}" for name, count in cleaned.left_out.items())
        raise InputError(", ".join(sources), [Problem(None, "", f"nothing is left ({reasons})")])
    parted = part(kept, options.form, options.held_out, options.seed)
    io.check_output(output, [*parted.main, *parted.held_out])
    told = {"inputs": [io.named(source) for source in sources], **_counts(found, cleaned, kept)}
    said = [[asdict(one.conversation), one.text, dict(one.about)] for one in kept]
    asked = {name: value for name, value in asdict(options).items() if name != "force"}
    run_key = runs.key_of({"rows": said, "options": asked, "format": output.suffix, **told})
    before = finished_before(output, run_key, options)
    return before or write(parted, output, run_key, options, told)


def _counts(found: Sequence[Found], cleaned: Cleaned, kept: Sequence[Feedback]) -> dict[str, Any]:
    unbalanced = len(cleaned.kept) - len(kept)
    left_out = cleaned.left_out | ({"to balance scores": unbalanced} if unbalanced else {})
    return {"found": len(found), "left_out": left_out, "labels_cut": cleaned.relieved}


def build_file(sources: Sequence[str], output: Path, options: BuildOptions) -> Report:
    """Makes training conversations of feedback.

    Args:
        sources: files or hub ids, at least one; see `flr.feedback.sources` for their kinds.
        output: `.jsonl` or `.parquet`.
        options: see `BuildOptions`.

    Returns:
        The record; `computed` is 0 where the same command has done it before.

    Raises:
        InputError: rows that are of no known kind, or bad; or nothing is left.
        OptionError: options that do not fit the rows.
        OutputError: OUTPUT cannot be written, or holds something else.
    """
    found: list[Found] = []
    for source in sources:
        check_places(source, output)
        found += _read(source, options)
    if not options.rationales:
        found = [RATIONALE if isinstance(one, Rationale) else one for one in found]
    cleaned = clean(found, options)
    kept = balanced(cleaned.kept, options.seed) if options.balance else list(cleaned.kept)
    return write_cleaned(sources, found, cleaned, kept, output, options)
