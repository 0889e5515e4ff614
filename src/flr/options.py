"""The options that have a say in the numbers: which model measures and how, what a reward is.

Command line, Python interface, run record and block keys all come from these; what is made of them
is `loading`'s.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from flr.chat import Form
from flr.devices import Dtype
from flr.errors import OptionError, did_you_mean
from flr.measuring import Policy
from flr.sources import SMOLLM2, engine_of


@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """Where models run, and how their weights are held."""

    dtype: Dtype = "auto"
    """Precision of the model; auto is bf16 where the processor multiplies it natively."""
    device: str | None = None
    """cpu, cuda, cuda:1, ... [default: cuda where there is one]."""
    device_map: Literal["auto"] | None = None
    """auto spreads a model that is larger than one GPU over several."""
    quantization: Literal["int8", "nf4"] | None = None
    """Pack the weights with bitsandbytes, where that is installed."""
    threads: int | None = None
    """CPU threads of a process [default: the cores, divided among the workers]."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model."""
    vllm: dict[str, str] = field(default_factory=dict[str, str])
    """Argument of vLLM's engine, where vLLM runs the model (--vllm.gpu_memory_utilization 0.5)."""

    def __post_init__(self) -> None:
        _check_choices(self)
        check_positive("threads", self.threads)
        if self.vllm and not _runs_vllm(self):
            named = next(iter(self.vllm))
            raise OptionError(f"--vllm.{named} is for --model vllm:MODEL and for --engine vllm")

    @property
    def in_one_process(self) -> bool:
        """Whether a run has one process unless told otherwise, however many GPUs there are."""
        return bool(self.device or self.device_map)


def _runs_vllm(options: MachineOptions) -> bool:
    """Whether vLLM runs the follow-up model, or the policy, of options that have such."""
    model, engine = getattr(options, "model", ""), getattr(options, "engine", "")
    return str(model).startswith("vllm:") or engine == "vllm"


@dataclass(frozen=True, kw_only=True)
class FollowUpModelOptions:
    """Which model measures, and how conversations are put to it."""

    model: str = SMOLLM2
    """Follow-up model: a Hugging Face id, a folder, a .gguf file, an adapter folder, or smollm2;
    or by another engine: vllm:MODEL, llamacpp:FILE.gguf, openai:URL#MODEL."""
    revision: str | None = None
    """Branch, tag or commit of a Hugging Face id."""
    tokenizer: str | None = None
    """Hugging Face id or folder of a served model's tokenizer and settings [default: the name that
    the server has for the model]."""
    form: Form | None = None
    """Who says the follow-up: the user, or the assistant of a feedback-tuned model [default: that
    of its training for a model of flr tune, user for others]."""
    batch_tokens: int | None = None
    """Most tokens in one forward pass; bounds the memory [default: 4096 on CPU, 16384 on GPU]."""
    chat_template: Path | None = None
    """Jinja file to render conversations with, in place of the model's own template."""
    strip_thinking: bool = False
    """Remove the think blocks of the assistant before scoring."""


# The bases of an options class give its fields in the reverse of their order: what comes last in
# `class ModelOptions(MachineOptions, FollowUpModelOptions)` comes first in --help.


@dataclass(frozen=True, kw_only=True)
class ModelOptions(MachineOptions, FollowUpModelOptions):
    """Which model measures, and how."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("batch_tokens", self.batch_tokens)

    @property
    def in_one_process(self) -> bool:
        """As of any machine; engines other than transformers share out work by themselves."""
        return engine_of(self.model) != "hf" or super().in_one_process


@dataclass(frozen=True, kw_only=True)
class SkipOptions:
    """What to do with a conversation that a model cannot take."""

    on_overflow: Policy = "error"
    """For a last prompt (and response) that is longer than the model: stop, or leave it out.
    `flr mine` and `flr compare` always leave out, and count, a response that cannot be scored."""
    on_special: Policy = "error"
    """For text that holds the model's special tokens: stop, or leave the conversation out."""


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """By how many processes, and where."""

    workers: int | None = None
    """Processes, each with a model of its own [default: one a GPU; one on CPU]."""
    ray: str | None = None
    """Let the workers be actors of a Ray cluster: its address, auto for the one that this machine
    is part of, local for this machine alone."""


def cluster_of(options: object) -> str | None:
    """The Ray cluster that a run is shared out over, where it is."""
    return options.ray if isinstance(options, WorkerOptions) else None


@dataclass(frozen=True, kw_only=True)
class FileOptions(WorkerOptions):
    """Which rows of a file, by how many processes."""

    split: str | None = None
    """Split of a Hugging Face dataset."""
    limit: int | None = None
    """Take the first N rows only."""
    force: bool = False
    """Replace an OUTPUT that was made otherwise."""


@dataclass(frozen=True, kw_only=True)
class ScorerOptions(SkipOptions, ModelOptions):
    """What a scorer is made of."""

    set: str = "default"
    """Follow-up set: a name from `flr followups list`, or a YAML file; some of its categories:
    default:relevance+correctness."""
    reward: Literal["mean", "sum", "pmi", "official"] = "mean"
    """Variant of the reward: mean and pmi in nats a token, sum in nats, official in raw logits."""
    weights: dict[str, float] = field(default_factory=dict[str, float])
    """Weight of a category (--weights.correctness 2), relative to the others."""


def check_positive(name: str, number: int | None) -> None:
    """Raises where an option that counts something is 0 or less."""
    if number is not None and number < 1:
        raise OptionError(f"--{name.replace('_', '-')} {number}; 1 or more was expected")


def kinds_of(kind: Any) -> tuple[Any, ...]:
    """The types that a type stands for: those of a union, or itself.

    Example:
        >>> kinds_of(Literal["auto"] | None), kinds_of(int)
        ((typing.Literal['auto'], <class 'NoneType'>), (<class 'int'>,))
    """
    # What a union with a Literal makes is another one than that of two classes.
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def choices_of(kind: Any) -> list[Any]:
    """The values that a type lists, None among them where it may be left out; or none."""
    kinds = kinds_of(kind)
    listed = [one for k in kinds if get_origin(k) is Literal for one in get_args(k)]
    return [*listed, None] if listed and type(None) in kinds else listed


def _check_choices(options: MachineOptions) -> None:
    """Raises where an option is none of the values that its type lists."""
    for name, kind in get_type_hints(type(options)).items():
        choices, given = choices_of(kind), getattr(options, name)
        if choices and given not in choices:
            words = [one for one in choices if one is not None]
            raise OptionError(
                f"--{name.replace('_', '-')} {given}: one of {', '.join(words)} was expected."
                f"{did_you_mean(str(given), words)}"
            )


def typed(given: Mapping[str, str]) -> dict[str, Any]:
    """Arguments for a library, given as texts; what reads as JSON is taken so.

    Example:
        >>> typed({"share": "0.5", "eager": "true", "kind": "fp8"})
        {'share': 0.5, 'eager': True, 'kind': 'fp8'}
    """
    return {name: _typed(text) for name, text in given.items()}


def _typed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_workers(options: MachineOptions, engine: str) -> None:
    """Raises for a number of processes, or a place for them, that cannot be.

    Args:
        options: `WorkerOptions`, too.
        engine: what runs the model.
    """
    assert isinstance(options, WorkerOptions), "a run of blocks"
    check_positive("workers", options.workers)
    if options.ray:
        if options.device or options.device_map:
            raise OptionError("--ray gives every worker its device; leave out --device[-map]")
        if options.vllm.get("tensor_parallel_size", "1") != "1":
            raise OptionError("--ray gives every worker one GPU; leave out tensor_parallel_size")
        return
    several = (options.workers or 1) > 1
    if engine != "hf" and several:
        raise OptionError(f"{engine} shares its work out by itself; leave out --workers")
    if options.device_map and several:
        raise OptionError("--device-map spreads one model over all GPUs; take --workers 1")
