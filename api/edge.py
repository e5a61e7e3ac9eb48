"""The outermost layer: names every request, bounds its head, and answers whatever goes wrong."""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Kind, crashed, problem

MAX_URL_BYTES: Final = 8192
"""Of path and query together."""
MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32 * 1024
"""Of all of them together; the server itself gives up at twice that (`core.cli.serve`)."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Edge:
    """ASGI middleware: what is true of every answer, whoever makes it.

    The name of a request comes from X-Request-ID if that is a plain one. It is bound to every log
    event of the request, given back as header and part of every problem. Further headers can be
    put into `request.state.headers` by whoever knows of them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _choose_id(scope)
        headers = {"X-Request-ID": request_id}
        scope.setdefault("state", {})["headers"] = headers
        began = False

        async def answer(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                MutableHeaders(scope=message).update(headers)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await (_refuse(scope) or self._app)(scope, receive, answer)
            except Exception as error:
                if began:  # too late for another answer: the server breaks this one off
                    raise
                await crashed(error)(scope, receive, answer)


def _choose_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


def _refuse(scope: Scope) -> Response | None:
    """Return the answer to a request whose head is beyond what anybody needs."""
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_URL_BYTES:
        return problem(Kind.URI_TOO_LONG, f"the URL is longer than {MAX_URL_BYTES} bytes")
    sizes = [len(name) + len(value) for name, value in scope["headers"]]
    if len(sizes) > MAX_HEADERS or sum(sizes) > MAX_HEADER_BYTES:
        return problem(
            Kind.HEADERS_TOO_LARGE,
            f"more than {MAX_HEADERS} headers, or {MAX_HEADER_BYTES // 1024} KiB of them",
        )
    return None
