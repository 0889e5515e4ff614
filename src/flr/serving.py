"""The reward server: one follow-up model for many clients, over HTTP.

    POST /score        ours: conversations in, rewards by category out
    POST /get_reward   as OpenRLHF asks: queries, alone or with their prompts
    POST /classify     as verl's discriminative reward manager asks: a text of a chat template
    GET  /health       whether it serves, and what
    GET  /metrics      for Prometheus

Requests that wait are scored together, and responses to one prompt side by side
(`integrations.shared`). How many responses may wait is bounded: beyond that a client is told when
to come again (429). Whoever is not answered within the deadline is told so (504). On SIGTERM what
was accepted is answered first. A request names no file and no model.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hmac import compare_digest
from math import ceil
from typing import Annotated, Any, final

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from pydantic import BaseModel, ConfigDict, Field

from flr.errors import FlrError, UserError
from flr.integrations.openrlhf import answer, asked_of
from flr.integrations.shared import Asked, Reward, Rewarder
from flr.measuring import Skipped

MOST = 1024
"""Responses of one request."""

MESSAGES = 1024
"""Messages of a conversation."""

RECENT = 30.0
"""Seconds over which the rate is taken that says when to come again."""

Text = Annotated[str, Field(max_length=1_000_000)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MOST)]


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes.

    Args:
        waiting: most responses that wait or are being scored.
        seconds: longest that a request may take.
        body: most bytes of a request.
    """

    waiting: int = 4096
    seconds: float = 170.0
    body: int = 8 * 2**20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SaidMessage(_Strict):
    """A message of a conversation."""

    role: Annotated[str, Field(max_length=32)]
    content: Text


class Asking(_Strict):
    """A conversation: messages of which the last is the response, or prompt and response."""

    messages: Annotated[list[SaidMessage], Field(min_length=1, max_length=MESSAGES)] | None = None
    prompt: Text | None = None
    response: Text | None = None


class ScoreBody(_Strict):
    """What /score takes."""

    conversations: Annotated[list[Asking], Field(min_length=1, max_length=MOST)]


class Scored(BaseModel):
    """The reward of one response; null, with the reason, where it cannot be scored."""

    reward: float | None
    by_category: dict[str, float] | None
    skipped: str | None = None


class ScoreAnswer(BaseModel):
    """What /score answers: one entry a conversation, in order."""

    model: str
    followup_set: str
    scores: list[Scored]


class GetRewardBody(BaseModel):
    """What OpenRLHF sends: prompts and responses with special tokens; other fields are ignored."""

    query: Text | Texts
    prompts: Text | Texts | None = None
    labels: Any = None


class GetRewardAnswer(BaseModel):
    """What OpenRLHF reads."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, list[float]]


class ClassifyBody(BaseModel):
    """What verl sends: whole conversations as a chat template wrote them; others are ignored."""

    input: Text | Texts
    model: Annotated[str, Field(max_length=1024)] | None = None


class Busy(Exception):  # noqa: N818 - an answer, not a fault
    """More responses wait than may.

    Args:
        seconds: after which there will be room, by the rate of late.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@final
class Waiting:
    """How many responses are accepted and not yet answered; of one event loop.

    Args:
        most: that may be.
    """

    def __init__(self, most: int) -> None:
        self.most, self.now = most, 0
        self._answered: deque[tuple[float, int]] = deque()

    def take(self, count: int) -> None:
        """Room for so many.

        Raises:
            Busy: there is none.
        """
        if self.now + count > self.most:
            raise Busy(self._seconds(self.now + count - self.most))
        self.now += count

    def give(self, count: int) -> None:
        """They are done with, answered or not."""
        self.now -= count
        self._answered.append((time.monotonic(), count))

    def _seconds(self, count: int) -> int:
        """How long it takes to answer so many, by what was answered of late."""
        begin = time.monotonic() - RECENT
        while self._answered and self._answered[0][0] < begin:
            self._answered.popleft()
        done = sum(one for _, one in self._answered)
        return min(60, max(1, ceil(count * RECENT / done))) if done else 5


@final
class Service:
    """Rewards for requests, with the bounds of `Limits` and counted.

    Args:
        rewarder: the follow-up model.
        limits: see there.
    """

    def __init__(self, rewarder: Rewarder, limits: Limits) -> None:
        self.rewarder, self.limits = rewarder, limits
        self.waiting = Waiting(limits.waiting)
        self.registry = CollectorRegistry()
        of = self.registry
        self.requests = Counter("flr_requests", "Requests.", ["path", "status"], registry=of)
        self.responses = Counter("flr_responses", "Responses that were scored.", registry=of)
        self.seconds = Histogram("flr_request_seconds", "Of a request.", ["path"], registry=of)
        gauge = Gauge("flr_waiting", "Responses waiting.", registry=of)
        gauge.set_function(lambda: self.waiting.now)
        # A thread a request that waits: they only wait for each other (`integrations.together`).
        self.threads = ThreadPoolExecutor(limits.waiting)

    async def rewards(self, ask: Callable[[], list[Asked | Skipped]], count: int) -> list[Reward]:
        """The rewards of some responses, in order.

        Args:
            ask: says what is asked; rendering takes time, so it is called in a thread.
            count: how many responses there are.

        Raises:
            Busy: too many wait.
            TimeoutError: not answered within the deadline.
        """
        if count > self.limits.waiting:
            raise HTTPException(413, f"at most {self.limits.waiting} responses are taken")
        self.waiting.take(count)
        work = asyncio.get_running_loop().run_in_executor(
            self.threads, lambda: self.rewarder.rewards(ask())
        )
        # Whoever has waited too long goes; what was begun for them takes its room until its end.
        work.add_done_callback(lambda done: self._end(done, count))
        return await asyncio.wait_for(asyncio.shield(work), self.limits.seconds)

    def _end(self, work: "asyncio.Future[list[Reward]]", count: int) -> None:
        self.waiting.give(count)
        if not work.cancelled() and work.exception() is None:
            self.responses.inc(count)


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]


@final
class Door:
    """Before anything of a request is read: its key, and its size; behind it, counting.

    Args:
        inside: the application.
        service: whose limits they are, and who counts.
        token: what `Authorization: Bearer` has to say; None for nothing.
    """

    def __init__(self, inside: ASGI, service: Service, token: str | None) -> None:
        self._inside, self._service = inside, service
        self._expected = f"Bearer {token}".encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request in, or answers 401 or 413."""
        if scope["type"] != "http":
            return await self._inside(scope, receive, send)
        headers = dict(scope["headers"])
        given = headers.get(b"authorization", b"")
        is_open = self._expected is None or scope["path"] == "/health"
        if not (is_open or compare_digest(given, self._expected or b"")):
            refused = JSONResponse({"detail": "the bearer token is wrong or missing"}, 401)
            return await refused(scope, receive, send)
        try:
            body = await self._read(headers, receive)
        except ValueError:
            most = self._service.limits.body
            refused = JSONResponse({"detail": f"a body of at most {most} bytes is taken"}, 413)
            return await refused(scope, receive, send)
        return await self._counted(scope, body, receive, send)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body; ValueError where it is too long."""
        length, most = headers.get(b"content-length", b""), self._service.limits.body
        if length.isdigit() and int(length) > most:
            raise ValueError
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise ValueError
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return b"".join(parts)

    async def _counted(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        begun, whole, status = time.perf_counter(), [body], 500

        async def again() -> MutableMapping[str, Any]:
            if whole:
                return {"type": "http.request", "body": whole.pop(), "more_body": False}
            return await receive()

        async def told(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._inside(scope, again, told)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "other")
            self._service.requests.labels(path, str(status)).inc()
            self._service.seconds.labels(path).observe(time.perf_counter() - begun)


def application(
    rewarder: Rewarder,
    *,
    model: str,
    followup_set: str,
    limits: Limits = Limits(),
    token: str | None = None,
) -> FastAPI:
    """The server's application, for any ASGI server.

    Args:
        rewarder: loaded, with the policy's tokenizer: /get_reward and /classify read its template.
        model: name of the follow-up model, told to clients.
        followup_set: name of the set, told to clients.
        limits: see there.
        token: what clients have to send as `Authorization: Bearer TOKEN`.
    """
    service = Service(rewarder, limits)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.threads.shutdown(wait=True)

    app = FastAPI(title="flr", description=__doc__ or "", version="1", lifespan=life)
    app.add_middleware(Door, service=service, token=token)
    _add_errors(app)

    @app.post("/score")
    async def score(body: ScoreBody) -> ScoreAnswer:
        """The reward of each conversation, by category."""
        asked = [_asked(one) for one in body.conversations]
        rewards = await service.rewards(lambda: list(asked), len(asked))
        scores = [
            Scored(reward=None, by_category=None, skipped=one.reason)
            if one.reason
            else Scored(reward=one.value, by_category=dict(one.by_category))
            for one in rewards
        ]
        return ScoreAnswer(model=model, followup_set=followup_set, scores=scores)

    @app.post("/get_reward")
    async def get_reward(body: GetRewardBody) -> GetRewardAnswer:
        """Rewards in the form of OpenRLHF's remote reward models."""
        queries = _list(body.query)
        prompts = None if body.prompts is None else _list(body.prompts)
        if prompts is not None and len(prompts) != len(queries):
            raise HTTPException(422, f"{len(queries)} queries and {len(prompts)} prompts")

        def asked() -> list[Asked | Skipped]:
            if prompts is None:
                return [_of_text(rewarder, query) for query in queries]
            both = zip(queries, prompts, strict=True)
            return [asked_of(rewarder, query, prompt) for query, prompt in both]

        found = answer(await service.rewards(asked, len(queries)))
        return GetRewardAnswer(**found)

    @app.post("/classify")
    async def classify(body: ClassifyBody) -> dict[str, Any]:
        """Rewards in the form of vLLM's classification, which verl asks for."""
        texts = _list(body.input)
        rewards = await service.rewards(
            lambda: [_of_text(rewarder, one) for one in texts], len(texts)
        )
        data = [
            {"index": at, "label": "reward", "probs": [one.value], "num_classes": 1}
            for at, one in enumerate(rewards)
        ]
        return {"object": "list", "model": model, "data": data}

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether it serves, and what."""
        return {"status": "ok", "model": model, "followup_set": followup_set}

    @app.get("/metrics")
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(generate_latest(service.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _add_errors(app: FastAPI) -> None:
    """What is answered where there is no reward."""

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> JSONResponse:
        """Too many wait."""
        words = {"detail": f"too many responses wait; come again in {error.seconds} s"}
        return JSONResponse(words, 429, {"Retry-After": str(error.seconds)})

    @app.exception_handler(TimeoutError)
    async def late(_: Request, __: TimeoutError) -> JSONResponse:
        """The deadline has passed."""
        return JSONResponse({"detail": "not answered within the deadline"}, 504)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        """What came is no such request; it is not sent back, for it may be long, or no JSON."""
        found = [{"loc": list(one["loc"]), "msg": one["msg"]} for one in error.errors()[:20]]
        return JSONResponse({"detail": found}, 422)

    @app.exception_handler(FlrError)
    async def refused(_: Request, error: FlrError) -> JSONResponse:
        """What was asked cannot be used."""
        return JSONResponse({"detail": str(error)}, 422 if isinstance(error, UserError) else 500)


def _list(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _asked(one: Asking) -> Asked:
    """What a conversation of /score asks about."""
    both = one.prompt is not None and one.response is not None
    if (one.messages is not None) == both or (one.prompt is None) != (one.response is None):
        raise HTTPException(422, "messages, or prompt and response, were expected")
    if one.messages is not None:
        return Asked([message.model_dump() for message in one.messages])
    user, assistant = {"role": "user", "content": one.prompt}, {"content": one.response}
    return Asked([user, {"role": "assistant", **assistant}])


def _of_text(rewarder: Rewarder, text: str) -> Asked | Skipped:
    """What the text of a whole conversation asks about."""
    policy = rewarder.policy
    parts = policy.parted(text) if policy else None
    if parts is None:
        return Skipped(
            "no response begins in this text, as the chat template of --policy writes it"
        )
    return rewarder.asked(*parts)
