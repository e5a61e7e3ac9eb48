"""Every request is timed once: for the API's own numbers, for Prometheus and for the log."""

from __future__ import annotations

import re
import time
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import PATH as METRICS_PATH
from api.metrics import UNMATCHED, Telemetry
from api.traffic import PATH as DS_METRICS_PATH
from api.traffic import Traffic

log = structlog.get_logger(__name__)

PROBES: Final = frozenset({"/livez", "/readyz", "/health", METRICS_PATH})
"""Not logged: they come every few seconds and say nothing."""
_IDS: Final = frozenset({"deployment_id", "project_id"})
_ID: Final = re.compile(r"[0-9a-fA-F-]{36}")


class Access:
    """ASGI middleware: what is served is counted, timed and logged, by its route template."""

    def __init__(
        self, app: ASGIApp, traffic: Traffic, telemetry: Telemetry, *, logs: bool = True
    ) -> None:
        """Wrap the application.

        Args:
            app: What answers.
            traffic: Told of every request but those for its own numbers.
            telemetry: Told of every request.
            logs: Whether to log each.
        """
        self._app = app
        self._traffic = traffic
        self._telemetry = telemetry
        self._logs = logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell of it when it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNMATCHED)
        if scope["path"] != DS_METRICS_PATH:
            self._traffic.count(seconds, error=status >= 500)
        self._telemetry.count(scope["method"], route, status, seconds)
        if self._logs and route not in PROBES:
            log.info(
                "request_served",
                method=scope["method"],
                route=route,
                status=status,
                duration_ms=round(seconds * 1000, 2),
                **_find_ids(scope),
            )


def _find_ids(scope: Scope) -> dict[str, Any]:
    """Return the ids in the path that are of the shape of one: so a grep finds the request."""
    return {
        name: value
        for name, value in scope.get("path_params", {}).items()
        if name in _IDS and _ID.fullmatch(str(value))
    }
