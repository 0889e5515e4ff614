"""The engine for servers that speak OpenAI's completions and give log-likelihoods of a prompt.

One request a row, as token ids: `echo` with `logprobs`, as OpenAI's own completions had it and
SGLang has it, and beside it vLLM's `prompt_logprobs`, which names the token that each number is
of. A server that gives neither (llama.cpp's) is refused before work begins.

Requests are in flight side by side, tried again where the server is busy or the connection breaks
(the client backs off exponentially, with jitter, and heeds Retry-After), and answered in order.
After an error, or Ctrl-C, those in flight are given up at once. The key comes from OPENAI_API_KEY
alone.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import isfinite
from typing import Any, TypeVar, final

from flr.engines.base import Engine, LogLikelihood, Request
from flr.errors import ModelError, missing_extra

IN_FLIGHT = 32
"""Requests at a time."""

TRIES = 6
"""Of a request, waiting half a second and twice as long each time, 8 seconds at most."""

SECONDS = 120.0
"""Longest that one try may take."""

NO_KEY = "none"
"""What is sent where no key is set: many servers want none."""

T = TypeVar("T")


@final
class OpenAIEngine(Engine):
    """Scores with a served model.

    Args:
        url: of the server, up to and with `/v1`.
        model: its name there.
        max_tokens: longest row that the model takes, as its configuration says.

    Raises:
        OptionError: the client is not installed.
        ModelError: the server cannot be reached, has no such model, or gives no log-likelihoods of
            a prompt.
    """

    name = "openai"

    def __init__(self, url: str, model: str, *, max_tokens: int | None) -> None:
        super().__init__()
        if find_spec("openai") is None:
            raise missing_extra("openai", "openai:", "'.[http]' in a clone of flr")
        self._library: Any = import_module("openai")  # an extra
        self._url, self._model = url, model
        key = os.environ.get("OPENAI_API_KEY") or NO_KEY
        self._client: Any = self._library.AsyncOpenAI(
            base_url=url, api_key=key, timeout=SECONDS, max_retries=TRIES - 1
        )
        served = _waited(self._served())
        # One less than the server takes: it writes a token behind every prompt.
        limits = [max_tokens, served - 1 if served else None]
        self.max_tokens = min((one for one in limits if one is not None), default=None)
        _waited(self._answer(Request((0, 1, 2), 1, 3), "the first request"))

    def loglikelihoods(self, requests: Sequence[Request]) -> list[LogLikelihood]:
        """Answers every request, in order; see `Engine`.

        Raises:
            ModelError: the server fails however often it is asked, or leaves out a number.
        """
        self.check_lengths([request.tokens for request in requests])
        found = [LogLikelihood(one) for one in _waited(self._answers(requests))]
        tokens = sum(request.stop for request in requests if request.stop > request.start)
        self.tally.add(self.name, len(requests), tokens, tokens)
        return found

    def describe(self) -> str:
        """Who answers."""
        return f"{self._model} at {self._url}, every row in full"

    async def _answers(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
        """Of all requests, in order."""
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one(request: Request, name: str) -> tuple[float, ...]:
            async with room:
                return await self._answer(request, name)

        names = [f"request {number} of {len(requests)}" for number in range(1, len(requests) + 1)]
        tasks = [asyncio.ensure_future(one(*both)) for both in zip(requests, names, strict=True)]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _served(self) -> int | None:
        """The longest row that the server says it takes; also whether it is there at all."""
        with self._worded("the list of models"):
            models = [one async for one in self._client.models.list()]
        for one in models:
            if one.id == self._model:
                longest = (one.model_extra or {}).get("max_model_len")
                return longest if isinstance(longest, int) else None
        names = ", ".join(one.id for one in models[:10]) or "none"
        raise ModelError(f"{self._url} has no model {self._model!r}; it has {names}")

    async def _answer(self, request: Request, name: str) -> tuple[float, ...]:
        """Per token of the continuation, nats."""
        if request.stop == request.start:
            return ()
        with self._worded(name):
            completion = await self._client.completions.create(
                model=self._model,
                prompt=list(request.tokens[: request.stop]),
                max_tokens=1,
                temperature=1.0,
                echo=True,
                logprobs=1,
                extra_body={"prompt_logprobs": 0},
            )
            (choice,) = completion.choices
            entries = (choice.model_extra or {}).get("prompt_logprobs")
            echoed = choice.logprobs.token_logprobs if choice.logprobs else None
        if entries is not None:
            found = [_named(entries, at, request.tokens[at]) for at in _span(request)]
        elif echoed is not None and len(echoed) >= request.stop:
            found = [echoed[at] for at in _span(request)]
        else:
            raise ModelError(
                f"{self._url} gives no log-likelihoods of a prompt, as llama.cpp's does not; serve "
                "the model with vLLM or SGLang, or take llamacpp:FILE.gguf"
            )
        for at, value in zip(_span(request), found, strict=True):
            if not isinstance(value, float | int) or not isfinite(value):
                raise ModelError(f"{name}: no log-likelihood of its token {at + 1} came back")
        return tuple(map(float, found))

    @contextmanager
    def _worded(self, name: str) -> Iterator[None]:
        """Maps what the client raises to one error that names the request, and never the key."""
        library, again = self._library, "finished blocks are kept, give the same command again"
        try:
            yield
        except (library.AuthenticationError, library.PermissionDeniedError) as error:
            raise ModelError(f"{self._url} refuses the key; set OPENAI_API_KEY") from error
        except library.APIStatusError as error:
            said = " ".join(str(error.message).split())[:300]
            raise ModelError(
                f"{name}: {self._url} answers {error.status_code} ({said}); {again}"
            ) from error
        except library.APIConnectionError as error:
            said = "no answer in time" if isinstance(error, library.APITimeoutError) else "no reply"
            raise ModelError(
                f"{name}: {said} from {self._url}, tried {TRIES} times; {again}"
            ) from error
        except (library.APIError, ValueError, AttributeError, TypeError) as error:
            raise ModelError(
                f"{name}: {self._url} answers with something else than a completion"
            ) from error


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all requests, in a thread of its own: callers may be in another one."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def _waited(work: Coroutine[Any, Any, T]) -> T:
    """What comes of asynchronous work; it is given up where waiting for it is."""
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _span(request: Request) -> range:
    return range(request.start, request.stop)


def _named(entries: Sequence[Mapping[str, Any] | None], at: int, token: int) -> Any:
    """The number that vLLM gives for a token at a place; None where it names another token."""
    entry = entries[at] if at < len(entries) else None
    return ((entry or {}).get(str(token)) or {}).get("logprob")
