"""The verdict of a deployment: at once, or as soon as there is one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from api.auth import ApiKeyDep, identify
from api.schemas import PendingAnswer, VerdictAnswer
from api.state import State, StateDep
from core import secrets
from core.errors import NotFoundError
from core.types import DeploymentState
from sql import lookups
from sql.lookups import Answer, Lookup

MAX_WAIT_SECONDS: Final = 60
ACQUIRE_SECONDS: Final = 5
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": PendingAnswer, "description": "No verdict yet; ask again after Retry-After"},
    304: {"description": "If-None-Match names the revision that is the newest still"},
}


class DirectRoute(APIRoute):
    """Hands a request over as it is: FastAPI's parameters would cost more than the lookup.

    What the signature of `show` says of them is what the documentation tells, and is done here.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers."""
        return _answer


async def _answer(request: Request) -> Response:
    headers = request.headers
    state: State = request.app.state.seqpulse
    api_key = headers.get("x-api-key")
    try:
        deployment_id = UUID(request.path_params["deployment_id"])
    except ValueError:
        async with state.pool.acquire(timeout=ACQUIRE_SECONDS) as conn:
            await identify(conn, state, api_key)  # who may not ask is not told what is wrong
        issue = {"loc": ("path", "deployment_id"), "msg": "must be a UUID"}
        raise RequestValidationError([issue]) from None
    return await show(
        deployment_id,
        request,
        state,
        api_key,
        _parse_wait(request) if request.scope["query_string"] else 0,
        headers.get("if-none-match"),
    )


def _parse_wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        message = f"must be a number of seconds, 0 to {MAX_WAIT_SECONDS}"
        raise RequestValidationError([{"loc": ("query", "wait"), "msg": message}])
    return seconds


router = APIRouter(tags=["verdicts"], route_class=DirectRoute)


@router.get("/deployments/{deployment_id}/verdict", response_model=VerdictAnswer, responses=ANSWERS)
async def show(
    deployment_id: UUID,
    request: Request,
    state: StateDep,
    api_key: ApiKeyDep,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, description="seconds")] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the verdict with evidence and hints, or 202 and Retry-After while there is none.

    With `wait` the answer comes as soon as there is a verdict, at the latest after so many seconds.
    The ETag is the revision.
    """
    found = await _look(state, api_key, deployment_id)
    if found.state is None:
        raise NotFoundError(f"no deployment {deployment_id}")
    answer = found.answer
    if answer is None and wait:
        with state.waits.take(str(found.project_id)):
            answer = await state.waiting.wait(deployment_id, wait, request.receive)
    if answer is None:
        return _pending(deployment_id, found.state, found.slot_seconds)
    return respond(answer, if_none_match)


async def _look(state: State, api_key: str | None, deployment_id: UUID) -> Lookup:
    """Look up key and verdict at once; what is odd about the key is told by the ordinary way."""
    key = secrets.parse_api_key(api_key or "")
    # Whoever waits for a connection of the pool is overtaken by who comes later; here nobody is.
    async with (
        asyncio.timeout(ACQUIRE_SECONDS),
        state.lookups,
        state.pool.acquire() as conn,
    ):
        found = None if key is None else await lookups.find(conn, key.id, deployment_id)
        if found and key and secrets.same(found.digest, state.vault.digest(key.secret)):
            return found
        caller = await identify(conn, state, api_key)  # of the master key before, if it returns
        again = key and await lookups.find(conn, key.id, deployment_id)
    if not again or again.project_id != caller.project.id:
        raise NotFoundError(f"no deployment {deployment_id}")
    return again


def respond(
    answer: Answer, if_none_match: str | None = None, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    """Return a verdict, or 304 to who has this revision.

    The ETag is weak: shadows may follow a moment later, and another version of the server may tell
    more of the same revision.
    """
    headers = {"ETag": f'W/"{answer.revision}"', "Cache-Control": "private, no-cache"}
    if if_none_match is not None and _matches(if_none_match, answer.revision):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    return Response(answer.body, status, headers, "application/json")


def _matches(if_none_match: str, revision: int) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return bool(tags & {"*", f'"{revision}"'})


def _pending(deployment_id: UUID, state: DeploymentState, slot_seconds: float | None) -> Response:
    """Suggest when to ask again: after one slot, between a second and half a minute."""
    seconds = math.ceil(min(max(slot_seconds or 30.0, 1.0), 30.0))
    answer = PendingAnswer(
        deployment_id=deployment_id,
        state=state,
        message=f"no verdict yet: the deployment is {state}",
    )
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    return Response(answer.model_dump_json(), HTTPStatus.ACCEPTED, headers, "application/json")
