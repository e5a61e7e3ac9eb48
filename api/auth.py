"""Who is calling: a project by one of its API keys, or the operator by the operator token.

A route says who may call it by a parameter: `ReaderDep`, `CiDep`, `AdminDep`, `OperatorDep`. On
paths with a `project_id` the project must be the caller's own, and the operator is let in, too.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, TypeAlias
from uuid import UUID

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader, HTTPBearer
from structlog.contextvars import bind_contextvars

from api.limits import Limit
from api.problems import Kind, ProblemError
from api.state import State
from core import secrets
from core.errors import NotFoundError
from core.types import Project, Scope
from sql import callers
from sql.callers import Caller

READING: Final = frozenset({"GET", "HEAD"})

ApiKey: TypeAlias = Annotated[
    None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False, description="sp_<id>_<secret>"))
]
Bearer: TypeAlias = Annotated[
    None, Depends(HTTPBearer(auto_error=False, description="the operator token"))
]
"""For the description of the API: the values are read before anything else is looked at."""


class Guard:
    """Lets pass who has the right key, and not more often than it may.

    `api.routes.Route` asks it before it reads the path or the body; as a dependency it then only
    says who was let in.
    """

    def __init__(self, scope: Scope, limit: Limit | None = None) -> None:
        """Make a guard.

        Args:
            scope: What the key must cover.
            limit: How often it may; None: as the settings say for reads, or for changes.
        """
        self.scope = scope
        self._limit = limit

    async def __call__(self, request: Request, _key: ApiKey, _token: Bearer) -> Caller:
        """Return who was let in."""
        caller: Caller | None = getattr(request.state, "caller", None)
        return caller or await self.admit(request)

    async def admit(self, request: Request) -> Caller:
        """Find out who calls, once for a request.

        Raises:
            ProblemError: 401 without a live key, 403 if its scope is too small, 429.
            NotFoundError: The project of the path is not the caller's, or there is none.
        """
        state: State = request.app.state.seqpulse
        caller = await self._identify(request, state)
        bind_contextvars(project_id=caller.project.id)
        count(request, state, caller.key_id or OPERATOR, self._limit)
        if caller.key_id is not None:
            state.uses.note(caller.key_id)
        if not caller.scope.covers(self.scope):
            raise ProblemError(
                Kind.FORBIDDEN,
                f"this needs an API key of scope {self.scope}; this one's is {caller.scope}",
            )
        wanted = request.path_params.get("project_id")
        if wanted is not None and caller.project.id != parse_id("project_id", wanted):
            raise NotFoundError(f"no project {UUID(wanted)}")
        request.state.caller = caller
        return caller

    async def _identify(self, request: Request, state: State) -> Caller:
        api_key = request.headers.get("X-API-Key")
        if api_key is None and "project_id" in request.path_params:
            if "Authorization" in request.headers:
                return await _act_for(request, state)
            raise _unknown(
                "the header X-API-Key is missing, or the operator token", "ApiKey, Bearer"
            )
        if not api_key:
            raise _unknown("the header X-API-Key is missing", "ApiKey")
        state.lookout.require_database()
        async with state.pool.acquire(timeout=5) as conn:
            caller = await callers.authenticate(conn, state.vault, api_key)
        if caller is None:
            raise failed(request, state, "the API key is unknown, expired or revoked", "ApiKey")
        return caller


class OperatorGuard:
    """Lets only the operator pass."""

    async def __call__(self, request: Request, _token: Bearer) -> None:
        """Make sure that it is the operator."""
        if not hasattr(request.state, "is_operator"):
            await self.admit(request)

    async def admit(self, request: Request) -> None:
        """Look at the token, once for a request.

        Raises:
            ProblemError: 403 when no operator token is configured, 401 when another one is given.
        """
        state: State = request.app.state.seqpulse
        _check_token(request, state)
        count(request, state, OPERATOR)
        request.state.is_operator = True


OPERATOR: Final = "operator"


def count(request: Request, state: State, caller: str, limit: Limit | None = None) -> None:
    """Count a call and let the answer tell where the caller stands.

    Raises:
        ProblemError: 429.
    """
    if limit is None:
        settings = state.settings
        limit = (
            Limit("reads", settings.reads_per_minute)
            if request.method in READING
            else Limit("changes", settings.changes_per_minute)
        )
    request.state.headers |= state.limits.count(limit, caller).headers


def failed(request: Request, state: State, detail: str, challenge: str) -> ProblemError:
    """Count a proof that was wrong, and return the answer to it.

    Only these are counted, and only who sends another wrong one is refused: callers with good keys
    behind the same address never notice.

    Raises:
        ProblemError: 429; too many came from this address.
    """
    limit = Limit("failed-auth", state.settings.failures_per_minute)
    state.limits.count(limit, find_address(request))
    return _unknown(detail, challenge)


def find_address(request: Request) -> str:
    """Return where a request comes from; of IPv6 the network, as one machine has all of it."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host


def parse_id(field: str, text: str) -> UUID:
    """Return an id of the path.

    Raises:
        RequestValidationError: It is none.
    """
    try:
        return UUID(text)
    except ValueError:
        wrong = {"type": "uuid_parsing", "loc": ("path", field), "msg": "must be a UUID"}
        raise RequestValidationError([wrong]) from None


async def _act_for(request: Request, state: State) -> Caller:
    """Return the operator as caller for the project of the path."""
    _check_token(request, state)
    project_id = parse_id("project_id", request.path_params["project_id"])
    async with state.pool.acquire(timeout=5) as conn:
        caller = await callers.act_for(conn, project_id)
    if caller is None:
        raise NotFoundError(f"no project {project_id}")
    return caller


def _check_token(request: Request, state: State) -> None:
    token = state.settings.operator_token
    if token is None:
        raise ProblemError(
            Kind.FORBIDDEN,
            "administration over HTTP is off: set SEQPULSE_OPERATOR_TOKEN to turn it on, or use "
            "`seqpulse projects` on the server",
        )
    header = request.headers.get("Authorization")
    if header is None:
        raise _unknown("the operator token is missing (Authorization: Bearer ...)", "Bearer")
    kind, _, given = header.partition(" ")
    if kind.lower() != "bearer" or not secrets.same(given.strip(), token.get_secret_value()):
        raise failed(request, state, "the operator token is wrong", "Bearer")


def _unknown(detail: str, challenge: str) -> ProblemError:
    return ProblemError(Kind.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})


ReaderDep: TypeAlias = Annotated[Caller, Depends(Guard(Scope.READ))]
CiDep: TypeAlias = Annotated[Caller, Depends(Guard(Scope.CI))]
AdminDep: TypeAlias = Annotated[Caller, Depends(Guard(Scope.ADMIN))]
OperatorDep: TypeAlias = Annotated[None, Depends(OperatorGuard())]


async def _get_project(caller: ReaderDep) -> Project:
    return caller.project


ProjectDep: TypeAlias = Annotated[Project, Depends(_get_project)]
