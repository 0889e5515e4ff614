"""The options of a comparison, and what they say of each policy."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from flr.errors import OptionError
from flr.options import FileOptions, MachineOptions, ModelOptions, SkipOptions
from flr.policies import SamplingOptions
from flr.sample_file import SampleOptions
from flr.sources import SMOLLM2

VERIFIABLE = {"n": 1, "temperature": 0.0, "max_new_tokens": 96}
"""How verifiable prompts are sampled, whatever the options say of the others."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions(FileOptions, SkipOptions, ModelOptions, SamplingOptions):
    """How policies are asked, and by what their responses are compared."""

    policy_revision: str | None = None
    """Branch, tag or commit of the first policy's Hugging Face id; the others have none."""
    policy_chat_template: Path | None = None
    """Jinja file to render prompts with, in place of every policy's own template."""
    n: int = 1
    """Responses to each prompt."""
    model: str = SMOLLM2
    """Follow-up models, with commas between: Hugging Face ids, folders, .gguf files, adapter
    folders, or smollm2."""
    reward: str = "flr"
    """Rewards to compare by: flr[:VARIANT][:SET] (flr:mean:default:relevance+correctness takes some
    categories of a set), direct, judge:MODEL, classifier:MODEL, with commas between; length is
    always there."""
    verifiable: bool = False
    """Ask about 200 prompts more, whose responses a program checks."""
    divergence: bool = False
    """Measure how far each policy has moved from the first one: KL, nats a token."""
    export: Literal["alpaca-eval"] | None = None
    """Also write each policy's responses as AlpacaEval's judge takes them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        SamplingOptions.__post_init__(self)
        if len(self.models) > 1 and (self.revision or self.chat_template):
            name = "revision" if self.revision else "chat-template"
            raise OptionError(f"--{name} is for one follow-up model, and --model names several")
        assert sampling_of(SMOLLM2, self)  # which checks the rest

    @property
    def models(self) -> tuple[str, ...]:
        """The follow-up models, one by one."""
        return tuple(dict.fromkeys(name.strip() for name in self.model.split(",")))


def sampling_of(policy: str, options: CompareOptions, **changes: Any) -> SampleOptions:
    """How one policy is sampled; the first one, unless `policy_revision` is changed to None."""
    names = [field.name for field in fields(SampleOptions) if hasattr(options, field.name)]
    shared = {name: getattr(options, name) for name in names}
    if options.engine != "vllm":
        shared["vllm"] = {}  # those are of a follow-up model
    return SampleOptions(policy=policy, **{**shared, **changes})


def as_model(policy: str, options: CompareOptions, revision: str | None) -> ModelOptions:
    """A policy as a model that measures."""
    machine = {field.name: getattr(options, field.name) for field in fields(MachineOptions)}
    machine["vllm"] = {}  # transformers runs it
    template = options.policy_chat_template
    return ModelOptions(**machine, model=policy, revision=revision, chat_template=template)
