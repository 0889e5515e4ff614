"""Tunes a follow-up model: feedback in, a model folder out, by TRL's SFTTrainer.

    read the rows -> token rows with a loss mask -> train -> model, card and record in a folder

TRL is given tokens and labels, so what is learned are the tokens of the feedback alone (`masked`).
With held-out rows it ends when their feedback gets no likelier, and keeps the weights under which
it was likeliest. The record says in which form the model has learned; where it is used as a
follow-up model, that form is chosen by itself. A run that was killed goes on from its last whole
checkpoint, and ends with the same weights as an undisturbed one on the same kind of machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flr import runs, sources
from flr.filling import Progress
from flr.loading import TEMPLATE_OPTION
from flr.measuring import skippable
from flr.messages import comparable
from flr.options import SkipOptions
from flr.runs import Report
from flr.sources import SMOLLM2
from flr.training import inputs, masked, run
from flr.training.card import of_feedback
from flr.training.masked import Lesson, Masked
from flr.training.options import TuningOptions
from flr.training.run import Plan, TrainedOptions
from flr.training.settings import tuning_settings

METHOD = "sft"


@dataclass(frozen=True, kw_only=True)
class TuneOptions(TuningOptions, TrainedOptions, SkipOptions):
    """Which model is tuned, and how."""

    model: str = SMOLLM2
    """Model: a Hugging Face id, a folder, a .gguf file, an adapter folder, or smollm2."""
    revision: str | None = None
    """Branch, tag or commit of a Hugging Face id."""
    chat_template: Path | None = None
    """Jinja file to render conversations with, in place of the model's own; saved with it."""


def _lessons(source: str, options: TuneOptions) -> tuple[list[Lesson], list[Lesson]]:
    """What is learned of each row, of the file and of the held-out one."""
    lessons = masked.read(source, options.split)
    if options.held_out is None:
        return lessons, []
    split = inputs.split_of(options.held_out, options.split)
    return lessons, masked.read(options.held_out, split, like=lessons[0])


def _warnings(source: str, rows: Masked) -> list[str]:
    told: list[str] = []
    if rows.cut:
        told.append(f"{source}: of {len(rows.cut)} rows the oldest messages were left out to fit")
    if rows.skipped:
        number, reason = rows.skipped[0]
        told.append(f"{source}: {len(rows.skipped)} rows were left out (row {number}: {reason})")
    return told


def _shared(lessons: list[Lesson], held_out: list[Lesson]) -> list[str]:
    """Says where prompts that are held out are trained on."""
    trained = {comparable(one.prompt) for one in lessons}
    both = {comparable(one.prompt) for one in held_out} & trained
    if not both:
        return []
    return [
        f"{len(both)} prompts of the held-out rows are trained on, too: their likelihood says "
        "little of others (flr feedback build --held-out splits by prompt)"
    ]


def _plan(source: str, options: TuneOptions) -> tuple[Plan, dict[str, Any]]:
    """Reads what there is to read, but for weights; with what the record says of it."""
    from flr.training import trl  # slow to import, and an extra

    machine = run.machine_of(options, "tune")
    known = trl.setting_names(METHOD)
    tuning_settings(options, machine, known, seed=options.seed)  # which checks them
    lessons, held_out = _lessons(source, options)
    found = sources.locate(options.model, revision=options.revision)
    run.check_adapter(found, options.revision, options)
    base = inputs.prepare_base(
        found, options.chat_template, TEMPLATE_OPTION, trust_remote_code=options.trust_remote_code
    )
    renderer = masked.renderer_of(lessons, base, options.max_length)
    left_out = skippable(on_overflow=options.on_overflow, on_special=options.on_special)
    rows = masked.mask(source, lessons, renderer, left_out)
    watched = None
    if held_out:
        watched = masked.mask(str(options.held_out), held_out, renderer, left_out)
    files = [one for one in (rows, watched) if one]
    plan = Plan(
        verb="tune",
        method=METHOD,
        options=options,
        rows=rows.rows,
        held_out=watched and watched.rows,
        base=base,
        machine=machine,
        settings=tuning_settings(
            options,
            machine,
            known,
            seed=options.seed,
            watched=watched is not None,
            weight_bytes=inputs.weight_bytes(found, machine.device),
        ),
        versions={**runs.versions(), **trl.versions()},
        patience=options.patience if watched else None,
    )
    told = {
        "method": METHOD,
        "model": run.of_base(plan),
        "form": lessons[0].form,
        "opening": lessons[0].opening or None,
        "tokens_learned": rows.learned,
        "cut": {one.rows.source: one.cut for one in files},
        "skipped": {one.rows.source: one.skipped for one in files},
        "warnings": [
            *(words for one in files for words in _warnings(one.rows.source, one)),
            *_shared(lessons, held_out),
        ],
    }
    return plan, told


def tune_file(
    source: str,
    output: Path,
    options: TuneOptions,
    progress: Progress = lambda _done, _total, _tokens: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Report:
    """Trains a follow-up model on a file of feedback; sets torch's number of threads.

    Args:
        source: rows of `flr feedback build`, or of prompt and completion; a file or hub id.
        output: a folder for the model, its card and the record `tune.json`.
        options: see `TuneOptions`.
        progress: told of optimizer steps.
        warn: told what was cut or left out, and what TRL warns of.

    Returns:
        The record, and how many steps were done now, with saving as one more.

    Raises:
        InputError: rows that are none, of several forms, or that the model cannot take.
        ModelError: the model cannot be loaded or has no room; the training has gone astray.
        OptionError: options that do not fit each other; what TRL refuses; a missing library.
        OutputError: the folder holds something else, or a run that was stopped.
    """
    run.check_installed("tune")
    plan, told = _plan(source, options)
    if before := run.finished_before(plan, output, progress):
        return before
    for words in told["warnings"]:
        warn(words)
    return run.carry_out(plan, output, told, of_feedback, progress, warn)
