"""A training from its plan to its folder, whatever it learns from.

    plan -> is it done? -> is the folder free? -> train -> model, card and record in the folder

Several processes may train together (`accelerate launch`): each runs all of this, and the main one
alone writes.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from flr import devices, runs
from flr.errors import OptionError, missing_extra
from flr.filling import Progress
from flr.loading import of_machine
from flr.options import MachineOptions, typed
from flr.runs import Report
from flr.sources import SMOLLM2, Source
from flr.training.figures import curves, ends, evaluated, held_out_curve
from flr.training.folder import Folder
from flr.training.inputs import Base, Rows
from flr.training.job import Job, Trained
from flr.training.options import TrainingOptions
from flr.training.settings import Machine

PROBE = [{"role": "user", "content": "Hello"}]
"""Rendered for the key of a run: a template may write the date into every conversation."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(MachineOptions):
    """On which rows, and how the folder is treated."""

    seed: int = 0
    """Of the order of rows (kto takes them as they lie), and of the first weights of an adapter."""
    held_out: str | None = None
    """File of other rows, on which the model is evaluated before and after."""
    split: str | None = None
    """Split of a Hugging Face dataset."""
    keep_adapter: bool = False
    """Save the adapter of --lora alone, in place of the whole model with the adapter in it."""
    resume: bool = False
    """Go on from the last whole checkpoint of this run, if it was stopped."""
    force: bool = False
    """Replace what another run of the same verb has made."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quantization or self.device_map:
            raise OptionError(
                "--quantization and --device-map are for models that are not trained; leave them "
                "out (docs/align.md says how several GPUs share a training)"
            )
        if self.device not in (None, "cpu", "cuda"):
            raise OptionError(
                f"--device {self.device}: cpu or cuda was expected; which GPU is said by "
                "CUDA_VISIBLE_DEVICES"
            )
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"--seed {self.seed}; a number from 0 to 2^32 - 1 was expected")


@dataclass(frozen=True, kw_only=True)
class TrainedOptions(TrainingOptions, RunOptions):
    """All options that every training has."""

    def __post_init__(self) -> None:
        RunOptions.__post_init__(self)
        TrainingOptions.__post_init__(self)
        if self.keep_adapter and not self.lora:
            raise OptionError("--keep-adapter is for --lora; without it there is no adapter")


def is_main() -> bool:
    """Whether this process is the one that writes and tells, of those that train together."""
    return os.environ.get("RANK", "0") == "0"


def check_installed(verb: str) -> None:
    """Raises where a library of training is missing."""
    for module in ("trl", "peft"):
        if find_spec(module) is None:
            raise missing_extra(module, f"flr {verb}", "'.[train]' in a clone of flr")


def check_adapter(source: Source, revision: str | None, options: TrainedOptions) -> None:
    """Raises where an adapter alone would be of no use."""
    if options.keep_adapter and (source.gguf or source.base):
        kind = "a GGUF file" if source.gguf else "an adapter"
        raise OptionError(
            "--keep-adapter: an adapter is loaded onto the whole safetensors that it names, and "
            f"{source.name} is {kind}; leave it out, and the whole model is saved"
        )
    if options.keep_adapter and revision:
        raise OptionError(
            "--keep-adapter: an adapter names its model without a revision; leave out it or the "
            "revision"
        )


def machine_of(options: TrainedOptions, verb: str) -> Machine:
    """What trains.

    Raises:
        OptionError: a device or dtype that is not there or does not train; one process that sees
            several GPUs.
    """
    device = options.device or devices.pick_device()
    devices.check_device(device)
    dtype = devices.pick_dtype(options.dtype, device)
    if dtype == "fp16" and device == "cpu":
        raise OptionError("--dtype fp16 is for GPUs; fp32 or bf16 was expected")
    if device == "cuda" and devices.gpus() > 1 and "LOCAL_RANK" not in os.environ:
        raise OptionError(
            f"{devices.gpus()} GPUs are seen by one process, which trains on one: show it one, as "
            f"CUDA_VISIBLE_DEVICES=0 flr ..., or start with `accelerate launch -m flr {verb} ...` "
            "to use them all (docs/align.md)"
        )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    by_launcher = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    sharded = by_launcher or bool(typed(options.trl).get("fsdp"))
    return Machine(device=device, dtype=dtype, processes=processes, sharded=sharded)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A training before it begins.

    Args:
        verb: of flr: `align` or `tune`.
        method: of `flr.training.trl.TRAINERS`.
        options: as they were given.
        rows: to train on.
        held_out: to evaluate on.
        base: the model that is trained.
        machine: what trains.
        settings: for TRL's configuration.
        versions: of everything that has a say.
        patience: evaluations without a better one, after which training ends; None for no such end.
    """

    verb: str
    method: str
    options: TrainedOptions
    rows: Rows
    held_out: Rows | None
    base: Base
    machine: Machine
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    patience: int | None = None

    def folder(self, output: Path) -> Folder:
        """The folder, for this run: its key is over all that changes bits."""
        options, template = self.options, self.base.template
        parts = {
            **of_machine(options),
            "processes": [self.machine.processes, self.machine.sharded],
            "versions": self.versions,
            "rows": self.rows.taken,
            "held_out": self.held_out and self.held_out.taken,
            "policy": self.base.source.identity,
            "template": [template.source, template.render([PROBE])],
            "method": self.method,
            "adapter": options.lora_rank if options.lora else None,
            "keep_adapter": options.keep_adapter,
            "settings": self.settings,
            "patience": self.patience,
        }
        asked = runs.plain(asdict(replace(options, force=False, resume=False)))
        return Folder(output, self.verb, runs.key_of(parts), asked)


def finished_before(plan: Plan, output: Path, progress: Progress) -> Report | None:
    """What this very run has made before, if it has.

    Raises:
        OutputError: the folder holds something else, or a run that was stopped.
    """
    folder, options = plan.folder(output), plan.options
    if folder.is_done():
        record = folder.read()
        progress(record["steps"], record["steps"], 0)
        return Report(record, computed=0)
    if is_main():
        folder.check_free(resume=options.resume, force=options.force)
    return None


def carry_out(
    plan: Plan,
    output: Path,
    told: Mapping[str, Any],
    card: Callable[[Mapping[str, Any]], str],
    progress: Progress,
    warn: Callable[[str], None],
) -> Report:
    """Trains, and makes the folder whole; sets torch's number of threads.

    Args:
        plan: of a run that is not finished, in a folder that is free.
        output: the folder.
        told: what the record says beside the figures.
        card: makes the text of the card of the record.
        progress: told of optimizer steps.
        warn: told what TRL warns of.

    Returns:
        The record, and how many steps were done now, with saving as one more.

    Raises:
        ModelError: the model cannot be loaded or has no room; the training has gone astray.
        OptionError: what TRL refuses.
        OutputError: another process works in the folder.
    """
    folder, mine = plan.folder(output), is_main()
    with folder.held(resume=plan.options.resume) if mine else nullcontext():
        done = _train(plan, folder, progress, warn)
        record = _record(plan, folder, told, done)
        if mine:
            record = folder.finish(done.model, record, card(record))
    return Report(record, computed=done.computed + 1)


def _train(plan: Plan, folder: Folder, progress: Progress, warn: Callable[[str], None]) -> Trained:
    from flr.training import trl  # slow to import, and an extra

    options = plan.options
    job = Job(
        run_key=folder.run_key,
        work=folder.work.absolute(),
        method=plan.method,
        settings=plan.settings,
        adapter=options.lora_rank if options.lora else None,
        merged=not options.keep_adapter,
        base=plan.base.source,
        tokenizer=plan.base.tokenizer,
        rows=plan.rows.taken,
        held_out=plan.held_out.taken if plan.held_out else (),
        patience=plan.patience,
        threads=options.threads or devices.THREADS,
        sharded=plan.machine.sharded,
        trust_remote_code=options.trust_remote_code,
    )
    return trl.train(job, progress, warn)


def _file_sha256(source: str) -> str | None:
    return runs.file_sha256(Path(source)) if Path(source).is_file() else None


def _of_rows(plan: Plan, done: Trained) -> dict[str, Any]:
    """Which rows, and what became of them."""
    held_out = plan.held_out
    return {
        "input": plan.rows.source,
        "input_sha256": _file_sha256(plan.rows.source),
        "rows": len(plan.rows.taken),
        "rows_trained_on": done.rows,
        "held_out": held_out and held_out.source,
        "held_out_sha256": held_out and _file_sha256(held_out.source),
        "rows_held_out": len(held_out.taken) if held_out else 0,
    }


def of_base(plan: Plan) -> dict[str, Any]:
    """Which model was trained."""
    source = plan.base.source
    is_local = source.name == SMOLLM2 or Path(source.name).expanduser().exists()
    return {"name": source.name, "identity": source.identity, "hub_id": not is_local}


def _of_adapter(options: TrainedOptions) -> dict[str, Any] | None:
    """What of the model was trained: an adapter, or all weights."""
    return {"rank": options.lora_rank, "merged": not options.keep_adapter} if options.lora else None


def _figures(done: Trained) -> dict[str, Any]:
    """What the training says of itself."""
    seconds, tokens = done.spent.seconds, done.spent.tokens
    evaluations = {"before": done.before, "after": done.after}
    return {
        "steps": done.steps,
        "seconds": seconds,
        "tokens": tokens,
        "tokens_per_second": tokens / seconds if seconds else None,
        **ends(done.log),
        "held_out_figures": {
            when: evaluated(found) for when, found in evaluations.items() if found is not None
        },
        "curves": curves(done.log),
        "held_out_curve": held_out_curve(done.log),
    }


def _record(plan: Plan, folder: Folder, told: Mapping[str, Any], done: Trained) -> dict[str, Any]:
    """How the folder was made, plain."""
    configuration = {k: v for k, v in done.configuration.items() if k != "output_dir"}
    machine = {**asdict(plan.machine), **of_machine(plan.options), "versions": plan.versions}
    return runs.plain(
        {
            "run": folder.run_key,
            "learning_rate": plan.settings["learning_rate"],
            **told,
            "adapter": _of_adapter(plan.options),
            **_of_rows(plan, done),
            **_figures(done),
            "settings": plan.settings,
            "options": folder.asked,
            "machine": machine,
            "configuration": configuration,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
