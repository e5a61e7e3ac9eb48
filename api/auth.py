"""Who is calling: a project by its API key, or the operator by the operator token."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, TypeAlias

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from api.problems import ProblemError
from api.state import ConnectionDep, StateDep
from core import secrets
from core.types import Project
from sql import projects

_api_key = APIKeyHeader(name="X-API-Key", auto_error=False, description="sp_<id>_<secret>")
_bearer = HTTPBearer(auto_error=False, description="the operator token")


async def get_project(
    conn: ConnectionDep, state: StateDep, api_key: Annotated[str | None, Depends(_api_key)]
) -> Project:
    """Return the project whose API key came with the request.

    Raises:
        ProblemError: 401, no key or not a live one.
    """
    if not api_key:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "the header X-API-Key is missing",
            headers={"WWW-Authenticate": "ApiKey"},
        )
    project = await projects.authenticate(conn, state.vault, api_key)
    if project is None:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "the API key in X-API-Key is unknown or revoked",
            headers={"WWW-Authenticate": "ApiKey"},
        )
    return project


async def require_operator(
    state: StateDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Let only the operator pass.

    Raises:
        ProblemError: 403 when no operator token is configured, 401 when another one is given.
    """
    token = state.settings.operator_token
    if token is None:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "administration over HTTP is off: set SEQPULSE_OPERATOR_TOKEN to turn it on, or use "
            "`seqpulse projects` on the server",
        )
    given = "" if credentials is None else credentials.credentials
    if not secrets.same(given, token.get_secret_value()):
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "the operator token is missing or wrong (Authorization: Bearer ...)",
            headers={"WWW-Authenticate": "Bearer"},
        )


ProjectDep: TypeAlias = Annotated[Project, Depends(get_project)]
