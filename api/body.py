"""Bounds the size of request bodies before anything parses them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError, problem

MAX_BODY_BYTES: Final = 64 * 1024


class BodyLimit:
    """ASGI middleware: a larger body is answered with 413 and never kept in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what comes in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > MAX_BODY_BYTES:
            await _refuse(scope, receive, send)
            return
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
            return message

        async def answer(message: Message) -> None:
            if received <= MAX_BODY_BYTES:  # else whatever the application makes of it is dropped
                await send(message)

        await self._app(scope, count, answer)
        if received > MAX_BODY_BYTES:
            await _refuse(scope, receive, send)


TOO_LARGE: Final = f"the body is larger than {MAX_BODY_BYTES // 1024} KiB"


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)(scope, receive, send)
