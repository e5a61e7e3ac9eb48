"""Who is calling: a project by its API key, or the operator by the operator token."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from api.problems import ProblemError
from api.state import ConnectionDep, State, StateDep
from core import secrets
from core.database import Connection
from core.errors import NotFoundError
from core.types import Project
from sql import projects
from sql.projects import Caller

_api_key = APIKeyHeader(name="X-API-Key", auto_error=False, description="sp_<id>_<secret>")
_bearer = HTTPBearer(auto_error=False, description="the operator token")


ApiKeyDep: TypeAlias = Annotated[str | None, Depends(_api_key)]


async def get_project(conn: ConnectionDep, state: StateDep, api_key: ApiKeyDep) -> Project:
    """Return the project whose API key came with the request.

    Raises:
        ProblemError: 401, no key or not a live one.
    """
    return (await identify(conn, state, api_key)).project


async def get_owner(project_id: UUID, state: StateDep, api_key: ApiKeyDep) -> Caller:
    """Return the caller if the project of the path is its own.

    The connection is given back at once: what the caller still has to send may take its time.

    Raises:
        ProblemError: 401, no key or not a live one.
        NotFoundError: The key is another project's.
    """
    async with state.pool.acquire(timeout=5) as conn:
        caller = await identify(conn, state, api_key)
    if caller.project.id != project_id:
        raise NotFoundError(f"no project {project_id}")
    return caller


async def identify(conn: Connection, state: State, api_key: str | None) -> Caller:
    """Return who an API key belongs to.

    Raises:
        ProblemError: 401, no key or not a live one.
    """
    if not api_key:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "the header X-API-Key is missing",
            headers={"WWW-Authenticate": "ApiKey"},
        )
    caller = await projects.authenticate(conn, state.vault, api_key)
    if caller is None:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "the API key in X-API-Key is unknown or revoked",
            headers={"WWW-Authenticate": "ApiKey"},
        )
    return caller


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
OwnerDep: TypeAlias = Annotated[Caller, Depends(get_owner)]
