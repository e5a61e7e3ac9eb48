"""The verdict of a deployment: at once, or as soon as there is one."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from api.auth import Guard, ReaderDep, count, parse_id
from api.routes import Route
from api.schemas import PendingAnswer, VerdictAnswer
from api.state import State
from core import secrets
from core.errors import NotFoundError
from core.types import DeploymentState, Scope
from sql.lookups import Answer, Lookup

MAX_WAIT_SECONDS: Final = 60
GUARD: Final = Guard(Scope.READ)
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": PendingAnswer, "description": "No verdict yet; ask again after Retry-After"},
    304: {"description": "If-None-Match names the revision that is the newest still"},
}


async def look(request: Request) -> Response:
    """Answer a lookup, see `show`."""
    state: State = request.app.state.seqpulse
    found, deployment_id = await _find(request, state)
    if found is None or found.state is None:
        raise NotFoundError(f"no deployment {deployment_id}")
    wait = _parse_wait(request) if request.scope["query_string"] else 0
    answer = found.answer
    if answer is None and wait:
        with state.waits.take(str(found.project_id)):
            answer = await state.waiting.wait(deployment_id, wait, request.receive)
    if answer is None:
        return _pending(deployment_id, found.state, found.slot_seconds)
    return respond(answer, request.headers.get("if-none-match"))


async def _find(request: Request, state: State) -> tuple[Lookup | None, UUID]:
    """Look up key and verdict at once; whoever has no plainly good key goes the ordinary way."""
    text = request.path_params["deployment_id"]
    key = secrets.parse_api_key(request.headers.get("x-api-key", ""))
    deployment_id = None if key is None else _read_id(text)
    if key is None or deployment_id is None:
        await GUARD.admit(request)  # who may not ask is not told what is wrong
        return None, parse_id("deployment_id", text)
    found = await _look_up(state, key.id, deployment_id)
    if found and secrets.same(found.digest, state.vault.digest(key.secret)):
        count(request, state, key.id)
        state.uses.note(key.id)
        return found, deployment_id
    await GUARD.admit(request)  # of the master key before, if it returns
    return await _look_up(state, key.id, deployment_id), deployment_id


async def _look_up(state: State, key_id: str, deployment_id: UUID) -> Lookup | None:
    state.lookout.require_database()
    return await state.gathering.find(key_id, deployment_id)


def _read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _parse_wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        message = f"must be a number of seconds, 0 to {MAX_WAIT_SECONDS}"
        issue = {"type": "value_error", "loc": ("query", "wait"), "msg": message}
        raise RequestValidationError([issue])
    return seconds


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


class DirectRoute(Route):
    """Hands a request over as it is: the framework's parameters would cost more than the lookup.

    What the signature of `show` says of them is what the documentation tells, and done in `look`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers."""
        return look


router = APIRouter(tags=["verdicts"], route_class=DirectRoute)


@router.get("/deployments/{deployment_id}/verdict", response_model=VerdictAnswer, responses=ANSWERS)
async def show(
    request: Request,
    deployment_id: UUID,
    _caller: ReaderDep,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, description="seconds")] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the verdict with evidence and hints, or 202 and Retry-After while there is none.

    With `wait` the answer comes as soon as there is a verdict, at the latest after so many seconds.
    The ETag is the revision.
    """
    del deployment_id, wait, if_none_match  # `look` reads them from the request
    return await look(request)
