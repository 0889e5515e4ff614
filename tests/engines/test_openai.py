"""What the engine for servers makes of their answers, and of what goes wrong on the way."""

import math
import time

import pytest

from flr.engines import openai
from flr.engines.base import Request
from flr.engines.openai import OpenAIEngine
from flr.errors import ModelError
from tests.engines.served import MODEL, serving

ROWS = [Request((1, 2, 3, 4, n), 3, 5) for n in range(8)]


def logits(tokens):
    return [
        [float((7 * (at + 1) * (one + 1)) % 5) for one in range(8)] for at in range(len(tokens))
    ]


def expected(request):
    rows = logits(request.tokens)
    return [
        rows[at - 1][request.tokens[at]] - math.log(sum(map(math.exp, rows[at - 1])))
        for at in range(request.start, request.stop)
    ]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("openai._base_client.BaseClient._calculate_retry_timeout", lambda *_: 0.01)


@pytest.mark.parametrize("form", ["vllm", "openai"])
def test_both_forms_of_log_likelihoods_are_read(form):
    with serving(logits, form) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        answers = engine.loglikelihoods(ROWS)
    for request, answer in zip(ROWS, answers, strict=True):
        assert answer.per_token == pytest.approx(expected(request))
    assert served.asked[-1]["temperature"] == 1.0


def test_busy_servers_broken_connections_and_time_outs_are_tried_again(monkeypatch):
    monkeypatch.setattr(openai, "SECONDS", 0.3)
    with serving(logits) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        served.faults += [429, 500, "half", "close", "slow", 503]
        answers = engine.loglikelihoods(ROWS)
        assert not served.faults
    for request, answer in zip(ROWS, answers, strict=True):
        assert answer.per_token == pytest.approx(expected(request))


def test_a_server_that_goes_on_failing_is_an_error_that_names_the_request():
    with serving(logits) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        served.faults += [500] * openai.TRIES
        with pytest.raises(ModelError, match=r"request 1 of 1: .* answers 500 .*give the same"):
            engine.loglikelihoods(ROWS[:1])
        assert len(served.asked) == 1 + openai.TRIES
        served.faults += ["close"] * openai.TRIES
        with pytest.raises(ModelError, match=r"request 1 of 1: no reply from .* tried 6 times"):
            engine.loglikelihoods(ROWS[:1])


def test_what_cannot_get_better_is_not_tried_again():
    with serving(logits) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        served.faults.append(400)
        with pytest.raises(ModelError, match="answers 400"):
            engine.loglikelihoods(ROWS[:1])
        assert len(served.asked) == 2


def test_a_missing_number_is_an_error_that_names_the_request_and_the_token():
    with serving(logits) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        served.faults.append("null")
        with pytest.raises(ModelError, match="request 1 of 1: no log-likelihood of its token 5"):
            engine.loglikelihoods(ROWS[:1])


def test_something_else_than_a_completion_is_an_error():
    with serving(logits) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        served.faults.append("other")
        with pytest.raises(ModelError, match="something else than a completion"):
            engine.loglikelihoods(ROWS[:1])


def test_a_server_without_log_likelihoods_of_a_prompt_is_refused_before_work_begins():
    with (
        serving(logits, "llama.cpp") as served,
        pytest.raises(ModelError, match=r"gives no log-likelihoods of a prompt, as llama\.cpp's"),
    ):
        OpenAIEngine(served.url, MODEL, max_tokens=None)


def test_a_model_that_the_server_does_not_have_is_named_with_those_it_has():
    with (
        serving(logits) as served,
        pytest.raises(ModelError, match=f"no model 'org/other'; it has {MODEL}"),
    ):
        OpenAIEngine(served.url, "org/other", max_tokens=None)


def test_no_server_is_an_error():
    with pytest.raises(ModelError, match=r"the list of models: no reply from http://127\.0"):
        OpenAIEngine("http://127.0.0.1:1/v1", MODEL, max_tokens=None)


def test_the_key_comes_from_the_environment_and_is_never_told(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with serving(logits) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        assert served.keys == ["Bearer sk-secret"]
        served.faults.append(401)
        with pytest.raises(ModelError, match="set OPENAI_API_KEY") as raised:
            engine.loglikelihoods(ROWS[:1])
    assert "secret" not in str(raised.value) + engine.describe()


def test_rows_are_as_long_as_model_and_server_allow():
    with serving(logits, max_model_len=10) as served:
        assert OpenAIEngine(served.url, MODEL, max_tokens=None).max_tokens == 9
        assert OpenAIEngine(served.url, MODEL, max_tokens=5).max_tokens == 5
    with serving(logits) as served:
        assert OpenAIEngine(served.url, MODEL, max_tokens=None).max_tokens is None


def test_no_more_requests_are_in_flight_than_the_bound(monkeypatch):
    monkeypatch.setattr(openai, "IN_FLIGHT", 3)
    with serving(logits) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        served.faults += ["soon"] * 40
        engine.loglikelihoods(ROWS * 5)
    assert served.busy[1] == 3


def test_after_an_error_nothing_more_is_asked_and_nobody_waits_for_the_others(monkeypatch):
    monkeypatch.setattr(openai, "IN_FLIGHT", 2)
    with serving(logits) as served:
        engine = OpenAIEngine(served.url, MODEL, max_tokens=None)
        served.faults += [400, *["slow"] * 40]
        begun = time.monotonic()
        with pytest.raises(ModelError, match="answers 400"):
            engine.loglikelihoods(ROWS * 5)
        assert time.monotonic() - begun < 1.0
        assert len(served.asked) <= 1 + 3
