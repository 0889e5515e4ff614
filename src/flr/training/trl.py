"""TRL's trainers (DPO, KTO, SFT), set to work: the only room of trl, peft and datasets' tables.

What is learnt, and how, is theirs. Here they get rows, settings and a model in fp32; they are kept
off the screen, but for their warnings; a loss that is no number ends them; every checkpoint that is
whole is marked; and what they have made is saved as a folder that transformers loads.
"""

import dataclasses
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any, final

import datasets
import peft
import torch
import transformers
from safetensors import safe_open

from flr import models
from flr.errors import FlrError, ModelError, OptionError
from flr.files import write_text
from flr.filling import Progress
from flr.sources import Source
from flr.training import folder
from flr.training.folder import Spent

trl: Any = import_module("trl")  # it names its parts lazily

TRAINERS: Mapping[str, tuple[Any, Any]] = {
    "dpo": (trl.DPOTrainer, trl.DPOConfig),
    "kto": (trl.KTOTrainer, trl.KTOConfig),
    "sft": (trl.SFTTrainer, trl.SFTConfig),
}
"""Trainer and configuration of each method."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be trained.

    Args:
        run_key: of the run.
        work: the folder of checkpoints, and of the model before it takes its place.
        method: of `TRAINERS`.
        settings: for TRL's configuration.
        adapter: rank of an adapter; None to train all weights.
        merged: whether the adapter becomes part of the saved model.
        base: where the model lies that is trained.
        tokenizer: its tokenizer, with the chat template in force.
        rows: to train on, in TRL's form; for `sft` tokens and labels.
        held_out: to evaluate on; may be empty.
        patience: evaluations without a better one, after which training ends; None for no such end.
        threads: of torch on the CPU.
        sharded: whether processes share the weights out among them.
        trust_remote_code: run code that comes with the model.
    """

    run_key: str
    work: Path
    method: str
    settings: Mapping[str, Any]
    adapter: int | None
    merged: bool
    base: Source
    tokenizer: Any
    rows: Sequence[Mapping[str, Any]]
    held_out: Sequence[Mapping[str, Any]]
    patience: int | None
    threads: int
    sharded: bool
    trust_remote_code: bool


@final
@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it.

    Args:
        model: folder with the whole model, or the adapter.
        configuration: every setting of TRL's, as it got them.
        log: TRL's, entry by entry.
        before, after: TRL's evaluations on the held-out rows; None where there was none.
        rows: how many TRL trained on.
        steps: of the optimizer, all of them.
        computed: steps that were done now.
        spent: seconds and tokens, all of them.
    """

    model: Path
    configuration: Mapping[str, Any]
    log: Sequence[Mapping[str, Any]]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    rows: int
    steps: int
    computed: int
    spent: Spent


def setting_names(method: str) -> Collection[str]:
    """The names of all settings of TRL's configuration."""
    _, configuration = TRAINERS[method]
    return {field.name for field in dataclasses.fields(configuration) if field.init}


def versions() -> dict[str, str]:
    """Versions of the libraries of this room."""
    return {name: version(name) for name in ("trl", "datasets")}


class _Finished(Exception):  # noqa: N818 - nothing is wrong
    """The checkpoint that is gone on from is that of the last step."""


def _is_over(log: Sequence[Mapping[str, Any]], patience: int | None) -> bool:
    """Whether so many evaluations have passed since the best one."""
    losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
    if patience is None or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience


class _Follow(transformers.TrainerCallback):
    """Tells of progress, watches the loss, marks whole checkpoints, ends after the last step."""

    def __init__(self, job: Job, progress: Progress, spent: Spent) -> None:
        self.job, self.progress, self.spent_before = job, progress, spent
        self.begun, self.tokens, self.told = time.perf_counter(), 0, 0

    @property
    def spent(self) -> Spent:
        """All that the training has taken so far."""
        seconds = time.perf_counter() - self.begun
        before = self.spent_before
        return Spent(before.seconds + seconds, before.tokens + self.tokens)

    def on_train_begin(self, *given: Any, **_: Any) -> None:
        """Where the training stands when it begins or goes on."""
        _, state, _ = given
        self.begun = time.perf_counter()
        self.progress(state.global_step, state.max_steps, 0)

    def on_epoch_begin(self, *given: Any, **_: Any) -> None:
        """Looks whether there is a step to do.

        Raises:
            _Finished: there is none. Going on in an epoch that all steps do not fill, transformers
                does one step before it looks.
        """
        _, state, _ = given
        if state.global_step >= state.max_steps or self._is_over(state):
            raise _Finished

    def on_step_end(self, *given: Any, **_: Any) -> None:
        """One step more."""
        _, state, _ = given
        self.progress(state.global_step, state.max_steps, self.tokens - self.told)
        self.told = self.tokens

    def _is_over(self, state: Any) -> bool:
        return _is_over(state.log_history, self.job.patience)

    def on_evaluate(self, *given: Any, **_: Any) -> None:
        """Ends a training that gets no better."""
        _, state, control = given
        if self._is_over(state):
            control.should_training_stop = True

    def on_log(self, *given: Any, **more: Any) -> None:
        """Looks at what TRL logs.

        Raises:
            ModelError: the loss is no finite number.
        """
        (_, state, _), found = given, more["logs"]
        self.tokens = int(found.get("num_tokens", self.tokens))
        loss = found.get("loss", 0.0)
        if not isfinite(float(loss)):
            raise _astray(self.job, f"the loss of step {state.global_step} is {loss}")

    def on_save(self, *given: Any, **_: Any) -> None:
        """Marks the checkpoint that has been written, when every process has written its part."""
        args, state, _ = given
        args.distributed_state.wait_for_everyone()
        if args.process_index == 0:
            written = self.job.work / f"checkpoint-{state.global_step}"
            folder.mark(written, self.job.run_key, self.spent)


def _astray(job: Job, what: str) -> ModelError:
    """The error for a training that has come to no numbers; its checkpoints lead there again."""
    shutil.rmtree(job.work, ignore_errors=True)
    rate = job.settings["learning_rate"]
    return ModelError(
        f"{what}, which is no finite number: the training has gone astray at learning rate "
        f"{rate:g}, and nothing of it is kept. Give a smaller --learning-rate"
        + (", or --dtype fp32" if job.settings["bf16"] or job.settings["fp16"] else "")
    )


_RANK = re.compile(r"^\[RANK \d+\] ")
"""How accelerate begins a message."""


class _Ear(logging.Handler):
    """Passes warnings on, each once."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.warn, self.said = warn, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        words = _RANK.sub("", record.getMessage())
        if words not in self.said:
            self.said.add(words)
            self.warn(f"TRL: {words}")


@contextmanager
def _overheard(warn: Callable[[str], None]) -> Iterator[None]:
    """Lets TRL's own warnings be heard, where everything else that it says is kept off."""
    logger, ear = logging.getLogger("trl"), _Ear(warn)
    propagates = logger.propagate
    logger.addHandler(ear)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.propagate = propagates


@contextmanager
def _worded(job: Job) -> Iterator[None]:
    """Maps what the memory refuses, and what TRL refuses at the first step, to errors of ours."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _too_large(job) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # how torch says it of a CPU
            raise
        raise _too_large(job) from error
    except ValueError as error:
        if not str(error).startswith(("Unknown loss type", "Unknown f_divergence_type")):
            raise
        raise _refused(error) from error


@contextmanager
def _settled() -> Iterator[None]:
    """Maps what TRL refuses of its settings to errors of ours."""
    try:
        yield
    except FlrError:
        raise
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise _refused(error) from error


def _refused(error: Exception) -> OptionError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return OptionError(f"TRL does not take these settings: {lines[0]}")


def _too_large(job: Job) -> ModelError:
    lora = "" if job.adapter else ", or --lora"
    return ModelError(
        f"{job.base.name}: not enough memory to train it: give a smaller --micro-batch{lora}, or "
        "--trl.activation_checkpointing true"
    )


def _configured(job: Job) -> Any:
    """TRL's configuration; on a machine with several GPUs this is where processes meet."""
    _, configuration = TRAINERS[job.method]
    with _settled():
        args = configuration(output_dir=str(job.work), **job.settings)
        # Which transformers would ask for no sooner than the first step.
        transformers.Trainer.get_optimizer_cls_and_kwargs(args)
        transformers.get_scheduler(
            args.lr_scheduler_type,
            torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]),
            num_warmup_steps=args.get_warmup_steps(2),
            num_training_steps=2,
            scheduler_specific_kwargs=args.lr_scheduler_kwargs,
        )
    return args


def _tables(job: Job, args: Any) -> dict[str, Any]:
    """The rows as tables on disk, where every process finds them, and what TRL caches of them."""
    place = job.work / "data"
    with args.main_process_first(local=False):
        if not place.is_dir():
            part = job.work / "data.part"
            shutil.rmtree(part, ignore_errors=True)
            for name, rows in (("train", job.rows), ("held_out", job.held_out)):
                if rows:
                    table = datasets.Dataset.from_list([dict(row) for row in rows])
                    table.save_to_disk(str(part / name))
            part.rename(place)
    return {path.name: datasets.load_from_disk(str(path)) for path in sorted(place.iterdir())}


def _adapter(job: Job) -> Any:
    """Low-rank changes to every linear layer but the last, at the usual scale of two."""
    if job.adapter is None:
        return None
    return peft.LoraConfig(
        r=job.adapter,
        lora_alpha=2 * job.adapter,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _load(job: Job) -> Any:
    """The model in fp32, an adapter merged; TRL moves it to where it is trained."""
    return models.load(
        job.base, dtype="fp32", device="cpu", trust_remote_code=job.trust_remote_code
    )


def _reference(job: Job, args: Any, model: Any) -> dict[str, Any]:
    """The first policy, for the methods that hold the policy against it.

    Where TRL wants it beside the other one, it would read it from the folder that this one came
    from, without an adapter that was merged.
    """
    if job.method == "sft":
        return {}
    needed = job.adapter is None and (job.sharded or not args.precompute_ref_log_probs)
    return {"ref_model": deepcopy(model) if needed else None}


def _trainer(job: Job, args: Any, model: Any, follow: _Follow) -> Any:
    """TRL's trainer, with the first policy's log-likelihoods computed where they are needed."""
    kind, _ = TRAINERS[job.method]
    tables = _tables(job, args)
    model.requires_grad_(True)  # which a merged adapter leaves frozen
    with _settled():
        trainer = kind(
            model=model,
            **_reference(job, args, model),
            args=args,
            train_dataset=tables["train"],
            eval_dataset=tables.get("held_out"),
            processing_class=job.tokenizer,
            peft_config=_adapter(job),
            callbacks=[follow],
        )
    trainer.remove_callback(transformers.PrinterCallback)
    if getattr(args, "precompute_ref_log_probs", False):
        trainer.ref_model = None  # it has answered, and is not asked again
    return trainer


def _evaluated(trainer: Any) -> dict[str, Any]:
    trainer.evaluate()
    return dict(trainer.state.log_history[-1])


def _go_on(trainer: Any, checkpoint: Path | None) -> None:
    """Trains from a checkpoint to the end; then the weights are the last ones, or the best."""
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except _Finished:
        if trainer.state.best_model_checkpoint is not None:
            trainer._load_best_model()


def train(job: Job, progress: Progress, warn: Callable[[str], None]) -> Trained:
    """Trains a model, from the last whole checkpoint where there is one.

    Args:
        job: what is to be trained.
        progress: told of optimizer steps.
        warn: told what TRL warns of.

    Raises:
        ModelError: the policy cannot be loaded or has no room; its loss or weights are no numbers.
        OptionError: settings that TRL refuses.
    """
    torch.set_num_threads(job.threads)
    with models.silent(), _overheard(warn), _worded(job):
        args = _configured(job)
        found = folder.last_whole(job.work, job.run_key)
        checkpoint, spent = found or (None, Spent())
        follow = _Follow(job, progress, spent)
        loaded = _load(job)
        own = deepcopy(loaded.config), deepcopy(loaded.generation_config)
        trainer = _trainer(job, args, loaded, follow)
        # What is sharded is prepared for training once; before it, the model is the first one.
        before = None
        if job.held_out and not trainer.is_fsdp_enabled:
            before = _evaluated(trainer)
        _go_on(trainer, checkpoint)
        spent = follow.spent
        log = [dict(entry) for entry in trainer.state.log_history]
        after = _evaluated(trainer) if job.held_out else None
        done = trainer.state.global_step
        model = _saved(job, trainer, own)
        return Trained(
            model=model,
            configuration=args.to_dict(),
            log=log,
            before=before,
            after=after,
            rows=len(trainer.train_dataset),
            steps=done,
            computed=done - (int(checkpoint.name.partition("-")[2]) if checkpoint else 0),
            spent=spent,
        )


def _saved(job: Job, trainer: Any, own: Sequence[Any]) -> Path:
    """The folder with what was trained, whole; written by the main process.

    The configuration and the generation settings are the policy's `own`: training changes them, and
    without a cache of keys, say, the model would be slow ever after.
    """
    args, place = trainer.args, job.work / "model"
    if args.process_index == 0:
        shutil.rmtree(place, ignore_errors=True)
    args.distributed_state.wait_for_everyone()
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.save_model(str(place))
    if args.process_index != 0:
        return place
    (place / "training_args.bin").unlink(missing_ok=True)  # a pickle, of this machine
    _check_finite(job, place)
    if job.adapter and job.merged:
        return _merged(job, place)
    if job.adapter:
        _name_base(job.base, place / "adapter_config.json")
        return place
    for one in own:
        one.save_pretrained(place)
    return place


def _name_base(policy: Source, path: Path) -> None:
    """Says in an adapter's configuration which policy it is for, as it is named everywhere."""
    is_local = Path(policy.name).expanduser().exists()
    name = str(policy.folder.resolve()) if is_local else policy.name
    told = {**json.loads(path.read_text("utf-8")), "base_model_name_or_path": name}
    write_text(path, json.dumps(told, indent=2) + "\n")


def _check_finite(job: Job, place: Path) -> None:
    """Raises where a weight is no number: the last step may have done it."""
    for path in sorted(place.glob("*.safetensors")):
        with safe_open(path, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - it is no mapping
                if not weights.get_tensor(name).isfinite().all():
                    raise _astray(job, f"a weight of {name}")


def _merged(job: Job, adapter: Path) -> Path:
    """The policy with the adapter as part of its weights, beside the adapter."""
    adapted = Source(job.base.name, adapter, None, job.run_key)
    model = models.merge_adapter(_load(job), adapted)
    place = job.work / "merged"
    shutil.rmtree(place, ignore_errors=True)
    model.save_pretrained(place)
    job.tokenizer.save_pretrained(place)
    return place
