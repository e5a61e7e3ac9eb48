"""The continuous baseline: a target that is known is read for ever, by one recurring job."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.database import Connection
from scheduler import plan, queue
from sql import projects


async def watch(
    conn: Connection,
    project_id: UUID,
    env: str,
    endpoint: str,
    *,
    first_at: datetime,
    interval_seconds: float,
) -> None:
    """Make `endpoint` the target of a project and environment and collect it from `first_at` on.

    Idempotent: a target that is watched already only gets the new endpoint.
    """
    await projects.put_target(conn, project_id, env, endpoint)
    await queue.enqueue(conn, [plan.baseline_job(project_id, env, first_at, interval_seconds)])
