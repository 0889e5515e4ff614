"""Before anything of a request is read: its key and its size; behind that, counting."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from hmac import compare_digest
from typing import Any, final

from fastapi.responses import JSONResponse

from flr.serving.bounds import Service

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]


@final
class Door:
    """What every request comes through.

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
