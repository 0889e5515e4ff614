"""What TRL is to do, and what came of it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from flr import models
from flr.errors import ModelError
from flr.sources import Source
from flr.training.folder import Spent


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


def load_base(job: Job) -> Any:
    """The model in fp32, an adapter merged; TRL moves it to where it is trained."""
    return models.load(
        job.base, dtype="fp32", device="cpu", trust_remote_code=job.trust_remote_code
    )


def astray(job: Job, what: str) -> ModelError:
    """The error for a training that has come to no numbers; its checkpoints lead there again."""
    shutil.rmtree(job.work, ignore_errors=True)
    rate = job.settings["learning_rate"]
    return ModelError(
        f"{what}, which is no finite number: the training has gone astray at learning rate "
        f"{rate:g}, and nothing of it is kept. Give a smaller --learning-rate"
        + (", or --dtype fp32" if job.settings["bf16"] or job.settings["fp16"] else "")
    )
