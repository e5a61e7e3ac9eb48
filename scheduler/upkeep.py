"""What workers do for each other: notice the dead and put their jobs back.

Leadership is not held but won anew at every tick, by a lock that ends with the statement: a leader
that is stopped or hangs cannot keep the others from doing it.
"""

from __future__ import annotations

import structlog

from core.database import Connection
from sql import locks
from sql.texts import query

log = structlog.get_logger(__name__)


async def tick(conn: Connection, silent_seconds: float) -> int:
    """Look after the others and return how many jobs of dead workers were put back.

    Args:
        conn: Any connection of a worker.
        silent_seconds: A worker that has said nothing to the database for so long is cut off.
    """
    row = await conn.fetchrow(
        query("workers.tick"), locks.LEADER, locks.UPKEEP, locks.WORKER, silent_seconds
    )
    if row is None:  # an aggregate always has a row
        raise AssertionError
    if row["silenced"]:
        log.warning("silent_workers_cut_off", count=row["silenced"])
    return await reap(conn, row["dead"]) if row["dead"] else 0


async def reap(conn: Connection, dead: list[int]) -> int:
    """Put the jobs of dead workers back into the queue, forget the workers, count the jobs."""
    row = await conn.fetchrow(query("workers.reap"), dead)
    if row is None:  # an aggregate always has a row
        raise AssertionError
    if row["workers"]:
        log.warning("workers_died", count=row["workers"], jobs_recovered=row["jobs"])
    count: int = row["jobs"]
    return count


async def reap_strays(conn: Connection) -> int:
    """Search the whole queue for claims of workers that are long forgotten, count them."""
    return len(await conn.fetch(query("workers.reap_strays")))
