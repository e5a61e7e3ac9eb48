"""Chunks that are too old: into the archive, and only then dropped.

For each chunk: write what the archive does not have (`_fill`), add it to the manifest, then in one
transaction hold the chunk against writers, compare it with what was read, and drop it. Whatever
is interrupted is done again: rows that are in the archive are not written twice, and a chunk that
changed meanwhile is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
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
from sql.archive import manifest
from sql.archive.extract import LOT_ROWS, STATEMENT_SECONDS, Digest, extract, read_digest
from sql.archive.layout import TABLES, Table, cut_into_days
from sql.archive.manifest import Part
from sql.archive.store import Store
from sql.archive.turn import alone
from sql.archive.verify import check_part
from sql.archive.write import Origin, write_new
from sql.texts import query

log = structlog.get_logger(__name__)

TRIES: Final = 3
LOCK_SECONDS: Final = 2.0
"""How long a chunk in use is waited for; who comes after us waits as long."""


class Fate(StrEnum):
    """What became of a chunk."""

    DROPPED = "dropped"
    IN_USE = "in use"  # somebody held it: next time
    CHANGING = "changing"  # rows kept coming: next time
    REFUSED = "refused"  # the archive is not sound


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
        part_rows: A part ends with the service that reaches so many.
    """

    database: UUID
    now: datetime
    lock_seconds: float
    part_rows: int


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
    part_rows: int = LOT_ROWS,
) -> list[Outcome]:
    """Archive and drop the chunks whose last slot is older than `keep`.

    Args:
        conn: Connection, not in a transaction.
        store: Where the archive lies.
        now: The moment it is.
        keep: Age of what stays in the database.
        lock_seconds: How long a chunk that is in use is waited for.
        part_rows: Rows of a file, about; what is in memory at the same time.

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
        terms = Terms(database, now, lock_seconds, part_rows)
        outcomes = []
        for chunk in await find_expired(conn, now, keep):
            outcomes.append(await _expire(conn, store, chunk, terms))
            _tell(outcomes[-1])
        return outcomes


async def _expire(conn: Connection, store: Store, chunk: Chunk, terms: Terms) -> Outcome:
    outcome = Outcome(chunk, Fate.CHANGING)
    try:
        for _ in range(TRIES):
            seen, written = await _fill(conn, store, chunk, terms)
            outcome = replace(outcome, rows=seen.rows, written=outcome.written + written)
            fate = await _drop_patiently(conn, chunk, seen, terms)
            if fate is not Fate.CHANGING:
                return replace(outcome, fate=fate)
    except ArchiveError as error:
        return replace(outcome, fate=Fate.REFUSED, reason=str(error))
    return outcome


async def _fill(conn: Connection, store: Store, chunk: Chunk, terms: Terms) -> tuple[Digest, int]:
    """Bring all rows of a chunk into the archive; return what it had and how many were new."""
    parts = await asyncio.to_thread(manifest.load, store)
    await asyncio.to_thread(_sweep, store, chunk, parts)
    known = manifest.select(parts, chunk.table, chunk.since, chunk.until)
    for part in known:
        await asyncio.to_thread(check_part, store, part)
    seen, written = Digest(), 0
    for since, until in cut_into_days(chunk.since, chunk.until):
        of_day = manifest.select(known, chunk.table, since, until)
        digest, new = await _fill_day(conn, store, chunk, since, until, of_day, terms)
        if new:
            await asyncio.to_thread(manifest.add, store, new)
        seen += digest
        written += sum(part.rows for part in new)
    return seen, written


async def _fill_day(
    conn: Connection,
    store: Store,
    chunk: Chunk,
    since: datetime,
    until: datetime,
    known: Sequence[Part],
    terms: Terms,
) -> tuple[Digest, list[Part]]:
    """Write what the archive does not have of a day; the manifest does not know of it yet."""
    origin = Origin(terms.database, chunk.short_name, terms.now)
    number = max((part.number for part in known if part.chunk == origin.chunk), default=0)
    seen = Digest()
    writing: list[asyncio.Task[Part | None]] = []
    try:
        async with aclosing(extract(conn, chunk.table, since, until, terms.part_rows)) as lots:
            async for rows, digest in lots:
                seen += digest
                number += 1
                await asyncio.gather(*writing)  # one is written while the next one is read
                write = partial(write_new, store, chunk.table, rows, known, origin, number)
                writing.append(asyncio.create_task(asyncio.to_thread(write)))
        return seen, [part for part in await asyncio.gather(*writing) if part is not None]
    finally:
        if writing:  # nothing is written any more when somebody else may
            await asyncio.wait(writing)


def _sweep(store: Store, chunk: Chunk, parts: Sequence[Part]) -> None:
    """Remove what an interrupted run left of this chunk; its rows are all in the database still."""
    known = {part.path for part in parts}
    for path in store.find(chunk.table.folder):
        if f"part-{chunk.short_name}-" in path and path not in known:
            store.remove(path)


async def _drop_patiently(conn: Connection, chunk: Chunk, seen: Digest, terms: Terms) -> Fate:
    for _ in range(TRIES):
        try:
            return await _drop(conn, chunk, seen, terms)
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(terms.lock_seconds)  # let those through who wait behind us
    return Fate.IN_USE


async def _drop(conn: Connection, chunk: Chunk, seen: Digest, terms: Terms) -> Fate:
    """Drop a chunk if it is what it was when it was read; nobody can write to it meanwhile."""
    span = (chunk.since, chunk.until)
    async with conn.transaction():
        await conn.execute(query("archive.wait_at_most"), f"{terms.lock_seconds * 1000:.0f}ms")
        await conn.execute(query("archive.hold").format(name=chunk.name))
        if await read_digest(conn, chunk.table, *span) != seen:
            return Fate.CHANGING
        await conn.execute(query("archive.record"), chunk.name, *span, seen.rows, terms.now)
        text = query("archive.drop")
        dropped = await conn.fetch(text, chunk.table.name, *span, timeout=STATEMENT_SECONDS)
        if len(dropped) != 1:  # another one would go unseen
            raise ArchiveError(f"{chunk.name} cannot be dropped alone")
    return Fate.DROPPED


def _check_owner(parts: Sequence[Part], database: UUID) -> None:
    if any(part.database != database for part in parts):
        raise ArchiveError("this is the archive of another database: choose a place of its own")


def _tell(outcome: Outcome) -> None:
    say = log.info if outcome.fate is Fate.DROPPED else log.warning
    say(
        "chunk_expired",
        chunk=outcome.chunk.short_name,
        fate=outcome.fate,
        rows=outcome.rows,
        written=outcome.written,
        reason=outcome.reason,
    )
