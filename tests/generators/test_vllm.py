"""What vLLM is asked for, and what is made of its answers; a stand-in takes the library's place.

vLLM itself is held against transformers in `benchmarks/sampling_vllm.py`.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from flr.errors import ModelError
from flr.generators.base import Generated, Sampling
from flr.generators.vllm import VLLMGenerator
from flr.vllm_model import VLLMModel
from tests.vllm_stand_in import END, module


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", module())


def generator_of(folder: Path, sampling: Sampling, stops: list[int], **named: Any) -> VLLMGenerator:
    return VLLMGenerator(VLLMModel(folder, **named), sampling, stops)


@pytest.mark.usefixtures("vllm")
def test_the_token_that_ended_a_response_is_left_out_and_others_are_cut(tmp_path: Path):
    generator = generator_of(tmp_path, Sampling(n=2, max_new_tokens=9), [END])
    found = generator.generate([(5, 6), (7,)], seed=4)
    assert found == [
        (Generated((5, 6), finished=True), Generated((5, 6), finished=False)),
        (Generated((7,), finished=True), Generated((7,), finished=False)),
    ]


@pytest.mark.usefixtures("vllm")
def test_nothing_of_the_policys_own_settings_has_a_say(tmp_path: Path):
    sampling = Sampling(n=2, temperature=0.5, top_p=0.8, max_new_tokens=9)
    generator = generator_of(tmp_path, sampling, [9, END], dtype="fp32")
    generator.generate([(5, 6), (7,)], seed=4)
    model = generator._model.llm
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
def test_what_vllm_cannot_generate_is_a_model_error(tmp_path: Path):
    generator = generator_of(tmp_path, Sampling(), [END])
    with pytest.raises(ModelError, match="longer than the model"):
        generator.generate([(98,)], seed=0)
    with pytest.raises(ModelError, match="the engine is dead"):
        generator.generate([(99,)], seed=0)
