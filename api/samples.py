"""Pushed samples, of services that cannot be read: rows in JSON or NDJSON, judged one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final, TypeAlias
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Request, Response

from api.auth import Guard
from api.body import unpack
from api.limits import Limit
from api.problems import Kind, ProblemError, problem
from api.routes import Route, read_body
from api.schemas import EnvName, PushAnswer, RefusalAnswer
from api.state import State, StateDep, connecting
from core.types import Scope
from ingest import documents, rows
from ingest.documents import Form
from ingest.rows import Batch, Bounds
from sql import bulk
from sql.callers import Caller

log = structlog.get_logger(__name__)

PUSHES: Final = Limit("pushes", 60)
MAX_ROWS: Final = 10_000
MAX_REFUSALS: Final = 100
SMALL_BYTES: Final = 256 * 1024
"""Read quickly at once, in a few milliseconds; a thread would only fight with the loop for the
interpreter. Larger bodies are sent to one, so that others are answered meanwhile, and so is what
must be read carefully: somebody may have seen to it that this takes its time."""

FORMS: Final = {
    "application/json": documents.LIST,
    "application/x-ndjson": documents.LINES,
    "application/ndjson": documents.LINES,
    "application/jsonl": documents.LINES,
}
ROW: Final = {
    "type": "object",
    "required": ["slot_at", "metrics"],
    "properties": {
        "slot_at": {"type": "string", "format": "date-time"},
        "env": {"type": "string"},
        "metrics": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "items": ROW}},
            "application/x-ndjson": {"schema": ROW},
        },
    }
}

PusherDep: TypeAlias = Annotated[Caller, Depends(Guard(Scope.CI, PUSHES))]


class PushRoute(Route):
    """A route with large bodies: only so many are in memory at the same time."""

    async def answer(self, request: Request, handle: Callable[[], Awaitable[Response]]) -> Response:
        """Answer a request that has a place; one that is of another form gets none."""
        state: State = request.app.state.seqpulse
        if _media_type(request) not in FORMS:
            known = ", ".join(FORMS)
            raise ProblemError(Kind.MEDIA_TYPE, f"Content-Type: one of {known}")
        with state.pushes.take(str(request.state.caller.project.id)):
            return await super().answer(request, handle)


router = APIRouter(tags=["samples"], route_class=PushRoute)


@router.post("/projects/{project_id}/samples", openapi_extra=BODY, response_model=PushAnswer)
async def push(
    project_id: UUID, request: Request, caller: PusherDep, state: StateDep, env: EnvName = "prod"
) -> PushAnswer | Response:
    """Store samples of the project, up to 10,000 rows and 4 MiB, also gzipped.

    Each row is taken or refused on its own; a slot that has a sample already keeps it, so a push
    may be repeated. 422 if every row was refused. `env` is that of rows that do not name theirs.
    """
    now = caller.called_at
    encoding = request.headers.get("content-encoding", "").strip().lower()
    age = timedelta(days=state.settings.keep_samples_days)
    bounds = Bounds(max(now - age, caller.samples_since), now + rows.MAX_AHEAD)
    body = unpack(await read_body(request), encoding)
    batch = await _parse(body, FORMS[_media_type(request)], env, bounds)
    if not len(batch.rows):
        return _answer(batch, 0)
    async with connecting(request, state) as conn:
        return _answer(batch, await bulk.write(conn, project_id, batch.rows))


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _parse(body: bytes, form: Form, env: str, bounds: Bounds) -> Batch:
    read = partial(documents.read_certain, body, form, env, bounds, MAX_ROWS)
    certain = read() if len(body) <= SMALL_BYTES else await asyncio.to_thread(read)
    if certain is not None:
        return Batch(certain, [])
    return await asyncio.to_thread(_read_carefully, body, form, env, bounds)


def _read_carefully(body: bytes, form: Form, env: str, bounds: Bounds) -> Batch:
    found = list(islice(form.split(body), MAX_ROWS + 1))  # lines beyond are not worth a look
    if len(found) > MAX_ROWS:
        raise ProblemError(Kind.TOO_LARGE, f"more than {MAX_ROWS:,} rows")
    return rows.read_each(found, env, bounds)


def _answer(batch: Batch, stored: int) -> PushAnswer | Response:
    answer = PushAnswer(
        stored=stored,
        known=len(batch.rows) - stored,
        refused=len(batch.refusals),
        refusals=[RefusalAnswer.model_validate(each) for each in batch.refusals[:MAX_REFUSALS]],
    )
    if batch.refusals:
        log.warning("rows_refused", count=answer.refused, reason=batch.refusals[0].reason)
    if batch.refusals and not len(batch.rows):
        return problem(
            Kind.INVALID,
            f"every row was refused, the first because {batch.refusals[0].reason}",
            **answer.model_dump(),
        )
    return answer
