"""What of vLLM's answers is taken, and what is asked for once more; a stand-in takes its place."""

import sys
from pathlib import Path
from typing import Any

import pytest

from flr.engines.base import Request
from flr.engines.vllm import VLLMEngine
from flr.errors import ContextOverflowError, ModelError
from flr.vllm_model import VLLMModel
from tests.vllm_stand_in import Model, StartingModel, module, score

CONTEXT = (3, 1, 4, 1, 5, 9, 2, 6)
ROWS = [Request((*CONTEXT, n, n + 1, n + 2), 8, 11) for n in range(10, 22)]


def expected(request: Request) -> list[float]:
    return [score(list(request.tokens), at) for at in range(request.start, request.stop)]


def check(engine: VLLMEngine, requests: list[Request]) -> None:
    for request, answer in zip(requests, engine.loglikelihoods(requests), strict=True):
        assert answer.per_token == pytest.approx(expected(request))


def asked_of(engine: VLLMEngine) -> list[list[tuple[tuple[int, ...], dict[str, Any]]]]:
    """Rows and what was asked of each, call by call."""
    return [
        [(tuple(p["prompt_token_ids"]), n) for p, n in zip(prompts, named, strict=True)]
        for prompts, named in engine._model.llm.asked
    ]


@pytest.fixture(params=[Model, StartingModel])
def engine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> VLLMEngine:
    monkeypatch.setitem(sys.modules, "vllm", module(request.param))
    return VLLMEngine(VLLMModel(tmp_path))


def test_the_first_rows_are_asked_for_both_ways_and_all_others_from_the_cache(engine):
    check(engine, ROWS)
    whole, rest, firsts, *calls = asked_of(engine)
    assert [row for row, _ in whole] == [row.tokens for row in ROWS[:8]]
    assert all(named["skip_reading_prefix_cache"] for _, named in whole)
    assert [row for row, _ in firsts] == [CONTEXT]
    assert not any(named["skip_reading_prefix_cache"] for _, named in rest)
    assert [len(call) for call in calls] == [12, 1]
    assert engine.describe() == "vllm: contexts from its prefix cache"


def test_first_tokens_are_asked_for_in_bounded_numbers(engine):
    many = [Request((1, 2, 3, n), 3, 4) for n in range(100)]
    check(engine, many[:8])
    engine._model.llm.asked.clear()
    check(engine, many + many)
    ((first,),) = asked_of(engine)  # a continuation of one token needs nothing else
    assert first[1]["logprob_token_ids"] == list(range(100))


def test_what_rows_begin_with_alike_is_asked_of_one(engine):
    check(engine, ROWS)
    engine._model.llm.asked.clear()
    alike = [Request((*CONTEXT, 50, 51, 52, 53, n), 8, 13) for n in (60, 61, 62)]
    check(engine, alike)  # the second and third would find 12 tokens in the cache
    assert [len(call) for call in asked_of(engine)] == [1, 2]


def test_a_row_of_which_more_was_cached_is_asked_for_whole(engine):
    check(engine, ROWS)
    alone = Request((*CONTEXT, 50, 51, 52, 53, 60), 8, 13)
    check(engine, [alone])
    engine._model.llm.asked.clear()
    check(engine, [alone])  # of this row 12 tokens are in the cache now
    *_, last = asked_of(engine)
    assert [row for row, _ in last] == [alone.tokens]
    assert last[0][1]["skip_reading_prefix_cache"]


def test_spans_of_all_kinds(engine):
    check(engine, ROWS)
    whole = (*CONTEXT, 7, 8, 9, 10)
    check(engine, [Request(whole, start, stop) for start in (1, 5, 8) for stop in (start, 9, 12)])


def test_a_cache_that_answers_wrongly_is_left_aside_and_that_is_said(engine):
    engine._model.llm.cache.wrong = 0.5
    check(engine, ROWS)
    assert "every row in full" in engine.describe()
    assert "0.5 nats a token" in engine.describe()
    engine._model.llm.asked.clear()
    check(engine, ROWS)
    assert [len(call) for call in asked_of(engine)] == [12]


def test_nothing_compared_is_nothing_known(engine):
    engine._model.llm.cache.wrong = 0.5
    long = [Request((*CONTEXT, n, 1, 2, 3, 4), 8, 13) for n in range(10, 14)]
    check(engine, long + long)
    check(engine, long)


def test_the_work_is_counted(engine):
    check(engine, ROWS)
    assert engine.tally.tokens_asked == 132
    assert engine.tally.paths == {"vllm": 12}
    checked = 8 * 11 + (8 - 4) + 8 * (11 - 8)  # whole, the context but a block, the rows' own
    assert engine.tally.tokens_run == checked + (8 - 4) + 12 * (11 - 8)


def test_an_answer_without_log_likelihoods_is_an_error(engine, monkeypatch):
    model = engine._model.llm
    own = model._answer

    def silent(tokens, named):
        answer = own(tokens, named)
        answer.prompt_logprobs = [None] * len(tokens)
        return answer

    monkeypatch.setattr(model, "_answer", silent)
    with pytest.raises(ModelError, match="no log-likelihood of token 10"):
        engine.loglikelihoods(ROWS)


def test_rows_are_one_token_shorter_than_vllm_takes(engine):
    assert engine.max_tokens == 32
    with pytest.raises(ContextOverflowError):
        engine.loglikelihoods([Request(tuple(range(33)), 1, 2)])
