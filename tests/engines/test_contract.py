"""What every engine promises; a new engine adds one line to `ENGINES`."""

import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.peers import gguf_file
from flr.engines.base import Engine, LogitRequest, Request
from flr.engines.hf import HFEngine
from flr.engines.llamacpp import LlamaCppEngine
from flr.engines.openai import OpenAIEngine
from flr.engines.toy import ToyEngine
from flr.engines.vllm import VLLMEngine
from flr.errors import ContextOverflowError, FlrError
from flr.vllm_model import VLLMModel
from tests.engines import tiny
from tests.engines.served import MODEL, serving, vllm_serving

VOCABULARY = 64
LONGEST = 96
TOLERANCE = 1e-4
"""Largest difference to the oracle, nats a token."""


@dataclass(frozen=True)
class Subject:
    """An engine of `VOCABULARY` ids and rows of at most `LONGEST` tokens, and its oracle.

    Args:
        engine: what is tested.
        logits: raw logits of a row, [token][vocabulary], from code of its own.
        raw: whether the engine gives raw logits, too.
    """

    engine: Engine
    logits: Callable[[tuple[int, ...]], Sequence[Sequence[float]]]
    raw: bool = True

    def expected(self, request: Request) -> list[float]:
        rows = self.logits(request.tokens)
        return [
            rows[at - 1][request.tokens[at]] - math.log(sum(map(math.exp, rows[at - 1])))
            for at in range(request.start, request.stop)
        ]


def toy() -> Subject:
    def logits(tokens: tuple[int, ...]) -> list[list[float]]:
        middles = [sum((i + 1) * tokens[i] for i in range(n + 1)) for n in range(len(tokens))]
        return [
            [-abs(v - middle % VOCABULARY) / 8 for v in range(VOCABULARY)] for middle in middles
        ]

    return Subject(ToyEngine(vocabulary=VOCABULARY, max_tokens=LONGEST, sharpness=8.0), logits)


def hf(architecture: str, *, share: bool) -> Subject:
    model = tiny.build(architecture, max_position_embeddings=LONGEST)
    plain = tiny.as_oracle(model)
    engine = HFEngine(model, batch_tokens=32, share=share)
    return Subject(engine, lambda tokens: tiny.raw_logits(plain, tokens).tolist())


def llamacpp() -> Subject:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    model = wide_heads()
    folder = kept(tempfile.TemporaryDirectory())
    gguf_file.write(model, folder / "model.gguf")
    engine = LlamaCppEngine(folder / "model.gguf", threads=1)
    return Subject(engine, lambda tokens: tiny.raw_logits(model, tokens).tolist())


def vllm() -> Subject:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    model = wide_heads(max_position_embeddings=LONGEST + 1)
    folder = kept(tempfile.TemporaryDirectory())
    model.save_pretrained(folder)
    more = {"skip_tokenizer_init": True, "block_size": 32, "gpu_memory_utilization": 0.2}
    engine = VLLMEngine(VLLMModel(folder, dtype="fp32", arguments={**more, "enforce_eager": True}))
    return Subject(engine, lambda tokens: tiny.raw_logits(model, tokens).tolist(), raw=False)


def openai() -> Subject:
    pytest.importorskip("openai", reason="the client of OpenAI's API is not installed")
    model = tiny.as_oracle(tiny.build("llama", max_position_embeddings=LONGEST))

    def logits(tokens: tuple[int, ...]) -> list[list[float]]:
        return tiny.raw_logits(model, tokens).tolist()

    served = kept(serving(logits))
    return Subject(OpenAIEngine(served.url, MODEL, max_tokens=LONGEST), logits, raw=False)


def openai_of_vllm() -> Subject:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    model = wide_heads(max_position_embeddings=LONGEST + 1)
    folder = kept(tempfile.TemporaryDirectory())
    model.save_pretrained(folder)
    words = WordLevel({f"word{one}": one for one in range(VOCABULARY)}, unk_token="word0")
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words)).save_pretrained(folder)
    more = ("--dtype", "float32", "--enforce-eager", "--gpu-memory-utilization", "0.2")
    url = kept(vllm_serving(sys.executable, folder, MODEL, *more))
    engine = OpenAIEngine(url, MODEL, max_tokens=None)
    return Subject(engine, lambda tokens: tiny.raw_logits(model, tokens).tolist(), raw=False)


def wide_heads(**changes: Any) -> PreTrainedModel:
    """A tiny model with heads as wide as other engines want them."""
    sizes = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}
    given = {"max_position_embeddings": LONGEST, **sizes, **changes}
    return tiny.as_oracle(tiny.build("llama", **given))


_kept = ExitStack()
"""Files and servers of the engines, until all tests are done."""


def kept(context: AbstractContextManager[Any]) -> Any:
    entered = _kept.enter_context(context)
    is_folder = isinstance(context, tempfile.TemporaryDirectory)
    return Path(entered) if is_folder else entered


ENGINES: dict[str, Callable[[], Subject]] = {
    "toy": toy,
    "hf-shared": lambda: hf("llama", share=True),
    "hf-plain": lambda: hf("llama", share=False),
    "hf-both-paths": lambda: hf("mistral", share=True),
    "llamacpp": llamacpp,
    "vllm": vllm,
    "openai": openai,
    "openai-of-vllm": openai_of_vllm,
}


@pytest.fixture(params=ENGINES)
def subject(request: pytest.FixtureRequest) -> Subject:
    return built(request.param)


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    _kept.close()


@cache
def built(name: str) -> Subject:
    return ENGINES[name]()


def check(subject: Subject, requests: Sequence[Request]) -> None:
    answers = subject.engine.loglikelihoods(requests)
    for request, answer in zip(requests, answers, strict=True):
        expected = subject.expected(request)
        assert answer.per_token == pytest.approx(expected, abs=TOLERANCE)
        assert answer.total == math.fsum(answer.per_token)
        assert answer.tokens == request.stop - request.start


def row(length: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(0, VOCABULARY, length).tolist())


def test_no_requests(subject):
    assert subject.engine.loglikelihoods([]) == []


def test_forks_of_every_length_in_the_order_given(subject):
    check(subject, tiny.forks(VOCABULARY))


def test_an_empty_continuation_is_likely_for_sure(subject):
    empty, full = subject.engine.loglikelihoods([Request((5, 6), 2, 2), Request((5, 6), 1, 2)])
    assert (empty.per_token, empty.total, empty.tokens) == ((), 0.0, 0)
    assert full.tokens == 1
    assert subject.engine.loglikelihoods([Request((5,), 1, 1)])[0].total == 0.0


def test_a_context_of_one_token_and_a_row_scored_whole(subject):
    check(subject, [Request(row(2), 1, 2), Request(row(60), 1, 60)])


def test_duplicates_are_answered_alike(subject):
    requests = [Request(row(30), 20, 30), Request(row(9, 1), 4, 9)] * 3
    check(subject, requests)
    answers = subject.engine.loglikelihoods(requests)
    assert answers[0] == answers[2] == answers[4]


def test_rows_that_begin_each_other(subject):
    whole = row(70)
    check(subject, [Request(whole[:stop], stop - 1, stop) for stop in range(70, 1, -3)])


def test_spans_inside_a_row(subject):
    whole = row(50)
    check(subject, [Request(whole, start, start + 7) for start in (1, 13, 40)])


def test_a_row_of_the_greatest_length_fits_and_a_longer_one_is_an_error(subject):
    assert subject.engine.max_tokens == LONGEST
    check(subject, [Request(row(LONGEST), LONGEST - 5, LONGEST)])
    long = row(LONGEST + 1)
    for request in (Request(long, 3, LONGEST + 1), Request(long, 3, 3)):
        with pytest.raises(ContextOverflowError, match=f"{LONGEST + 1} tokens.*{LONGEST}"):
            subject.engine.loglikelihoods([Request(row(4), 3, 4), request])
    if subject.raw:
        with pytest.raises(ContextOverflowError):
            subject.engine.mean_logits([LogitRequest(long, (1,))])


def test_company_and_order_change_nothing(subject):
    requests = tiny.forks(VOCABULARY)
    together = subject.engine.loglikelihoods(requests)
    shuffled = np.random.default_rng(2).permutation(len(requests))
    mixed = subject.engine.loglikelihoods([requests[i] for i in shuffled])
    for place, i in enumerate(shuffled):
        assert mixed[place].per_token == pytest.approx(together[i].per_token, abs=TOLERANCE)
    for request, answer in list(zip(requests, together, strict=True))[::4]:
        (alone,) = subject.engine.loglikelihoods([request])
        assert alone.per_token == pytest.approx(answer.per_token, abs=TOLERANCE)


def test_mean_logits(subject):
    if not subject.raw:
        with pytest.raises(FlrError, match="gives no raw logits"):
            subject.engine.mean_logits([LogitRequest(row(20), (3,))])
        return
    requests = [
        LogitRequest(row(20), (3,)),
        LogitRequest((7,), (1, 2, 63)),
        LogitRequest(row(80), (5, 5, 6)),
        LogitRequest(row(20), (9, 3)),
    ]
    answers = subject.engine.mean_logits(requests)
    for request, answer in zip(requests, answers, strict=True):
        last = subject.logits(request.tokens)[-1]
        expected = sum(last[i] for i in request.ids) / len(request.ids)
        assert answer == pytest.approx(expected, abs=TOLERANCE)
    assert subject.engine.mean_logits([]) == []


FEW_WORDS = st.lists(st.integers(1, 3), min_size=1, max_size=30).map(tuple)


@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=15)
@given(drawn=st.lists(st.tuples(FEW_WORDS, st.floats(0, 1), st.floats(0, 1)), max_size=12))
def test_any_requests(name, drawn):
    requests = []
    for tokens, first, second in drawn:
        start = 1 + round(first * (len(tokens) - 1))
        requests.append(Request(tokens, start, start + round(second * (len(tokens) - start))))
    check(built(name), requests)


@pytest.mark.parametrize("span", [(0, 1), (2, 1), (1, 4)])
def test_a_request_has_a_context_and_a_span_inside_the_row(span):
    with pytest.raises(AssertionError, match="span"):
        Request((1, 2, 3), *span)


@pytest.mark.parametrize("parts", [((), (1,)), ((1,), ())])
def test_a_logit_request_has_a_context_and_reads_something(parts):
    with pytest.raises(AssertionError):
        LogitRequest(*parts)
