"""Loads a model, its tokenizer and its configuration from where `sources` found them.

Code that comes with a model is run only where the caller says so. Where a folder holds a PEFT
adapter, its base model is loaded and the adapter merged into it, so that everything after this
sees one plain model. A small GGUF file is unpacked once and kept unpacked.
"""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from flr.devices import DTYPES, Dtype, pick_device, pick_dtype
from flr.errors import ModelError, OptionError, missing_extra
from flr.sources import Source

UNPACKED_BYTES = 2**29
"""Largest GGUF file whose unpacked form is kept on disk: unpacking takes longer than scoring."""


def load_config(source: Source, *, trust_remote_code: bool = False) -> PretrainedConfig:
    """The configuration of a model's text part."""
    source = _unpacked(source.base or source)
    with _worded(source):
        config = AutoConfig.from_pretrained(
            str(source.folder), trust_remote_code=trust_remote_code, **_gguf(source)
        )
    return config.get_text_config()


def load_tokenizer(source: Source, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model, with its chat template.

    Raises:
        ModelError: there is none, or none of the fast kind, whose offsets scoring needs.
    """
    if source.base is not None and not _has_tokenizer(source.folder):
        source = source.base
    source = _unpacked(source)
    with _worded(source):
        tokenizer = AutoTokenizer.from_pretrained(
            str(source.folder), trust_remote_code=trust_remote_code, **_gguf(source)
        )
    if not tokenizer.is_fast:
        raise ModelError(
            f"{source.name}: its tokenizer gives no character offsets (no fast tokenizer), "
            "which scoring needs"
        )
    return tokenizer


def response_ends(source: Source) -> list[int]:
    """The tokens that a model's own generation settings end a response with; none without any."""
    folder = _unpacked(source.base or source).folder
    if not (folder / "generation_config.json").is_file():
        return []
    with _worded(source):
        ends = GenerationConfig.from_pretrained(str(folder)).eos_token_id
    return list(ends) if isinstance(ends, list | tuple) else [] if ends is None else [ends]


def plain_folder(source: Source) -> Path:
    """The folder of a model as other engines read it: whole safetensors, tokenizer, settings.

    Raises:
        ModelError: an adapter, or a GGUF file that is not unpacked.
    """
    found = _unpacked(source)
    if found.gguf or found.base:
        raise ModelError(
            f"{source.name}: a folder or hub id with whole safetensors was expected; merge an "
            "adapter into its base model and save that, unpack a large GGUF file"
        )
    return found.folder


def load(
    source: Source,
    *,
    dtype: Dtype = "auto",
    device: str | None = None,
    device_map: str | None = None,
    quantization: Literal["int8", "nf4"] | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """Loads a model for scoring, in evaluation mode.

    Args:
        source: from `flr.sources.locate`.
        dtype: see `pick_dtype`.
        device: `cpu`, `cuda`, `cuda:1`, ...; None for `pick_device`.
        device_map: `auto` spreads a model that is larger than one GPU.
        quantization: weights packed by bitsandbytes, where that is installed.
        trust_remote_code: run code that comes with the model.

    Raises:
        ModelError: the files are not what they should be, or do not fit together.
    """
    _check_ours(source)
    device = device or pick_device()
    chosen = pick_dtype(dtype, device)
    options: dict[str, Any] = {
        "dtype": DTYPES[chosen],
        "trust_remote_code": trust_remote_code,
        "use_safetensors": True,
    }
    if device_map:
        options["device_map"] = device_map
    if quantization and (source.base or source).gguf:
        raise OptionError("--quantization: a GGUF file is unpacked, not packed anew; leave it out")
    if quantization:
        options |= {"quantization_config": _bitsandbytes(quantization, DTYPES[chosen])}
        options.setdefault("device_map", {"": device})
    model = _weights(_unpacked(source.base or source), options)
    if source.base is not None:
        model = merge_adapter(model, source)
    if not device_map and not quantization:
        with _worded(source):
            model.to(device)  # pyright: ignore[reportArgumentType] - a decorator hides its signature
    return model.eval()


def load_classifier(
    source: Source,
    *,
    dtype: Dtype = "auto",
    device: str | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """Loads a sequence-classification model that gives one number, as reward models do.

    Args:
        source: from `flr.sources.locate`; a folder or hub id with whole weights.
        dtype: see `pick_dtype`.
        device: see `load`.
        trust_remote_code: run code that comes with the model.

    Raises:
        ModelError: it is no such model; above all one whose head would be made up at random.
    """
    _check_ours(source)
    if source.gguf or source.base:
        raise ModelError(f"{source.name}: a classifier is a folder or hub id with whole weights")
    device = device or pick_device()
    with _worded(source):
        model, found = AutoModelForSequenceClassification.from_pretrained(
            str(source.folder),
            dtype=DTYPES[pick_dtype(dtype, device)],
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
        )
    if found["missing_keys"] or model.config.num_labels != 1:
        lacking = ", ".join(sorted(found["missing_keys"])) or "nothing"
        raise ModelError(
            f"{source.name}: a reward model with one output was expected; it has "
            f"{model.config.num_labels} outputs, and its files lack {lacking}"
        )
    with _worded(source):
        model.to(device)
    return model.eval()


def _check_ours(source: Source) -> None:
    if source.engine != "hf":
        raise ModelError(
            f"{source.name}: here transformers has to run the model; leave out the engine's name"
        )


def _gguf(source: Source) -> dict[str, str]:
    return {"gguf_file": source.gguf} if source.gguf else {}


def _weights(source: Source, options: dict[str, Any]) -> PreTrainedModel:
    if source.gguf:
        options = {k: v for k, v in options.items() if k != "use_safetensors"}
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with _worded(source):
        return AutoModelForCausalLM.from_pretrained(str(source.folder), **_gguf(source), **options)


def _unpacked(source: Source) -> Source:
    """A small GGUF file as a folder of safetensors in fp32: the same numbers, opened at once.

    The folder is named by the file's hash and kept in the user's cache; where that cannot be
    written, or the file is large, the source comes back as it is.
    """
    if not source.gguf or (source.folder / source.gguf).stat().st_size > UNPACKED_BYTES:
        return source
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "flr" / "unpacked"
    made_by = f"transformers-{transformers.__version__}-gguf-{version('gguf')}"
    kept = cache / f"{source.identity[:16]}-{made_by}"
    try:
        if not kept.is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            _unpack(source, kept)
    except (OSError, SafetensorError):
        # Another process was first, or there is no place for it: then it goes without.
        if not kept.is_dir():
            return source
    return dataclasses.replace(source, folder=kept, gguf=None)


def _unpack(source: Source, kept: Path) -> None:
    """Unpacks a GGUF file into a folder, which takes its place when it is whole."""
    with _worded(source):
        tokenizer = AutoTokenizer.from_pretrained(str(source.folder), **_gguf(source))
    model = _weights(source, {"dtype": torch.float32})
    with tempfile.TemporaryDirectory(dir=kept.parent, ignore_cleanup_errors=True) as temporary:
        made = Path(temporary) / "made"
        with silent():
            model.save_pretrained(made)
            tokenizer.save_pretrained(made)
        made.rename(kept)


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model"))


def _bitsandbytes(quantization: str, compute: torch.dtype) -> Any:
    if find_spec("bitsandbytes") is None:
        raise missing_extra("bitsandbytes", "--quantization", "bitsandbytes")
    if quantization == "int8":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute
    )


def merge_adapter(model: PreTrainedModel, source: Source) -> PreTrainedModel:
    """The base model with the adapter's changes added to its weights."""
    if find_spec("peft") is None:
        raise missing_extra("peft", f"the adapter {source.name}", "'.[peft]' in a clone of flr")
    from peft import PeftModel  # an extra: only adapters need it

    with _worded(source):
        return PeftModel.from_pretrained(model, str(source.folder)).merge_and_unload()  # pyright: ignore


@contextlib.contextmanager
def _worded(source: Source) -> Iterator[None]:
    """Maps the many errors of loading to one."""
    try:
        with silent():
            yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{source.name}: not enough memory; try --dtype bf16, --device-map auto or "
            "--quantization nf4"
        ) from error
    except Exception as error:
        raise ModelError(f"{source.name}: cannot be loaded ({_first_line(error)})") from error


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keeps transformers' bars and chatter off the screen."""
    bars = transformers.utils.logging.is_progress_bar_enabled()
    level = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        with Path(os.devnull).open("w") as void, contextlib.redirect_stderr(void):
            yield
    finally:
        transformers.utils.logging.set_verbosity(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__
