"""What workers do for each other: notice the dead, put their jobs back, drop old history.

Leadership is not held but won anew at every tick, by a lock that ends with the statement: a leader
that is stopped or hangs cannot keep the others from doing it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from core.database import DATABASE_ERRORS, Connection, connect
from core.errors import DatabaseError
from sql import locks
from sql.texts import query

log = structlog.get_logger(__name__)

KEEP_RUNS_DAYS: Final = 30
HOUSE_SECONDS: Final = 3600.0


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


async def keep_house_regularly(url: str, pause_seconds: float = HOUSE_SECONDS) -> None:
    """Keep house now and then, for ever, whatever becomes of the worker's own connection."""
    while True:
        await asyncio.sleep(pause_seconds)
        await keep_house(url)


async def keep_house(url: str) -> None:
    """Do the slow, rare things, unless somebody else is at it, on a connection of its own.

    What fails is tried again next time.
    """
    try:
        conn = await connect(url, application="seqpulse upkeep", command_timeout=600)
        try:
            if await conn.fetchval(query("locks.try_lock"), locks.LEADER, locks.HOUSE):
                await reap_strays(conn)
                await drop_old_runs(conn)
        finally:
            await conn.close()
    except (*DATABASE_ERRORS, DatabaseError) as error:
        log.warning("upkeep_failed", error=str(error) or type(error).__name__)


async def reap_strays(conn: Connection) -> int:
    """Search the whole queue for claims of workers that are long forgotten, count them."""
    return len(await conn.fetch(query("workers.reap_strays")))


async def drop_old_runs(conn: Connection) -> int:
    """Drop history older than `KEEP_RUNS_DAYS`, in whole chunks, and return how many."""
    return len(await conn.fetch(query("workers.drop_old_runs"), KEEP_RUNS_DAYS))
