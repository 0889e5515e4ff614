"""Samples a file: prompts in, prompts with responses out, resumable by block.

    read and check every prompt -> blocks of prompts -> sample what the store lacks -> write OUTPUT

Every row keeps its columns, but those that spoke of other responses, and gets `prompt`,
`responses`, `finish_reasons` and `response_tokens`. A prompt that the policy cannot take stops the
run before it begins, or is left out of OUTPUT and named in the run record.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from flr import io, runs, shards
from flr.errors import InputError, Problem, RenderError
from flr.filling import Progress, fill
from flr.measuring import skippable
from flr.options import FileOptions, SkipOptions, check_workers
from flr.policies import PolicyParts, SamplerOptions, prepare_policy
from flr.prompts import PromptOfRow
from flr.runs import BLOCK_RESPONSES, Report, Store
from flr.sampling import Prompt, Sampled, sample_blocks, sampled
from flr.shards import Gathered, Run, Shard
from flr.types import Message
from flr.workers import divided


@dataclass(frozen=True, kw_only=True)
class SampleOptions(FileOptions, SkipOptions, SamplerOptions):
    """How a file of prompts is sampled."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_workers(self, self.engine)

    @property
    def samplers(self) -> int | None:
        """How many processes sample; None for one a GPU."""
        return 1 if self.engine == "vllm" and not self.ray else self.workers


def usable_prompts(
    source: str, rows: Sequence[PromptOfRow], parts: PolicyParts, options: SampleOptions
) -> tuple[list[Prompt], list[tuple[int, str]]]:
    """The prompts that the policy can take, and the rows that are left out, with the reason.

    Raises:
        InputError: it names every row that cannot be taken, unless such rows are to be left out.
    """
    left_out = skippable(on_overflow=options.on_overflow, on_special=options.on_special)
    kept: list[Prompt] = []
    skipped: list[tuple[int, str]] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            parts.prompter.row(row.messages)
            kept.append(Prompt(row.number, row.messages))
        except left_out as error:
            skipped.append((row.number, str(error)))
        except RenderError as error:
            problems.append(Problem(row.number, "prompt", str(error)))
    if problems or not kept:
        raise InputError(source, problems or [Problem(None, "", "every row was left out")])
    return kept, skipped


def _blocks(prompts: Sequence[Prompt], n: int) -> list[Sequence[Prompt]]:
    """Fixed blocks of consecutive prompts, as many as have `BLOCK_RESPONSES` responses."""
    each = max(1, BLOCK_RESPONSES // n)
    return [prompts[at : at + each] for at in range(0, len(prompts), each)]


def _run_key(
    rows: Sequence[PromptOfRow],
    skipped: Sequence[tuple[int, str]],
    output: Path,
    parts: PolicyParts,
) -> str:
    return runs.key_of(
        {
            **parts.fingerprint,
            "rows": [[row.number, row.columns, list(map(asdict, row.messages))] for row in rows],
            "skipped": skipped,
            "format": output.suffix,
        }
    )


def _written(row: PromptOfRow, drawn: Sampled) -> dict[str, Any]:
    """A row of OUTPUT; a prompt that was a text stays one."""
    given = row.columns.get("prompt")
    is_text = isinstance(given, str) and row.messages == (Message("user", given),)
    prompt = given if is_text else [message.as_dict() for message in row.messages]
    return {
        **row.columns,
        "prompt": prompt,
        "responses": list(drawn.responses),
        "finish_reasons": list(drawn.finish_reasons),
        "response_tokens": list(drawn.tokens),
    }


_NOTHING = Sampled(("",), ("stop",), (0,), dropped=0)
"""Of the form of what is sampled, to try whether OUTPUT can hold it."""


@dataclass(slots=True)
class _Totals:
    """What is counted while OUTPUT is written."""

    responses: int = 0
    tokens: int = 0
    seconds: float = 0.0
    finish_reasons: Counter[str] = field(default_factory=Counter[str])
    cut: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def add(self, number: int, drawn: Sampled) -> None:
        self.responses += len(drawn.responses)
        self.tokens += sum(drawn.tokens)
        self.finish_reasons.update(drawn.finish_reasons)
        if drawn.dropped:
            self.cut.append((number, drawn.dropped))


def _rows(
    store: Store,
    rows: Sequence[PromptOfRow],
    blocks: Sequence[Sequence[Prompt]],
    parts: PolicyParts,
    totals: _Totals,
) -> Iterator[dict[str, Any]]:
    """Every row that was sampled, counted on the way."""
    of_number = {row.number: row for row in rows}
    for block in blocks:
        done = sampled(store, block, parts.fingerprint)
        totals.seconds += done.seconds
        for prompt, drawn in zip(block, done.prompts, strict=True):
            totals.add(prompt.number, drawn)
            yield _written(of_number[prompt.number], drawn)


def sample_file(
    source: str,
    output: Path,
    options: SampleOptions,
    progress: Progress = lambda _done, _total, _tokens: None,
    part: Shard | Gathered | None = None,
) -> Report:
    """Samples responses to every prompt of a file or dataset.

    Args:
        source: file, `-` for JSONL on standard input, or hub id; see `flr.io.load_prompts`.
        output: `.jsonl`, `.parquet`, or without suffix a folder of Parquet files.
        options: see `SampleOptions`.
        progress: told of prompts done.
        part: the one shard to compute, without OUTPUT; or all of them, gathered, to write OUTPUT
            from, computing nothing.

    Raises:
        InputError: prompts that cannot be taken, all of them named, before any weights are loaded.
        OutputError: OUTPUT cannot be written, or holds something else.
        UserError: what the options name cannot be found or used.
    """
    rows = io.load_prompts(source, split=options.split, limit=options.limit)
    return sample_rows(rows, source, output, options, progress, part)


def sample_rows(
    rows: Sequence[PromptOfRow],
    source: str,
    output: Path,
    options: SampleOptions,
    progress: Progress = lambda _done, _total, _tokens: None,
    part: Shard | Gathered | None = None,
) -> Report:
    """The same of rows that have been read; which of a file they are is the caller's affair.

    Args:
        rows: at least one.
        source: where they are from, for errors and the record.
        output: `.jsonl`, `.parquet`, or without suffix a folder of Parquet files.
        options: see `SampleOptions`.
        progress: told of prompts done.
        part: see `sample_file`.
    """
    io.check_output(output, [_written(row, _NOTHING) for row in rows], folder_too=True)
    io.check_place(source, output)
    options = divided(options, options.samplers)
    parts = prepare_policy(options)
    if isinstance(part, Gathered):
        parts = replace(parts, fingerprint=part.made_with)
    prompts, skipped = usable_prompts(source, rows, parts, options)
    run_key = _run_key(rows, skipped, output, parts)
    if not isinstance(part, Shard) and runs.is_done(output, run_key):
        progress(len(prompts), len(prompts), 0)
        return Report(runs.read_record(output), computed=0)
    if not isinstance(part, Shard):
        runs.check_free(output, run_key, force=options.force)
    blocks, totals = _blocks(prompts, options.n), _Totals()
    work = partial(sample_blocks, options=options, parts=parts, workers=options.samplers)
    if isinstance(part, Shard):
        run = Run(
            verb="sample",
            source=source,
            output=output,
            options=options,
            key=run_key,
            made_with=parts.fingerprint,
        )
        return shards.compute(run, part, blocks, work, progress)
    with Store(runs.store_path(output)) as store:
        left = part.work if isinstance(part, Gathered) else work
        computed = fill(store, blocks, parts.fingerprint, left, progress)
        runs.begin_output(output, run_key, force=options.force)
        io.write(output, _rows(store, rows, blocks, parts, totals))
    record = {
        "input": source,
        "options": asdict(options),
        "made_with": dict(parts.fingerprint),
        "prompts": len(prompts),
        "responses": totals.responses,
        "response_tokens": totals.tokens,
        "finish_reasons": dict(totals.finish_reasons),
        "cut": totals.cut,
        "skipped": skipped,
        "seconds": totals.seconds,
        "tokens_per_second": totals.tokens / totals.seconds if totals.seconds else None,
        "blocks": {"all": len(blocks), "computed_last": computed},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Report(runs.write_record(output, run_key, record), computed)
