"""Days of the archive back into the database, for a while."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from core.database import Connection
from core.errors import InvalidInputError, NotFoundError
from sql.archive import manifest
from sql.archive.extract import STATEMENT_SECONDS
from sql.archive.layout import Table
from sql.archive.store import Store
from sql.archive.turn import alone
from sql.archive.verify import read_part
from sql.texts import query

_MOMENT = "%Y-%m-%dT%H:%M:%S%.6fZ"


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of the rows of days.

    Attributes:
        rows: In the archive.
        stored: New to the database; the others were there, or their project is gone.
    """

    rows: int = 0
    stored: int = 0


async def restore(
    conn: Connection, store: Store, first: date, last: date, keep_until: datetime
) -> Restored:
    """Bring days back; those that are there already stay as they are.

    Every file is a transaction. The days are not dropped before `keep_until`, and then without
    being written again. Rows of projects that were deleted meanwhile do not come back.

    Args:
        conn: Connection, not in a transaction.
        store: The archive.
        first: First day, UTC.
        last: Last day, UTC.
        keep_until: How long they stay.

    Raises:
        InvalidInputError: The last day is before the first one.
        NotFoundError: The archive has nothing of these days.
        ConflictError: Another process changes the archive.
        ArchiveError: The archive cannot be read; the text names the file.
    """
    if last < first:
        raise InvalidInputError("the last day is before the first one")
    async with alone(conn):
        parts = await asyncio.to_thread(manifest.load, store)
        chosen = [part for part in parts if first <= part.day <= last]
        if not chosen:
            raise NotFoundError("the archive has nothing of these days")
        days = {part.day for part in chosen}
        await conn.execute(query("archive.keep_days"), days, keep_until)
        done = Restored()
        for part in chosen:
            rows = await asyncio.to_thread(read_part, store, part)
            stored = await _take_in(conn, part.table, rows)
            done = Restored(done.rows + len(rows), done.stored + stored)
        return done


async def _take_in(conn: Connection, table: Table, rows: pl.DataFrame) -> int:
    text = await asyncio.to_thread(_as_csv, rows.select(table.schema.names()))
    async with conn.transaction():
        await conn.execute(query(f"archive.prepare_{table.folder}"))
        await conn.copy_to_table(
            f"restored_{table.folder}",
            source=text,
            columns=table.schema.names(),
            format="csv",
            timeout=STATEMENT_SECONDS,
        )
        done = await conn.execute(
            query(f"archive.take_in_{table.folder}"), timeout=STATEMENT_SECONDS
        )
    return int(done.rpartition(" ")[2])


def _as_csv(rows: pl.DataFrame) -> io.BytesIO:
    text = io.BytesIO()
    rows.write_csv(text, include_header=False, datetime_format=_MOMENT)
    text.seek(0)
    return text
