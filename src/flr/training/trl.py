"""TRL's trainers (DPO, KTO, SFT), set to work: the only room of trl, peft and datasets' tables.

What is learnt, and how, is theirs. Here they get rows, settings and a model in fp32; they are kept
off the screen, but for their warnings; a loss that is no number ends them; every checkpoint that is
whole is marked; and what they have made is saved as a folder that transformers loads.
"""

import dataclasses
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
import peft
import torch
import transformers

from flr import models
from flr.errors import FlrError, ModelError, OptionError
from flr.filling import Progress
from flr.training import folder
from flr.training.folder import Spent
from flr.training.job import Job, Trained, load_base
from flr.training.saving import saved
from flr.training.watching import Finished, Follow, overheard

trl: Any = import_module("trl")  # it names its parts lazily

TRAINERS: Mapping[str, tuple[Any, Any]] = {
    "dpo": (trl.DPOTrainer, trl.DPOConfig),
    "kto": (trl.KTOTrainer, trl.KTOConfig),
    "sft": (trl.SFTTrainer, trl.SFTConfig),
}
"""Trainer and configuration of each method."""


def setting_names(method: str) -> Collection[str]:
    """The names of all settings of TRL's configuration."""
    _, configuration = TRAINERS[method]
    return {field.name for field in dataclasses.fields(configuration) if field.init}


def versions() -> dict[str, str]:
    """Versions of the libraries of this room."""
    return {name: version(name) for name in ("trl", "datasets")}


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


def _reference(job: Job, args: Any, model: Any) -> dict[str, Any]:
    """The first policy, for the methods that hold the policy against it.

    Where TRL wants it beside the other one, it would read it from the folder that this one came
    from, without an adapter that was merged.
    """
    if job.method == "sft":
        return {}
    needed = job.adapter is None and (job.sharded or not args.precompute_ref_log_probs)
    return {"ref_model": deepcopy(model) if needed else None}


def _trainer(job: Job, args: Any, model: Any, follow: Follow) -> Any:
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
    except Finished:
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
    with models.silent(), overheard(warn), _worded(job):
        args = _configured(job)
        found = folder.last_whole(job.work, job.run_key)
        checkpoint, spent = found or (None, Spent())
        follow = Follow(job, progress, spent)
        loaded = load_base(job)
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
        model = saved(job, trainer, own)
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
