"""Aligns a policy: preference data in, a model folder out, by TRL's DPOTrainer or KTOTrainer.

    read the rows -> check them as TRL will read them -> train -> model, card and record in a folder

It is a door: what is learnt, and how, is TRL's. Nothing of the data is cut or dropped unless that
was said, and accepted, before. A run that was killed goes on from its last whole checkpoint, and
ends with the same weights as an undisturbed one on the same kind of machine.

Several processes may train together (`accelerate launch`): each runs all of this, and the main one
alone writes.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from flr import devices, runs, sources
from flr.errors import OptionError, missing_extra
from flr.filling import Progress
from flr.loading import of_machine
from flr.options import MachineOptions, typed
from flr.preferences.checks import Finding
from flr.runs import Report
from flr.sources import SMOLLM2, Source
from flr.training import folder, inputs
from flr.training.card import card
from flr.training.figures import curves, ends, evaluated
from flr.training.inputs import Policy, Rows
from flr.training.settings import Machine, TrainingOptions, settings

if TYPE_CHECKING:
    from flr.training.trl import Trained

_PROBE = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True, kw_only=True)
class AlignOptions(TrainingOptions, MachineOptions):
    """Which policy is trained, and how."""

    policy: str = SMOLLM2
    """Policy: a Hugging Face id, a folder, a .gguf file, an adapter folder, or smollm2."""
    policy_revision: str | None = None
    """Branch, tag or commit of the policy's Hugging Face id."""
    policy_chat_template: Path | None = None
    """Jinja file to render conversations with, in place of the policy's own template."""
    seed: int = 0
    """Of the order of rows (kto takes them as they lie), and of the first weights of an adapter."""
    held_out: str | None = None
    """File of other rows, on which the policy is evaluated before and after."""
    split: str | None = None
    """Split of a Hugging Face dataset."""
    keep_adapter: bool = False
    """Save the adapter of --lora alone, in place of the whole model with the adapter in it."""
    resume: bool = False
    """Go on from the last whole checkpoint of this run, if it was stopped."""
    force: bool = False
    """Replace what another run of flr align has made."""

    def __post_init__(self) -> None:
        MachineOptions.__post_init__(self)
        TrainingOptions.__post_init__(self)
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
        if self.keep_adapter and not self.lora:
            raise OptionError("--keep-adapter is for --lora; without it there is no adapter")
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"--seed {self.seed}; a number from 0 to 2^32 - 1 was expected")


def is_main() -> bool:
    """Whether this process is the one that writes and tells, of those that train together."""
    return os.environ.get("RANK", "0") == "0"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A run before it begins.

    Args:
        output: the folder.
        options: as they were given.
        rows: to train on.
        held_out: to evaluate on.
        policy: to be trained.
        machine: what trains.
        settings: for TRL's configuration.
        versions: of everything that has a say.
        run_key: over all that changes bits.
    """

    output: Path
    options: AlignOptions
    rows: Rows
    held_out: Rows | None
    policy: Policy
    machine: Machine
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    run_key: str

    @property
    def asked(self) -> dict[str, Any]:
        """The options, plain, without how a folder is treated."""
        return runs.plain(asdict(replace(self.options, force=False, resume=False)))


def _check_adapter(source: Source, options: AlignOptions) -> None:
    """Raises where an adapter alone would be of no use."""
    if options.keep_adapter and (source.gguf or source.base):
        kind = "a GGUF file" if source.gguf else "an adapter"
        raise OptionError(
            "--keep-adapter: an adapter is loaded onto the whole safetensors that it names, and "
            f"the policy {source.name} is {kind}; leave it out, and the whole model is saved"
        )
    if options.keep_adapter and options.policy_revision:
        raise OptionError(
            "--keep-adapter: an adapter names its policy without a revision; leave out it or "
            "--policy-revision"
        )


def _machine(options: AlignOptions) -> Machine:
    device = options.device or devices.pick_device()
    devices.check_device(device)
    dtype = devices.pick_dtype(options.dtype, device)
    if dtype == "fp16" and device == "cpu":
        raise OptionError("--dtype fp16 is for GPUs; fp32 or bf16 was expected")
    if device == "cuda" and devices.gpus() > 1 and "LOCAL_RANK" not in os.environ:
        raise OptionError(
            f"{devices.gpus()} GPUs are seen by one process, which trains on one: show it one, as "
            "CUDA_VISIBLE_DEVICES=0 flr ..., or start with `accelerate launch -m flr align ...` to "
            "use them all (docs/align.md)"
        )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    by_launcher = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    sharded = by_launcher or bool(typed(options.trl).get("fsdp"))
    return Machine(device=device, dtype=dtype, processes=processes, sharded=sharded)


def check_possible(options: AlignOptions) -> None:
    """Raises what can be said against a training before its rows and its policy are there.

    Raises:
        OptionError: a missing library, settings that TRL has not, or that do not fit the machine.
    """
    for module in ("trl", "peft"):
        if find_spec(module) is None:
            raise missing_extra(module, "flr align", "'.[train]' in a clone of flr")
    from flr.training import trl  # slow to import, and an extra

    settings(options, _machine(options), trl.setting_names(options.method), seed=options.seed)


def _plan(source: str, output: Path, options: AlignOptions) -> _Plan:
    """Reads what there is to read, but for weights."""
    from flr.training import trl  # slow to import, and an extra

    rows = inputs.read(source, options.split)
    held_out = None
    if options.held_out is not None:
        is_file = Path(options.held_out).exists()
        held_out = inputs.read(options.held_out, None if is_file else options.split)
    found = sources.locate(options.policy, revision=options.policy_revision)
    _check_adapter(found, options)
    policy = inputs.prepare_policy(
        found, options.policy_chat_template, trust_remote_code=options.trust_remote_code
    )
    machine = _machine(options)
    made = settings(
        options,
        machine,
        trl.setting_names(options.method),
        seed=options.seed,
        labels=rows.labels,
        longest=policy.longest,
        # Which has a say on a GPU alone, and of a GGUF file takes seconds.
        weight_bytes=0 if machine.device == "cpu" else inputs.weight_bytes(found),
    )
    versions = {**runs.versions(), **trl.versions()}
    parts = {
        **of_machine(options),
        "processes": [machine.processes, machine.sharded],
        "versions": versions,
        "rows": rows.taken,
        "held_out": held_out and held_out.taken,
        "policy": policy.source.identity,
        # With a probe rendered: a template may write the date into every conversation.
        "template": [policy.template.source, policy.template.render([_PROBE])],
        "method": options.method,
        "adapter": options.lora_rank if options.lora else None,
        "keep_adapter": options.keep_adapter,
        "settings": made,
    }
    return _Plan(
        output=output,
        options=options,
        rows=rows,
        held_out=held_out,
        policy=policy,
        machine=machine,
        settings=made,
        versions=versions,
        run_key=runs.key_of(parts),
    )


def _check(plan: _Plan, warn: Callable[[str], None]) -> Mapping[str, Sequence[Finding]]:
    """What `flr check` finds; all of it is told, by a warning or by the error that it is."""
    found = inputs.findings(
        plan.rows,
        plan.held_out,
        f"trl-{plan.options.method}",
        plan.policy.template,
        plan.settings["max_length"],
    )
    refusing = plan.options.check == "error"
    for source, of_file in found.items():
        for finding in of_file:
            if not (refusing and finding.level == "error"):
                warn(f"{source}: {finding}")
    if refusing:
        inputs.refuse(found)
    return found


def _train(plan: _Plan, progress: Progress, warn: Callable[[str], None]) -> "Trained":
    from flr.training import trl

    options = plan.options
    job = trl.Job(
        run_key=plan.run_key,
        work=plan.output / folder.WORK,
        method=options.method,
        settings=plan.settings,
        adapter=options.lora_rank if options.lora else None,
        merged=not options.keep_adapter,
        policy=plan.policy.source,
        tokenizer=plan.policy.tokenizer,
        rows=plan.rows.taken,
        held_out=plan.held_out.taken if plan.held_out else (),
        threads=options.threads or devices.THREADS,
        sharded=plan.machine.sharded,
        trust_remote_code=options.trust_remote_code,
    )
    return trl.train(job, progress, warn)


def _file_sha256(source: str) -> str | None:
    return runs.file_sha256(Path(source)) if Path(source).is_file() else None


def _of_rows(plan: _Plan, done: "Trained") -> dict[str, Any]:
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


def _of_policy(plan: _Plan) -> dict[str, Any]:
    """Which policy, and what of it was trained."""
    source, options = plan.policy.source, plan.options
    is_local = source.name == SMOLLM2 or Path(source.name).expanduser().exists()
    adapter = {"rank": options.lora_rank, "merged": not options.keep_adapter}
    return {
        "policy": {"name": source.name, "identity": source.identity, "hub_id": not is_local},
        "adapter": adapter if options.lora else None,
    }


def _figures(done: "Trained") -> dict[str, Any]:
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
    }


def _record(plan: _Plan, found: Mapping[str, Sequence[Finding]], done: "Trained") -> dict[str, Any]:
    """How the folder was made, plain."""
    loss = plan.settings["loss_type"]
    configuration = {k: v for k, v in done.configuration.items() if k != "output_dir"}
    return runs.plain(
        {
            "run": plan.run_key,
            "method": plan.options.method,
            "loss_type": loss if isinstance(loss, str) else "+".join(map(str, loss)),
            "learning_rate": plan.settings["learning_rate"],
            **_of_policy(plan),
            **_of_rows(plan, done),
            **_figures(done),
            "findings": {source: list(map(str, of_file)) for source, of_file in found.items()},
            "settings": plan.settings,
            "options": plan.asked,
            "machine": {
                **asdict(plan.machine),
                **of_machine(plan.options),
                "versions": plan.versions,
            },
            "configuration": configuration,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )


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
    plan = _plan(source, output, options)
    if folder.is_done(output, plan.run_key):
        record = folder.read_record(output)
        progress(record["steps"], record["steps"], 0)
        return Report(record, computed=0)
    mine = is_main()
    if mine:
        folder.check_free(
            output, plan.run_key, plan.asked, resume=options.resume, force=options.force
        )
    found = _check(plan, warn)
    own = folder.held(output, plan.run_key, plan.asked, resume=options.resume)
    with own if mine else nullcontext():
        done = _train(plan, progress, warn)
        record = _record(plan, found, done)
        if mine:
            record = folder.finish(output, done.model, record, card(record))
    return Report(record, computed=done.computed + 1)
