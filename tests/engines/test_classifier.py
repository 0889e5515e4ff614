"""Scores of a tiny random reward model, against its hidden states and its head taken apart."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaForSequenceClassification, PreTrainedModel

from flr.datasets.base import Item
from flr.engines.classifier import Classifier
from flr.errors import ModelError, OptionError
from flr.evaluation.passes import ClassifierPass
from flr.measuring import Measured, Skipped, Values
from flr.models import load_classifier
from flr.options import ModelOptions
from flr.sources import locate
from flr.types import Conversation
from tests.tiny_classifier import save_tiny_classifier

ROWS = [(5, 6, 7, 8), (9,), tuple(range(3, 60)), (8, 7, 6, 5), (5, 6, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def model(folder: Path) -> PreTrainedModel:
    return load_classifier(locate(str(folder)), dtype="fp32", device="cpu")


def by_hand(folder: Path, row: Sequence[int]) -> float:
    """The head's one direction times the last hidden state, of a model opened for this row."""
    plain: Any = LlamaForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        (states,) = plain.model(input_ids=torch.tensor([list(row)])).last_hidden_state
        return float(states[-1].double() @ plain.score.weight[0].double())


def test_a_score_is_the_heads_output_at_the_last_token(
    folder: Path, model: PreTrainedModel
) -> None:
    scores = Classifier(model).scores(ROWS)
    assert scores == pytest.approx([by_hand(folder, row) for row in ROWS], abs=1e-4)
    assert min(abs(a - b) for i, a in enumerate(scores) for b in scores[:i]) > 1e-2
    assert {type(score) for score in scores} == {float}


def test_the_order_is_kept_and_company_changes_nothing(model: PreTrainedModel) -> None:
    classifier = Classifier(model)
    scores = classifier.scores(ROWS)
    assert classifier.scores(ROWS[::-1]) == scores[::-1]
    assert [classifier.scores([row])[0] for row in ROWS] == scores
    assert classifier.scores([ROWS[0]] * 3) == [scores[0]] * 3


def test_no_rows_have_no_scores(model: PreTrainedModel) -> None:
    assert Classifier(model).scores([]) == []


def test_a_padding_token_changes_no_row_that_has_none_at_its_end(model: PreTrainedModel) -> None:
    padded = copy.deepcopy(model)
    padded.config.pad_token_id = 6
    assert Classifier(padded).scores(ROWS) == Classifier(model).scores(ROWS)


def test_scores_are_numbers_of_double_precision_whatever_the_models(folder: Path) -> None:
    half = load_classifier(locate(str(folder)), dtype="bf16", device="cpu")
    assert half.dtype == torch.bfloat16
    # bf16 has 8 bits: a difference of a few hundredths of the scores' own size
    size = max(abs(by_hand(folder, row)) for row in ROWS)
    for row, score in zip(ROWS, Classifier(half).scores(ROWS), strict=True):
        assert score == pytest.approx(by_hand(folder, row), abs=0.1 * size)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_worded(model: PreTrainedModel, value: float) -> None:
    broken: Any = copy.deepcopy(model)
    with torch.no_grad():
        broken.score.weight[0, 3] = value
    with pytest.raises(ModelError, match=r"scores are not finite numbers in torch.float32; try"):
        Classifier(broken).scores(ROWS)


def test_no_gradient_is_kept(model: PreTrainedModel) -> None:
    Classifier(model).scores(ROWS)
    assert not model.training
    assert all(weight.grad is None for weight in model.parameters())


def passed(folder: Path) -> ClassifierPass:
    return ClassifierPass(ModelOptions(model=str(folder), dtype="fp32", device="cpu", threads=1))


def test_a_pass_scores_the_rendering_of_every_response(folder: Path) -> None:
    one, two = Conversation.of("Why? 🎉", "So."), Conversation.of("Why? 🎉", "")
    other = Conversation.of("What is the capital of France?", "It is Paris.\0")
    made = passed(folder)
    assert made.asks(Item("i", "g", (one, two), (1.0, 0.0))) == (one, two)
    found = list(made.measure([[one, two], [other]]))
    assert [index for index, _ in found] == [0, 1]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for (_, block), conversations in zip(found, [[one, two], [other]], strict=True):
        for measured, conversation in zip(block.responses, conversations, strict=True):
            messages = [message.as_dict() for message in conversation.messages]
            row = tokenizer.apply_chat_template(messages, return_dict=False)
            assert isinstance(measured, Measured)
            assert measured == Measured(logits=Values(measured.logits.values, (len(row),)))
            assert measured.logits.values == pytest.approx([by_hand(folder, row)], abs=1e-4)


def test_a_pass_leaves_out_what_the_template_cannot_take(folder: Path) -> None:
    bad, good = Conversation.of("Why?", "<|im_end|>"), Conversation.of("Why?", "So.")
    ((_, block),) = passed(folder).measure([[bad, good]])
    skipped, measured = block.responses
    assert isinstance(skipped, Skipped)
    assert "<|im_end|>" in skipped.reason
    assert isinstance(measured, Measured)
    assert block.tally.paths == {"classifier": 1}


def test_a_pass_with_nothing_to_do_loads_no_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = passed(folder)
    monkeypatch.setattr("flr.evaluation.passes.make_classifier", lambda *_: pytest.fail("loaded"))
    assert list(made.measure([])) == []


@pytest.mark.parametrize("given", [{"device_map": "auto"}, {"quantization": "int8"}])
def test_options_that_classifiers_do_not_have_are_refused(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    options = ModelOptions(model=str(save_tiny_classifier(tmp_path)), threads=1, **given)
    with pytest.raises(OptionError, match="not for classifiers"):
        list(ClassifierPass(options).measure([[Conversation.of("a", "b")]]))
