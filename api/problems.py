"""Every error as RFC 9457 problem details: a stable `type`, a title, and what is wrong."""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from core.errors import (
    ConflictError,
    DatabaseError,
    InvalidInputError,
    NotFoundError,
    SeqPulseError,
)

log = structlog.get_logger(__name__)

TYPE: Final = "https://seqpulse.dev/problems/"
"""Of every `type`; what follows is a heading of docs/problems.md. Types never change."""
MEDIA_TYPE: Final = "application/problem+json"


class Kind(Enum):
    """What can go wrong: status, name in the type, title."""

    BAD_REQUEST = (400, "bad-request", "Bad Request")
    UNAUTHORIZED = (401, "unauthorized", "Unauthorized")
    FORBIDDEN = (403, "forbidden", "Forbidden")
    NOT_FOUND = (404, "not-found", "Not Found")
    METHOD_NOT_ALLOWED = (405, "method-not-allowed", "Method Not Allowed")
    REQUEST_TIMEOUT = (408, "request-timeout", "Request Timeout")
    CONFLICT = (409, "conflict", "Conflict")
    IN_FLIGHT = (409, "in-flight", "A Call With This Key Is Under Way")
    TOO_LARGE = (413, "request-entity-too-large", "Request Entity Too Large")
    URI_TOO_LONG = (414, "uri-too-long", "URI Too Long")
    MEDIA_TYPE = (415, "unsupported-media-type", "Unsupported Media Type")
    INVALID = (422, "unprocessable-entity", "Unprocessable Entity")
    KEY_REUSED = (422, "idempotency-key-reused", "Idempotency-Key Used For Another Call")
    TOO_MANY = (429, "too-many-requests", "Too Many Requests")
    HEADERS_TOO_LARGE = (431, "request-header-fields-too-large", "Request Header Fields Too Large")
    INTERNAL = (500, "internal-server-error", "Internal Server Error")
    UNAVAILABLE = (503, "service-unavailable", "Service Unavailable")

    def __init__(self, status: int, type_name: str, title: str) -> None:
        self.status = status
        self.type = TYPE + type_name
        self.title = title

    @classmethod
    def of(cls, status: int) -> Kind:
        """Return the general kind of a status: the first; that of its class for one not listed."""
        general = 500 if status >= 500 else 400
        return next(kind for number in (status, general) for kind in cls if kind.status == number)


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


_DETAILS: Final = {
    Kind.NOT_FOUND: "there is nothing at this path",
    Kind.METHOD_NOT_ALLOWED: "this path does not know the method; the header Allow names those",
    Kind.BAD_REQUEST: "the body is not JSON in UTF-8",
}
"""What the framework says is wrong, in words of ours."""


class ProblemError(SeqPulseError):
    """An answer other than success, raised where it is known."""

    def __init__(
        self, kind: Kind | HTTPStatus, detail: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.kind = kind if isinstance(kind, Kind) else Kind.of(kind)
        self.status = self.kind.status
        self.detail = detail
        self.headers = headers or {}


def problem(
    kind: Kind | int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    **members: Any,  # noqa: ANN401 - extension members are free by RFC 9457
) -> JSONResponse:
    """Return a problem answer; it names the request (`request_id`) as the logs do.

    Args:
        kind: What went wrong, or a status that says it.
        detail: What is wrong with this request, for a person; never a secret, SQL or a trace.
        headers: Further headers.
        **members: Extension members.
    """
    kind = kind if isinstance(kind, Kind) else Kind.of(kind)
    body = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
        **members,
    }
    return JSONResponse(body, kind.status, headers, MEDIA_TYPE)


def _field(location: tuple[int | str, ...]) -> str:
    """Name a field as the caller knows it: body.env -> env."""
    parts = [part for part in location if part not in ("body", "query", "path", "header")]
    named = any(isinstance(part, str) for part in parts)  # a bare number is a place in the text
    return ".".join(str(part) for part in parts) if named else "body"


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type
    issues = error.errors()
    wrong = [
        {"field": _field(issue["loc"]), "message": issue["msg"].removeprefix("Value error, ")}
        for issue in issues
    ]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in wrong)
    if any(issue["type"] == "json_invalid" for issue in issues):
        return problem(Kind.BAD_REQUEST, "the body is not JSON")
    return problem(Kind.INVALID, detail, errors=wrong)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    kind = Kind.of(error.status_code)
    detail = _DETAILS.get(kind, str(error.detail))
    headers = dict(error.headers or {})
    if kind is Kind.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_find_methods(request))
    return problem(kind, detail, headers=headers)


def _find_methods(request: Request) -> list[str]:
    """Return the methods of all routes of a path; the framework only looks at the first.

    A path with fewer parameters hides one with more: /deployments/finish is no deployment.
    """
    found = [
        (each.path.count("{"), each.methods or ())
        for each in iter_route_contexts(request.app.routes)
        if each.path and each.matches(request.scope)[0] is not Match.NONE
    ]
    closest = min((parameters for parameters, _ in found), default=0)
    return sorted({name for parameters, names in found if parameters == closest for name in names})


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ProblemError):
        return problem(error.kind, error.detail, headers=error.headers)
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return problem(status, str(error))
    return crashed(error)


async def _database(_request: Request, error: Exception) -> JSONResponse:
    log.error("database_unavailable", error=type(error).__name__)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the database cannot be reached right now",
        headers={"Retry-After": "5"},
    )


async def _gone(_request: Request, _error: Exception) -> JSONResponse:
    return problem(Kind.NOT_FOUND, "what this belongs to was deleted meanwhile")


def crashed(error: Exception) -> JSONResponse:
    """Log an error nobody expected and return what the caller may know of it."""
    log.error("request_crashed", exc_info=error)
    return problem(Kind.INTERNAL, "something went wrong on our side; it was logged")


def install(app: FastAPI) -> None:
    """Make every error of the application a problem answer."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(SeqPulseError, _ours)
    for unavailable in UNAVAILABLE:
        app.add_exception_handler(unavailable, _database)
    app.add_exception_handler(asyncpg.ForeignKeyViolationError, _gone)
