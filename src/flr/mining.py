"""Mines preference data from a policy's own responses: the paper's way, in one go.

    prompts -> sample -> OUTPUT.responses -> score -> OUTPUT.rewards -> pair or label -> OUTPUT

A file that has responses already is not sampled, one that has rewards only paired. Each stage is a
run of its own with its own store and record, so a kill loses no more than a block, and other ways
of pairing, or another format, compute nothing anew. What is wrong with the input or the options of
any stage is said before the first one begins.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flr import followups, io, runs
from flr.errors import OptionError, UserError
from flr.filling import ProgressOf
from flr.labelling import LabelOptions
from flr.loading import Parts, prepare
from flr.mined import files
from flr.mined.files import beside
from flr.mined.input import Stage, first_stage, rows_of
from flr.mined.labels import mined_labels
from flr.mined.pairs import mined_pairs
from flr.mined.rows import Mined, OutputOptions, groups_of
from flr.noise_floor import noise_floor
from flr.pairing import PairingOptions
from flr.policies import prepare_policy
from flr.reading import Numbered
from flr.rows import Row
from flr.runs import Report, Store
from flr.sample_file import SampleOptions, sample_file
from flr.score_file import ScoreOptions, check_scorable, score_file
from flr.scoring import merged_weights
from flr.workers import divided


@dataclass(frozen=True, kw_only=True)
class MineOptions(OutputOptions, LabelOptions, PairingOptions, ScoreOptions, SampleOptions):
    """How preference data are mined."""

    def __post_init__(self) -> None:
        for kind in (ScoreOptions, PairingOptions, LabelOptions, OutputOptions):
            kind.__post_init__(self)
        for field in fields(LabelOptions if self.is_paired else PairingOptions):
            if field.name != "keep_unfinished" and getattr(self, field.name) != field.default:
                name = field.name.replace("_", "-")
                theirs, ours = "single responses", "pairs"
                if not self.is_paired:
                    theirs, ours = ours, theirs
                raise OptionError(f"--{name} is for {theirs}, and {self.format} holds {ours}")


def check_wanted(options: MineOptions, stage: Stage) -> None:
    """Raises where the options leave nothing to choose from, or no sense of what is good.

    Args:
        options: of the run.
        stage: that it begins with.

    Raises:
        OptionError: pairs of one response; labels by a reward that is not absolute.
    """
    if options.is_paired:
        if stage == "sample" and options.n < 2:
            raise OptionError(f"--n {options.n}: a pair needs two responses to a prompt; 2 or more")
        return
    by_zero = options.label_threshold is None and options.label_quantile is None
    if by_zero and (stage == "pair" or options.reward != "pmi"):
        raise OptionError(
            f"{options.format} holds labels; a label is absolute, and so must the reward be; give "
            "--label-quantile 0.3, or a --label-threshold of your own"
            + ("" if stage == "pair" else ", or --reward pmi, whose 0 means no better than nothing")
        )


def _check_rows(rows: Sequence[Row], stage: Stage, options: MineOptions) -> None:
    most = max(len(row.conversations) for row in rows)
    if stage != "sample" and options.is_paired and most < 2:
        raise UserError("no row has two responses, of which a pair could be made")


def _run_key(
    items: Sequence[Numbered], output: Path, stage: Stage, options: MineOptions, parts: Parts | None
) -> str:
    kinds = (OutputOptions, LabelOptions, PairingOptions)
    sampled = prepare_policy(options).fingerprint if stage == "sample" else None
    return runs.key_of(
        {
            "rows": items,
            "sampled": sampled,
            "scored": parts and [parts.fingerprint, options.reward],
            "followup_set": followups.digest(followups.load(options.set)),
            "weights": options.weights,
            "per_followup": options.per_followup,
            "seed": options.seed,
            "suffix": output.suffix,
            **{field.name: getattr(options, field.name) for one in kinds for field in fields(one)},
            "versions": runs.versions(),
        }
    )


def _bearing(options: MineOptions) -> MineOptions:
    """How responses are scored.

    A policy may write anything; what the follow-up model cannot take has no reward, and is counted:
    a night's work is not stopped for it.
    """
    return replace(options, on_overflow="skip", on_special="skip")


def _rewarded(
    source: str,
    output: Path,
    stage: Stage,
    options: MineOptions,
    progress_of: ProgressOf,
    warn: Callable[[str], None],
) -> tuple[Path, int, dict[str, Any]]:
    """The file with rewards, how many blocks it took, and what the stages say of themselves."""
    computed, scored, told = 0, beside(output, "rewards"), {}
    if stage == "sample":
        written = beside(output, "responses")
        sampled = sample_file(source, written, options, progress_of("prompts"))
        computed, told["sample"] = sampled.computed, sampled.record
        source, options = str(written), replace(options, split=None, limit=None)
    done = score_file(source, scored, _bearing(options), progress_of("responses"), warn)
    told["score"] = done.record
    names = ("seconds", "seconds_measuring", "responses", "response_tokens", "tokens_per_second")
    names += ("finish_reasons", "skipped", "cut")
    stages = {
        stage: {name: record[name] for name in names if name in record}
        for stage, record in told.items()
    }
    return scored, computed + done.computed, stages


def _numbered(rewarded: Sequence[Row], rows: Sequence[Row], stages: Mapping[str, Any]) -> list[Row]:
    """The rows with their numbers in the input; those that were not sampled are not among them."""
    skipped = {number for number, *_ in stages.get("sample", {}).get("skipped", ())}
    numbers = [row.number for row in rows if row.number not in skipped]
    return [replace(row, number=at) for row, at in zip(rewarded, numbers, strict=True)]


def mine_file(
    source: str,
    output: Path,
    options: MineOptions,
    progress_of: ProgressOf = lambda _: lambda *_: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Report:
    """Mines preference data from a file.

    Args:
        source: rows with prompts, with `prompt` and `responses`, or with `rewards` too; a file or
            hub id.
        output: `.jsonl` or `.parquet`; other files of the run lie beside it.
        options: see `MineOptions`.
        progress_of: see `ProgressOf`.
        warn: told what the user should know.

    Raises:
        InputError: rows that cannot be used, all of them named.
        OutputError: a file cannot be written, or holds something else.
        UserError: what the options name cannot be found or used, or nothing is left to write.
    """
    if source == "-":
        raise OptionError("flr mine reads its input more than once; give a file in place of -")
    items = io.items(source, split=options.split, limit=options.limit)
    stage = first_stage(source, items)
    rows = rows_of(source, items, stage)
    check_wanted(options, stage)
    _check_rows(rows, stage, options)
    files.check(source, rows, output, options, stage)
    options = divided(options, options.workers)
    parts = None if stage == "pair" else prepare(_bearing(options))
    run_key = _run_key(items, output, stage, options, parts)
    if files.is_done(output, run_key, options):
        return Report(runs.read_record(output), computed=0)
    files.check_free(output, run_key, options, stage, force=options.force)
    if stage == "sample" and parts:
        check_scorable(source, rows, _bearing(options), parts)
    if stage != "sample":
        groups_of(rows, source)  # which names what does not fit
    computed, floor, rewarded, stages = 0, None, Path(source), {}
    if parts:
        rewarded, computed, stages = _rewarded(source, output, stage, options, progress_of, warn)
        rows = _numbered(io.load(str(rewarded)), rows, stages)
        if options.is_paired:
            with Store(runs.store_path(output)) as store:
                progress = progress_of("responses for the noise floor")
                floor, more = noise_floor(store, rows, options, parts, progress)
                computed += more
    elif options.is_paired and options.min_margin is None:
        warn("rewards came with the file, so their noise floor is not known: every margin counts")
    mined = _mined(rows, str(rewarded), options, floor)
    files.write(mined, output, run_key, options, force=options.force)
    record = {
        "input": source,
        "options": asdict(options),
        "rewards": str(rewarded),
        "stages": stages,
        **mined.report,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Report(runs.write_record(output, run_key, record), computed)


def _mined(rows: Sequence[Row], source: str, options: MineOptions, floor: float | None) -> Mined:
    """What is written.

    Raises:
        InputError: rewards that do not fit the responses.
        UserError: nothing is left, or one label only.
    """
    groups, seed = groups_of(rows, source), options.seed
    if not options.is_paired:
        keep = options.keep_unfinished
        return mined_labels(rows, groups, options, options, keep_unfinished=keep, seed=seed)
    weights = merged_weights(followups.load(options.set), options.weights)
    mined = mined_pairs(
        rows, groups, options, options, weights=weights, noise_floor=floor, seed=seed
    )
    if not mined.rows:
        counts = {name: count for name, count in mined.report["yield"].items() if count}
        raise UserError(
            f"nothing is left to write, {json.dumps(counts)}: --keep-unfinished keeps responses "
            "that were cut off, --min-margin 0 small margins"
        )
    return mined
