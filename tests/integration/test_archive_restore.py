"""Days brought back from the archive, a store behind a URL, and manifests nobody should trust."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from core.database import Connection
from core.errors import ArchiveError, InvalidInputError, NotFoundError
from core.types import Project
from scheduler import house, removal
from sql import retention, rollups
from sql.archive import expire, manifest, verify
from sql.archive.layout import TABLES
from sql.archive.restore import Restored, restore
from sql.archive.store import Bucket, Folder, open_store
from sql.retention import Retention
from tests.history import KEEP, NOW, SETTLE, START, archived, fill, stored

DAY = date(2026, 1, 1)
LATER = NOW + timedelta(days=7)


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "archive")


@pytest.fixture
async def before(conn: Connection, project: Project, store: Folder) -> dict[str, pl.DataFrame]:
    """Three days, archived and dropped; what they were."""
    await fill(conn, [project.id], range(3))
    rows = {table.folder: await stored(conn, table) for table in TABLES}
    await expire.run(conn, store, NOW, KEEP)
    return rows


async def test_restored_rows_are_what_they_were_and_come_once(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    both = (DAY, DAY + timedelta(days=1))
    assert await restore(conn, store, *both, LATER) == Restored(240, 240)
    assert await restore(conn, store, *both, LATER) == Restored(240, 0)
    for table in TABLES:
        days = pl.col("slot_at") < START + timedelta(days=2)
        assert (await stored(conn, table)).equals(before[table.folder].filter(days))


async def test_restored_days_stay_for_a_while_and_are_not_written_again(
    conn: Connection, project: Project, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    parts = manifest.load(store)
    await restore(conn, store, DAY, DAY, LATER)
    await restore(conn, store, DAY, DAY, LATER - timedelta(days=3))  # takes nothing back
    assert await expire.run(conn, store, LATER - timedelta(seconds=1), KEEP) == []
    await fill(conn, [project.id], [5])  # beside the restored day, in its chunk
    outcomes = await expire.run(conn, store, LATER, KEEP)
    assert [(each.fate, each.rows, each.written) for each in outcomes] == [
        (expire.Fate.DROPPED, 120, 60)
    ] * 2
    assert [part for part in manifest.load(store) if part.day != DAY + timedelta(days=5)] == parts
    assert await conn.fetchval("SELECT count(*) FROM restored_days") == 0
    day = pl.col("slot_at") < START + timedelta(days=5)
    for table in TABLES:
        assert archived(store.root, table).filter(day).equals(before[table.folder])


async def test_who_does_not_know_of_the_archive_drops_no_samples(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame], project: Project
) -> None:
    await fill(conn, [project.id], [8, 9])  # the next chunk
    later = NOW + timedelta(days=8)
    await conn.execute(SETTLE)
    assert await house.tidy(conn, later, house.Rules()) == []
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 120
    assert (
        await conn.fetchval(
            "SELECT count(*) FROM timescaledb_information.jobs "
            "WHERE proc_name = 'policy_retention' AND hypertable_name = 'metric_samples'"
        )
        == 0
    )  # nor does the Community edition by itself
    await conn.execute("DELETE FROM archived_chunks")  # it is given up
    await conn.execute(SETTLE)
    assert await house.tidy(conn, later, house.Rules()) == []
    # The Community edition leaves it to the server, whose clock is the real one.
    await retention.drop_expired(conn, later, house.Rules().retention)
    assert await conn.fetchval("SELECT count(*) FROM metric_samples") == 0


async def test_restored_days_do_not_hide_what_was_dropped(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    await restore(conn, store, DAY, DAY, LATER)
    forever = Retention(samples=timedelta(days=3000), archived=True)
    assert await retention.mark(conn, NOW, forever)
    edges = await rollups.read_edges(conn)
    assert edges.samples_since >= START + timedelta(days=7)


async def test_a_row_that_is_there_is_not_overwritten(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame], project: Project
) -> None:
    slot = before["samples"].item(0, "slot_at")
    env = before["samples"].item(0, "env")
    await conn.execute(
        "INSERT INTO metric_samples (slot_at, project_id, env, cpu_usage) VALUES ($1, $2, $3, 0.9)",
        slot, project.id, env,
    )  # fmt: skip
    assert await restore(conn, store, DAY, DAY, LATER) == Restored(120, 119)
    [row] = await conn.fetch(
        "SELECT cpu_usage FROM metric_samples WHERE slot_at = $1 AND env = $2", slot, env
    )
    assert row["cpu_usage"] == 0.9


async def test_rows_of_a_deleted_project_do_not_come_back(
    conn: Connection, project: Project, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    await removal.delete(conn, project.id)
    assert await restore(conn, store, DAY, DAY, LATER) == Restored(120, 0)


async def test_what_cannot_be_restored_is_said(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    with pytest.raises(NotFoundError, match="nothing of these days"):
        await restore(conn, store, date(2025, 1, 1), date(2025, 12, 31), LATER)
    with pytest.raises(InvalidInputError, match="before the first"):
        await restore(conn, store, DAY, DAY - timedelta(days=1), LATER)
    part = manifest.load(store)[0]
    (store.root / part.path).write_bytes(b"PAR1 and more")
    with pytest.raises(ArchiveError, match=part.path):
        await restore(conn, store, DAY, DAY, LATER)
    assert (await stored(conn)).is_empty()


async def test_an_object_store_serves_as_well_as_a_folder(
    conn: Connection, project: Project
) -> None:
    await fill(conn, [project.id], [0, 1])
    before = await stored(conn)
    store = open_store(f"memory://{project.id}/archive")
    assert isinstance(store, Bucket)
    outcomes = await expire.run(conn, store, NOW, KEEP)
    assert {each.fate for each in outcomes} == {expire.Fate.DROPPED}
    parts = manifest.load(store)
    assert verify.find_strays(store, parts) == []
    assert [fault for _, fault in verify.find_faults(store, parts)] == [None] * 4
    assert archived(str(store)).equals(before)
    assert await restore(conn, store, DAY, DAY + timedelta(days=1), LATER) == Restored(240, 240)
    outcomes = await expire.run(conn, store, LATER, KEEP)
    assert {each.fate for each in outcomes} == {expire.Fate.DROPPED}
    assert manifest.load(store) == parts
    store.remove(parts[0].path)
    store.write("samples/day=2026-01-09/part-x-0001.parquet", b"stray")
    assert next(verify.find_faults(store, parts)) == (parts[0], f"{parts[0].path} is missing")
    assert verify.find_strays(store, parts) == ["samples/day=2026-01-09/part-x-0001.parquet"]
    with pytest.raises(ArchiveError, match="is missing"):
        archived(str(store))


async def test_other_rows_than_the_manifest_says_are_a_fault(
    store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    file = store.root / manifest.MANIFEST
    file.write_text(file.read_text().replace('"rows":60', '"rows":61', 1))
    faults = [fault for _, fault in verify.find_faults(store, manifest.load(store)) if fault]
    assert faults == [f"{manifest.load(store)[0].path} has other rows than the manifest says"]
