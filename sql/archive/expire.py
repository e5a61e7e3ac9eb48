"""Chunks that are too old: into the archive, and only then dropped.

A chunk is one transaction: it is held against writers, what the archive does not have is written,
the manifest says so, the rows are counted, the chunk is dropped. Whatever is interrupted is done
again: rows that are in the archive are not written twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from core.database import Connection
from core.errors import ArchiveError
from sql import retention
from sql.archive import manifest
from sql.archive.extract import LOT_BYTES, STATEMENT_SECONDS, extract
from sql.archive.layout import TABLES, Table
from sql.archive.manifest import Part
from sql.archive.store import Store
from sql.archive.turn import alone
from sql.archive.verify import check_part
from sql.archive.write import Origin, write_lot
from sql.patience import Patience, patiently
from sql.texts import query

log = structlog.get_logger(__name__)

TRIES: Final = 3
LOCK_SECONDS: Final = 2.0
"""How long a chunk in use is waited for; who comes after us waits as long."""


class Fate(StrEnum):
    """What became of a chunk."""

    DROPPED = "dropped"
    IN_USE = "in use"  # somebody held it: next time
    UNSETTLED = "not settled yet"  # rows may come, or are not rolled up: next time
    REFUSED = "refused"  # the archive cannot be written, or is not sound


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a hypertable.

    Attributes:
        name: With its schema, quoted.
        short_name: Without both.
        since: First moment of its slots.
        until: First moment after them.
    """

    table: Table
    name: str
    short_name: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for a whole run.

    Attributes:
        database: Identity of the database.
        now: The moment it is.
        lock_seconds: How long a chunk that is in use is waited for.
        lot_bytes: How much text is worked on at a time.
    """

    database: UUID
    now: datetime
    lock_seconds: float
    lot_bytes: int

    @property
    def patience(self) -> Patience:
        """How a chunk that is in use is waited for."""
        return Patience(self.lock_seconds, TRIES, self.lock_seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a chunk that is too old.

    Attributes:
        rows: How many it had.
        written: How many of them were new to the archive.
        reason: Why it was refused.
    """

    chunk: Chunk
    fate: Fate
    rows: int = 0
    written: int = 0
    reason: str | None = None


async def find_expired(conn: Connection, now: datetime, keep: timedelta) -> list[Chunk]:
    """Return the chunks of samples and missed slots that are too old, the oldest first."""
    found = [
        Chunk(table, **row)
        for table in TABLES
        for row in await conn.fetch(query("archive.expired"), table.name, now - keep, now)
    ]
    return sorted(found, key=lambda chunk: chunk.since)


async def run(
    conn: Connection,
    store: Store,
    now: datetime,
    keep: timedelta,
    *,
    lock_seconds: float = LOCK_SECONDS,
    lot_bytes: int = LOT_BYTES,
) -> list[Outcome]:
    """Archive and drop the chunks whose last slot is older than `keep`.

    Args:
        conn: Connection, not in a transaction.
        store: Where the archive lies.
        now: The moment it is.
        keep: Age of what stays in the database.
        lock_seconds: How long a chunk that is in use is waited for.
        lot_bytes: How much text is worked on at a time; a few times that is in memory.

    Returns:
        What became of each of them.

    Raises:
        ConflictError: Another process is at it.
        ArchiveError: The archive cannot be written, or is that of another database.
    """
    async with alone(conn):
        await asyncio.to_thread(manifest.create, store)
        database: UUID = await conn.fetchval(query("archive.identity"))
        _check_owner(await asyncio.to_thread(manifest.load, store), database)
        await conn.execute(query("archive.forget_days"), now)
        terms = Terms(database, now, lock_seconds, lot_bytes)
        outcomes = []
        for chunk in await find_expired(conn, now, keep):
            outcomes.append(await _expire(conn, store, chunk, terms))
            _tell(outcomes[-1])
        return outcomes


async def _expire(conn: Connection, store: Store, chunk: Chunk, terms: Terms) -> Outcome:
    if not await retention.is_settled(conn, chunk.until):
        return Outcome(chunk, Fate.UNSETTLED)
    outcome = Outcome(chunk, Fate.IN_USE)
    span = (chunk.since, chunk.until)
    try:
        async with conn.transaction():
            await conn.execute(query("archive.set_up"), f"{terms.lock_seconds * 1000:.0f}ms")
            hold = (query("archive.hold").format(name=chunk.name),)
            await patiently(conn, terms.patience, hold)
            rows, written = await _fill(conn, store, chunk, terms)
            outcome = replace(outcome, rows=rows, written=written)
            await _recount(conn, chunk, rows)
            await conn.execute(query("archive.record"), chunk.name, *span, rows, terms.now)
            await conn.execute(query("retention.note_dropped"), chunk.until)
            drop = (query("retention.drop"), chunk.table.name, *span)
            await patiently(conn, terms.patience, drop)
    except asyncpg.LockNotAvailableError:
        return outcome
    except ArchiveError as error:
        return replace(outcome, fate=Fate.REFUSED, reason=str(error))
    return replace(outcome, fate=Fate.DROPPED)


async def _recount(conn: Connection, chunk: Chunk, rows: int) -> None:
    """Make sure that as many rows were read as there are."""
    text = query(f"archive.count_{chunk.table.folder}")
    count = await conn.fetchval(text, chunk.since, chunk.until, timeout=STATEMENT_SECONDS)
    if count != rows:
        raise ArchiveError(f"{chunk.name} has {count} rows, but {rows} were read")


async def _fill(conn: Connection, store: Store, chunk: Chunk, terms: Terms) -> tuple[int, int]:
    """Bring all rows of a chunk into the archive; return how many it has, how many were new."""
    parts = await asyncio.to_thread(manifest.load, store)
    await asyncio.to_thread(_sweep, store, chunk, parts)
    known = manifest.select(parts, chunk.table, chunk.since, chunk.until)
    for part in known:
        await asyncio.to_thread(check_part, store, part)
    origin = Origin(terms.database, chunk.short_name, terms.now)
    first = 1 + max((part.number for part in known if part.chunk == origin.chunk), default=0)
    lots = await _write_lots(conn, store, chunk, known, origin, first, terms.lot_bytes)
    new = [part for _, parts in lots for part in parts]
    if new:
        await asyncio.to_thread(manifest.add, store, new)
    return sum(rows for rows, _ in lots), sum(part.rows for part in new)


async def _write_lots(
    conn: Connection,
    store: Store,
    chunk: Chunk,
    known: Sequence[Part],
    origin: Origin,
    first: int,
    lot_bytes: int,
) -> list[tuple[int, list[Part]]]:
    """Write lot after lot, one while the next is read; return rows and parts of each."""
    writing: list[asyncio.Task[tuple[int, list[Part]]]] = []

    async def take(text: bytes) -> None:
        await asyncio.gather(*writing)
        number = first + len(writing)
        write = partial(write_lot, store, chunk.table, text, known, origin, number)
        writing.append(asyncio.create_task(asyncio.to_thread(write)))

    try:
        await extract(conn, chunk.table, chunk.since, chunk.until, take, lot_bytes)
        return await asyncio.gather(*writing)
    finally:
        if writing:  # nothing is written any more when somebody else may
            await asyncio.wait(writing)


def _sweep(store: Store, chunk: Chunk, parts: Sequence[Part]) -> None:
    """Remove what an interrupted run left of this chunk; its rows are all in the database still."""
    known = {part.path for part in parts}
    for path in store.find(chunk.table.folder):
        if f"part-{chunk.short_name}-" in path and path not in known:
            store.remove(path)


def _check_owner(parts: Sequence[Part], database: UUID) -> None:
    if any(part.database != database for part in parts):
        raise ArchiveError("this is the archive of another database: choose a place of its own")


def _tell(outcome: Outcome) -> None:
    facts = {
        "chunk": outcome.chunk.short_name,
        "rows": outcome.rows,
        "written": outcome.written,
        "reason": outcome.reason,
    }
    if outcome.fate is Fate.DROPPED:
        log.info("chunk_archived", **facts)
    else:
        log.warning("chunk_kept", fate=outcome.fate, **facts)
