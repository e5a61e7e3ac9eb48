"""Deleting a project: gone at once for everybody, its samples piece by piece.

The row goes first, in one transaction with all that hangs on it (keys, targets, deployments,
verdicts) and with its jobs. From then on nobody can add anything: every writer needs the row.
Samples have no foreign key, which would cost every insert; a job removes them, one chunk of the
table after the other. Each is a commit, and none is done twice in vain: a worker that dies in the
middle leaves less to the next one.
"""

from __future__ import annotations

from uuid import UUID

import structlog

from core.database import Connection, Pool
from scheduler import queue
from scheduler.jobs import Job, JobKind, NewJob, Outcome, Priority, Status
from sql import bulk, locks, projects, rollups, samples
from sql.texts import query

log = structlog.get_logger(__name__)

NO_ENV = ""
BUSY_SECONDS = 5.0
"""After so long it is tried again while somebody is rolling up history."""


async def delete(conn: Connection, project_id: UUID) -> None:
    """Delete a project and plan the removal of its samples; workers are to be woken after it.

    Raises:
        NotFoundError: There is no such project.
    """
    async with conn.transaction():
        # First the row: whoever is about to write for the project has locked it and is waited for,
        # so the jobs of a trigger that came just before are there to be cancelled.
        await projects.delete(conn, project_id)
        await queue.cancel(conn, project_id=project_id)
        removal = NewJob(
            kind=JobKind.REMOVE_SAMPLES,
            project_id=project_id,
            env=NO_ENV,
            scheduled_at=await bulk.read_clock(conn),
            priority=Priority.UPKEEP,
            dedupe_key=f"remove:{project_id}",
        )
        await queue.enqueue(conn, [removal])


async def remove_samples(job: Job, pool: Pool) -> Outcome:
    """Remove samples and missed slots of a project that is gone, and what was rolled up of them."""
    async with pool.acquire() as conn:
        count = 0
        for since, until in await samples.list_chunks(conn):
            count += await samples.remove(conn, job.project_id, since, until)
        # Whoever is rolling up may still see samples that are gone: the last word must be ours.
        if not await conn.fetchval(query("locks.try_lock"), locks.LEADER, locks.HOUSE):
            return Outcome(Status.RETRY, BUSY_SECONDS, "history is being rolled up")
        try:
            await rollups.remove(conn, job.project_id)
        finally:
            await conn.execute(query("locks.unlock"), locks.LEADER, locks.HOUSE)
    log.info("samples_removed", count=count)
    return Outcome(Status.COMPLETED)
