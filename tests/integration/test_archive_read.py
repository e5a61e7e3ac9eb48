"""Database and archive read as one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from core.database import Connection, Pool
from core.types import Project
from sql.archive import expire, scan_all
from sql.archive.layout import KEY, TABLES, Table
from sql.archive.store import Folder
from tests.history import KEEP, NOW, START, fill, stored

OTHER = UUID(int=7)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "archive")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.folder)
async def test_every_row_comes_once_wherever_it_is(
    conn: Connection, pool: Pool, project: Project, store: Folder, table: Table
) -> None:
    """A chunk that is archived and gone, one that is in both places, one that is only hot."""
    await fill(conn, [project.id, OTHER], [0, 6, 7, 8, 14])
    before = await stored(conn, table)
    await expire.run(conn, store, NOW, KEEP)
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("LOCK TABLE metric_samples, missed_slots IN ACCESS SHARE MODE")
        await expire.run(conn, store, NOW + 7 * DAY, KEEP, lock_seconds=0.01)
    assert len(await stored(conn, table)) < len(before)
    rows = (await scan_all(conn, str(store.root), table)).collect().sort(KEY)
    assert rows.equals(before)
    some = await scan_all(
        conn, str(store.root), table, START + 6 * DAY, START + 8 * DAY, project_id=OTHER
    )
    wanted = before.filter(
        pl.col("project_id") == str(OTHER),
        pl.col("slot_at") >= START + 6 * DAY,
        pl.col("slot_at") < START + 8 * DAY,
    )
    assert len(wanted) == 120
    assert some.collect().sort(KEY).equals(wanted)
    assert some.filter(pl.col("env") == "prod").select("slot_at").collect().height == 40
