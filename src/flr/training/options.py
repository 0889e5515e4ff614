"""How a model is trained: our options with their reasons.

Everything that is not an option is a setting of TRL's and keeps its default, unless it is given by
its own name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from flr.errors import OptionError, did_you_mean
from flr.options import check_positive

LOSSES: Mapping[str, tuple[str, ...]] = {
    "dpo": (
        *("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard"),
        *("aot", "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm"),
    ),
    "kto": ("kto", "apo_zero_unpaired"),
}
"""TRL's losses of each method, its usual one first.

Source:
    TRL 1.16, `DPOConfig` and `KTOConfig`.
"""

OURS: Mapping[str, str] = {
    "output_dir": "name the folder by -o",
    "save_strategy": "give --save-steps",
    "save_total_limit": "give --save-steps",
    "save_only_model": "give --save-steps",
    "resume_from_checkpoint": "give --resume",
    "load_best_model_at_end": "checkpoints are for --resume alone",
}
"""Settings of TRL's that resuming rests on, and what to do in place of giving them."""

WATCHED: Mapping[str, str] = {
    "eval_strategy": "give --held-out",
    "eval_steps": "give --save-steps",
    "metric_for_best_model": "the likelihood of held-out feedback is what counts",
    "greater_is_better": "the likelihood of held-out feedback is what counts",
    "per_device_eval_batch_size": "held-out rows are asked one by one, so that each counts alike",
}
"""Settings of TRL's that ending in time rests on, and what to do in place of giving them."""


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """What is learned from preference data."""

    method: Literal["dpo", "kto"] = "dpo"
    """dpo learns from pairs, kto from single responses with a label."""
    loss: str | None = None
    """Any of TRL's losses for the method, as ipo [default: the plain one: sigmoid for dpo, kto for
    kto]."""
    beta: float = 0.1
    """How strongly the policy is held to where it began; 0.1 is the papers' usual value (for ipo it
    is their tau)."""
    check: Literal["error", "warn"] = "error"
    """What happens where flr check finds that TRL would misread, cut or drop rows."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a model is trained."""

    lora: bool = False
    """Train a low-rank adapter on all linear layers, in place of all weights: it needs a third of
    the memory or less."""
    lora_rank: int = 16
    """Rank of the adapter; what is learnt from preferences or feedback is little, and 16 holds
    it."""
    learning_rate: float | None = None
    """Largest step size, the first thing to tune [default: TRL's own: 1e-6 for preference data,
    2e-5 for feedback; ten times as much with --lora, as adapters want]."""
    epochs: float = 1.0
    """Times that every row is seen; 1, since preference data are soon learnt by heart."""
    max_steps: int | None = None
    """Optimizer steps, in place of --epochs."""
    batch_size: int = 16
    """Rows of an optimizer step, over all processes; with fewer the direction is noise, and with
    more a small file gives too few steps."""
    micro_batch: int | None = None
    """Most rows in memory at once in each process [default: 4; on CPU 1, where padding rows to the
    longest of them costs more than holding them together gains; 4 there, too, for the losses kto,
    aot and aot_unpaired, which compare rows with their neighbours]."""
    max_length: int = 2048
    """Longest row, tokens of prompt and response, or what the model takes if that is less. TRL
    would cut what is longer (its own limit is 1024), so such a row stops the run."""
    save_steps: int = 50
    """Steps between checkpoints, and so the most that a kill costs."""
    trl: dict[str, str] = field(default_factory=dict[str, str])
    """Any setting of TRL's configuration (--trl.warmup_steps 10); it overrides ours."""

    def __post_init__(self) -> None:
        for name in ("lora_rank", "max_steps", "batch_size", "micro_batch", "save_steps"):
            check_positive(name, getattr(self, name))
        for name in ("learning_rate", "epochs"):
            check_above_zero(name, getattr(self, name))
        if self.max_length < 2:
            raise OptionError(f"--max-length {self.max_length}; 2 or more was expected")
        for name in self.trl.keys() & OURS.keys():
            raise OptionError(f"--trl.{name}: flr sets it, and resuming rests on it; {OURS[name]}")


def check_above_zero(name: str, number: float | None) -> None:
    """Raises where an option that scales something is not a finite number above 0."""
    if number is not None and not (isfinite(number) and number > 0):
        raise OptionError(f"--{name.replace('_', '-')} {number}; above 0 was expected")


@dataclass(frozen=True, kw_only=True)
class PreferenceOptions(TrainingOptions, LossOptions):
    """How a policy is trained on preference data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above_zero("beta", self.beta)
        known = LOSSES.get(self.method, ())
        if self.loss is not None and self.loss not in known:
            raise OptionError(
                f"--loss {self.loss}: for --method {self.method} one of {', '.join(known)} was "
                f"expected.{did_you_mean(self.loss, known)} (--trl.loss_type takes any name)"
            )


@dataclass(frozen=True, kw_only=True)
class TuningOptions(TrainingOptions):
    """How a follow-up model is trained on feedback."""

    epochs: float = 3.0
    """Most times that every row is seen; with --held-out it ends earlier where that is better."""
    max_length: int = 2048
    """Longest row, tokens, or what the model takes if that is less. Of a longer one the oldest
    turns are left out; where the last prompt, the response and the feedback are longer alone, it
    stops the run, or is left out (--on-overflow skip)."""
    patience: int = 3
    """With --held-out: evaluations without a better one, one every --save-steps, before training
    ends. The best one's weights are what is saved."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("patience", self.patience)
        for name in self.trl.keys() & WATCHED.keys():
            raise OptionError(f"--trl.{name}: flr sets it, to end in time; {WATCHED[name]}")
