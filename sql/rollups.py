"""Samples rolled up into buckets of five minutes and of an hour, for ever equal to the samples.

Each rollup holds every bucket before its edge in `history_edges`; views add the rest from the
samples. An edge moves in three steps, and a crash between any two of them changes nothing:

1. `closed_until` moves. From then on, who writes a slot before it notes the hour in `late_hours`,
   in the same statement.
2. Whoever was writing at that moment, and so may not have seen it, is waited for.
3. The buckets up to there are made of the samples, and the edge moves, in one transaction.

Then the hours that were noted are rolled up again. One process at a time does all this (the lock
`HOUSE`); nobody who writes ever waits for it. Hours of the fleet are made of the hours of its
services, right after them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final
from uuid import UUID

import structlog

from core.database import Connection
from sql import samples
from sql.texts import query

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rollup:
    """One of the tables `samples_<name>`, with buckets of `width`."""

    name: str
    width: timedelta

    @property
    def table(self) -> str:
        """Name of the table."""
        return f"samples_{self.name}"


HOUR: Final = timedelta(hours=1)
FINE: Final = Rollup("5m", timedelta(minutes=5))
COARSE: Final = Rollup("1h", HOUR)
FLEET: Final = Rollup("fleet_1h", HOUR)
ROLLUPS: Final = (FINE, COARSE)
"""Of each service by itself."""

LAG: Final = timedelta(minutes=10)
"""So long after its end a bucket is closed: by then its slots have settled, and few come late."""
PIECE: Final = timedelta(hours=6)
"""Rolled up in one transaction."""
LATE_BATCH: Final = 10_000
PATIENCE_SECONDS: Final = 10.0
"""Writers take milliseconds; one that takes longer makes the roll-up wait for its next time."""
SESSION: Final = {
    # Groups fit into memory, and the machine's other cores are for those who wait for an answer.
    "work_mem": "64MB",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_custom_plan",  # a plan for any span would read all of them
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Edges:
    """How far history is rolled up and retained (see `history_edges`)."""

    samples_since: datetime
    closed_until: datetime
    rolled_5m_until: datetime
    rolled_1h_until: datetime
    rolled_fleet_1h_until: datetime

    def rolled_until(self, rollup: Rollup) -> datetime:
        """Return the end of what a rollup holds."""
        until: datetime = getattr(self, f"rolled_{rollup.name}_until")
        return until


def floor(moment: datetime, width: timedelta) -> datetime:
    """Return the begin of the bucket a moment lies in."""
    epoch = datetime(2000, 1, 3, tzinfo=UTC)  # where time_bucket counts from
    return epoch + (moment - epoch) // width * width


async def read_edges(conn: Connection) -> Edges:
    """Return the edges; those that never moved are before every moment."""
    row = await conn.fetchrow(query("rollups.edges"))
    if row is None:  # the table has one row, always
        raise AssertionError
    return Edges(*(moment.replace(tzinfo=UTC) for moment in row))


async def prepare(conn: Connection) -> None:
    """Set up a session for rolling up."""
    await conn.execute(query("workers.configure"), list(SESSION), list(SESSION.values()))


async def roll(conn: Connection, now: datetime) -> None:
    """Roll up what ended `LAG` before `now`, and again what has changed since it was.

    Args:
        conn: A connection that holds the lock `HOUSE`, outside a transaction.
        now: The present.
    """
    until = floor(now - LAG, FINE.width)
    await conn.execute(query("rollups.close"), until)
    edges = await read_edges(conn)
    if edges.rolled_5m_until < edges.closed_until:
        if not await outlast_writers(conn):
            log.warning("roll_up_waits", reason="somebody has been writing samples for too long")
            return
        for rollup in (*ROLLUPS, FLEET):
            await _extend(conn, rollup, edges)
    await _roll_late(conn)


async def outlast_writers(conn: Connection, patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait until everybody who is writing samples now has finished; return whether they have."""
    give_up_at = time.monotonic() + patience_seconds
    writers = await conn.fetchval(query("rollups.writers"), None)
    while writers and time.monotonic() < give_up_at:
        await asyncio.sleep(0.02)
        writers = await conn.fetchval(query("rollups.writers"), writers)
    return not writers


async def _extend(conn: Connection, rollup: Rollup, edges: Edges) -> None:
    """Roll up what is closed, piece by piece, each with its edge in one transaction."""
    until = floor(edges.closed_until, rollup.width)
    chunks = await samples.list_chunks(conn)
    for since, end in _pieces(chunks, edges.rolled_until(rollup), until):
        async with conn.transaction():
            if rollup is FLEET:
                await conn.execute(query("rollups.roll_fleet"), since, end)
            else:
                text = query("rollups.roll").format(table=rollup.table, only="")
                await conn.execute(text, rollup.width, since, end)
            await conn.execute(query("rollups.advance").format(name=rollup.name), end)
    await conn.execute(query("rollups.advance").format(name=rollup.name), until)


def _pieces(
    chunks: Sequence[tuple[datetime, datetime]], since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the spans of [since, until) in which there may be samples, none over `PIECE`."""
    for begin, end in sorted(chunks):
        since = max(since, floor(begin, HOUR))
        while since < min(end, until):
            following = min(floor(since, PIECE) + PIECE, until)
            yield since, following
            since = following


async def _roll_late(conn: Connection) -> None:
    """Roll up again what late rows have changed; what they noted goes in the same transaction.

    The samples are looked at by later statements than the one that takes the notes, so they hold
    every row whose note was seen; and a chunk is not dropped before its notes are done.
    """
    rows = None
    while rows is None or len(rows) == LATE_BATCH:
        async with conn.transaction():
            rows = await conn.fetch(query("rollups.take_late"), LATE_BATCH)
            edges = await read_edges(conn)
            hours = sorted({tuple(row) for row in rows})
            for (project_id, env), group in groupby(hours, key=lambda hour: hour[:2]):
                for span in _spans(hour_at for _, _, hour_at in group):
                    await _roll_service(conn, edges, project_id, env, *span)
            for since, until in _spans(sorted({hour_at for _, _, hour_at in hours})):
                end = min(until, edges.rolled_until(FLEET))
                for piece in _pieces([(since, until)], since, end):
                    await conn.execute(query("rollups.roll_fleet"), *piece)
        if rows:
            log.info("late_hours_rolled_up", count=len(hours))


async def _roll_service(
    conn: Connection, edges: Edges, project_id: UUID, env: str, since: datetime, until: datetime
) -> None:
    """Roll up hours of one service again, as far as they were."""
    for rollup in ROLLUPS:
        end = min(until, edges.rolled_until(rollup))
        if since < end:
            text = query("rollups.roll").format(
                table=rollup.table, only=query("rollups.of_service")
            )
            await conn.execute(text, rollup.width, since, end, project_id, env)


def _spans(hours: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of every run of consecutive hours, of hours in order."""
    for _, run in groupby(enumerate(hours), key=lambda pair: pair[1] - pair[0] * HOUR):
        span = [moment for _, moment in run]
        yield span[0], span[-1] + HOUR


async def has_late(conn: Connection, until: datetime) -> bool:
    """Say whether something before `until` is still to be rolled up again."""
    found: bool = await conn.fetchval(query("rollups.has_late"), until)
    return found


async def remove(conn: Connection, project_id: UUID) -> None:
    """Remove everything that is rolled up of a project, chunk by chunk."""
    await conn.execute(query("rollups.remove_late"), project_id)
    for rollup in ROLLUPS:
        for since, until in await samples.list_chunks(conn, rollup.table):
            text = query("rollups.remove").format(table=rollup.table)
            await conn.execute(text, project_id, since, until)
