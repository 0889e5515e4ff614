"""What is watched while TRL trains: progress, the loss, whole checkpoints, its own warnings."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any

import transformers

from flr.filling import Progress
from flr.training import folder
from flr.training.folder import Spent
from flr.training.job import Job, astray


class Finished(Exception):  # noqa: N818 - nothing is wrong
    """The checkpoint that is gone on from is that of the last step."""


def is_over(log: Sequence[Mapping[str, Any]], patience: int | None) -> bool:
    """Whether so many evaluations have passed since the best one."""
    losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
    if patience is None or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience


class Follow(transformers.TrainerCallback):
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
            Finished: there is none. Going on in an epoch that all steps do not fill, transformers
                does one step before it looks.
        """
        _, state, _ = given
        if state.global_step >= state.max_steps or self._is_over(state):
            raise Finished

    def on_step_end(self, *given: Any, **_: Any) -> None:
        """One step more."""
        _, state, _ = given
        self.progress(state.global_step, state.max_steps, self.tokens - self.told)
        self.told = self.tokens

    def _is_over(self, state: Any) -> bool:
        return is_over(state.log_history, self.job.patience)

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
            raise astray(self.job, f"the loss of step {state.global_step} is {loss}")

    def on_save(self, *given: Any, **_: Any) -> None:
        """Marks the checkpoint that has been written, when every process has written its part."""
        args, state, _ = given
        args.distributed_state.wait_for_everyone()
        if args.process_index == 0:
            written = self.job.work / f"checkpoint-{state.global_step}"
            folder.mark(written, self.job.run_key, self.spent)


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
def overheard(warn: Callable[[str], None]) -> Iterator[None]:
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
