"""A manifest that was lost or damaged is made anew from the files."""

from __future__ import annotations

import json
import random
import shutil
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from core.database import Connection, Pool
from core.errors import ArchiveError
from core.types import Project
from sql.archive import expire, manifest, verify
from sql.archive.expire import Fate
from sql.archive.layout import TABLES
from sql.archive.manifest import MANIFEST
from sql.archive.rebuild import rebuild
from sql.archive.store import Folder
from tests.history import KEEP, NOW, archived, fill, stored


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "archive")


@pytest.fixture
async def before(conn: Connection, project: Project, store: Folder) -> dict[str, pl.DataFrame]:
    """Three days, archived and dropped; what they were."""
    await fill(conn, [project.id, UUID(int=7)], range(3))
    rows = {table.folder: await stored(conn, table) for table in TABLES}
    await expire.run(conn, store, NOW, KEEP)
    return rows


def lines(store: Folder) -> list[str]:
    return sorted((store.root / MANIFEST).read_text().splitlines())


def file_of(store: Folder, pattern: str) -> Path:
    [file] = store.root.glob(pattern)
    return file


async def test_a_lost_manifest_comes_back_as_it_was(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    was = lines(store)
    (store.root / MANIFEST).unlink()
    done = await rebuild(conn, store, NOW + timedelta(days=9))
    assert (done.kept, len(done.added), done.faults) == (0, 6, [])
    assert lines(store) == was
    for table in TABLES:
        assert archived(store.root, table).equals(before[table.folder])
    again = await rebuild(conn, store, NOW)
    assert (again.kept, again.added, again.faults) == (6, [], [])
    assert lines(store) == was


async def test_a_broken_line_is_made_anew_and_the_others_stay(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    """Of a file that has a line nothing is made up: what is damaged stays damaged."""
    was = lines(store)
    (store.root / MANIFEST).write_text("\n".join([was[0][:50], *was[1:]]))
    damaged = store.root / json.loads(was[5])["path"]
    pl.read_parquet(damaged).head(1).write_parquet(damaged)
    done = await rebuild(conn, store, NOW)
    assert (done.kept, len(done.added)) == (5, 1)
    [fault] = done.faults
    assert fault.startswith(f"line 1 of {MANIFEST} cannot be used")
    assert lines(store) == was
    assert (store.root / f"_manifest.{NOW:%Y%m%dT%H%M%S}.jsonl").read_text()[:50] == was[0][:50]
    faults = [fault for _, fault in verify.find_faults(store, manifest.load(store)) if fault]
    assert len(faults) == 1


async def test_what_cannot_be_used_is_named_and_left_out_and_left_there(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    (store.root / MANIFEST).unlink()
    torn = file_of(store, "samples/day=2026-01-01/*")
    torn.write_bytes(torn.read_bytes()[:-20])
    sound = file_of(store, "samples/day=2026-01-02/*")
    foreign = sound.with_name("part-_hyper_1_99_chunk-0001.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(foreign)
    twin = sound.with_name("part-_hyper_1_98_chunk-0001.parquet")
    shutil.copy(sound, twin)
    moved = store.root / "samples/day=2026-02-01"
    moved.mkdir()
    shutil.copy(sound, moved / sound.name)
    file_of(store, "missed/day=2026-01-03/*").unlink()
    done = await rebuild(conn, store, NOW)
    told = "\n".join(done.faults)
    for reason in (
        f"{torn.relative_to(store.root)} is damaged: it cannot be read",
        f"{foreign.relative_to(store.root)} has other columns than it should",
        "has 120 slots that samples/day=2026-01-02/part-",
        f"samples/day=2026-02-01/{sound.name} cannot be used: ",
        "missed of 2026-01-01 .. 2026-01-08: 360 rows were archived, 240 are there",
        "samples of 2026-01-01 .. 2026-01-08: 360 rows were archived, 240 are there",
    ):
        assert reason in told
    assert len(done.faults) == 6
    assert len(done.added) == 4
    assert torn.exists()
    assert foreign.exists()
    assert len(archived(store.root)) == 240


async def test_no_damage_to_a_file_is_more_than_a_fault(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    """Whatever is in a file: it is refused, or its rows have the right types and are of its day."""
    chance = random.Random(3)
    file = file_of(store, "samples/day=2026-01-01/*")
    content = file.read_bytes()
    for _ in range(60):
        changed = bytearray(content)
        for _ in range(chance.choice([1, 1, 5])):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        file.write_bytes(changed[: chance.choice([len(changed), chance.randrange(len(changed))])])
        (store.root / MANIFEST).unlink()
        done = await rebuild(conn, store, NOW)
        assert len(done.added) == 6 - len([each for each in done.faults if "day=" in each])


async def test_the_archive_of_another_database_is_not_taken(
    conn: Connection, store: Folder, before: dict[str, pl.DataFrame]
) -> None:
    was = lines(store)
    await conn.execute("UPDATE archive_identity SET id = gen_random_uuid()")
    with pytest.raises(ArchiveError, match="another database"):
        await rebuild(conn, store, NOW)
    assert lines(store) == was
    (store.root / MANIFEST).unlink()
    done = await rebuild(conn, store, NOW)
    assert done.added == []
    assert len([fault for fault in done.faults if "is of another database" in fault]) == 6


async def test_what_a_run_had_written_before_it_died_is_taken_in(
    conn: Connection, pool: Pool, project: Project, store: Folder
) -> None:
    """The next run finds its rows in the archive and drops them."""
    await fill(conn, [project.id], [0, 1])
    rows = await stored(conn)
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("LOCK TABLE metric_samples, missed_slots IN ACCESS SHARE MODE")
        await expire.run(conn, store, NOW, KEEP, lock_seconds=0.01)
    (store.root / MANIFEST).write_text("")
    assert len((await rebuild(conn, store, NOW)).added) == 4
    outcomes = await expire.run(conn, store, NOW, KEEP)
    assert [(each.fate, each.written) for each in outcomes] == [(Fate.DROPPED, 0)] * 2
    assert archived(store.root).equals(rows)
