"""How the installation is, as its database sees it: the queue, the workers, what is collected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.database import Connection
from sql import edition, locks
from sql.edition import Edition
from sql.texts import query

OVERDUE_SECONDS: Final = 30.0
"""A job that has been due for longer is overdue: a worker claims within milliseconds."""
COLLECTION_SECONDS: Final = 900.0
"""The span that tells how collecting goes."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Live jobs.

    Attributes:
        planned, due, running: How many wait for their time, for a worker, are held by one.
        overdue: Due for more than `OVERDUE_SECONDS`.
        oldest_due_seconds: For how long the oldest has been due; 0 if none is.
        stuck: Held for too long, or failed again and again.
    """

    planned: int
    due: int
    running: int
    overdue: int
    oldest_due_seconds: float
    stuck: int


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers that live, and when one of them last spoke to the database; None: unknown."""

    workers: int
    heartbeat_age_seconds: float | None


@dataclass(frozen=True, slots=True)
class Collection:
    """Slots of the last `COLLECTION_SECONDS`."""

    collected: int
    missed: int


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What the database does by itself.

    Attributes:
        edition: Of TimescaleDB.
        policies: Jobs of its own on our tables; none on the Apache edition.
        failed: Those whose last run failed.
    """

    edition: Edition
    policies: int
    failed: int


async def read_queue(conn: Connection) -> Queue:
    """Count the live jobs."""
    return Queue(**await _row(conn, "health.queue", OVERDUE_SECONDS))


async def read_workers(conn: Connection) -> Workers:
    """Count the workers."""
    return Workers(**await _row(conn, "health.workers", locks.WORKER))


async def read_collection(conn: Connection) -> Collection:
    """Count the slots of late."""
    return Collection(**await _row(conn, "health.collection", COLLECTION_SECONDS))


async def read_upkeep(conn: Connection) -> Upkeep:
    """Find out which edition this is, and whether what it does by itself works.

    Raises:
        DatabaseError: See `sql.edition.find`.
    """
    return Upkeep(await edition.find(conn), **await _row(conn, "health.policies"))


async def _row(conn: Connection, name: str, *arguments: object) -> dict[str, int]:
    row = await conn.fetchrow(query(name), *arguments)
    if row is None:  # an aggregate always has a row
        raise AssertionError
    return dict(row)
