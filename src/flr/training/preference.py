"""Aligns a policy: preference data in, a model folder out, by TRL's DPOTrainer or KTOTrainer.

    read the rows -> check them as TRL will read them -> train -> model, card and record in a folder

It is a door: what is learnt, and how, is TRL's. Nothing of the data is cut or dropped unless that
was said, and accepted, before. A run that was killed goes on from its last whole checkpoint, and
ends with the same weights as an undisturbed one on the same kind of machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flr import runs, sources
from flr.filling import Progress
from flr.preferences.checks import Finding
from flr.prompting import TEMPLATE_OPTION
from flr.runs import Report
from flr.sources import SMOLLM2
from flr.training import inputs, run
from flr.training.card import of_preferences
from flr.training.options import PreferenceOptions
from flr.training.run import Plan, TrainedOptions
from flr.training.settings import settings


@dataclass(frozen=True, kw_only=True)
class AlignOptions(PreferenceOptions, TrainedOptions):
    """Which policy is trained, and how."""

    policy: str = SMOLLM2
    """Policy: a Hugging Face id, a folder, a .gguf file, an adapter folder, or smollm2."""
    policy_revision: str | None = None
    """Branch, tag or commit of the policy's Hugging Face id."""
    policy_chat_template: Path | None = None
    """Jinja file to render conversations with, in place of the policy's own template."""


def check_possible(options: AlignOptions) -> None:
    """Raises what can be said against a training before its rows and its policy are there.

    Raises:
        OptionError: a missing library, settings that TRL has not, or that do not fit the machine.
    """
    run.check_installed("align")
    from flr.training import trl  # slow to import, and an extra

    machine = run.machine_of(options, "align")
    settings(options, machine, trl.setting_names(options.method), seed=options.seed)


def _plan(source: str, options: AlignOptions) -> Plan:
    """Reads what there is to read, but for weights."""
    from flr.training import trl  # slow to import, and an extra

    rows = inputs.read(source, options.split)
    held_out = None
    if options.held_out is not None:
        held_out = inputs.read(options.held_out, inputs.split_of(options.held_out, options.split))
    found = sources.locate(options.policy, revision=options.policy_revision)
    run.check_adapter(found, options.policy_revision, options)
    policy = inputs.prepare_base(
        found,
        options.policy_chat_template,
        TEMPLATE_OPTION,
        trust_remote_code=options.trust_remote_code,
    )
    machine = run.machine_of(options, "align")
    made = settings(
        options,
        machine,
        trl.setting_names(options.method),
        seed=options.seed,
        labels=rows.labels,
        longest=policy.longest,
        weight_bytes=inputs.weight_bytes(found, machine.device),
    )
    return Plan(
        verb="align",
        method=options.method,
        options=options,
        rows=rows,
        held_out=held_out,
        base=policy,
        machine=machine,
        settings=made,
        versions={**runs.versions(), **trl.versions()},
    )


def _check(
    plan: Plan, options: AlignOptions, warn: Callable[[str], None]
) -> Mapping[str, Sequence[Finding]]:
    """What `flr check` finds; all of it is told, by a warning or by the error that it is."""
    found = inputs.findings(
        plan.rows,
        plan.held_out,
        f"trl-{options.method}",
        plan.base.template,
        plan.settings["max_length"],
    )
    refusing = options.check == "error"
    for source, of_file in found.items():
        for finding in of_file:
            if not (refusing and finding.level == "error"):
                warn(f"{source}: {finding}")
    if refusing:
        inputs.refuse(found)
    return found


def _told(
    plan: Plan, options: AlignOptions, found: Mapping[str, Sequence[Finding]]
) -> dict[str, Any]:
    """What the record says beside the figures."""
    loss = plan.settings["loss_type"]
    return {
        "method": options.method,
        "loss_type": loss if isinstance(loss, str) else "+".join(map(str, loss)),
        "policy": run.of_base(plan),
        "findings": {source: list(map(str, of_file)) for source, of_file in found.items()},
    }


def align_file(
    source: str,
    output: Path,
    options: AlignOptions,
    progress: Progress = lambda _done, _total, _tokens: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Report:
    """Trains a policy on a file of preference data; sets torch's number of threads.

    Args:
        source: pairs (dpo) or labelled responses (kto) in TRL's form, as `flr mine` writes them; a
            file or hub id.
        output: a folder for the model, its card and the record `align.json`.
        options: see `AlignOptions`.
        progress: told of optimizer steps.
        warn: told what `flr check` finds, and what TRL warns of.

    Returns:
        The record, and how many steps were done now, with saving as one more.

    Raises:
        InputError: rows that TRL would misread or lose.
        ModelError: the policy cannot be loaded or has no room; the training has gone astray.
        OptionError: options that do not fit each other; what TRL refuses; a missing library.
        OutputError: the folder holds something else, or a run that was stopped.
    """
    check_possible(options)
    plan = _plan(source, options)
    if before := run.finished_before(plan, output, progress):
        return before
    found = _check(plan, options, warn)
    told = _told(plan, options, found)
    return run.carry_out(plan, output, told, of_preferences, progress, warn)
