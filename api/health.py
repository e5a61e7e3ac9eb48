"""Probes: is the process alive, can it do its work, and how does the installation feel."""

from __future__ import annotations

import asyncio
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from api import checks
from api.checks import Status
from api.metrics import PATH
from api.problems import ProblemError
from api.routes import Route
from api.state import StateDep
from core import secrets, telemetry
from sql import installation, migrate

READY_SECONDS: Final = 0.9
"""For a connection, and as much for what is asked: probes give up after two seconds or so."""

router = APIRouter(tags=["health"], route_class=Route)
_bearer = HTTPBearer(auto_error=False)


class CheckAnswer(BaseModel):
    """One thing that was looked at."""

    status: Status
    value: float | str | None = Field(description="What was found; null: unknown, or no number")
    limit: float | None = Field(description="Beyond it the check is not ok; null: any value is")
    unit: str
    since: datetime = Field(description="When the status became what it is, as this process saw it")
    detail: str


class HealthAnswer(BaseModel):
    """How the installation feels, seen by this process."""

    status: Status = Field(description="The worst of all checks; one that is unknown counts as ok")
    looked_at: datetime
    checks: Annotated[dict[str, CheckAnswer], Field(description="By name, see docs/operations.md")]


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(state: StateDep) -> dict[str, str]:
    """Say that we get a connection, the database takes writes and has our schema, else 503."""
    async with state.pool.acquire(timeout=READY_SECONDS) as conn:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await migrate.check(conn)
                await installation.check_writable(conn)
        except TimeoutError:
            conn.terminate()  # or giving it back would wait for an answer, too
            raise
    return {"status": "ok"}


@router.get("/health", responses={503: {"model": HealthAnswer, "description": "It is failing"}})
async def health(state: StateDep, response: Response) -> HealthAnswer:
    """Say how the installation feels: database, schema, queue, workers, collecting.

    The answer is that of the last look in the background, at most a few seconds old; it costs the
    database nothing. `ok` and `degraded` come with 200, `failing` with 503.
    """
    view = state.lookout.view
    status = checks.overall(dict(view.checks))
    response.status_code = 503 if status is Status.FAILING else 200
    response.headers["Cache-Control"] = "no-store"
    found = {
        name: CheckAnswer(
            status=check.status,
            value=check.value,
            limit=check.limit,
            unit=check.unit,
            since=view.since[name],
            detail=check.detail,
        )
        for name, check in view.checks.items()
    }
    return HealthAnswer(status=status, looked_at=view.looked_at, checks=found)


@router.get(PATH, include_in_schema=False)
async def show(
    state: StateDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Response:
    """Return all metrics of this process in the text format of Prometheus.

    Raises:
        ProblemError: 401; SEQPULSE_METRICS_TOKEN is set and was not given.
    """
    token = state.settings.metrics_token
    given = "" if credentials is None else credentials.credentials
    if token is not None and not secrets.same(given, token.get_secret_value()):
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "the metrics token is missing or wrong (Authorization: Bearer ...)",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return Response(telemetry.render(state.telemetry.registry), media_type=telemetry.CONTENT_TYPE)
