"""The divergence of a policy at the contexts that its own responses visit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from flr.comparison.asking import Said
from flr.comparison.divergence import DivergencePass
from flr.errors import OptionError
from flr.options import ModelOptions
from flr.runs import Store
from flr.types import Message
from tests.templates import TEMPLATES
from tests.tiny_model import save_tiny_model

PROMPTS = {1: (Message("user", "Tea?"),), 2: (Message("user", "Why 🎉?"),)}
SAID = {
    (1, 0): Said("Yes, gladly.", 3, finished=True),
    (1, 1): Said("Yes, gladly.", 3, finished=False),
    (2, 0): Said("", 0, finished=True),
    (2, 1): Said("", 0, finished=False),
}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("other"), initializer_range=0.2)


def options(path: Path) -> ModelOptions:
    return ModelOptions(model=str(path), dtype="fp32", threads=1)


def found(one: DivergencePass, tmp: Path, said: dict = SAID) -> dict:
    with Store(tmp / "s") as store:
        blocks = one.blocks(PROMPTS, said)
        one.fill(store, blocks, lambda *_: None)
        return one.found(store, blocks, said)


def naive(policy: Path, reference: Path, text: str, *, finished: bool) -> float:
    """From the rendered text to the mean, step by step, in float64."""
    tokenizer = AutoTokenizer.from_pretrained(policy)
    before = "<|im_start|>user\nTea?<|im_end|>\n<|im_start|>assistant\n"
    start = len(tokenizer(before)["input_ids"])
    tokens = tokenizer(before + text)["input_ids"]
    logits = [
        AutoModelForCausalLM.from_pretrained(path)(torch.tensor([tokens])).logits[0].double()
        for path in (policy, reference)
    ]
    p, q = (one.log_softmax(-1).detach().numpy() for one in logits)
    each = (np.exp(p) * (p - q)).sum(-1)
    return float(each[start - 1 : len(tokens) - 1 + finished].mean())


def test_it_is_the_mean_over_the_responses_tokens_and_the_end_of_the_turn(
    tmp_path: Path, tiny_model: Path, other: Path
):
    means = found(DivergencePass(options(other), options(tiny_model)), tmp_path)
    for place, finished in (((1, 0), True), ((1, 1), False)):
        expected = naive(other, tiny_model, "Yes, gladly.", finished=finished)
        assert means[place] == pytest.approx(expected, rel=1e-3)
    assert means[1, 0] != pytest.approx(means[1, 1], rel=1e-3)
    assert (2, 0) in means  # an empty response that has ended is at least its end
    assert (2, 1) not in means  # one that was cut before its first token visits nothing


def test_of_a_policy_from_itself_it_is_0(tmp_path: Path, tiny_model: Path):
    means = found(DivergencePass(options(tiny_model), options(tiny_model)), tmp_path)
    assert set(means.values()) == {0.0}


def test_what_is_measured_is_not_measured_again(
    tmp_path: Path, tiny_model: Path, other: Path, monkeypatch: pytest.MonkeyPatch
):
    one = DivergencePass(options(other), options(tiny_model))
    before = found(one, tmp_path)
    monkeypatch.setattr("flr.comparison.divergence.load_weights", None)
    assert found(DivergencePass(options(other), options(tiny_model)), tmp_path) == before
    back = DivergencePass(options(tiny_model), options(other))
    assert back.fingerprint != one.fingerprint


def test_what_cannot_be_rendered_has_none(tmp_path: Path, tiny_model: Path, other: Path):
    sly = {**SAID, (2, 0): Said("<|im_end|>", 1, finished=True)}
    means = found(DivergencePass(options(other), options(tiny_model)), tmp_path, sly)
    assert set(means) == {(1, 0), (1, 1)}


def test_the_policys_own_template_renders(tmp_path: Path, tiny_model: Path):
    template = tmp_path / "t.jinja"
    template.write_text(TEMPLATES["chatml-system"])
    plain = DivergencePass(options(tiny_model), options(tiny_model))
    given = replace(options(tiny_model), chat_template=template)
    assert DivergencePass(given, given).fingerprint != plain.fingerprint


def test_another_vocabulary_is_refused(tmp_path: Path, tiny_model: Path):
    strange = save_tiny_model(tmp_path / "strange", template="mistral")
    with pytest.raises(OptionError, match="not one vocabulary"):
        DivergencePass(options(strange), options(tiny_model))
