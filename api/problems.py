"""Every error as RFC 9457 problem details: a stable `type`, a title, and what is wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core.errors import (
    ConflictError,
    DatabaseError,
    InvalidInputError,
    NotFoundError,
    SeqPulseError,
)

log = structlog.get_logger(__name__)

TYPE: Final = "https://seqpulse.dev/problems/"
MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[dict[type[Exception], HTTPStatus]] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DatabaseError: HTTPStatus.SERVICE_UNAVAILABLE,
}


UNAVAILABLE: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
)
"""The database cannot do it now; the same request may succeed later."""


class ProblemError(SeqPulseError):
    """An answer other than success, raised where it is known."""

    def __init__(
        self, status: HTTPStatus, detail: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def problem(
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    **members: Any,  # noqa: ANN401 - extension members are free by RFC 9457
) -> JSONResponse:
    """Return a problem answer.

    Args:
        status: HTTP status.
        detail: What is wrong with this request, for a person; never a secret, SQL or a trace.
        headers: Further headers.
        **members: Extension members.
    """
    phrase = HTTPStatus(status).phrase
    body = {
        "type": TYPE + phrase.lower().replace(" ", "-"),
        "title": phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def _field(location: tuple[int | str, ...]) -> str:
    """Name a field as the caller knows it: body.env -> env."""
    parts = [part for part in location if part not in ("body", "query", "path", "header")]
    named = any(isinstance(part, str) for part in parts)  # a bare number is a place in the text
    return ".".join(str(part) for part in parts) if named else "body"


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type
    wrong = [
        {"field": _field(issue["loc"]), "message": issue["msg"].removeprefix("Value error, ")}
        for issue in error.errors()
    ]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in wrong)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=wrong)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    headers = dict(error.headers or {})
    return problem(error.status_code, str(error.detail), headers=headers)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ProblemError):
        return problem(error.status, error.detail, headers=error.headers)
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return problem(status, str(error))
    return await _unexpected(_request, error)


async def _database(_request: Request, error: Exception) -> JSONResponse:
    log.error("database_unavailable", error=type(error).__name__)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the database cannot be reached right now",
        headers={"Retry-After": "5"},
    )


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    log.error("request_crashed", exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong on our side; it was logged"
    )


def install(app: FastAPI) -> None:
    """Make every error of the application a problem answer."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(SeqPulseError, _ours)
    for unavailable in UNAVAILABLE:
        app.add_exception_handler(unavailable, _database)
    app.add_exception_handler(Exception, _unexpected)
