"""Bounds the size of request bodies before anything parses them, and what they unpack to."""

from __future__ import annotations

import re
import zlib
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError, problem

MAX_BODY_BYTES: Final = 64 * 1024
MAX_PUSH_BYTES: Final = 4 * 1024 * 1024
"""Of pushed samples, on the wire and unpacked."""

_PUSH: Final = re.compile(r"/projects/[^/]+/samples")


class BodyLimit:
    """ASGI middleware: a larger body is answered with 413 and never kept in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what comes in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_PUSH_BYTES if _PUSH.fullmatch(scope["path"]) else MAX_BODY_BYTES
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > limit:
            await _refuse(limit)(scope, receive, send)
            return
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(limit))
            return message

        async def answer(message: Message) -> None:
            if received <= limit:  # else whatever the application makes of it is dropped
                await send(message)

        await self._app(scope, count, answer)
        if received > limit:
            await _refuse(limit)(scope, receive, send)


def unpack(body: bytes, encoding: str) -> bytes:
    """Return a body without its Content-Encoding, and no more of it than is allowed.

    Raises:
        ProblemError: 415 for an encoding other than gzip, 422 if it is not what it says, 413 if
            there is more than `MAX_PUSH_BYTES`.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding: only gzip, or none"
        )
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, MAX_PUSH_BYTES + 1)
    except zlib.error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is not gzip") from None
    if len(plain) > MAX_PUSH_BYTES:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(MAX_PUSH_BYTES))
    if not stream.eof or stream.unused_data:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is not one whole gzip stream")
    return plain


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit // 1024} KiB"


def _refuse(limit: int) -> ASGIApp:
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(limit))
