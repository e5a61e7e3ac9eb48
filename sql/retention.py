"""What is kept for how long, and the dropping of what is older: in whole chunks, or not at all.

Samples go by the edge `samples_since`: it moves first, from then on nobody stores anything older,
and only what lies before it is dropped. So no late row brings a chunk back, and nothing is dropped
that is still being written. A chunk of samples stays until it is rolled up for good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog

from core.database import Connection
from core.settings import Settings
from sql import rollups
from sql.patience import Patience, patiently
from sql.samples import SLOTS
from sql.texts import query

log = structlog.get_logger(__name__)

MARGIN: Final = timedelta(hours=1)
"""Between what is refused at the edge and what is not stored: the time to carry out a request."""


PATIENCE: Final = Patience(wait_seconds=0.2, attempts=5, pause_seconds=1.0)


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long what is kept; verdicts and evidence are kept for ever.

    Attributes:
        samples: Samples and missed slots.
        samples_5m: The rollup of five minutes.
        samples_1h: The rollups of an hour, of each service and of the fleet.
        runs: Jobs that are done.
        chunk: Span of one chunk of samples and of missed slots.
        compress_after: Age at which chunks are compressed, where the edition can.
        archived: Whether samples are archived before they are dropped; then only the archive
            drops them.
    """

    samples: timedelta = timedelta(days=30)
    samples_5m: timedelta = timedelta(days=180)
    samples_1h: timedelta = timedelta(days=1826)
    runs: timedelta = timedelta(days=30)
    chunk: timedelta = timedelta(days=7)
    compress_after: timedelta = timedelta(days=7)
    archived: bool = False

    @property
    def tables(self) -> dict[str, timedelta]:
        """How long the rows of each hypertable are kept."""
        return {
            **dict.fromkeys(SLOTS, self.samples),
            rollups.FINE.table: self.samples_5m,
            rollups.COARSE.table: self.samples_1h,
            rollups.FLEET.table: self.samples_1h,
            "job_runs": self.runs,
        }


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a hypertable: its rows of `since` <= time < `until`.

    Attributes:
        bytes: Its size on disk, indexes and all.
    """

    table: str
    since: datetime
    until: datetime
    bytes: int


def choose(settings: Settings) -> Retention:
    """Return what the settings say of retention."""
    return Retention(
        samples=timedelta(days=settings.keep_samples_days),
        samples_5m=timedelta(days=settings.keep_samples_5m_days),
        samples_1h=timedelta(days=settings.keep_samples_1h_days),
        runs=timedelta(days=settings.keep_runs_days),
        chunk=timedelta(days=settings.chunk_days),
        compress_after=timedelta(days=settings.compress_after_days),
        archived=settings.archive_url is not None,
    )


async def expired_chunks(
    conn: Connection, now: datetime, keep: Retention, *tables: str
) -> list[Chunk]:
    """Return the chunks nothing of which is to be kept at `now`, table by table, oldest first.

    Args:
        conn: Connection.
        now: The present.
        keep: For how long what is kept.
        *tables: Look at these only; none: at all.
    """
    return [
        Chunk(table, **row)
        for table in tables or keep.tables
        for row in await conn.fetch(query("retention.chunks"), table, now - keep.tables[table])
    ]


async def mark(conn: Connection, now: datetime, keep: Retention) -> bool:
    """Stop taking samples that are too old at `now`; return whether nobody can write them any more.

    When more is to be kept than before, older ones are taken again, as far back as nothing was
    dropped: of an hour whose samples are gone, a late one would be all that is rolled up.

    Args:
        conn: Connection, outside a transaction.
        now: The present.
        keep: For how long samples are kept.
    """
    since = rollups.floor(now - keep.samples - MARGIN, rollups.HOUR)
    await conn.execute(query("retention.look_for_dropped"))
    await conn.execute(query("retention.mark"), since)
    return await rollups.outlast_writers(conn)


async def heed_archive(conn: Connection, keep: Retention) -> Retention:
    """Return what is kept if the database has an archive, also where nobody told this process.

    A worker that was started without the setting must not drop what the others cannot archive.
    """
    if keep.archived or not await conn.fetchval(query("retention.has_archive")):
        return keep
    log.warning("archive_not_set", reason="samples of this database are archived: none are dropped")
    return replace(keep, archived=True)


async def drop_expired(conn: Connection, now: datetime, keep: Retention) -> list[Chunk]:
    """Drop what is expired, the samples only if they are not archived first; return what went.

    A chunk that is in use, or not rolled up yet, stays until the next time.
    """
    return [
        chunk
        for chunk in await expired_chunks(conn, now, keep)
        if not (keep.archived and chunk.table in SLOTS) and await drop(conn, chunk)
    ]


async def drop(conn: Connection, chunk: Chunk) -> bool:
    """Drop one chunk; return whether it is gone, now or before.

    It stays if it holds samples that are not before `samples_since` or not rolled up, and if
    somebody uses it for as long as we try.
    """
    if chunk.table in SLOTS and not await is_settled(conn, chunk.until):
        log.info("chunk_not_settled", table=chunk.table, since=chunk.since)
        return False
    try:
        statements: list[tuple[object, ...]] = [
            (query("retention.drop"), chunk.table, chunk.since, chunk.until)
        ]
        if chunk.table in SLOTS:
            statements.append((query("retention.note_dropped"), chunk.until))
        await patiently(conn, PATIENCE, *statements)
    except asyncpg.LockNotAvailableError:
        log.warning("chunk_in_use", table=chunk.table, since=chunk.since)
        return False
    log.info("chunk_dropped", table=chunk.table, since=chunk.since, bytes=chunk.bytes)
    return True


async def is_settled(conn: Connection, until: datetime) -> bool:
    """Say whether no sample before `until` is stored any more, and all of them are rolled up."""
    edges = await rollups.read_edges(conn)
    rolled = (edges.rolled_until(rollup) for rollup in (*rollups.ROLLUPS, rollups.FLEET))
    end = min(edges.samples_since, *rolled)
    return until <= end and not await rollups.has_late(conn, until)


async def forget_profiles(conn: Connection, now: datetime, keep: Retention) -> int:
    """Delete profiles no verdict was made with, once their samples are gone; return how many."""
    if keep.archived:  # whoever judges the past again may want them
        return 0
    count: int = await conn.fetchval(query("retention.forget_profiles"), now - keep.samples)
    return count
