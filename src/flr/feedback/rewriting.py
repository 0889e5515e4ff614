"""Critiques put into a user's own words: by rules, or by a chat model of the user's choice.

    rows -> prompts (`template`) -> sample -> OUTPUT.drafts -> the first draft that passes -> OUTPUT
    rows -> sentences turned (`rules`)     -> what passes   -> OUTPUT

Drafts are a run of their own with a store and a record (`flr.sample_file`), so a kill loses no more
than a block, and other limits of length sample nothing anew. Every text has to pass the checks of
`wording`; a row of which none does is left out, and counted by what was wrong with the first.
The critique stays in the column `critique`; a row that has one is rewritten from it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from flr import io, runs
from flr.errors import InputError, OptionError, Problem, UserError
from flr.feedback import template
from flr.feedback.rows import Feedback, feedback_of, form_of, row_of
from flr.feedback.rules import rewritten
from flr.feedback.wording import WordingOptions, fault_of
from flr.filling import Progress
from flr.messages import RowError, kind_of, text_of
from flr.mined.files import beside
from flr.options import check_positive
from flr.policies import prepare_policy
from flr.prompts import PromptOfRow
from flr.runs import Report
from flr.sample_file import SampleOptions, sample_rows
from flr.types import Message
from flr.workers import divided

SKIPPED = "the model could not take its prompt"
UNFINISHED = "cut off (--max-new-tokens)"
SENTENCES = 2


@dataclass(frozen=True, kw_only=True)
class RewriteOptions(WordingOptions, SampleOptions):
    """How critiques are rewritten."""

    by: Literal["rules", "model"] = "rules"
    """rules turn the first sentences of a critique, in English, without a model; model lets a chat
    model (--policy) write, which has to be much larger than smollm2: that one drifts off, and no
    check sees it."""
    sentences: int | None = None
    """Sentences that the rules keep at most [default: 2]."""
    template: Path | None = None
    """YAML file with the prompt for the model, in place of ours."""
    n: int = 2
    """Drafts for each row, of which the first that passes the checks is taken; -n for short."""
    max_new_tokens: int = 128
    """Longest draft, tokens."""

    def __post_init__(self) -> None:
        SampleOptions.__post_init__(self)
        WordingOptions.__post_init__(self)
        check_positive("sentences", self.sentences)
        if self.by == "model" and self.sentences is not None:
            raise OptionError("--sentences is for --by rules")
        if self.by == "rules":
            self._check_no_model()

    def _check_no_model(self) -> None:
        """Raises where an option of the model is given, and none writes."""
        theirs = {one.name for one in fields(SampleOptions)} - {"split", "limit", "force"}
        empty = RewriteOptions.__dataclass_fields__
        for name in ("template", *sorted(theirs)):
            given = getattr(self, name)
            if given and given != empty[name].default:
                raise OptionError(f"--{name.replace('_', '-')} is for --by model")


@dataclass(frozen=True, slots=True)
class Critique:
    """A row whose critique is rewritten.

    Args:
        row: its number, from 1.
        form: of the row.
        said: the critique as its text.
    """

    row: int
    form: Any
    said: Feedback

    def written(self, text: str) -> dict[str, Any]:
        """The row with another text, the critique beside it."""
        about = {**self.said.about, "critique": self.said.text}
        return row_of(Feedback(self.said.conversation, text, about), self.form)


def _critique(number: int, value: Any) -> Critique:
    if not isinstance(value, Mapping):
        raise RowError("", f"expected an object with columns, got {kind_of(value)}")
    said = feedback_of(value)
    earlier = said.about.get("critique")
    text = said.text if earlier is None else text_of(earlier, "critique")
    return Critique(number, form_of(value), Feedback(said.conversation, text, said.about))


def _read(source: str, options: RewriteOptions) -> list[Critique]:
    """The critiques of a file; all bad rows are named at once."""
    found: list[Critique] = []
    problems: list[Problem] = []
    for number, value in io.items(source, split=options.split, limit=options.limit):
        try:
            if isinstance(value, Problem):
                problems.append(value)
            else:
                found.append(_critique(number, value))
        except RowError as error:
            problems.append(Problem(number, error.field, error.message))
    if problems or not found:
        hint = "Rows are those of `flr feedback build`."
        raise InputError(io.named(source), problems or [Problem(None, "", "has no rows")], hint)
    return found


def _prompt(one: Critique, text: str) -> PromptOfRow:
    """What the model is asked; of several turns the last."""
    asked = [message.content for message in one.said.conversation.prompt if message.role == "user"]
    whole = template.filled(text, asked[-1], one.said.conversation.response, one.said.text)
    return PromptOfRow(one.row, {}, (Message("user", whole),))


def _bare(draft: str) -> str:
    """A draft without the quotation marks that models like to put around it."""
    text = draft.strip()
    for opening, closing in ('""', "“”"):
        inside = text[1:-1]
        if len(text) > 1 and text[0] == opening and text[-1] == closing and opening not in inside:
            return inside.strip()
    return text


def _drafts(row: Mapping[str, Any]) -> list[str | None]:
    """The drafts of a row; None in the place of one that was cut off."""
    ends = zip(row["responses"], row["finish_reasons"], strict=True)
    return [_bare(text) if reason == "stop" else None for text, reason in ends]


def _sampled(
    source: str,
    critiques: Sequence[Critique],
    output: Path,
    options: RewriteOptions,
    progress: Progress,
) -> list[list[str | None]]:
    """The drafts of each critique; no draft where the model could not take its prompt."""
    text = template.read(options.template)
    prompts = [_prompt(one, text) for one in critiques]
    report = sample_rows(prompts, source, output, options, progress)
    skipped = {number for number, *_ in report.record["skipped"]}
    drafts = iter([_drafts(row) for row in io.read(str(output))])
    found = [[] if one.row in skipped else next(drafts) for one in critiques]
    assert next(drafts, None) is None, "every draft belongs to a critique"
    return found


def _checked(
    one: Critique, drafts: Sequence[str | None], options: RewriteOptions
) -> tuple[str, str | None]:
    """The first draft that passes, or what is wrong with the first one."""
    first = None
    for text in drafts:
        response = one.said.conversation.response
        fault = UNFINISHED
        if text is not None:
            by_rules = options.by == "rules"
            fault = fault_of(text, one.said.text, response, options, by_rules=by_rules)
            if fault is None:
                return text, None
        first = first or fault
    return "", first or SKIPPED


def _way(options: RewriteOptions) -> dict[str, Any]:
    """All but the critiques that has a say in what is written."""
    limits = {one.name: getattr(options, one.name) for one in fields(WordingOptions)}
    if options.by == "rules":
        return {**limits, "sentences": options.sentences or SENTENCES, "flr": runs.versions()}
    parts = prepare_policy(divided(options, options.samplers))
    return {**limits, "template": template.read(options.template), "sampled": parts.fingerprint}


def _run_key(critiques: Sequence[Critique], output: Path, options: RewriteOptions) -> str:
    rows = [[one.row, one.written("")] for one in critiques]
    return runs.key_of({"rows": rows, "suffix": output.suffix, **_way(options)})


def _written(
    critiques: Sequence[Critique],
    drafts: Sequence[Sequence[str | None]],
    output: Path,
    run_key: str,
    options: RewriteOptions,
    told: Mapping[str, Any],
) -> Report:
    """Writes the rows that passed, and the record.

    Raises:
        UserError: none did.
        OutputError: the file cannot be written.
    """
    both = zip(critiques, drafts, strict=True)
    checked = [(one, *_checked(one, texts, options)) for one, texts in both]
    left_out = Counter(fault for _, _, fault in checked if fault)
    rows = [one.written(text) for one, text, fault in checked if fault is None]
    if not rows:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in left_out.items())
        raise UserError(f"{told['input']}: nothing is left to write ({reasons})")
    runs.begin_output(output, run_key, force=options.force)
    io.write(output, rows)
    record = {
        **told,
        "options": asdict(options),
        "found": len(checked),
        "rows": len(rows),
        "left_out": dict(left_out),
        "examples": [[row["critique"], row["completion"][0]["content"]] for row in rows[:3]],
        "versions": runs.versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Report(runs.write_record(output, run_key, record), computed=1)


def rewrite_file(
    source: str,
    output: Path,
    options: RewriteOptions,
    progress: Progress = lambda _done, _total, _tokens: None,
) -> Report:
    """Puts the critiques of a file into a user's own words.

    Args:
        source: rows of `flr feedback build`; a file or hub id.
        output: `.jsonl` or `.parquet`; a model's drafts lie beside it.
        options: see `RewriteOptions`.
        progress: told of drafts done.

    Returns:
        The record; `computed` is 0 where the same command has done it before.

    Raises:
        InputError: bad rows, all of them named, or a template that is none.
        OutputError: OUTPUT cannot be written, or holds something else.
        UserError: what the options name cannot be found or used, or nothing is left to write.
    """
    drafts_at = beside(output, "drafts")
    for path in (output, drafts_at):
        io.check_place(source, path)
    critiques = _read(source, options)
    io.check_output(output, [one.written("") for one in critiques])
    run_key = _run_key(critiques, output, options)
    if runs.is_done(output, run_key):
        return Report(runs.read_record(output), computed=0)
    runs.check_free(output, run_key, force=options.force)
    told, keep = {"input": io.named(source)}, options.sentences or SENTENCES
    if options.by == "model":
        drafts = _sampled(source, critiques, drafts_at, options, progress)
        told["drafts"] = drafts_at.name
    else:
        drafts = [[rewritten(one.said.text, keep)] for one in critiques]
    return _written(critiques, drafts, output, run_key, options, told)
