"""A worker's own small port: its metrics, and whether it lives and works.

It is served by a thread, so that it answers, and tells the truth, also when the loop of the worker
is stuck.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from core import secrets, telemetry
from scheduler.telemetry import Telemetry

log = structlog.get_logger(__name__)

STUCK_SECONDS: Final = 60.0
"""The loop turns at least every ten seconds; one that has not for so long wants to be restarted."""
STOP_SECONDS: Final = 5.0


@contextmanager
def serving(listener: socket.socket, counted: Telemetry, token: SecretStr | None) -> Iterator[None]:
    """Serve /metrics, /livez and /readyz until the end of the block.

    Args:
        listener: Where.
        counted: What the worker counts.
        token: What /metrics wants as bearer token, if anything.
    """
    config = uvicorn.Config(
        create_app(counted, token),
        http="h11",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=20,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="probes", daemon=True)
    thread.start()
    log.info("metrics_listening", url="http://{}:{}".format(*listener.getsockname()[:2]))
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)


def create_app(counted: Telemetry, token: SecretStr | None) -> Starlette:
    """Return the application."""

    async def show(request: Request) -> Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token is not None and not secrets.same(given, token.get_secret_value()):
            return PlainTextResponse(
                "the metrics token is missing or wrong\n", 401, {"WWW-Authenticate": "Bearer"}
            )
        return Response(telemetry.render(counted.registry), media_type=telemetry.CONTENT_TYPE)

    async def livez(_request: Request) -> Response:
        age = counted.turn_age_seconds()
        return _say(age < STUCK_SECONDS, turn_age_seconds=round(age, 3))

    async def readyz(_request: Request) -> Response:
        return _say(counted.is_connected)

    return Starlette(
        routes=[Route("/metrics", show), Route("/livez", livez), Route("/readyz", readyz)]
    )


def _say(well: bool, **facts: float) -> Response:
    return JSONResponse({"status": "ok" if well else "failing", **facts}, 200 if well else 503)
