"""Responses by `generate`: batches, ends, seeds, against a plain loop over the logits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from flr.errors import ModelError, OptionError
from flr.generators.base import Generated, Sampling
from flr.generators.hf import HFGenerator, batches

PROMPTS = [(5, 6, 7), (8,), (9, 10, 11, 12, 13), (5, 6)]
GREEDY = Sampling(n=1, temperature=0.0, max_new_tokens=6)


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    return AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()


def greedy(model, prompt: tuple[int, ...], stops: set[int], most: int) -> Generated:
    """The likeliest token, one full forward after the other."""
    tokens = list(prompt)
    for _ in range(most):
        with torch.inference_mode():
            following = int(model(torch.tensor([tokens])).logits[0, -1].argmax())
        if following in stops:
            return Generated(tuple(tokens[len(prompt) :]), finished=True)
        tokens.append(following)
    return Generated(tuple(tokens[len(prompt) :]), finished=False)


@pytest.mark.parametrize("batch_tokens", [1, 30, 10_000])
def test_the_likeliest_responses_are_those_of_plain_forwards(model, batch_tokens: int):
    free = [greedy(model, prompt, set(), 6) for prompt in PROMPTS]
    stops = {free[0].tokens[3], free[2].tokens[1]}  # so that some end early, and some do not
    expected = [(greedy(model, prompt, stops, 6),) for prompt in PROMPTS]
    assert {one.finished for (one,) in expected} == {True, False}
    generator = HFGenerator(model, GREEDY, sorted(stops), batch_tokens)
    assert generator.generate(PROMPTS, seed=0) == expected


def test_without_a_token_that_ends_a_response_all_are_cut(model):
    found = HFGenerator(model, GREEDY, []).generate(PROMPTS, seed=0)
    assert [len(one.tokens) for (one,) in found] == [6] * 4
    assert not any(one.finished for (one,) in found)


def test_the_same_seed_draws_the_same_and_another_seed_others(model):
    generator = HFGenerator(model, Sampling(n=3, temperature=1.0, top_p=1.0, max_new_tokens=8), [0])
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = generator.generate(PROMPTS, seed=1)
    assert (torch.rand(3) == expected).all()  # nobody else's random numbers are touched
    assert [len(of) for of in first] == [3] * 4
    assert len({one.tokens for of in first for one in of}) > 6
    assert generator.generate(PROMPTS, seed=1) == first
    assert generator.generate(PROMPTS, seed=2) != first


def test_the_models_own_settings_have_no_say(model):
    drawn = Sampling(n=2, temperature=1.0, top_p=1.0, max_new_tokens=8)
    first = HFGenerator(model, drawn, [0]).generate(PROMPTS, seed=1)
    model.generation_config.top_k = 1
    model.generation_config.repetition_penalty = 9.0
    assert HFGenerator(model, drawn, [0]).generate(PROMPTS, seed=1) == first


def test_a_low_top_p_leaves_the_likeliest(model):
    narrow = Sampling(n=2, temperature=1.0, top_p=1e-6, max_new_tokens=6)
    found = HFGenerator(model, narrow, [0]).generate(PROMPTS, seed=3)
    expected = [greedy(model, prompt, {0}, 6) for prompt in PROMPTS]
    assert found == [(one, one) for one in expected]


def test_logits_that_are_no_numbers_are_worded(tiny_model: Path):
    broken = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    torch.nn.init.constant_(broken.model.norm.weight, float("nan"))
    generator = HFGenerator(broken, Sampling(n=1, max_new_tokens=2), [0])
    with pytest.raises(ModelError, match="not finite numbers"):
        generator.generate(PROMPTS, seed=0)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=20),
    st.integers(1, 5),
    st.integers(1, 20),
    st.integers(1, 500),
)
def test_batches_hold_every_prompt_n_times_under_the_budget(
    lengths: list[int], n: int, new: int, budget: int
):
    sampling = Sampling(n=n, max_new_tokens=new)
    found = list(batches(lengths, sampling, budget))
    flat = [at for batch in found for at in batch]
    assert sorted(flat) == sorted([*range(len(lengths))] * n)
    assert [lengths[at] for at in flat] == sorted(lengths[at] for at in flat)
    for batch in found:
        size = len(batch) * (max(lengths[at] for at in batch) + new)
        assert size <= budget or len(batch) == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"n": 0}, "--n 0"),
        ({"max_new_tokens": 0}, "--max-new-tokens 0"),
        ({"temperature": -0.1}, "--temperature -0.1"),
        ({"temperature": float("nan")}, "--temperature nan"),
        ({"temperature": float("inf")}, "--temperature inf"),
        ({"top_p": 0.0}, "--top-p 0.0"),
        ({"top_p": 1.1}, "--top-p 1.1"),
        ({"temperature": 0.0, "n": 2}, "2 equal responses"),
    ],
)
def test_numbers_that_cannot_be_are_refused(given: dict[str, Any], says: str):
    with pytest.raises(OptionError, match=says):
        Sampling(**given)
