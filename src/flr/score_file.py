"""Scores a file: rows in, rows with rewards out, resumable by block, on one process or several.

    read and check every row -> blocks of rows -> measure what the store lacks -> write OUTPUT

Nothing is written to OUTPUT before all blocks are finished. The store keeps what the engine said,
not rewards: other weights, or another variant made of the same log-likelihoods, compute nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from flr import followups, io, runs, shards
from flr.blocks import finished, measure_blocks
from flr.errors import InputError, Problem, RenderError
from flr.filling import Progress, fill
from flr.loading import Parts, prepare
from flr.measuring import Measured
from flr.options import FileOptions, ScorerOptions, check_workers
from flr.rows import Row
from flr.runs import BLOCK_ROWS, Report, Store
from flr.score_record import SIDES, Totals, how, place, what
from flr.scoring import Score, merged_weights, value
from flr.shards import Gathered, Run, Shard
from flr.sources import engine_of
from flr.types import Conversation
from flr.workers import divided


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(FileOptions, ScorerOptions):
    """How a file is scored."""

    per_followup: bool = False
    """Also write every follow-up's log-likelihood and number of tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_workers(self, engine_of(self.model))


def score_file(
    source: str,
    output: Path,
    options: ScoreOptions,
    progress: Progress = lambda _done, _total, _tokens: None,
    warn: Callable[[str], None] = lambda _: None,
    part: Shard | Gathered | None = None,
) -> Report:
    """Scores every row of a file or dataset.

    Args:
        source: file, `-` for JSONL on standard input, or hub id; see `flr.io.load`.
        output: `.jsonl`, `.parquet`, or without suffix a folder of Parquet files.
        options: see `ScoreOptions`.
        progress: see `Progress`.
        warn: told, before any weights are loaded, what the user should know.
        part: the one shard to compute, without OUTPUT; or all of them, gathered, to write OUTPUT
            from, computing nothing.

    Raises:
        InputError: rows that cannot be scored, all of them named, before any weights are loaded.
        OutputError: OUTPUT cannot be written, or holds something else.
        UserError: what the options name cannot be found or used.
    """
    rows = io.load(source, split=options.split, limit=options.limit)
    io.check_output(output, [row.columns for row in rows], folder_too=True)
    io.check_place(source, output)
    options = divided(options, options.workers)
    parts = prepare(options)
    if isinstance(part, Gathered):
        parts = replace(parts, fingerprint=part.made_with)
    run_key = _run_key(rows, output, options, parts)
    if not isinstance(part, Shard) and runs.is_done(output, run_key):
        count = sum(len(row.conversations) for row in rows)
        progress(count, count, 0)
        return Report(runs.read_record(output), computed=0)
    if not isinstance(part, Shard):
        runs.check_free(output, run_key, force=options.force)
    check_scorable(source, rows, options, parts)
    warnings = _warnings(rows, parts)
    for warning in warnings:
        warn(warning)
    blocks = list(runs.blocks(rows))
    totals = Totals()
    work = [_conversations(block) for block in blocks]
    measure = partial(measure_blocks, options=options, parts=parts, workers=options.workers)
    if isinstance(part, Shard):
        run = Run(
            verb="score",
            source=source,
            output=output,
            options=options,
            key=run_key,
            made_with=parts.fingerprint,
        )
        return shards.compute(run, part, work, measure, progress)
    with Store(runs.store_path(output)) as store:
        left = part.work if isinstance(part, Gathered) else measure
        computed = fill(store, work, parts.fingerprint, left, progress)
        runs.begin_output(output, run_key, force=options.force)
        io.write(output, _scored(store, blocks, options, parts, totals))
    record = {
        **how(source, options, parts),
        **what(totals),
        "warnings": warnings,
        "blocks": {"rows_each": BLOCK_ROWS, "all": len(blocks), "computed_last": computed},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Report(runs.write_record(output, run_key, record), computed)


def _added(row: Row, scores: Sequence[Score | None], options: ScoreOptions) -> dict[str, Any]:
    """The columns that scoring adds to a row; null for a response that was left out."""
    columns: dict[str, list[Any]] = {
        "": [score and score.reward for score in scores],
        "_by_category": [score and dict(score.by_category) for score in scores],
    }
    followups_ = [score and list(score.followups) for score in scores]
    added: dict[str, Any] = {}
    for end, values in columns.items():
        if row.form == "pair":
            added |= {f"reward_{side}{end}": one for side, one in zip(SIDES, values, strict=True)}
        else:
            several = row.form == "several"
            added |= {f"rewards{end}": values} if several else {f"reward{end}": values[0]}
    if options.per_followup and row.form == "pair":
        added |= {f"followups_{side}": one for side, one in zip(SIDES, followups_, strict=True)}
    elif options.per_followup:
        added["followups"] = followups_ if row.form == "several" else followups_[0]
    if options.reward == "official":
        added["reward_variant"] = "official"
    return added


def check_scorable(source: str, rows: Sequence[Row], options: ScoreOptions, parts: Parts) -> None:
    """Raises where rows cannot be scored, with all of them named; loads no weights.

    Args:
        source: the file, for errors.
        rows: of it.
        options: how they are to be scored.
        parts: of the same options.

    Raises:
        InputError: a column is there already that scoring would write, or the model's template
            cannot take a conversation.
    """
    problems = _written_already(rows, options)
    if problems:
        raise InputError(source, problems, "Rename or drop the column in the input.")
    problems = _not_taken(rows, options, parts)
    if problems:
        raise InputError(source, problems)


def _written_already(rows: Sequence[Row], options: ScoreOptions) -> list[Problem]:
    """Columns of the rows that scoring would write."""
    return [
        Problem(row.number, name, "this column is there already, and scoring would write it")
        for row in rows
        for name in _added(row, [None] * len(row.conversations), options)
        if name in row.columns
    ]


def _not_taken(rows: Sequence[Row], options: ScoreOptions, parts: Parts) -> list[Problem]:
    """Conversations that the model's template cannot take."""
    problems: list[Problem] = []
    for row in rows:
        for number, conversation in enumerate(row.conversations):
            try:
                parts.renderer.check(conversation, parts.texts)
                if options.reward == "pmi":
                    parts.renderer.check(conversation.with_response(""), parts.texts)
            except parts.skippable:
                continue
            except RenderError as error:
                problems.append(Problem(row.number, place(row, number), str(error)))
    return problems


def _run_key(rows: Sequence[Row], output: Path, options: ScoreOptions, parts: Parts) -> str:
    return runs.key_of(
        {
            **parts.fingerprint,
            "rows": [[row.number, row.columns] for row in rows],
            "format": output.suffix,
            "reward": options.reward,
            "followup_set": followups.digest(parts.followup_set),
            "weights": merged_weights(parts.followup_set, options.weights),
            "per_followup": options.per_followup,
        }
    )


def _conversations(block: Sequence[Row]) -> list[Conversation]:
    return [conversation for row in block for conversation in row.conversations]


def _scored(
    store: Store,
    blocks: Sequence[Sequence[Row]],
    options: ScoreOptions,
    parts: Parts,
    totals: Totals,
) -> Iterator[dict[str, Any]]:
    """Every row with its columns and what scoring adds, counted on the way."""
    weights = merged_weights(parts.followup_set, options.weights)
    for block in blocks:
        done = finished(store, _conversations(block), parts.fingerprint)
        totals.add_block(done)
        responses = iter(done.responses)
        for row in block:
            measured = [next(responses) for _ in row.conversations]
            scores = [
                value(one, parts.followup_set, options.reward, weights)
                if isinstance(one, Measured)
                else None
                for one in measured
            ]
            totals.add(row, measured, scores)
            yield {**row.columns, **_added(row, scores, options)}


def _warnings(rows: Sequence[Row], parts: Parts) -> list[str]:
    texts = (message.content for row in rows for c in row.conversations for message in c.messages)
    found = followups.script_mismatch(parts.followup_set, texts)
    return [found] if found else []
