"""The reward server: one follow-up model for many clients, over HTTP.

    POST /score        ours: conversations in, rewards by category out
    POST /get_reward   as OpenRLHF asks: queries, alone or with their prompts
    POST /classify     as verl's discriminative reward manager asks: a text of a chat template
    GET  /health       whether it serves
    GET  /metrics      for Prometheus

Requests that wait are scored together, and responses to one prompt side by side
(`integrations.shared`). How many responses may wait is bounded: beyond that a client is told when
to come again (429). Whoever is not answered within the deadline is told so (504). On SIGTERM what
was accepted is answered first. A request names no file and no model.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from flr.errors import FlrError, UserError
from flr.integrations.openrlhf import answer, asked_of
from flr.integrations.shared import Asked, Rewarder
from flr.measuring import Skipped
from flr.serving.bounds import USUAL, Busy, Limits, Service
from flr.serving.door import Door
from flr.serving.forms import (
    Asking,
    ClassifyBody,
    GetRewardAnswer,
    GetRewardBody,
    ScoreAnswer,
    ScoreBody,
    Scored,
)


def application(
    rewarder: Rewarder,
    *,
    model: str,
    followup_set: str,
    limits: Limits = USUAL,
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
    async def health() -> dict[str, str]:
        """Whether it serves; without a token."""
        return {"status": "ok"}

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
