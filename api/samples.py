"""Pushed samples, of services that cannot be read: rows in JSON or NDJSON, judged one by one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from api.auth import OwnerDep
from api.body import unpack
from api.problems import ProblemError, problem
from api.schemas import EnvName, PushAnswer, RefusalAnswer
from api.state import State, StateDep
from ingest import documents, rows
from ingest.documents import Form
from ingest.rows import Batch, Bounds
from sql import bulk

log = structlog.get_logger(__name__)

PUSHES_PER_MINUTE: Final = 60
MAX_ROWS: Final = 10_000
MAX_REFUSALS: Final = 100
BODY_SECONDS: Final = 30.0
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

router = APIRouter(tags=["samples"])


@router.post("/projects/{project_id}/samples", openapi_extra=BODY, response_model=PushAnswer)
async def push(
    request: Request, owner: OwnerDep, state: StateDep, env: EnvName = "prod"
) -> PushAnswer | Response:
    """Store samples of the project, up to 10,000 rows and 4 MiB, also gzipped.

    Each row is taken or refused on its own; a slot that has a sample already keeps it, so a push
    may be repeated. 422 if every row was refused. `env` is that of rows that do not name theirs.
    """
    project_id, now = owner.project.id, owner.called_at
    state.limits.count(f"push {project_id}", PUSHES_PER_MINUTE)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in FORMS:
        known = ", ".join(FORMS)
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type: one of {known}")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    age = timedelta(days=state.settings.keep_samples_days)
    bounds = Bounds(max(now - age, owner.samples_since), now + rows.MAX_AHEAD)
    with state.pushes.take(str(project_id)):
        body = unpack(await _read(request), encoding)
        batch = await _parse(body, FORMS[media_type], env, bounds)
        stored = await _store(state, project_id, batch) if len(batch.rows) else 0
    return _answer(batch, stored)


async def _store(state: State, project_id: UUID, batch: Batch) -> int:
    async with state.pool.acquire(timeout=5) as conn:
        return await bulk.write(conn, project_id, batch.rows)


async def _read(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {BODY_SECONDS:.0f} s"
        ) from None
    except ClientDisconnect:  # nobody hears the answer, but it must not count as an error of ours
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the body was broken off") from None


async def _parse(body: bytes, form: Form, env: str, bounds: Bounds) -> Batch:
    read = partial(documents.read_certain, body, form, env, bounds, MAX_ROWS)
    certain = read() if len(body) <= SMALL_BYTES else await asyncio.to_thread(read)
    if certain is not None:
        return Batch(certain, [])
    return await asyncio.to_thread(_read_carefully, body, form, env, bounds)


def _read_carefully(body: bytes, form: Form, env: str, bounds: Bounds) -> Batch:
    found = list(islice(form.split(body), MAX_ROWS + 1))  # lines beyond are not worth a look
    if len(found) > MAX_ROWS:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_ROWS:,} rows")
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
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"every row was refused, the first because {batch.refusals[0].reason}",
            **answer.model_dump(),
        )
    return answer
