"""From options to a policy that writes responses: weights, tokenizer, settings, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, final

from transformers import PretrainedConfig

from flr import models, sources
from flr.engines.sharing import longest_row
from flr.errors import OptionError
from flr.generators.base import Generator, Sampling
from flr.generators.hf import HFGenerator
from flr.generators.vllm import VLLMGenerator
from flr.loading import of_machine, read_template
from flr.options import MachineOptions, check_positive, typed
from flr.prompting import TEMPLATE_OPTION, Prompter
from flr.runs import key_of
from flr.sources import SMOLLM2, Source
from flr.starting import load_vllm, load_weights
from flr.types import Message
from flr.vllm_model import build

_PROBE = (Message("user", "Hello"),)


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    """Which policy writes responses."""

    policy: str = SMOLLM2
    """Policy: a Hugging Face id, a folder, a .gguf file, an adapter folder, or smollm2."""
    policy_revision: str | None = None
    """Branch, tag or commit of the policy's Hugging Face id."""


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How responses are drawn, whatever the policy."""

    policy_chat_template: Path | None = None
    """Jinja file to render prompts with, in place of the policy's own template."""
    n: int = 8
    """Responses to each prompt; -n for short."""
    temperature: float = 0.7
    """What the logits are divided by; 0 takes the likeliest token always."""
    top_p: float = 0.9
    """Draw from the likeliest tokens that have this probability together."""
    max_new_tokens: int = 2048
    """Longest response, tokens; one that reaches it is unfinished."""
    seed: int = 0
    """Of every random choice."""
    sample_batch_tokens: int | None = None
    """Most tokens of a batch, prompts and longest responses [default: 65536 on CPU, 131072 on
    GPU]; bounds the memory, and changes what is drawn."""
    engine: Literal["hf", "vllm"] = "hf"
    """What generates: transformers, or vLLM, which takes --dtype alone of how a model runs."""

    def __post_init__(self) -> None:
        check_positive("sample_batch_tokens", self.sample_batch_tokens)
        if not 0 <= self.seed < 2**63:
            raise OptionError(f"--seed {self.seed}; a number from 0 to 2^63 - 1 was expected")
        if self.sample_batch_tokens and self.engine == "vllm":
            raise OptionError("--sample-batch-tokens is for --engine hf; vLLM batches by itself")
        assert self.sampling  # which checks the rest

    @property
    def sampling(self) -> Sampling:
        """How responses are drawn."""
        return Sampling(
            n=self.n,
            temperature=self.temperature,
            top_p=self.top_p,
            max_new_tokens=self.max_new_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class SamplerOptions(MachineOptions, SamplingOptions, PolicyOptions):
    """What a sampler is made of."""

    def __post_init__(self) -> None:
        super().__post_init__()
        SamplingOptions.__post_init__(self)


@final
@dataclass(frozen=True, slots=True)
class PolicyParts:
    """What is known of a policy before any weights are read, enough to check every prompt.

    Args:
        source: where it lies.
        prompter: makes the token rows.
        stops: tokens that end a response.
        fingerprint: everything but the prompts that changes the bits of what is drawn.
    """

    source: Source
    prompter: Prompter
    stops: tuple[int, ...]
    fingerprint: Mapping[str, Any]

    def text(self, tokens: Sequence[int]) -> str:
        """What a response says; special tokens inside it are left out."""
        return self.prompter.template.tokenizer.decode(list(tokens), skip_special_tokens=True)


def prepare_policy(options: SamplerOptions) -> PolicyParts:
    """Finds the policy and reads its tokenizer; loads no weights.

    Raises:
        ModelError: no such model, or no chat template.
        OptionError: no room for a prompt, a template file that cannot be read.
    """
    template = read_template(options.policy_chat_template, TEMPLATE_OPTION)
    source = sources.locate(options.policy, revision=options.policy_revision)
    config = models.load_config(source, trust_remote_code=options.trust_remote_code)
    tokenizer = models.load_tokenizer(source, trust_remote_code=options.trust_remote_code)
    room = _room(config, options)
    prompter = Prompter(tokenizer, max_tokens=room, chat_template=template)
    stops = _stops(source, config, prompter)
    return PolicyParts(source, prompter, stops, _fingerprint(options, source, prompter, stops))


def _room(config: PretrainedConfig, options: SamplerOptions) -> int | None:
    """The longest prompt beside which the longest response has room, tokens."""
    limits = (longest_row(config), typed(options.vllm).get("max_model_len"))
    longest = min((one for one in limits if isinstance(one, int)), default=None)
    if longest is None:
        return None
    if longest <= options.max_new_tokens:
        raise OptionError(
            f"--max-new-tokens {options.max_new_tokens}: the policy takes {longest} tokens, the "
            "prompt among them; a smaller number was expected"
        )
    return longest - options.max_new_tokens


def _stops(source: Source, config: PretrainedConfig, prompter: Prompter) -> tuple[int, ...]:
    """What the policy's settings, its tokenizer and its template end a response with."""
    tokenizer: Any = prompter.template.tokenizer
    named = [*models.response_ends(source), tokenizer.eos_token_id, prompter.end_of_turn()]
    own = config.eos_token_id
    named.extend(own if isinstance(own, list | tuple) else [own])
    return tuple(sorted({one for one in named if one is not None}))


def _fingerprint(
    options: SamplerOptions, source: Source, prompter: Prompter, stops: Sequence[int]
) -> dict[str, Any]:
    template = prompter.template
    opened = template.render([[one.as_dict() for one in _PROBE]], opened=True)
    return {
        "policy": source.identity,
        # With a probe rendered: a template may write the date into every conversation.
        "template": key_of([template.source, opened]),
        "stops": list(stops),
        "sampling": asdict(options.sampling),
        "seed": options.seed,
        "engine": [build("--engine vllm"), options.vllm] if options.engine == "vllm" else "hf",
        "batch_tokens": options.sample_batch_tokens,
        **of_machine(options),
    }


def make_generator(options: SamplerOptions, parts: PolicyParts) -> Generator:
    """Loads the weights; sets torch's number of threads.

    Raises:
        ModelError: the weights cannot be loaded.
        OptionError: what the engine cannot do.
    """
    if options.engine == "vllm":
        return VLLMGenerator(load_vllm(options, parts.source), options.sampling, parts.stops)
    model = load_weights(options, parts.source)
    return HFGenerator(model, options.sampling, parts.stops, options.sample_batch_tokens)
