"""Starts the engine that a model's name asks for, and says before work begins what it cannot do.

What runs a follow-up model, by its name:

    MODEL                 transformers
    vllm:MODEL            vLLM, in this process
    llamacpp:FILE.gguf    llama.cpp, in this process
    openai:URL#MODEL      a server
"""

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from transformers import PreTrainedModel

from flr import devices, models
from flr.devices import THREADS
from flr.engines.base import Engine
from flr.engines.hf import HFEngine
from flr.engines.llamacpp import LlamaCppEngine
from flr.engines.openai import OpenAIEngine
from flr.engines.sharing import longest_row
from flr.engines.vllm import VLLMEngine
from flr.errors import OptionError, missing_extra
from flr.measuring import Wanted
from flr.options import MachineOptions, ModelOptions, typed
from flr.sources import Source, here
from flr.vllm_model import VLLMModel, build

_TAKEN = {
    "hf": ("dtype", "device", "device_map", "quantization", "batch_tokens", "trust_remote_code"),
    "vllm": ("dtype", "trust_remote_code"),
    "llamacpp": ("trust_remote_code",),
    "openai": ("trust_remote_code",),
}
"""Options of how a model runs, by the engine that takes them."""

_RAW_LOGITS = ("hf", "llamacpp")


def check_engine(options: ModelOptions, source: Source, wanted: Wanted) -> None:
    """Raises where an engine cannot do what is asked of it.

    Raises:
        OptionError: an option that it does not take, or raw logits that it does not give.
    """
    engine = source.engine
    default = ModelOptions()
    for name in {name for names in _TAKEN.values() for name in names} - set(_TAKEN[engine]):
        if getattr(options, name) != getattr(default, name):
            flag = name.replace("_", "-")
            takes = ", ".join(f"--{one.replace('_', '-')}" for one in _TAKEN[engine])
            raise OptionError(
                f"--{flag} is not for {_NAMES[engine]}, which takes {takes or 'none of its kind'}; "
                "leave it out"
            )
    if wanted.logits and engine not in _RAW_LOGITS:
        raise OptionError(
            f"--reward official needs raw logits, which {_NAMES[engine]} does not give; take the "
            "model itself, or llamacpp:FILE.gguf"
        )


_NAMES = {"hf": "transformers", "vllm": "vLLM", "llamacpp": "llama.cpp", "openai": "a server"}


def longest(options: ModelOptions, source: Source) -> int | None:
    """The longest row that an engine takes, tokens; a server is asked."""
    config = models.load_config(source, trust_remote_code=options.trust_remote_code)
    own = longest_row(config)
    if source.engine == "openai":
        return _served(source, own).max_tokens
    if source.engine == "vllm":
        limits = [own, typed(options.vllm).get("max_model_len")]
        least = min((one for one in limits if isinstance(one, int)), default=None)
        return None if least is None else least - 1  # vLLM writes a token behind every prompt
    return own


def version_of(options: ModelOptions, source: Source) -> list[Any]:
    """What of an engine changes the bits of its answers: for the key of a block."""
    if source.engine == "vllm":
        return [build("vllm:"), options.vllm]
    if source.engine == "llamacpp":
        if find_spec("llama_cpp") is None:
            raise missing_extra("llama-cpp-python", "llamacpp:", "'.[llamacpp]' in a clone of flr")
        return [f"llama-cpp-python {version('llama-cpp-python')}"]
    return [source.engine]


def start(options: ModelOptions, source: Source) -> Engine:
    """The engine, with its model loaded; sets torch's number of threads.

    Raises:
        ModelError: the weights cannot be loaded, the server cannot be used.
        OptionError: a library is missing.
    """
    if source.engine == "hf":
        return HFEngine(load_weights(options, source), batch_tokens=options.batch_tokens)
    threads = options.threads or THREADS
    torch.set_num_threads(threads)
    if source.engine == "llamacpp":
        source = here(source)
        return LlamaCppEngine(source.folder / str(source.gguf), threads=threads)
    if source.engine == "vllm":
        return VLLMEngine(load_vllm(options, source))
    config = models.load_config(source, trust_remote_code=options.trust_remote_code)
    return _served(source, longest_row(config))


def _served(source: Source, longest: int | None) -> OpenAIEngine:
    url, _, model = source.name.removeprefix("openai:").partition("#")
    return OpenAIEngine(url, model, max_tokens=longest)


def load_weights(options: MachineOptions, source: Source) -> PreTrainedModel:
    """Loads a language model; sets torch's number of threads.

    Raises:
        ModelError: the weights cannot be loaded.
    """
    torch.set_num_threads(options.threads or THREADS)
    return models.load(
        here(source),
        dtype=options.dtype,
        device=options.device,
        device_map=options.device_map,
        quantization=options.quantization,
        trust_remote_code=options.trust_remote_code,
    )


def load_vllm(options: MachineOptions, source: Source) -> VLLMModel:
    """Loads a model with vLLM.

    Raises:
        ModelError: vLLM does not take it.
        OptionError: vLLM is not installed, or takes no such argument.
    """
    build("vLLM")
    return VLLMModel(
        models.plain_folder(here(source)),
        dtype=devices.pick_dtype(options.dtype, options.device or devices.pick_device()),
        trust_remote_code=options.trust_remote_code,
        arguments=typed(options.vllm),
    )
