"""TRL at work: its trainers set up, run, and their model saved. The only room that imports it."""

import contextlib
import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Any, final

import datasets
import torch
import transformers
from transformers import PrinterCallback, TrainerCallback

from flr import models
from flr.errors import ModelError, missing_extra
from flr.filling import Progress
from flr.sources import Source
from flr.training import folder
from flr.training.settings import TrainingOptions, check_names

TRAINERS = {"dpo": ("DPOTrainer", "DPOConfig"), "kto": ("KTOTrainer", "KTOConfig")}


def _trl() -> Any:
    for name in ("trl", "peft"):
        if find_spec(name) is None:
            raise missing_extra(name, "flr align", "'flr[train]'")
    return import_module("trl")


def check_settings(options: TrainingOptions) -> None:
    """Raises where TRL is missing, or has no setting that it is to be given.

    Raises:
        OptionError: a missing library, or an unknown name.
    """
    config = getattr(_trl(), TRAINERS[options.method][1])
    check_names(options.trl, [one.name for one in fields(config)])


@final
@dataclass(frozen=True, slots=True)
class Data:
    """What is learnt from.

    Args:
        rows: columns as TRL reads them.
        held_out: other rows, to evaluate on; may be none.
        template: in place of the policy's own chat template.
    """

    rows: Sequence[Mapping[str, Any]]
    held_out: Sequence[Mapping[str, Any]] = ()
    template: str | None = None


@final
@dataclass(slots=True)
class Trained:
    """What a training found.

    Args:
        steps: optimizer steps, those of earlier runs among them.
        seconds: that training took in this run.
        log: what TRL logged, a mapping a step.
        before: figures on the held-out rows before training.
        after: the same after it.
        files: what was written into the folder.
        is_main: whether this process writes, of several that train together.
    """

    steps: int = 0
    seconds: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    before: dict[str, float] = field(default_factory=dict[str, float])
    after: dict[str, float] = field(default_factory=dict[str, float])
    files: list[str] = field(default_factory=list[str])
    is_main: bool = True


class _Watch(TrainerCallback):
    """Tells of steps, and ends a training whose loss is no number."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """A step is done."""
        self.progress(state.global_step, state.max_steps, 0)

    def on_log(self, _args: Any, state: Any, _control: Any, logs: Any = None, **_: Any) -> None:
        """TRL has figures."""
        loss = (logs or {}).get("loss")
        if loss is not None and not isfinite(loss):
            raise ModelError(
                f"the loss is {loss} at step {state.global_step}: give a smaller --learning-rate, "
                "or --dtype fp32"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries' bars and chatter off the screen; our own bar stays."""
    loud = [logging.getLogger(name) for name in ("trl", "accelerate", "peft")]
    levels = [one.level for one in loud]
    verbosity = transformers.utils.logging.get_verbosity()
    weights_bar = transformers.utils.logging.is_progress_bar_enabled()
    table_bar = not datasets.are_progress_bars_disabled()
    before = os.environ.get("TQDM_DISABLE")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    os.environ["TQDM_DISABLE"] = "1"
    for one in loud:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loud, levels, strict=True):
            one.setLevel(level)
        transformers.utils.logging.set_verbosity(verbosity)
        if weights_bar:
            transformers.utils.logging.enable_progress_bar()
        if table_bar:
            datasets.enable_progress_bars()
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before


def _table(rows: Sequence[Mapping[str, Any]]) -> datasets.Dataset:
    return datasets.Dataset.from_list([dict(row) for row in rows])


def _adapter(options: TrainingOptions) -> Any:
    """The low-rank adapter on all linear layers, at the usual scale of twice its rank."""
    peft = import_module("peft")
    return peft.LoraConfig(
        r=options.lora_rank,
        lora_alpha=2 * options.lora_rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _trainer(
    policy: Source,
    data: Data,
    output: Path,
    options: TrainingOptions,
    settings: Mapping[str, Any],
    progress: Progress,
) -> Any:
    trl = _trl()
    trainer, config = (getattr(trl, name) for name in TRAINERS[options.method])
    tokenizer = models.load_tokenizer(policy)
    if data.template is not None:
        tokenizer.chat_template = data.template
    made = trainer(
        model=models.load(policy, dtype="fp32", device="cpu").train(),
        args=config(output_dir=str(output / folder.CHECKPOINTS), **settings),
        train_dataset=_table(data.rows),
        eval_dataset=_table(data.held_out) if data.held_out else None,
        processing_class=tokenizer,
        peft_config=_adapter(options) if options.lora else None,
        callbacks=[_Watch(progress)],
    )
    made.remove_callback(PrinterCallback)
    return made


def _evaluated(trainer: Any, data: Data) -> dict[str, float]:
    """TRL's figures on the held-out rows, without what speaks of time."""
    if not data.held_out:
        return {}
    names = ("eval_loss", "eval_rewards/accuracies", "eval_rewards/margins")
    found = trainer.evaluate()
    return {name.removeprefix("eval_"): float(found[name]) for name in names if name in found}


def _save(trainer: Any, output: Path, *, keep_adapter: bool) -> list[str]:
    """Writes model and tokenizer whole into a folder of their own, then moves them into place."""
    part = output / folder.CHECKPOINTS / "whole"
    shutil.rmtree(part, ignore_errors=True)
    merges = hasattr(trainer.model, "merge_and_unload") and not keep_adapter
    if merges:
        trainer.model.merge_and_unload().save_pretrained(part)
    else:
        trainer.save_model(str(part))
    trainer.processing_class.save_pretrained(part)
    (part / "training_args.bin").unlink(missing_ok=True)  # a pickle, which nobody needs
    (part / "README.md").unlink(missing_ok=True)
    names = sorted(path.name for path in part.iterdir())
    for name in names:
        (part / name).replace(output / name)
    return names


def train(
    policy: Source,
    data: Data,
    output: Path,
    options: TrainingOptions,
    settings: Mapping[str, Any],
    progress: Progress,
    *,
    keep_adapter: bool = False,
) -> Trained:
    """Trains a policy and saves it; goes on from the last whole checkpoint, where there is one.

    Args:
        policy: where it lies.
        data: rows to learn from.
        output: the folder; checkpoints go below it.
        options: how it is trained.
        settings: of TRL's configuration.
        progress: told of optimizer steps.
        keep_adapter: save an adapter alone.

    Raises:
        ModelError: the policy cannot be loaded, its loss is no number, or memory ran out.
        OptionError: TRL refuses a setting.
    """
    checkpoint = folder.last_checkpoint(output)
    found = Trained()
    with _quiet(), _worded():
        trainer = _trainer(policy, data, output, options, settings, progress)
        found.is_main = trainer.is_world_process_zero()
        found.before = _evaluated(trainer, data)
        begun = time.perf_counter()
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        found.seconds = time.perf_counter() - begun
        found.after = _evaluated(trainer, data)
        found.steps = trainer.state.global_step
        found.log = [one for one in trainer.state.log_history if "loss" in one]
        if found.is_main:
            found.files = _save(trainer, output, keep_adapter=keep_adapter)
    return found


@contextlib.contextmanager
def _worded() -> Iterator[None]:
    """Maps running out of memory to an error that says what to type."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            "not enough memory to train: give a smaller --micro-batch, --lora, or a smaller "
            "--max-length"
        ) from error
