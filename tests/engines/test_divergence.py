"""The divergence of two models against naive full computations, and against drawn tokens."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedModel

from flr.engines.divergence import Divergence, kl
from flr.errors import ModelError
from tests.engines.tiny import VOCABULARY, as_oracle, build, raw_logits

ROW = tuple(np.random.default_rng(0).integers(3, VOCABULARY, 60).tolist())
KINDS = ("llama", "llama-dynamic", "gemma2", "gpt2", "granite", "mamba")


def naive(model: PreTrainedModel, other: PreTrainedModel, stop: int) -> list[float]:
    """One full forward each, float64, all contexts at once."""
    rows = [raw_logits(as_oracle(one), ROW[: stop - 1]) for one in (model, other)]
    p, q = (row.log_softmax(-1).numpy() for row in rows)
    return [float((np.exp(a) * (a - b)).sum()) for a, b in zip(p, q, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_that_of_naive_full_forwards(kind: str):
    one, other = build(kind), build(kind, seed=1)
    expected = naive(one, other, 51)[9:]
    assert max(expected) > 0.5
    found = Divergence(one, other).after(ROW, 10, 51)
    assert found == pytest.approx(expected, abs=2e-4, rel=1e-4)
    assert found != pytest.approx(naive(other, one, 51)[9:], abs=2e-4, rel=1e-4)


def test_the_last_context_is_the_whole_row():
    one, other = build("llama"), build("llama", seed=1)
    found = Divergence(one, other).after(ROW, 1, len(ROW) + 1)
    assert found == pytest.approx(naive(one, other, len(ROW) + 1), abs=2e-4, rel=1e-4)
    assert Divergence(one, other).after(ROW, 7, 7) == []


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_model_to_itself_it_is_exactly_0(kind: str):
    model = build(kind)
    assert Divergence(model, build(kind)).after(ROW, 1, 50) == [0.0] * 49
    assert Divergence(model, model).after(ROW, 1, 50) == [0.0] * 49


def test_chunks_change_nothing():
    one, other = build("llama"), build("llama", seed=1)
    whole = Divergence(one, other).after(ROW, 1, 50)
    for contexts in (1, 7):
        parts = Divergence(one, other, elements=contexts * VOCABULARY)
        assert parts.after(ROW, 1, 50) == pytest.approx(whole, abs=1e-5)


def test_drawn_tokens_estimate_it():
    one, other = build("llama"), build("llama", seed=1)
    p, q = (raw_logits(model, ROW[:20])[-1].log_softmax(-1) for model in (one, other))
    torch.manual_seed(0)
    drawn = torch.multinomial(p.exp(), 20_000, replacement=True)
    ratios = (p - q)[drawn]
    (found,) = Divergence(one, other).after(ROW, 20, 21)
    assert float(ratios.mean()) == pytest.approx(
        found, abs=4 * float(ratios.std()) / math.sqrt(len(drawn))
    )


def test_half_precision_is_summed_in_single():
    one, other = build("llama"), build("llama", seed=1)
    found = Divergence(one.bfloat16(), other.bfloat16()).after(ROW, 1, 50)
    assert found == pytest.approx(naive(one, other, 50), abs=0.1, rel=0.1)
    assert Divergence(one, one).after(ROW, 1, 50) == [0.0] * 49


def test_two_vocabularies_are_refused():
    with pytest.raises(ModelError, match="vocabularies of 64 and 32 tokens"):
        Divergence(build("llama"), build("llama", vocab_size=32))


def test_what_is_no_number_is_said():
    broken = build("llama")
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    for pair in ((broken, build("llama")), (build("llama"), broken)):
        with pytest.raises(ModelError, match="no finite numbers"):
            Divergence(*pair).after(ROW, 1, 5)


LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=5, max_size=5)


@given(LOGITS, LOGITS)
def test_it_is_never_negative_and_0_for_equals(one: list[float], other: list[float]):
    p, q = torch.tensor([one]), torch.tensor([other])
    assert float(kl(p, q)) >= 0
    assert float(kl(p, p)) == 0
    shifted = float(kl(p, q + 1))  # logits that are shifted are the same predictions
    assert shifted == pytest.approx(float(kl(p, q)), abs=1e-4, rel=1e-4)


def test_what_the_model_never_gives_counts_nothing_and_the_other_way_it_is_infinite():
    never, both = torch.tensor([[0.0, -math.inf]]), torch.tensor([[0.0, 0.0]])
    assert float(kl(never, both)) == pytest.approx(math.log(2))
    assert float(kl(both, never)) == math.inf
