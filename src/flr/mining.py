"""Mines preference data from a policy's own responses: the paper's way, in one go.

    prompts -> sample -> OUTPUT.responses -> score -> OUTPUT.rewards -> pair or label -> OUTPUT

A file that has responses already is not sampled, one that has rewards only paired. Each stage is a
run of its own with its own store and record, so a kill loses no more than a block, and other ways
of pairing, or another format, compute nothing anew.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flr import followups, io, runs
from flr.blocks import finished, measure_blocks
from flr.errors import InputError, OptionError, OutputError, Problem, UserError
from flr.files import write_text
from flr.filling import Progress, fill
from flr.labelling import LabelOptions
from flr.loading import prepare
from flr.measuring import Measured
from flr.mined import Mined, groups_of, mined_labels, mined_pairs
from flr.pairing import PairingOptions
from flr.preference_formats import PAIRED, UNPAIRED, dataset_info
from flr.responses import Group
from flr.rows import Row
from flr.runs import Store
from flr.sample_file import SampleOptions, sample_file
from flr.score_file import ScoreOptions, score_file
from flr.scoring import merged_weights, value
from flr.types import Conversation, Message
from flr.workers import divided

Format = Literal["trl", "trl-kto", "llama-factory", "llama-factory-kto", "openrlhf"]
Stage = Literal["sample", "score"]

FLOOR_ROWS = 8
"""Rows of which two responses are measured a second time, each alone, for the noise floor."""

DATASET_INFO = "dataset_info.json"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What is written."""

    format: Format = "trl"
    """Form of OUTPUT; those with kto have single responses with a label in place of pairs."""
    held_out: float = 0.0
    """Part of the prompts whose rows go to a second file, OUTPUT.held-out."""


@dataclass(frozen=True, kw_only=True)
class MineOptions(OutputOptions, LabelOptions, PairingOptions, ScoreOptions, SampleOptions):
    """How preference data are mined."""

    def __post_init__(self) -> None:
        for kind in (ScoreOptions, PairingOptions, LabelOptions):
            kind.__post_init__(self)
        if not 0 <= self.held_out < 1:
            raise OptionError(f"--held-out {self.held_out}; from 0 to below 1 was expected")
        by_threshold = self.format in UNPAIRED and self.label_quantile is None
        if by_threshold and self.label_threshold is None and self.reward != "pmi":
            raise OptionError(
                f"--format {self.format}: a label is absolute, and so must the reward be; give "
                "--reward pmi, or --label-quantile 0.3, or a --label-threshold of your own"
            )


@dataclass(frozen=True, slots=True)
class MineReport:
    """What a run did.

    Args:
        record: how OUTPUT was made, as its run record says.
        computed: blocks that were sampled or scored now.
    """

    record: Mapping[str, Any]
    computed: int


def beside(output: Path, what: str, suffix: str = ".jsonl") -> Path:
    """The file of a stage: `pairs.jsonl` has `pairs.responses.jsonl` beside it."""
    return output.with_name(f"{output.stem}.{what}{suffix}")


def _has(columns: Mapping[str, Any], name: str) -> bool:
    return columns.get(name) is not None


def _stage(columns: Mapping[str, Any]) -> Stage | None:
    """What has to be done first with a row; None where rewards are there."""
    if not _has(columns, "responses"):
        return "sample"
    return None if _has(columns, "rewards") else "score"


def _first_stage(source: str, rows: Sequence[Mapping[str, Any]]) -> Stage | None:
    """The same of all rows.

    Raises:
        InputError: some rows are further than others.
    """
    stages: list[Stage | None] = [_stage(row) for row in rows]
    other = next((at for at, stage in enumerate(stages) if stage != stages[0]), None)
    if other is not None:
        has = {None: "rewards", "score": "responses", "sample": "prompts alone"}
        raise InputError(
            source,
            [Problem(other + 1, "", f"has {has[stages[other]]}, row 1 {has[stages[0]]}")],
            "Give a file of which all rows are equally far.",
        )
    return stages[0]


def _check_prompts(source: str, stage: Stage | None, options: MineOptions) -> None:
    """Raises, before any work, where the format cannot hold a prompt; all such rows are named."""
    given = {"split": options.split, "limit": options.limit}
    if stage == "sample":
        prompts = [(row.number, row.messages) for row in io.load_prompts(source, **given)]
    else:
        rows = io.load(source, **given)
        prompts = [(row.number, row.conversations[0].prompt) for row in rows]
    problems: list[Problem] = []
    for number, prompt in prompts:
        answered = Conversation((*prompt, Message("assistant", "")))
        try:
            if options.format in PAIRED:
                PAIRED[options.format](answered, answered, {})
            else:
                UNPAIRED[options.format](answered, True, {})
        except UserError as error:
            problems.append(Problem(number, "prompt", str(error)))
    if problems:
        raise InputError(source, problems)


def _noise_floor(store: Store, rows: Sequence[Row], options: ScoreOptions) -> tuple[float, int]:
    """How far a reward is off where its response is measured alone, and the blocks computed.

    Returns:
        The largest change, unit of the reward.
    """
    options = divided(options, 1)  # as many threads as the scoring had, where it had one worker
    parts = prepare(options)
    known = [row for row in rows if any(reward is not None for reward in row.columns["rewards"])]
    drawn = np.random.default_rng(0).permutation(len(known))[:FLOOR_ROWS]
    asked: list[tuple[Conversation, float]] = []
    for row in (known[at] for at in sorted(drawn.tolist())):
        pairs = zip(row.columns["rewards"], row.conversations, strict=True)
        ranked = sorted((p for p in pairs if p[0] is not None), key=lambda p: p[0])
        asked += [(conversation, reward) for reward, conversation in (ranked[0], ranked[-1])]
    blocks = [[conversation] for conversation, _ in asked]
    work = partial(measure_blocks, options=options, parts=parts, workers=1)
    computed = fill(store, blocks, parts.fingerprint, work, lambda *_: None)
    weights = merged_weights(parts.followup_set, options.weights)
    changes = [0.0]
    for block, (_, reward) in zip(blocks, asked, strict=True):
        (alone,) = finished(store, block, parts.fingerprint).responses
        if isinstance(alone, Measured):
            score = value(alone, parts.followup_set, options.reward, weights)
            changes.append(abs(score.reward - reward))
    return max(changes), computed


def _rewarded(
    source: str, output: Path, options: MineOptions, progress_of: Callable[[str], Progress]
) -> tuple[Path | str, int]:
    """The file with rewards, made as far as it is not there, and how many blocks that took."""
    stage = _first_stage(source, io.read(source, split=options.split, limit=options.limit))
    _check_prompts(source, stage, options)
    if stage is None:
        return source, 0
    computed, scored = 0, beside(output, "rewards")
    if stage == "sample":
        written = beside(output, "responses")
        computed += sample_file(source, written, options, progress_of("prompts")).computed
        source, options = str(written), replace(options, split=None, limit=None)
    # A policy may write anything; what the follow-up model cannot take has no reward, and is
    # counted: a night's work is not stopped for it.
    bearing = replace(options, on_overflow="skip", on_special="skip")
    computed += score_file(source, scored, bearing, progress_of("responses")).computed
    return scored, computed


def _info_entry(output: Path, held_out: Path | None, form: str) -> dict[str, Any]:
    files = {output.stem: output, **({held_out.stem: held_out} if held_out else {})}
    found: dict[str, Any] = {}
    for name, path in files.items():
        found |= dataset_info(name, path.name, paired=form in PAIRED)
    return found


def _write_info(output: Path, held_out: Path | None, form: str) -> None:
    """Adds the files to the dataset_info.json beside them, and keeps what else is in it."""
    path = output.with_name(DATASET_INFO)
    try:
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    except (OSError, ValueError):
        known = None
    if not isinstance(known, dict):
        raise OutputError(f"{path} is no JSON object; mend or remove it")
    entries = {**known, **_info_entry(output, held_out, form)}
    write_text(path, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


def _key(rows: Sequence[Row], output: Path, floor: float, options: MineOptions) -> str:
    kinds = (OutputOptions, LabelOptions, PairingOptions)
    named = [field.name for kind in kinds for field in fields(kind)]
    return runs.key_of(
        {
            "rows": [[row.number, row.columns] for row in rows],
            "noise_floor": floor,
            "format": output.suffix,
            "seed": options.seed,
            **{name: getattr(options, name) for name in named},
            "versions": runs.versions(),
        }
    )


def mine_file(
    source: str,
    output: Path,
    options: MineOptions,
    progress_of: Callable[[str], Progress] = lambda _: lambda *_: None,
    warn: Callable[[str], None] = lambda _: None,
) -> MineReport:
    """Mines preference data from a file.

    Args:
        source: rows with prompts, with `prompt` and `responses`, or with `rewards` too; a file or
            hub id.
        output: `.jsonl` or `.parquet`; other files of the run lie beside it.
        options: see `MineOptions`.
        progress_of: gives the progress of a stage, by what it counts.
        warn: told what the user should know.

    Raises:
        InputError: rows that cannot be used, all of them named.
        OutputError: a file cannot be written, or holds something else.
        UserError: what the options name cannot be found or used, or nothing is left to write.
    """
    if source == "-":
        raise OptionError("flr mine reads its input more than once; give a file in place of -")
    io.check_output(output, [])
    io.check_place(source, output)
    scored, computed = _rewarded(source, output, options, progress_of)
    given = {"split": options.split, "limit": options.limit} if scored == source else {}
    rows = io.load(str(scored), **given)
    groups = groups_of(rows, str(scored))
    floor = 0.0
    if scored != source:
        with Store(runs.store_path(output)) as store:
            floor, more = _noise_floor(store, rows, options)
            computed += more
    elif options.min_margin is None and options.format in PAIRED:
        warn("rewards came with the file, so their noise floor is not known: every margin counts")
    run_key = _key(rows, output, floor, options)
    held_out = beside(output, "held-out", output.suffix) if options.held_out else None
    if runs.is_done(output, run_key) and (held_out is None or held_out.is_file()):
        return MineReport(runs.read_record(output), computed)
    runs.check_free(output, run_key, force=options.force)
    mined = _mined(rows, groups, options, floor)
    if not mined.rows:
        raise UserError(f"nothing is left to write: {json.dumps(mined.report['yield'])}")
    runs.begin_output(output, run_key, force=options.force)
    if held_out:
        io.write(held_out, mined.held_out)
    if options.format.startswith("llama-factory"):
        _write_info(output, held_out, options.format)
    io.write(output, mined.rows)
    record = {
        "input": source,
        "options": asdict(options),
        "rewards": str(scored),
        **mined.report,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return MineReport(runs.write_record(output, run_key, record), computed)


def _mined(
    rows: Sequence[Row], groups: Sequence[Group], options: MineOptions, floor: float
) -> Mined:
    if options.format in UNPAIRED:
        return mined_labels(rows, groups, options, options, keep_unfinished=options.keep_unfinished)
    weights = merged_weights(followups.load(options.set), options.weights)
    return mined_pairs(rows, groups, options, options, weights, floor)
