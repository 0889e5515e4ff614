"""The reward server: each reward is that of `flr.score`, each bound holds, nothing is lost."""

import re
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from flr.integrations.settings import RewardOptions
from flr.integrations.shared import Rewarder
from flr.serving.application import application
from flr.serving.bounds import USUAL, Busy, Limits, Waiting
from tests.integrations.small import LONG, TEA, chatml, expected, save_policy
from tests.tiny_model import save_tiny_model

TEXTS = ("Green.", "No", " \U0001f375\n")
ROWS = [{"messages": [*TEA, {"role": "assistant", "content": text}]} for text in TEXTS]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def rewarder(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Rewarder:
    policy = save_policy(tmp_path_factory.mktemp("policy"))
    return Rewarder(RewardOptions(model=str(model), policy=str(policy), set="short", dtype="fp32"))


def client_of(rewarder: Rewarder, **given: Any) -> TestClient:
    app = application(rewarder, model="tiny", followup_set="short", **given)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def client(rewarder: Rewarder) -> Iterator[TestClient]:
    with client_of(rewarder) as opened:
        yield opened


def test_score_is_that_of_flr_score(client, model):
    found = client.post("/score", json={"conversations": ROWS}).json()
    assert (found["model"], found["followup_set"]) == ("tiny", "short")
    assert [one["reward"] for one in found["scores"]] == expected(model, ROWS)
    assert len(found["scores"][0]["by_category"]) == 6
    pairs = [{"prompt": "Tea?", "response": text} for text in TEXTS]
    assert client.post("/score", json={"conversations": pairs}).json() == found


@pytest.mark.filterwarnings("ignore:flr. 1 of 2 responses could not be scored")
def test_a_response_that_cannot_be_scored_is_null_with_the_reason(client):
    odd = {"prompt": "Tea?", "response": "<|im_start|>"}
    found = client.post("/score", json={"conversations": [odd, ROWS[0]]}).json()["scores"]
    assert found[0]["reward"] is None
    assert "<|im_start|>" in found[0]["skipped"]
    assert found[1]["reward"] is not None


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("with_prompts", [True, False])
def test_get_reward_as_openrlhf_asks(client, model, batch, with_prompts):
    prompts = [chatml(TEA), chatml(LONG)]
    queries = [f"{prompt}Green.<|im_end|>" for prompt in prompts]
    rows = [{"messages": [*m, {"role": "assistant", "content": "Green."}]} for m in (TEA, LONG)]
    bodies = [{"query": queries, "prompts": prompts, "labels": ["", ""]}]
    if not batch:
        both = zip(queries, prompts, strict=True)
        bodies = [{"query": [q], "prompts": [p], "labels": [None]} for q, p in both]
    if not with_prompts:
        bodies = [{"query": body["query"]} for body in bodies]
    answers = [client.post("/get_reward", json=body).json() for body in bodies]
    assert [one for answer in answers for one in answer["rewards"]] == expected(model, rows)
    assert all(0 < one < 1 for answer in answers for one in answer["scores"])
    assert all(answer["extra_logs"]["flr_skipped"][0] == 0 for answer in answers)


def test_classify_as_verl_asks(client, model):
    rows = [{"messages": [*LONG, {"role": "assistant", "content": text}]} for text in TEXTS]
    texts = [chatml(row["messages"], opening="") for row in rows]
    singles = [
        client.post("/classify", json={"model": "m", "input": text, "activation": False}).json()
        for text in texts
    ]
    assert [one["data"][-1]["probs"][-1] for one in singles] == expected(model, rows)
    together = client.post("/classify", json={"input": texts}).json()
    assert [one["probs"][0] for one in together["data"]] == expected(model, rows)


def test_the_reward_function_that_the_docs_give_for_verl(client, model, monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "trainers.md").read_text("utf-8")
    (code,) = re.findall(r"^```py\n(import requests\n.*?)^```", text, re.DOTALL | re.MULTILINE)

    def post(url: str, *, json: Any, timeout: float) -> Any:
        assert timeout > USUAL.seconds  # so that the server's answer comes first
        return client.post(url.removeprefix("http://HOST:8000"), json=json)

    monkeypatch.setitem(sys.modules, "requests", SimpleNamespace(post=post))
    names: dict[str, Any] = {}
    exec(code, names)
    found = [names["compute_score"]("", text, None, {"prompt": TEA}) for text in TEXTS]
    assert found == expected(model, ROWS)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/score", {}),
        ("/score", {"conversations": []}),
        ("/score", {"conversations": [{}]}),
        ("/score", {"conversations": [{"prompt": "Tea?"}]}),
        ("/score", {"conversations": [{**ROWS[0], "prompt": "a", "response": "b"}]}),
        ("/score", {"conversations": [{"messages": [{"role": "user", "content": "Tea?"}]}]}),
        ("/score", {"conversations": [{"messages": [{"role": "cat", "content": "Tea?"}]}]}),
        ("/score", {"conversations": [{"messages": [{"role": "user", "content": 7}]}]}),
        ("/score", {"conversations": ROWS, "model": "/etc/passwd"}),
        ("/get_reward", {}),
        ("/get_reward", {"query": []}),
        ("/get_reward", {"query": ["a", "b"], "prompts": ["a"]}),
        ("/classify", {"input": None}),
        ("/classify", {"input": [["a"]]}),
    ],
)
def test_what_is_no_request_is_the_clients_mistake(client, path, body):
    answer = client.post(path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe", b"null", b"[1]", b'{"conversations": NaN}']
)
def test_what_is_no_json_is_the_clients_mistake(client, raw):
    answer = client.post("/score", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.filterwarnings("ignore:flr. 1 of 1 responses could not be scored")
def test_a_text_in_which_no_response_begins_gets_the_lowest_reward_and_is_counted(client):
    answer = client.post("/get_reward", json={"query": ["just words"]}).json()
    assert answer["extra_logs"]["flr_skipped"] == [1.0]


@pytest.mark.filterwarnings("ignore:flr. 1 of 1 responses could not be scored")
def test_the_longest_text_is_too_long_to_score_and_harms_nothing(client, model):
    said = {"prompt": "Tea?", "response": "a " * 500_000}
    (found,) = client.post("/score", json={"conversations": [said]}).json()["scores"]
    assert found["reward"] is None
    assert "tokens" in found["skipped"]
    longer = {"prompt": "Tea?", "response": "a " * 500_000 + "a"}
    assert client.post("/score", json={"conversations": [longer]}).status_code == 422
    found = client.post("/score", json={"conversations": ROWS}).json()["scores"]
    assert [one["reward"] for one in found] == expected(model, ROWS)


def test_a_body_that_is_too_long_is_refused_unread(rewarder):
    with client_of(rewarder, limits=Limits(body=200)) as client:
        long = {"conversations": [{"prompt": "a" * 300, "response": "b"}]}
        assert client.post("/score", json=long).status_code == 413
        parts = (b"x" * 50 for _ in range(10))
        assert client.post("/score", content=parts).status_code == 413
        assert client.post("/score", json={"conversations": ROWS[:1]}).status_code == 200


def test_the_token_is_asked_for_everywhere_but_at_health(rewarder):
    with client_of(rewarder, token="s3cret") as client:
        body = {"conversations": ROWS[:1]}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}):
            assert client.post("/score", json=body, headers=headers).status_code == 401
            assert client.get("/metrics", headers=headers).status_code == 401
        assert client.get("/health").json()["status"] == "ok"
        headers = {"Authorization": "Bearer s3cret"}
        assert client.post("/score", json=body, headers=headers).status_code == 200


class Slow(threading.Event):
    """Holds a rewarder's answers back until it is set."""

    def hold(self, rewarder: Rewarder, monkeypatch: pytest.MonkeyPatch) -> None:
        own = rewarder.rewards

        def rewards(asked):
            assert self.wait(30)
            return own(asked)

        monkeypatch.setattr(rewarder, "rewards", rewards)


def test_beyond_what_may_wait_clients_are_told_when_to_come_again(rewarder, monkeypatch):
    slow = Slow()
    slow.hold(rewarder, monkeypatch)
    with client_of(rewarder, limits=Limits(waiting=3)) as client, ThreadPoolExecutor(8) as pool:
        body = {"conversations": ROWS[:1]}
        waiting = [pool.submit(client.post, "/score", json=body) for _ in range(3)]
        deadline = time.monotonic() + 10
        while "flr_waiting 3.0" not in client.get("/metrics").text:
            assert time.monotonic() < deadline
        refused = client.post("/score", json=body)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        slow.set()
        assert [one.result().status_code for one in waiting] == [200] * 3
        assert client.post("/score", json=body).status_code == 200


def test_whoever_is_not_answered_in_time_is_told_so(rewarder, monkeypatch):
    slow = Slow()
    slow.hold(rewarder, monkeypatch)
    with client_of(rewarder, limits=Limits(seconds=0.05)) as client:
        assert client.post("/score", json={"conversations": ROWS[:1]}).status_code == 504
        slow.set()


def test_what_was_begun_for_them_takes_its_room_until_its_end(rewarder, monkeypatch):
    slow = Slow()
    slow.hold(rewarder, monkeypatch)
    with client_of(rewarder, limits=Limits(waiting=1, seconds=0.05)) as client:
        body = {"conversations": ROWS[:1]}
        assert client.post("/score", json=body).status_code == 504
        assert client.post("/score", json=body).status_code == 429
        slow.set()


def test_the_time_to_come_again_follows_the_rate():
    waiting = Waiting(10)
    waiting.take(10)
    with pytest.raises(Busy) as refused:
        waiting.take(1)
    assert refused.value.seconds == 5  # nothing is known of the rate
    waiting.give(10)
    waiting.take(10)
    with pytest.raises(Busy) as refused:
        waiting.take(10)
    assert refused.value.seconds == 30  # ten in the last thirty seconds, and ten too many
    assert waiting.now == 10


def test_many_clients_get_their_own_rewards(client, model):
    rows = [
        {"messages": [*prompt, {"role": "assistant", "content": f"{n} cups{text}"}]}
        for n in range(8)
        for prompt in (TEA, LONG)
        for text in TEXTS
    ]
    with ThreadPoolExecutor(16) as pool:
        posts = [pool.submit(client.post, "/score", json={"conversations": [row]}) for row in rows]
        found = [post.result().json()["scores"][0]["reward"] for post in posts]
    assert found == expected(model, rows)


def test_metrics_count_requests_by_path_and_status(client):
    client.post("/score", json={"conversations": ROWS})
    client.post("/score", json={})
    client.get("/nowhere/" + "x" * 50)
    told = client.get("/metrics").text
    assert 'flr_requests_total{path="/score",status="200"} 1.0' in told
    assert 'flr_requests_total{path="/score",status="422"} 1.0' in told
    assert 'flr_requests_total{path="other",status="404"} 1.0' in told
    assert "flr_responses_total 3.0" in told


def test_the_api_is_described(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/score", "/get_reward", "/classify", "/health", "/metrics"} <= paths.keys()
    assert client.get("/docs").status_code == 200
