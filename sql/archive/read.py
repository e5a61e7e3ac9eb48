"""History as one lazy frame: the archive alone, or together with what is still in the database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import polars as pl

from core.database import Connection
from sql.archive import manifest
from sql.archive.extract import extract, shape
from sql.archive.layout import KEY, SAMPLES, Table
from sql.archive.store import open_store
from sql.texts import query

BEGIN: Final = datetime.min.replace(tzinfo=UTC)
END: Final = datetime.max.replace(tzinfo=UTC)
WAIT: Final = "10s"
"""How long a table somebody changes is waited for."""


def scan(
    place: str,
    table: Table = SAMPLES,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.LazyFrame:
    """Return the rows of the archive with `since` <= slot_at < `until`.

    Only files that may have such rows are opened; what else is filtered (a project, a metric) is
    pushed down into them. No slot comes twice.

    Args:
        place: Folder or URL of the archive.
        table: `SAMPLES` or `MISSED`.
        since: First moment; None: from the beginning.
        until: First moment after it; None: to the end.

    Returns:
        Columns of `table.schema`, in no order: moments in UTC, ids as text.

    Raises:
        ArchiveError: There is no archive, or its manifest cannot be read.
    """
    store = open_store(place)
    parts = manifest.select(manifest.load(store), table, since, until)
    if not parts:
        return table.schema.to_frame().lazy()
    sources = store.sources([part.path for part in parts])
    rows = pl.scan_parquet(sources, glob=False, hive_partitioning=False)
    if since is not None:
        rows = rows.filter(pl.col("slot_at") >= since)
    if until is not None:
        rows = rows.filter(pl.col("slot_at") < until)
    return rows


async def scan_all(
    conn: Connection,
    place: str,
    table: Table = SAMPLES,
    since: datetime | None = None,
    until: datetime | None = None,
    project_id: UUID | None = None,
) -> pl.LazyFrame:
    """Return the rows of database and archive as one, each slot once; as `scan` in all else.

    What the database has is read at once and held in memory (about 120 bytes a row), so say what is
    wanted of it; files are read when the frame is collected.

    Args:
        conn: Connection, not in a transaction.
        place: As for `scan`.
        table: As for `scan`.
        since: As for `scan`.
        until: As for `scan`.
        project_id: Only this project; None: all.

    Raises:
        ArchiveError: There is no archive, or its manifest cannot be read.
    """
    # In this order: what is archived and dropped meanwhile is in the manifest then.
    hot = await _read_hot(conn, table, since or BEGIN, until or END, project_id)
    cold = await asyncio.to_thread(scan, place, table, since, until)
    if project_id is not None:
        cold = cold.filter(pl.col("project_id") == str(project_id))
    return pl.concat([hot, cold.join(hot.select(KEY), on=KEY, how="anti")])


async def _read_hot(
    conn: Connection, table: Table, since: datetime, until: datetime, project_id: UUID | None
) -> pl.LazyFrame:
    lots = [table.schema.to_frame()]

    async def take(text: bytes) -> None:
        lots.append(await asyncio.to_thread(shape, table, text))

    async with conn.transaction():
        await conn.execute(query("archive.set_up"), WAIT)
        await extract(conn, table, since, until, take, project_id=project_id)
    return pl.concat(lots).lazy()
