"""How a policy is trained: our options with their reasons, and what TRL is told by them.

Pure: no library of the field is needed here. What TRL does with its settings is its own affair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal

from flr.errors import OptionError, did_you_mean
from flr.labelling import balancing
from flr.options import check_positive, typed

LOSSES: Mapping[str, tuple[str, ...]] = {
    "dpo": (
        *("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard"),
        *("aot", "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm"),
    ),
    "kto": ("kto", "apo_zero_unpaired"),
}
"""TRL's losses of each method, its usual one first."""

FULL_RATE, LORA_RATE = 1e-6, 1e-5
"""Learning rates. That of all weights is TRL's for DPO; that of an adapter is ten times as high.

Source:
    TRL 1.16, `DPOConfig`; Schulman et al., LoRA Without Regret, 2025, for the factor of ten.
"""

SMALL = 1_000_000_000
"""Parameters up to which activations are kept rather than computed twice."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a policy is trained."""

    method: Literal["dpo", "kto"] = "dpo"
    """dpo learns from pairs, kto from single responses with a label."""
    loss: str | None = None
    """Any of TRL's losses for the method, such as ipo [default: sigmoid for dpo, kto for kto]."""
    lora: bool = False
    """Train a low-rank adapter in place of all weights: less memory, and a smaller change."""
    lora_rank: int = 16
    """Rank of the adapter, on all linear layers."""
    learning_rate: float | None = None
    """Largest step size [default: 1e-6, as TRL's for DPO; 1e-5 with --lora]. The first thing to
    tune; every summary names it."""
    beta: float = 0.1
    """How strongly the policy is held to where it began; of ipo the regularisation."""
    epochs: float = 1.0
    """Times that all rows are seen. Preference data are overfitted fast: one is enough to begin."""
    max_steps: int | None = None
    """Optimizer steps, in place of --epochs."""
    batch_size: int = 16
    """Rows of an optimizer step."""
    micro_batch: int = 4
    """Rows that are in memory together, on each device; kto compares rows with each other, and
    wants 4 or more."""
    max_length: int = 2048
    """Longest row, tokens of prompt and response; what is longer stops the run (see --check), since
    TRL would cut or drop it."""
    save_steps: int = 50
    """Steps between checkpoints, from which --resume goes on."""
    check: Literal["error", "warn"] = "error"
    """What to do where flr check finds that TRL would misread or lose rows: stop, or go on."""
    trl: dict[str, str] = field(default_factory=dict[str, str])
    """Any other setting of TRL's configuration (--trl.warmup_steps 10); goes before ours."""

    def __post_init__(self) -> None:
        for name in ("lora_rank", "max_steps", "batch_size", "micro_batch", "save_steps"):
            check_positive(name, getattr(self, name))
        if self.loss is not None and self.loss not in LOSSES[self.method]:
            known = LOSSES[self.method]
            raise OptionError(
                f"--loss {self.loss}: one of {', '.join(known)} was expected for --method "
                f"{self.method}.{did_you_mean(self.loss, known)}"
            )
        for name in ("learning_rate", "beta", "epochs"):
            number = getattr(self, name)
            if number is not None and not (isfinite(number) and number > 0):
                raise OptionError(f"--{name.replace('_', '-')} {number}; above 0 was expected")
        if self.max_length < 2:
            raise OptionError(f"--max-length {self.max_length}; 2 or more was expected")
        if self.batch_size % min(self.micro_batch, self.batch_size):
            raise OptionError(
                f"--batch-size {self.batch_size} is no multiple of --micro-batch {self.micro_batch}"
            )

    @property
    def rate(self) -> float:
        """The learning rate in force."""
        return self.learning_rate or (LORA_RATE if self.lora else FULL_RATE)

    @property
    def loss_in_force(self) -> str:
        """The loss by name."""
        return self.loss or LOSSES[self.method][0]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of the machine has a say.

    Args:
        device: `cpu` or a CUDA device.
        dtype: `bf16`, `fp16` or `fp32`: what is computed in; weights are kept in fp32.
        processes: how many train together.
    """

    device: str
    dtype: str
    processes: int = 1


def settings(
    options: TrainingOptions,
    machine: Machine,
    *,
    seed: int,
    parameters: int,
    labels: Sequence[bool] = (),
    held_out: bool = False,
) -> dict[str, Any]:
    """What TRL's configuration is given.

    Args:
        options: how the policy is trained.
        machine: on what.
        seed: of the order of rows and of an adapter's first weights.
        parameters: of the model.
        labels: of the rows, for kto, whose classes are balanced by weights.
        held_out: whether there are rows to evaluate on.

    Raises:
        OptionError: a batch that cannot be shared out among the processes, or one label only.

    Example:
        >>> made = settings(
        ...     TrainingOptions(batch_size=8, micro_batch=4), Machine(device="cpu", dtype="bf16"),
        ...     seed=0, parameters=10**6,
        ... )
        >>> made["per_device_train_batch_size"], made["gradient_accumulation_steps"], made["bf16"]
        (4, 2, True)
    """
    micro = min(options.micro_batch, options.batch_size)
    together = micro * machine.processes
    if options.batch_size % together:
        raise OptionError(
            f"--batch-size {options.batch_size} cannot be shared out among {machine.processes} "
            f"processes with {micro} rows each; give a multiple of {together}"
        )
    of_method: dict[str, Any] = {"loss_type": options.loss_in_force}
    if options.method == "dpo":
        of_method = {"loss_type": [options.loss_in_force]}
    elif labels:
        of_method |= _weights(labels)
    on_cpu = machine.device == "cpu"
    return {
        **of_method,
        "learning_rate": options.rate,
        "beta": options.beta,
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "per_device_train_batch_size": micro,
        "per_device_eval_batch_size": micro,
        "gradient_accumulation_steps": options.batch_size // together,
        "max_length": options.max_length,
        # The first policy answers once for every row, and need not stay in memory.
        "precompute_ref_log_probs": True,
        "bf16": machine.dtype == "bf16",
        "fp16": machine.dtype == "fp16",
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "gradient_checkpointing": parameters > SMALL,
        "seed": seed,
        "data_seed": seed,
        "save_strategy": "steps",
        "save_steps": options.save_steps,
        "save_total_limit": 2,  # the last one may be half written when a run is killed
        "eval_strategy": "no",
        "do_eval": held_out,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is not finite must be seen
        "report_to": "none",
        "disable_tqdm": True,
        **typed(options.trl),
    }


def _weights(labels: Sequence[bool]) -> dict[str, float]:
    found = balancing(labels)
    if found is None:
        raise OptionError("every row has the same label; kto needs desirable and undesirable ones")
    return asdict(found)


def check_names(given: Mapping[str, str], known: Sequence[str]) -> None:
    """Raises where TRL's configuration has no setting of a name.

    Raises:
        OptionError: it names the nearest one.
    """
    for name in given:
        if name not in known:
            raise OptionError(
                f"--trl.{name}: TRL's configuration has no such setting.{did_you_mean(name, known)}"
            )
