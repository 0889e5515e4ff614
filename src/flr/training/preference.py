"""Trains a policy on preference data, by TRL's DPOTrainer or KTOTrainer.

    read the rows -> check them as TRL will read them -> train -> a model folder, a card, a record

This is a door: what is learnt, and how, is TRL's. Nothing of the data is cut or dropped unless that
was said and accepted before. A run that was killed goes on from its last whole checkpoint, and ends
with the same weights as an undisturbed one where the arithmetic is the same.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flr import devices, io, models, runs, sources
from flr.checking import check_file
from flr.errors import InputError, OptionError, Problem
from flr.filling import Progress
from flr.loading import read_template
from flr.options import MachineOptions
from flr.policies import PolicyOptions
from flr.runs import Report
from flr.sources import Source
from flr.training import folder as trained
from flr.training.settings import Machine, TrainingOptions, settings
from flr.training.trl import Data, Trained, check_settings, train

COLUMNS = {"dpo": ("prompt", "chosen", "rejected"), "kto": ("prompt", "completion", "label")}
"""What of a row TRL is given."""

_TEMPLATE = "--policy-chat-template"


@dataclass(frozen=True, kw_only=True)
class AlignOptions(TrainingOptions, MachineOptions, PolicyOptions):
    """Which policy is trained, and how."""

    policy_chat_template: Path | None = None
    """Jinja file to render conversations with, in place of the policy's own template."""
    seed: int = 0
    """Of the order of rows, and of the first weights of an adapter."""
    held_out: str | None = None
    """File of other rows, on which the policy is evaluated before and after."""
    keep_adapter: bool = False
    """Save the adapter of --lora alone, in place of a whole model with it merged."""
    resume: bool = False
    """Go on from the last checkpoint of a run that was stopped."""
    force: bool = False
    """Replace what another run has made in DIR."""

    def __post_init__(self) -> None:
        TrainingOptions.__post_init__(self)
        MachineOptions.__post_init__(self)
        if self.quantization or self.device_map:
            raise OptionError(
                "--quantization and --device-map are for models that are not trained; leave them "
                "out (several GPUs share a training by `accelerate launch`)"
            )
        if self.keep_adapter and not self.lora:
            raise OptionError("--keep-adapter is for --lora; without it all weights are trained")
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"--seed {self.seed}; a number from 0 to 2^32 - 1 was expected")


def _rows(source: str, method: str) -> list[dict[str, Any]]:
    """The rows as TRL is given them: its own columns alone, so that no other disturbs it."""
    rows = io.read(source)
    names = COLUMNS[method]
    problems = [
        Problem(number, name, "there is no such column")
        for number, row in enumerate(rows, 1)
        for name in names
        if row.get(name) is None
    ]
    if problems:
        hint = f"flr mine writes such files; flr check FILE --for trl-{method} says more."
        raise InputError(source, problems, hint)
    return [{name: row[name] for name in names} for row in rows]


def _check(source: str, name: str, options: AlignOptions, warn: Callable[[str], None]) -> list[str]:
    """What `flr check` finds; told, and where it is wrong, the end unless that is accepted.

    Raises:
        InputError: TRL would misread or lose rows.
    """
    report = check_file(
        source,
        f"trl-{options.method}",
        against=options.held_out,
        tokenizer=name,
        max_length=options.max_length,
    )
    for finding in report.findings:
        warn(str(finding))
    if report.errors and options.check == "error":
        problems = [Problem(None, "", str(one)) for one in report.findings if one.level == "error"]
        hint = "Mend the file, give a larger --max-length, or --check warn to train all the same."
        raise InputError(source, problems, hint)
    return [str(finding) for finding in report.findings]


def _check_base(source: Source, options: AlignOptions) -> None:
    if options.keep_adapter and (source.gguf or source.base):
        raise OptionError(
            f"--keep-adapter: {source.name} is no folder or hub id with whole safetensors, which "
            "is what an adapter is loaded onto; leave it out, and the adapter is merged"
        )


def _machine(options: AlignOptions) -> Machine:
    device = options.device or devices.pick_device()
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    dtype = devices.pick_dtype(options.dtype, device)
    if dtype == "fp16" and device == "cpu":
        raise OptionError("--dtype fp16 is for GPUs; bf16 or fp32 was expected")
    return Machine(device=device, dtype=dtype, processes=processes)


def _run_key(
    rows: Sequence[Any], held_out: Sequence[Any], source: Source, options: AlignOptions
) -> str:
    own = {field.name for field in fields(MachineOptions)}
    own |= {"resume", "force", "check", "held_out", "policy_chat_template"}
    return runs.key_of(
        {
            **{name: value for name, value in asdict(options).items() if name not in own},
            "rows": rows,
            "held_out": held_out,
            "policy": source.identity,
            "template": read_template(options.policy_chat_template, _TEMPLATE),
            "machine": asdict(_machine(options)),
            "threads": options.threads or devices.THREADS,
            "versions": trained.versions(),
        }
    )


def align_file(
    source: str,
    output: Path,
    options: AlignOptions,
    progress: Progress = lambda _done, _total, _tokens: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Report:
    """Trains a policy on a file of preference data.

    Args:
        source: pairs (dpo) or labelled responses (kto) in TRL's form, as `flr mine` writes them.
        output: a folder for the model, its card README.md and the record align.json.
        options: see `AlignOptions`.
        progress: told of optimizer steps.
        warn: told what `flr check` finds.

    Raises:
        InputError: rows that TRL would misread or lose.
        ModelError: the policy cannot be loaded, or its loss is no longer finite.
        OptionError: options that do not fit each other, or a missing library.
        OutputError: the folder holds something else, or a run that was stopped.
    """
    check_settings(options)
    rows = _rows(source, options.method)
    held_out = _rows(options.held_out, options.method) if options.held_out else []
    policy = sources.locate(options.policy, revision=options.policy_revision)
    _check_base(policy, options)
    run_key = _run_key(rows, held_out, policy, options)
    if trained.is_done(output, run_key):
        record = trained.read_record(output)
        progress(record["steps"], record["steps"], 0)
        return Report(record, computed=0)
    trained.check_free(output, run_key, resume=options.resume, force=options.force)
    findings = _check(source, options.policy, options, warn)
    made = settings(
        options,
        _machine(options),
        seed=options.seed,
        parameters=models.parameters_of(policy),
        labels=[row["label"] for row in rows] if options.method == "kto" else (),
        held_out=bool(held_out),
    )
    trained.begin(output, run_key, force=options.force)
    done = train(
        policy,
        Data(rows, held_out, read_template(options.policy_chat_template, _TEMPLATE)),
        output,
        options,
        made,
        progress,
        keep_adapter=options.keep_adapter,
    )
    record = {
        "method": options.method,
        "input": source,
        "input_sha256": _sha256(source),
        "rows": len(rows),
        "rows_held_out": len(held_out),
        "policy": {"name": options.policy, "identity": policy.identity},
        "options": asdict(replace(options, force=False, resume=False)),
        "settings": {**made, "dtype": _machine(options).dtype},
        "versions": trained.versions(),
        "findings": findings,
        **_found(done),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if done.is_main:
        record = trained.close(output, run_key, record, done.files)
    return Report(record, computed=done.steps)


def _sha256(source: str) -> str | None:
    return runs.file_sha256(Path(source)) if Path(source).is_file() else None


def _found(done: Trained) -> dict[str, Any]:
    """The figures of a training, and its curves."""
    curves = {
        name: [(one["step"], one[name]) for one in done.log if name in one]
        for name in ("loss", "rewards/accuracies", "rewards/margins", "learning_rate")
    }
    ends = {f"{name}, first": own[0][1] for name, own in curves.items() if own}
    ends |= {f"{name}, last": own[-1][1] for name, own in curves.items() if own}
    ends |= {f"held out, before: {name}": value for name, value in done.before.items()}
    ends |= {f"held out, after: {name}": value for name, value in done.after.items()}
    return {
        "steps": done.steps,
        "seconds": round(done.seconds, 1),
        "figures": ends,
        "curves": {name: own for name, own in curves.items() if own},
    }
