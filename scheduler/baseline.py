"""The continuous baseline: a target that is known is read for ever, by one recurring job."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

from core.codes import SourceKind
from core.database import Connection
from core.errors import InvalidInputError
from core.types import Deployment
from ingest.prometheus import MAX_POINTS, Span
from scheduler import plan, queue
from sql import targets

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def watch(
    conn: Connection,
    project_id: UUID,
    env: str,
    endpoint: str | None,
    *,
    first_at: datetime,
    interval_seconds: float,
) -> SourceKind:
    """Collect the target of a project and environment from `first_at` on; return its source.

    Idempotent: a target that is watched already only gets the new endpoint.

    Args:
        conn: Connection.
        project_id: An existing project.
        env: Environment.
        endpoint: Of an SDK, unless another source is configured; None: the one that is known.
        first_at: Nothing is collected before; the first slot is the next one of the target's grid.
        interval_seconds: Distance of two slots.

    Raises:
        InvalidInputError: No endpoint is given and none is known.
    """
    if endpoint is not None:
        await targets.put(conn, project_id, env, endpoint)
    source = await targets.find_source(conn, project_id, env)
    if source is None:
        raise InvalidInputError(f"metrics_endpoint: there is no target in {env} yet, name one")
    slot_at = next_slot(project_id, env, first_at, interval_seconds)
    await queue.enqueue(conn, [plan.baseline_job(project_id, env, slot_at, interval_seconds)])
    return source


def next_slot(project_id: UUID, env: str, earliest: datetime, interval_seconds: float) -> datetime:
    """Return the first moment of a target's grid that is not before `earliest`.

    The grid is fixed for ever: `interval_seconds` apart, with an offset made of project and
    environment, so that a thousand targets are not read in the same second.
    """
    interval = timedelta(seconds=interval_seconds)
    digest = hashlib.sha256(f"{project_id}/{env}".encode()).digest()
    offset = interval * (int.from_bytes(digest[:6]) / 2**48)
    passed = (earliest - EPOCH - offset) / interval
    slots = -int(-passed // 1)
    slot_at = EPOCH + offset + slots * interval
    return slot_at if slot_at >= earliest else slot_at + interval  # the division is a rounded one


def past_slots(deployment: Deployment, seconds: float, interval_seconds: float) -> Span:
    """Return the slots of the target's grid in the `seconds` before the trigger.

    They are the very slots the continuous baseline has, so what was collected at the time and what
    is told afterwards never stand side by side. Of more than `MAX_POINTS` the latest are taken.
    """
    step = timedelta(seconds=interval_seconds)
    project_id, env = deployment.project_id, deployment.env
    end = next_slot(project_id, env, deployment.triggered_at, interval_seconds)
    slots = max(1, min(int(seconds // interval_seconds), MAX_POINTS))
    return Span(end - slots * step, end - step, step)
