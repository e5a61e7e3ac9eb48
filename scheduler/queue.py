"""Job rows on the move: written, claimed, settled, cancelled. The SQL is in queries/jobs.sql."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from core.database import Connection
from core.types import Phase
from scheduler.jobs import Job, NewJob, Settlement
from sql import samples
from sql.texts import query

CHANNEL: Final = "seqpulse_jobs"
FIRST_PROJECT: Final = UUID(int=0)
"""Before any project."""
WALK: Final = 500

Position: TypeAlias = tuple[datetime, int]
"""A place in the queue: scheduled_at and id of a job."""

BEGINNING: Final[Position] = (datetime(1970, 1, 1, tzinfo=UTC), 0)
"""Before any job: a claim from here on looks at the whole queue."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of a worker brought.

    Attributes:
        claimed: Jobs that are ours now.
        lost: Ids of settlements that changed nothing, because the claim was lost before.
        held_up: Ids of settlements to be tried again: somebody else has locked the row.
        due_in_seconds: Time until the next job is due, None if there is none. Jobs that are due
            but were not claimed do not count: then `claimed` is full.
        nothing_due: No job was due, so nobody held a claim.
    """

    claimed: list[Job]
    lost: frozenset[int]
    held_up: frozenset[int]
    due_in_seconds: float | None
    nothing_due: bool


async def enqueue(conn: Connection, jobs: Sequence[NewJob]) -> None:
    """Write jobs in the caller's transaction; those whose dedupe key is live are left out.

    Workers do not hear of it: `wake` them after the commit (see `scheduler.waker` for why).

    Raises:
        ValueError: A payload could not be read again.
    """
    first: dict[object, NewJob] = {}
    for index, job in enumerate(jobs):
        from_json(to_json(job.payload))  # a claim whose payload cannot be read ends its worker
        first.setdefault(job.dedupe_key or index, job)
    jobs = list(first.values())
    await conn.execute(
        query("jobs.insert"),
        [job.kind for job in jobs],
        [job.priority for job in jobs],
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
        [job.payload for job in jobs],
    )


async def wake(conn: Connection) -> None:
    """Make every worker look for due jobs now."""
    await conn.execute(query("jobs.notify"), CHANNEL)


async def take_turn(
    conn: Connection,
    owner: int,
    settlements: Sequence[Settlement],
    limit: int,
    since: Position = BEGINNING,
    *,
    wary: bool = False,
) -> Turn:
    """Settle finished claims, store what they brought, and claim due jobs, all in one commit.

    Args:
        conn: The connection that holds the owner's lock.
        owner: Key of the worker.
        settlements: Finished claims.
        limit: How many jobs to claim at most.
        since: Jobs before this place are not looked at.
        wary: Settle what nobody else has locked; do not wait for the rest.
    """
    arguments = (
        owner,
        [item.job.id for item in settlements],
        [item.job.attempt for item in settlements],
        [item.outcome.status for item in settlements],
        [item.outcome.retry_in_seconds for item in settlements],
        [item.outcome.last_error for item in settlements],
        limit,
        *since,
        wary,
    )
    if not any(item.outcome.sample or item.outcome.missed for item in settlements):
        return _turn(await conn.fetch(query("jobs.turn"), *arguments))
    async with conn.transaction():
        turn = _turn(await conn.fetch(query("jobs.turn"), *arguments))
        unsettled = turn.lost | turn.held_up
        kept = [item.outcome for item in settlements if item.job.id not in unsettled]
        await samples.insert(conn, [item.sample for item in kept if item.sample])
        await samples.insert_missed(conn, [item.missed for item in kept if item.missed])
    return turn


async def claim_around(
    conn: Connection, owner: int, limit: int, each: int, after: UUID = FIRST_PROJECT
) -> tuple[list[Job], UUID]:
    """Claim up to `each` due jobs of every project, whatever their priority and place in the queue.

    The ordinary claim goes down the queue; done now and then beside it, this one bounds how long a
    project or a low priority waits behind somebody else's backlog. One call walks `WALK` projects
    at most, so that it takes milliseconds however many there are.

    Returns:
        The jobs, and the project to go on after.
    """
    rows = await conn.fetch(query("jobs.claim_around"), owner, limit, each, WALK, after)
    jobs = [_job(row) for row in rows if row["id"] is not None]
    return jobs, rows[0]["ended_at"] or FIRST_PROJECT


async def release(conn: Connection, owner: int) -> int:
    """Hand back everything a stopping worker still holds and return how many jobs that were."""
    return len(await conn.fetch(query("jobs.release"), owner))


async def cancel(
    conn: Connection,
    *,
    ids: Sequence[int] = (),
    deployment_id: UUID | None = None,
    project_id: UUID | None = None,
) -> int:
    """Cancel jobs, running ones too, and return how many there were.

    A running handler is not interrupted, but its result is dropped: the settle finds no row. A
    planned slot is missed then (`cancelled`), unless its project is gone.
    """
    count: int = await conn.fetchval(query("jobs.cancel"), ids, deployment_id, project_id)
    return count


async def hasten(conn: Connection, job_id: int) -> bool:
    """Make a pending job due now, or write a failed one anew; return whether there was one."""
    found = await conn.fetchval(query("jobs.hasten"), job_id)
    return (found or await conn.fetchval(query("jobs.repeat_run"), job_id)) is not None


def _turn(rows: Sequence[asyncpg.Record]) -> Turn:
    """Every row carries the facts of the turn; without a claim there is one with only those."""
    first = rows[0]
    held_up = frozenset(first["held_up"] or ())
    return Turn(
        claimed=[] if first["id"] is None else [_job(row) for row in rows],
        lost=frozenset(first["unsettled"] or ()) - held_up,
        held_up=held_up,
        due_in_seconds=first["due_in_seconds"],
        nothing_due=first["nothing_due"],
    )


def _job(row: asyncpg.Record) -> Job:
    phase = row["phase"]
    return Job(
        row["id"],
        row["kind"],
        row["project_id"],
        row["env"],
        row["deployment_id"],
        phase and Phase(phase),
        row["sequence_index"],
        row["payload"],
        row["slot_at"],
        row["scheduled_at"],
        row["attempt"],
        row["seconds_left"],
        row["late_seconds"],
    )
