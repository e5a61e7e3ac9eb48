"""Job rows on the move: written, claimed, settled, re-queued. The SQL is in queries/jobs.sql."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import asyncpg

from core.database import Connection
from core.types import MissedSlot, Phase, Sample
from scheduler.jobs import Job, JobKind, NewJob
from sql import locks, samples
from sql.texts import query

CHANNEL: Final = "seqpulse_jobs"
NOTIFY_WITHIN_SECONDS: Final = 10.0
"""Jobs due later than this do not wake workers: they look again before then."""


class Status(StrEnum):
    """How a claim ends."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handler made of a job, and what is to be stored with it."""

    status: Status
    retry_in_seconds: float = 0.0
    last_error: str | None = None
    sample: Sample | None = None
    missed: MissedSlot | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """A claimed job and its outcome."""

    job: Job
    outcome: Outcome


async def enqueue(conn: Connection, jobs: Sequence[NewJob]) -> None:
    """Write jobs; those whose dedupe key is live already are left out. Workers hear at commit."""
    await conn.execute(
        query("jobs.insert"),
        [job.kind for job in jobs],
        [job.project_id for job in jobs],
        [job.env for job in jobs],
        [job.scheduled_at for job in jobs],
        [job.deployment_id for job in jobs],
        [job.phase for job in jobs],
        [job.sequence_index for job in jobs],
        [job.deadline_at for job in jobs],
        [job.awaiting for job in jobs],
        [job.repeat for job in jobs],
        [job.dedupe_key for job in jobs],
        CHANNEL,
        NOTIFY_WITHIN_SECONDS,
    )


async def settle_and_claim(
    conn: Connection, owner: int, settlements: Sequence[Settlement], limit: int
) -> tuple[set[int], list[Job]]:
    """Settle finished claims, store what they brought, and claim due jobs, in one transaction.

    Args:
        conn: The connection that holds the owner's lock.
        owner: Key of the worker.
        settlements: Finished claims.
        limit: How many jobs to claim at most.

    Returns:
        The ids that were settled (a lost claim is not among them), and the claimed jobs.
    """
    async with conn.transaction():
        settled = await _settle(conn, owner, settlements) if settlements else set()
        kept = [item.outcome for item in settlements if item.job.id in settled]
        await samples.insert(conn, [item.sample for item in kept if item.sample])
        await samples.insert_missed(conn, [item.missed for item in kept if item.missed])
        claimed = await conn.fetch(query("jobs.claim"), owner, limit) if limit > 0 else []
    return settled, [_job(row) for row in claimed]


async def _settle(conn: Connection, owner: int, settlements: Sequence[Settlement]) -> set[int]:
    rows = await conn.fetch(
        query("jobs.settle"),
        owner,
        [item.job.id for item in settlements],
        [item.job.attempt for item in settlements],
        [item.outcome.status for item in settlements],
        [item.outcome.retry_in_seconds for item in settlements],
        [item.outcome.last_error for item in settlements],
    )
    return {row["id"] for row in rows}


async def seconds_to_next(conn: Connection) -> float | None:
    """Return the time until the next pending job is due (negative: overdue), or None."""
    seconds: float | None = await conn.fetchval(query("jobs.seconds_to_next"))
    return seconds


async def register(conn: Connection) -> int:
    """Take a fresh worker key and its advisory lock on this connection, and return the key."""
    while True:
        key: int = await conn.fetchval(query("jobs.next_worker_key"))
        if await conn.fetchval(query("locks.try_lock"), locks.WORKER, key):
            return key


async def reap(conn: Connection) -> int:
    """Put the jobs of dead workers back into the queue and return how many there were."""
    return len(await conn.fetch(query("jobs.reap"), locks.WORKER))


async def release(conn: Connection, owner: int) -> int:
    """Hand back everything a stopping worker still holds and return how many jobs that were."""
    return len(await conn.fetch(query("jobs.release"), owner))


def _job(row: asyncpg.Record) -> Job:
    return Job(
        id=row["id"],
        kind=JobKind(row["kind"]),
        project_id=row["project_id"],
        env=row["env"],
        deployment_id=row["deployment_id"],
        phase=None if row["phase"] is None else Phase(row["phase"]),
        sequence_index=row["sequence_index"],
        slot_at=row["slot_at"],
        attempt=row["attempt"],
        seconds_left=row["seconds_left"],
    )
