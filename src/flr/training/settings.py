"""What of our options TRL's configuration is given. Pure: TRL is not needed here."""

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flr.errors import OptionError, did_you_mean
from flr.labelling import balancing
from flr.options import typed
from flr.training.options import LOSSES, PreferenceOptions, TrainingOptions, TuningOptions

COMPARING = frozenset({"kto", "aot", "aot_unpaired"})
"""Losses that hold the rows in memory against each other, and say nothing of one row alone."""

FULL_RATE, LORA_RATE = 1e-6, 1e-5
"""Learning rates for preference data: TRL's own for all weights, and ten times it for an adapter.

Source:
    TRL 1.16, `DPOConfig`; Schulman et al., LoRA Without Regret, 2025, for the factor.
"""

TUNING_FULL_RATE, TUNING_LORA_RATE = 2e-5, 2e-4
"""Learning rates for feedback, in the same way.

Source:
    TRL 1.16, `SFTConfig`.
"""

LARGE = 2**31
"""Bytes of weights from which activations are computed twice on a GPU, to save its memory."""

TOGETHER = 4
"""Rows that a process holds at once, where nothing else was said."""

_WEIGHTS = ("desirable_weight", "undesirable_weight")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of the machine has a say.

    Args:
        device: `cpu` or `cuda`.
        dtype: `bf16`, `fp16` or `fp32`: what is computed in; weights are kept in fp32.
        processes: how many train together.
        sharded: whether they share the weights out among them (FSDP).
    """

    device: str
    dtype: str
    processes: int = 1
    sharded: bool = False


def shared_out(
    options: TrainingOptions, machine: Machine, *, together: int = TOGETHER
) -> tuple[int, int]:
    """Rows that a process holds at once, and how often it does so for one optimizer step.

    Args:
        options: how the model is trained.
        machine: on what.
        together: most rows at once, where the options do not say.

    Raises:
        OptionError: a batch that the processes cannot share.

    Example:
        >>> shared_out(TrainingOptions(batch_size=10), Machine(device="cuda", dtype="bf16"))
        (2, 5)
    """
    processes = machine.processes
    each, rest = divmod(options.batch_size, processes)
    if rest or not each:
        raise OptionError(
            f"--batch-size {options.batch_size} cannot be shared by {processes} processes; give a "
            f"multiple of {processes}"
        )
    most = min(each, options.micro_batch or together)
    micro = max(count for count in range(1, most + 1) if each % count == 0)
    return micro, each // micro


def preferences_shared_out(options: PreferenceOptions, machine: Machine) -> tuple[int, int]:
    """The same for preference data.

    Raises:
        OptionError: single rows for a loss that compares rows.
    """
    compared = _compares_rows(options)
    alone = options.method == "dpo" and machine.device == "cpu" and not compared
    micro, times = shared_out(options, machine, together=1 if alone else TOGETHER)
    if micro == 1 and compared:
        raise OptionError(
            f"--batch-size {options.batch_size}: each process would hold one row at a time (see "
            "--micro-batch), and this loss compares rows with their neighbours; give a batch size "
            f"that 4 divides, or another --loss than {', '.join(sorted(COMPARING))}"
        )
    return micro, times


def _compares_rows(options: PreferenceOptions) -> bool:
    """Whether a loss is among those that are asked for, perhaps several in TRL's own way."""
    asked = options.trl.get("loss_type", options.loss or LOSSES[options.method][0])
    return not COMPARING.isdisjoint(re.findall(r"\w+", asked))


def _of_method(options: PreferenceOptions, labels: Sequence[bool]) -> dict[str, Any]:
    """The loss, and the weights that balance the classes of kto."""
    given = {"loss_type": options.loss or LOSSES[options.method][0]}
    if options.method == "dpo" or options.trl.keys() & set(_WEIGHTS):
        return given
    weights = balancing(labels)
    return given if weights is None else given | asdict(weights)


def _common(
    options: TrainingOptions,
    machine: Machine,
    known: Collection[str],
    shared: tuple[int, int],
    *,
    seed: int,
    weight_bytes: int,
) -> dict[str, Any]:
    """What every trainer of TRL's is given, but its learning rate and what is the method's own."""
    micro, times = shared
    on_cpu = machine.device == "cpu"
    # Transformers 5 has given it another name, and warns of the old one.
    new, old = "activation_checkpointing", "gradient_checkpointing"
    return {
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "per_device_train_batch_size": micro,
        "per_device_eval_batch_size": micro,
        "gradient_accumulation_steps": times,
        "bf16": machine.dtype == "bf16",
        "fp16": machine.dtype == "fp16",
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        new if new in known else old: not on_cpu and weight_bytes >= LARGE,
        "seed": seed,
        "data_seed": seed,
        "save_strategy": "steps",
        "save_steps": options.save_steps,
        # Of two the older one is whole, whenever a kill comes.
        "save_total_limit": 2,
        "logging_steps": 1,
        # A loss that is no number must be seen.
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "log_level_replica": "error",
    }


def _check_known(options: TrainingOptions, known: Collection[str]) -> None:
    for name in options.trl:
        if name not in known:
            near = did_you_mean(name, sorted(known))
            raise OptionError(f"--trl.{name}: TRL's configuration has no such setting.{near}")


def settings(
    options: PreferenceOptions,
    machine: Machine,
    known: Collection[str],
    *,
    seed: int,
    labels: Sequence[bool] = (),
    longest: int | None = None,
    weight_bytes: int = 0,
) -> dict[str, Any]:
    """What TRL's configuration is given for preference data, but the folder.

    Args:
        options: how the policy is trained.
        machine: on what.
        known: names of all settings that TRL's configuration has.
        seed: of the order of rows, and of an adapter's first weights.
        labels: of the rows, for kto.
        longest: what the policy takes, tokens; None for no limit.
        weight_bytes: of the policy's files.

    Raises:
        OptionError: a setting that TRL has not; a batch that cannot be shared out.

    Example:
        >>> made = settings(
        ...     PreferenceOptions(batch_size=8, trl={"warmup_steps": "2"}),
        ...     Machine(device="cuda", dtype="bf16"), ["warmup_steps", "activation_checkpointing"],
        ...     seed=0, longest=1024,
        ... )
        >>> made["per_device_train_batch_size"], made["max_length"], made["warmup_steps"]
        (4, 1024, 2)
    """
    _check_known(options, known)
    shared = preferences_shared_out(options, machine)
    return {
        **_common(options, machine, known, shared, seed=seed, weight_bytes=weight_bytes),
        **_of_method(options, labels),
        "learning_rate": options.learning_rate or (LORA_RATE if options.lora else FULL_RATE),
        "beta": options.beta,
        "max_length": min(options.max_length, longest or options.max_length),
        # The first policy is asked once about every row, and need not stay in memory. With an
        # adapter it is the policy without it, which TRL would ask before it is shared out.
        "precompute_ref_log_probs": not (machine.sharded and options.lora),
        **typed(options.trl),
    }


def tuning_settings(
    options: TuningOptions,
    machine: Machine,
    known: Collection[str],
    *,
    seed: int,
    watched: bool = False,
    weight_bytes: int = 0,
) -> dict[str, Any]:
    """What TRL's configuration is given for feedback, but the folder.

    Args:
        options: how the model is trained.
        machine: on what.
        known: names of all settings that TRL's configuration has.
        seed: of the order of rows, and of an adapter's first weights.
        watched: whether there are held-out rows to end by.
        weight_bytes: of the model's files.

    Raises:
        OptionError: a setting that TRL has not; a batch that cannot be shared out.

    Example:
        >>> made = tuning_settings(
        ...     TuningOptions(save_steps=20), Machine(device="cpu", dtype="bf16"), [], seed=0,
        ...     watched=True,
        ... )
        >>> made["per_device_train_batch_size"], made["eval_steps"], made["max_length"]
        (1, 20, None)
    """
    _check_known(options, known)
    shared = shared_out(options, machine, together=1 if machine.device == "cpu" else TOGETHER)
    rate = TUNING_LORA_RATE if options.lora else TUNING_FULL_RATE
    watching = {
        "eval_strategy": "steps",
        "eval_steps": options.save_steps,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        # So the loss is the mean of all rows' own, on every machine and for any --micro-batch.
        "per_device_eval_batch_size": 1,
        # The best one, and the two that every run keeps.
        "save_total_limit": 3,
    }
    return {
        **_common(options, machine, known, shared, seed=seed, weight_bytes=weight_bytes),
        "learning_rate": options.learning_rate or rate,
        # Rows are made no longer than they may be, and none is cut.
        "max_length": None,
        **(watching if watched else {}),
        **typed(options.trl),
    }
