"""Which engine a name starts, and what is refused before work begins."""

import json
import socket
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from flr import models, sources, starting
from flr.cli.main import run
from flr.comparison.options import CompareOptions, as_model, sampling_of
from flr.engines.hf import HFEngine
from flr.engines.openai import OpenAIEngine
from flr.engines.vllm import VLLMEngine
from flr.errors import ModelError, OptionError
from flr.loading import prepare
from flr.measuring import Wanted
from flr.options import ModelOptions, ScorerOptions
from flr.score_file import ScoreOptions
from flr.workers import default_workers
from tests.engines.served import MODEL, serving
from tests.tiny_model import save_tiny_model
from tests.vllm_stand_in import module

LIKELIHOODS, LOGITS = Wanted(followups=True), Wanted(logits=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "model")


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", module())
    for place in ("flr.starting.build", "flr.policies.build"):
        monkeypatch.setattr(place, lambda _: "vllm 1")


def logits(tokens):
    return [[float((at + one) % 3) for one in range(8)] for at in range(len(tokens))]


def test_a_name_without_an_engine_is_run_by_transformers(folder):
    source = sources.locate_with_engine(str(folder))
    assert isinstance(starting.start(ModelOptions(), source), HFEngine)
    assert starting.longest(ModelOptions(), source) == 2048


@pytest.mark.usefixtures("vllm")
def test_vllm(folder):
    options = ModelOptions(model=f"vllm:{folder}", dtype="fp32", vllm={"max_model_len": "64"})
    source = sources.locate_with_engine(options.model)
    assert (source.name, source.engine) == (f"vllm:{folder}", "vllm")
    engine = starting.start(options, source)
    assert isinstance(engine, VLLMEngine)
    named = engine._model.llm.named
    assert (named["model"], named["dtype"], named["max_model_len"]) == (str(folder), "float32", 64)
    assert starting.longest(options, source) == 63
    assert starting.version_of(options, source) == ["vllm 1", {"max_model_len": "64"}]


def test_a_served_model_has_its_tokenizer_where_it_is_told(folder):
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    with serving(logits, max_model_len=512) as served:
        options = ScorerOptions(model=f"openai:{served.url}#{MODEL}", tokenizer=str(folder))
        parts = prepare(options)
        assert parts.source.identity.startswith(f"{served.url}#{MODEL}+")
        assert parts.renderer.max_tokens == 511
        assert isinstance(starting.start(options, parts.source), OpenAIEngine)


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        ("openai:localhost:8000#m", {}, r"openai:URL#MODEL was expected"),
        ("openai:http://localhost:8000/v1", {}, r"openai:URL#MODEL was expected"),
        ("vllm:smollm2", {"tokenizer": "x"}, "--tokenizer x is for openai"),
        ("smollm2", {"tokenizer": "x"}, "--tokenizer x is for openai"),
    ],
)
def test_names_that_are_none(model, more, words):
    with pytest.raises(OptionError, match=words):
        sources.locate_with_engine(model, **more)


def test_llama_cpp_wants_a_gguf_file(folder):
    with pytest.raises(OptionError, match=r"llamacpp:FILE\.gguf was expected"):
        sources.locate_with_engine(f"llamacpp:{folder}")


def test_a_place_that_needs_the_model_itself_says_so(folder):
    with pytest.raises(OptionError, match="here the model itself was expected"):
        sources.locate(f"vllm:{folder}")
    with pytest.raises(ModelError, match="no model 'vllm'"):
        sources.locate("vllm")


@pytest.mark.parametrize(
    ("engine", "given", "words"),
    [
        ("vllm", {"quantization": "nf4"}, "--quantization is not for vLLM, which takes --dtype"),
        ("vllm", {"batch_tokens": 5}, "--batch-tokens is not for vLLM"),
        ("llamacpp", {"dtype": "fp32"}, "--dtype is not for llama.cpp, which takes --trust"),
        ("openai", {"device": "cuda"}, "--device is not for a server"),
    ],
)
def test_options_that_an_engine_does_not_take_are_refused(folder, engine, given, words):
    found = sources.locate(str(folder))
    source = replace(found, engine=engine)
    with pytest.raises(OptionError, match=words):
        starting.check_engine(ModelOptions(**given), source, LIKELIHOODS)


@pytest.mark.parametrize("engine", ["vllm", "openai"])
def test_raw_logits_are_refused_where_an_engine_gives_none(folder, engine):
    source = replace(sources.locate(str(folder)), engine=engine)
    starting.check_engine(ModelOptions(), source, LIKELIHOODS)
    with pytest.raises(OptionError, match="--reward official needs raw logits"):
        starting.check_engine(ModelOptions(), source, LOGITS)


def test_an_engine_of_its_own_has_one_process():
    assert default_workers(ModelOptions(model="openai:http://x/v1#m")) == 1
    with pytest.raises(OptionError, match="shares its work out by itself; leave out --workers"):
        ScoreOptions(model="vllm:x", workers=2)
    assert ScoreOptions(model="smollm2", workers=2).workers == 2


def test_arguments_of_vllm_want_vllm():
    with pytest.raises(OptionError, match=r"--vllm\.seed is for --model vllm:MODEL"):
        ModelOptions(vllm={"seed": "1"})
    assert ModelOptions(model="vllm:x", vllm={"seed": "1"}).vllm


@pytest.mark.usefixtures("vllm")
def test_the_key_of_a_block_tells_engines_apart(folder):
    plain = prepare(ScorerOptions(model=str(folder), dtype="fp32"))
    other = prepare(ScorerOptions(model=f"vllm:{folder}", dtype="fp32"))
    assert plain.fingerprint["model"] == other.fingerprint["model"]
    assert json.dumps(plain.fingerprint) != json.dumps(other.fingerprint)


@pytest.mark.skipif(find_spec("llama_cpp") is not None, reason="llama-cpp-python is installed")
def test_where_llama_cpp_is_missing_it_is_said_before_work_begins(folder):
    source = replace(sources.locate(str(folder)), engine="llamacpp", gguf="model.gguf")
    with pytest.raises(OptionError, match=r"install '\.\[llamacpp\]'"):
        starting.version_of(ModelOptions(), source)


def test_where_the_servers_libraries_are_missing_it_is_said(monkeypatch, capsys):
    monkeypatch.setattr("flr.cli.serve.find_spec", lambda _: None)
    assert run(["serve"]) == 2
    assert "'.[serve]'" in capsys.readouterr().err


def test_a_policy_is_sampled_without_the_arguments_of_the_follow_up_models_engine():
    options = CompareOptions(model="vllm:x", vllm={"seed": "1"})
    assert sampling_of("smollm2", options).vllm == {}
    assert as_model("smollm2", options, None).vllm == {}


def test_a_classifier_is_run_by_transformers(folder):
    source = replace(sources.locate(str(folder)), engine="vllm")
    with pytest.raises(ModelError, match="here transformers has to run the model"):
        models.load_classifier(source)


def test_a_port_in_use_is_the_users_to_mend(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot listen there" in capsys.readouterr().err
