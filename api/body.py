"""Bounds request bodies before anything parses them: size, time, and what they unpack to."""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Kind, ProblemError, problem

MAX_BODY_BYTES: Final = 64 * 1024
MAX_PUSH_BYTES: Final = 4 * 1024 * 1024
"""Of pushed samples, on the wire and unpacked."""

_PUSH: Final = re.compile(r"/projects/[^/]+/samples")
_PUSH_PATIENCE: Final = 3.0
"""Times as long as any other body a push may take."""


class BodyLimit:
    """ASGI middleware: a larger body is answered with 413, a slower one with 408.

    Neither is kept in memory, and the connection is closed: what is still to come is not wanted.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what comes in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_push = _PUSH.fullmatch(scope["path"]) is not None
        limit = MAX_PUSH_BYTES if is_push else MAX_BODY_BYTES
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > limit:
            error = _too_large(limit)
            await problem(error.kind, error.detail, headers=error.headers)(scope, receive, send)
            return
        seconds = self._seconds * (_PUSH_PATIENCE if is_push else 1.0)
        await self._app(scope, _count(receive, limit, seconds), send)


def _count(receive: Receive, limit: int, seconds: float) -> Receive:
    """Return `receive` with a bound on the size of the body, and on its time from the first look.

    Once the body is there, the time is not bounded any more: then `receive` waits for the caller
    to hang up.
    """
    received = 0
    whole = False
    until: float | None = None

    async def count() -> Message:
        nonlocal received, whole, until
        if whole:
            return await receive()
        if until is None:
            until = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise ProblemError(
                Kind.REQUEST_TIMEOUT,
                f"the body did not arrive within {seconds:g} s",
                headers={"Connection": "close"},
            ) from None
        received += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if received > limit:
            raise _too_large(limit)
        return message

    return count


def unpack(body: bytes, encoding: str) -> bytes:
    """Return a body without its Content-Encoding, and no more of it than is allowed.

    Raises:
        ProblemError: 415 for an encoding other than gzip, 422 if it is not what it says, 413 if
            there is more than `MAX_PUSH_BYTES`.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise ProblemError(Kind.MEDIA_TYPE, "Content-Encoding: only gzip, or none")
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, MAX_PUSH_BYTES + 1)
    except zlib.error:
        raise ProblemError(Kind.INVALID, "the body is not gzip") from None
    if len(plain) > MAX_PUSH_BYTES:
        raise _too_large(MAX_PUSH_BYTES)
    if not stream.eof or stream.unused_data:
        raise ProblemError(Kind.INVALID, "the body is not one whole gzip stream")
    return plain


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        Kind.TOO_LARGE,
        f"the body is larger than {limit // 1024} KiB",
        headers={"Connection": "close"},
    )
