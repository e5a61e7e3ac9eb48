"""Pushed samples, of services that cannot be read: rows in JSON or NDJSON, judged one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import structlog
from fastapi import APIRouter, Request, Response

from api.auth import OwnProjectDep
from api.body import unpack
from api.problems import ProblemError, problem
from api.schemas import EnvName, PushAnswer, RefusalAnswer
from api.state import StateDep
from ingest import rows
from sql import bulk

log = structlog.get_logger(__name__)

PUSHES_PER_MINUTE: Final = 60
MAX_ROWS: Final = 10_000
MAX_REFUSALS: Final = 100
BODY_SECONDS: Final = 30.0
SMALL_BYTES: Final = 256 * 1024
"""Read at once, in a few milliseconds; a thread would only fight with the loop for the interpreter.
Larger bodies are sent to one, so that others are answered meanwhile."""

Split: TypeAlias = Callable[[bytes], Iterable[tuple[int, object]]]

SPLIT: Final[dict[str, Split]] = {
    "application/json": rows.split_list,
    "application/x-ndjson": rows.split_lines,
    "application/ndjson": rows.split_lines,
    "application/jsonl": rows.split_lines,
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
    request: Request, project: OwnProjectDep, state: StateDep, env: EnvName = "prod"
) -> PushAnswer | Response:
    """Store samples of the project, up to 10,000 rows and 4 MiB, also gzipped.

    Each row is taken or refused on its own; a slot that has a sample already keeps it, so a push
    may be repeated. 422 if every row was refused. `env` is that of rows that do not name theirs.
    """
    state.limits.count(f"push {project.id}", PUSHES_PER_MINUTE)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in SPLIT:
        known = ", ".join(SPLIT)
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type: one of {known}")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    with state.pushes.take(str(project.id)):
        body = unpack(await _read(request), encoding)
        async with state.pool.acquire(timeout=5) as conn:
            age = timedelta(days=state.settings.keep_samples_days)
            oldest, now = await bulk.read_bounds(conn, age)
            bounds = rows.Bounds(oldest, now + rows.MAX_AHEAD)
            read = partial(_parse, SPLIT[media_type], body, env, bounds)
            batch = read() if len(body) <= SMALL_BYTES else await asyncio.to_thread(read)
            stored = await bulk.write(conn, project.id, batch.rows) if len(batch.rows) else 0
    return _answer(batch, stored)


async def _read(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {BODY_SECONDS:.0f} s"
        ) from None


def _parse(split: Split, body: bytes, env: str, bounds: rows.Bounds) -> rows.Batch:
    documents = list(split(body))
    if len(documents) > MAX_ROWS:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_ROWS:,} rows")
    return rows.read_documents(documents, env, bounds)


def _answer(batch: rows.Batch, stored: int) -> PushAnswer | Response:
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
