"""Chunks that expire: into the archive row by row, and dropped only then."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import duckdb
import polars as pl
import pytest

from core.database import Connection, Pool, connect
from core.errors import ArchiveError, ConflictError
from core.types import METRICS, Project
from scheduler import house
from sql import archive, locks, rollups
from sql.archive import expire, manifest
from sql.archive.expire import Fate, Outcome
from sql.archive.extract import extract, shape
from sql.archive.layout import KEY, SAMPLES, TABLES
from sql.archive.store import Folder, Store
from sql.retention import Retention
from sql.texts import query
from tests.history import KEEP, NOW, START, archived, fill, stored

OTHER = UUID(int=7)


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "archive")


async def run(conn: Connection, store: Store, lock_seconds: float = 2) -> list[Outcome]:
    return await expire.run(conn, store, NOW, KEEP, lock_seconds=lock_seconds)


def fates(outcomes: list[Outcome]) -> list[str]:
    return [outcome.fate.value for outcome in outcomes]


def parts_of(store: Store) -> list[str]:
    return [part.path for part in manifest.load(store)]


async def test_every_row_is_in_the_archive_exactly_as_it_was_and_gone_from_the_table(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id, OTHER], range(7))
    before = {table.folder: await stored(conn, table) for table in TABLES}
    outcomes = await run(conn, store)
    assert [(each.fate, each.rows, each.written) for each in outcomes] == [
        (Fate.DROPPED, 7 * 20 * 6, 7 * 20 * 6)
    ] * 2
    for table in TABLES:
        assert archived(store.root, table).equals(before[table.folder])
        assert (await stored(conn, table)).is_empty()
    rows = await conn.fetch("SELECT * FROM archived_chunks ORDER BY chunk")
    assert [(row["rows"], row["range_start"]) for row in rows] == [(840, START)] * 2


async def test_only_chunks_whose_last_slot_is_too_old_are_touched(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0, 7])
    assert await expire.run(conn, store, NOW - timedelta(microseconds=1), KEEP) == []
    assert fates(await run(conn, store)) == ["dropped", "dropped"]
    left = await stored(conn)
    assert left["slot_at"].min() == START + timedelta(days=7)
    assert len(left) == 60


async def test_housekeeping_archives_before_it_drops(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0, 36], settled=False)
    before = await stored(conn)
    assert fates(await run(conn, store)) == ["not settled yet", "not settled yet"]
    rules = house.Rules(Retention(archived=True), archive=str(store.root))
    await rollups.prepare(conn)
    await rollups.roll(conn, NOW + timedelta(days=1))
    assert fates(await house.tidy(conn, NOW + timedelta(days=1), rules)) == ["dropped", "dropped"]
    assert pl.concat([archived(store.root), await stored(conn)]).sort(KEY).equals(before)
    assert len(archived(store.root)) == 60


async def test_files_are_what_the_manifest_says(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id, OTHER], [0, 1])
    await run(conn, store)
    lines = [json.loads(line) for line in (store.root / "_manifest.jsonl").read_text().splitlines()]
    assert {line["path"] for line in lines} == {
        path.relative_to(store.root).as_posix() for path in store.root.rglob("*.parquet")
    }
    for line in lines:
        day = re.fullmatch(
            r"(samples|missed)/day=(2026-01-0[12])/part-\w+-\d{4}\.parquet", line["path"]
        )
        assert day is not None
        content = (store.root / line["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == line["sha256"]
        assert len(content) == line["bytes"]
        rows = pl.read_parquet(content)
        assert len(rows) == line["rows"] == 120
        assert rows["slot_at"].dt.date().cast(str).unique().to_list() == [day[2]]
        assert rows["project_id"].is_sorted()
        step = pl.col("slot_at").diff().dt.total_microseconds().min()
        assert (
            rows.group_by("project_id", "env").agg(step).filter(pl.col("slot_at") <= 0).is_empty()
        )
        assert pl.read_parquet_metadata(content)["seqpulse.version"] == "1"


async def test_duckdb_reads_the_same_numbers(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id, OTHER], range(3))
    before = await stored(conn)
    await run(conn, store)
    glob = f"{store.root}/samples/day=*/part-*.parquet"
    reader = duckdb.connect()
    reader.execute("SET timezone = 'UTC'")
    columns = ", ".join(SAMPLES.schema)
    rows = reader.execute(
        f"SELECT {columns} FROM read_parquet('{glob}', hive_partitioning=true) "
        "WHERE day = DATE '2026-01-02'"
    ).fetchall()
    told = pl.DataFrame(rows, SAMPLES.schema, orient="row").sort(KEY)
    day = before.filter(pl.col("slot_at").dt.date() == START.date() + timedelta(days=1))
    assert told.equals(day)
    kinds = dict(
        reader.execute(
            f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet('{glob}'))"
        ).fetchall()
    )
    assert kinds["slot_at"] == "TIMESTAMP WITH TIME ZONE"
    assert {kinds[name] for name in METRICS} == {"DOUBLE"}
    assert kinds["project_id"] == kinds["extra"] == "VARCHAR"
    assert kinds["sequence_index"] == "SMALLINT"


async def test_a_second_run_has_nothing_to_do(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    await run(conn, store)
    before = parts_of(store)
    assert await run(conn, store) == []
    assert parts_of(store) == before


@pytest.mark.parametrize("lot_bytes", [1, 5_000, 50_000_000])
async def test_rows_come_in_lots_of_bounded_size_and_all_of_them(
    conn: Connection, store: Folder, lot_bytes: int
) -> None:
    await fill(conn, [UUID(int=place) for place in range(8)], range(7), slots=24)
    before = await stored(conn)
    lots: list[bytes] = []

    async def take(text: bytes) -> None:
        lots.append(text)

    async with conn.transaction():
        await conn.execute(query("archive.set_up"), "1s")
        await extract(conn, SAMPLES, START, START + timedelta(days=7), take, lot_bytes)
    received = 300_000  # bytes of the driver, at most, beyond what was asked for
    assert all(len(lot) < lot_bytes + received for lot in lots)
    assert (len(lots) == 1) == (lot_bytes > received)
    assert pl.concat([shape(SAMPLES, lot) for lot in lots]).sort(KEY).equals(before)
    outcomes = await expire.run(conn, store, NOW, KEEP, lot_bytes=lot_bytes)
    assert fates(outcomes) == ["dropped", "dropped"]
    assert archived(store.root).equals(before)


async def test_a_role_that_wants_rounded_numbers_does_not_get_them(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    before = await stored(conn)
    await conn.execute("SET extra_float_digits = 0; SET bytea_output = 'escape'")
    await conn.execute("SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'")
    assert fates(await run(conn, store)) == ["dropped", "dropped"]
    assert archived(store.root).equals(before)


async def test_parts_of_a_later_run_take_nobody_elses_place(
    conn: Connection, pool: Pool, project: Project, store: Folder
) -> None:
    await fill(conn, [OTHER], [0], slots=1)
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("LOCK TABLE metric_samples, missed_slots IN ACCESS SHARE MODE")
        for projects in ([OTHER], [UUID(int=50)], [UUID(int=15)]):
            await fill(conn, projects, [0], slots=1)
            await expire.run(conn, store, NOW, KEEP, lock_seconds=0.01, lot_bytes=1_000)
            parts = manifest.load(store)
            assert len({part.path for part in parts}) == len(parts)
    before = await stored(conn)
    assert fates(await run(conn, store)) == ["dropped", "dropped"]
    assert archived(store.root).equals(before)
    assert len(before) == 9
    assert len([path for path in parts_of(store) if path.startswith("samples/")]) == 3


class Busy(Folder):
    """A folder during whose first writes something happens."""

    def __init__(self, root: Path, happen: Callable[[], Awaitable[object]], times: int) -> None:
        super().__init__(root)
        self.__dict__["left"] = times
        self.__dict__["happen"] = happen
        self.__dict__["loop"] = asyncio.get_running_loop()

    __slots__ = ("__dict__",)

    def write(self, path: str, content: bytes) -> None:
        super().write(path, content)
        if path.startswith("samples/") and self.__dict__["left"]:
            self.__dict__["left"] -= 1
            happening = self.__dict__["happen"]()
            asyncio.run_coroutine_threadsafe(happening, self.__dict__["loop"]).result(10)


async def test_nobody_adds_a_row_between_reading_and_dropping(
    conn: Connection, pool: Pool, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    before = await stored(conn)
    refused: list[bool] = []

    async def add() -> None:
        await writer.execute("SET lock_timeout = '50ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await fill(writer, [OTHER], [0])
        refused.append(True)

    async with pool.acquire() as writer:
        outcomes = await run(conn, Busy(store.root, add, times=1))
        assert fates(outcomes) == ["dropped", "dropped"]
        assert refused == [True]
        assert archived(store.root).equals(before)
        await fill(writer, [OTHER], [0])  # into a new chunk: in its turn
    both = pl.concat([before, await stored(conn)]).sort(KEY)
    assert set(fates(await run(conn, store))) == {"dropped"}
    assert archived(store.root).equals(both)


async def test_slots_of_today_are_stored_while_a_chunk_is_archived(
    conn: Connection, pool: Pool, project: Project, store: Folder
) -> None:
    """However long an upload takes."""
    await fill(conn, [project.id], [0, 37])
    stored_meanwhile: list[bool] = []

    async def add() -> None:
        await writer.execute("SET lock_timeout = '50ms'")
        await fill(writer, [OTHER], [37])  # into a chunk that is there
        await fill(writer, [OTHER], [47])  # and into a new one
        stored_meanwhile.append(True)

    async with pool.acquire() as writer:
        outcomes = await run(conn, Busy(store.root, add, times=1))
    assert fates(outcomes) == ["dropped", "dropped"]
    assert stored_meanwhile == [True]
    assert len(await stored(conn)) == 180


async def test_rows_that_are_not_committed_yet_are_waited_for(
    conn: Connection, pool: Pool, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    async with pool.acquire() as writer:
        transaction = writer.transaction()
        await transaction.start()
        await fill(writer, [OTHER], [1])
        assert fates(await run(conn, store, lock_seconds=0.05)) == ["in use", "in use"]
        await transaction.commit()
    before = await stored(conn)
    assert len(before) == 120
    assert fates(await run(conn, store)) == ["dropped", "dropped"]
    assert archived(store.root).equals(before)


async def test_readers_are_not_kept_out(
    conn: Connection, pool: Pool, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    async with pool.acquire() as reader, reader.transaction():
        await reader.fetchval("SELECT count(*) FROM metric_samples")  # holds it until the end
        first, second = await run(conn, store, lock_seconds=0.05)
        assert (first.fate, second.fate) == (Fate.IN_USE, Fate.DROPPED)
        assert await reader.fetchval("SELECT count(*) FROM metric_samples") == 60
    assert fates(await run(conn, store)) == ["dropped"]


async def test_two_runs_do_not_meet(
    conn: Connection, database_url: str, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    other = await connect(database_url)
    await other.fetchval("SELECT pg_advisory_lock($1, $2)", locks.LEADER, locks.ARCHIVE)
    with pytest.raises(ConflictError, match="another process"):
        await run(conn, store)
    await other.close()
    assert fates(await run(conn, store)) == ["dropped", "dropped"]
    assert await conn.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


async def interrupted(conn: Connection, pool: Pool, store: Folder) -> pl.DataFrame:
    """Write all there is, but drop nothing; return the rows."""
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("LOCK TABLE metric_samples, missed_slots IN ACCESS SHARE MODE")
        assert fates(await run(conn, store, lock_seconds=0.01)) == ["in use", "in use"]
    return await stored(conn)


@pytest.mark.parametrize("damage", ["bit", "cut", "gone", "other"])
async def test_a_damaged_part_is_named_and_nothing_is_dropped(
    conn: Connection, pool: Pool, project: Project, store: Folder, damage: str
) -> None:
    await fill(conn, [project.id], [0, 1])
    before = await interrupted(conn, pool, store)
    path = next(path for path in parts_of(store) if path.startswith("samples/day=2026-01-02"))
    file = store.root / path
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        others = {"bit": changed, "cut": content[:-9], "other": b"PAR1"}
        file.write_bytes(others[damage])
    first, second = await run(conn, store)
    assert (first.fate, second.fate) == (Fate.REFUSED, Fate.DROPPED)
    assert first.reason is not None
    assert path in first.reason
    assert (await stored(conn)).equals(before)
    file.write_bytes(content)
    assert fates(await run(conn, store)) == ["dropped"]
    assert archived(store.root).equals(before)


async def test_a_slot_with_two_values_is_refused_and_neither_is_lost(
    conn: Connection, pool: Pool, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    before = await interrupted(conn, pool, store)
    await conn.execute("UPDATE metric_samples SET cpu_usage = 0.123 WHERE env = 'prod'")
    first, _ = await run(conn, store)
    assert first.fate is Fate.REFUSED
    assert first.reason is not None
    assert "other values than the database for 20 slots" in first.reason
    assert len(await stored(conn)) == 60
    assert archived(store.root).equals(before)


async def test_remnants_of_a_run_that_died_are_cleared_away(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    before = await stored(conn)
    [chunk] = await conn.fetch("SELECT show_chunks('metric_samples')::text AS name")
    name = chunk["name"].partition(".")[2]
    folder = store.root / "samples/day=2026-01-03"
    folder.mkdir(parents=True)
    remnants = [folder / f"part-{name}-0001.parquet", folder / f".part-{name}-0002.parquet.draft"]
    foreign = folder / f"part-{name}1-0001.parquet"
    manifest_file = store.root / "_manifest.jsonl"
    manifest_file.touch()
    for file in (*remnants, foreign):
        file.write_bytes(b"half")
    assert fates(await run(conn, store)) == ["dropped", "dropped"]
    assert [file.exists() for file in (*remnants, foreign)] == [False, False, True]
    assert archived(store.root).equals(before)


async def test_an_archive_without_its_manifest_is_not_begun_anew(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    await run(conn, store)
    (store.root / "_manifest.jsonl").unlink()
    await fill(conn, [project.id], [1])
    with pytest.raises(ArchiveError, match=r"no _manifest\.jsonl"):
        await run(conn, store)
    with pytest.raises(ArchiveError, match="there is no archive"):
        archived(store.root)
    assert len(await stored(conn)) == 60


async def test_the_archive_of_another_database_is_left_alone(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], [0])
    await run(conn, store)
    before = parts_of(store)
    await conn.execute("UPDATE archive_identity SET id = gen_random_uuid()")
    await fill(conn, [project.id], [1])
    with pytest.raises(ArchiveError, match="another database"):
        await run(conn, store)
    assert parts_of(store) == before
    assert len(await stored(conn)) == 60


@pytest.mark.parametrize("place", ["/proc/archive", "/dev/null/archive"])
async def test_a_folder_that_cannot_be_written_is_one_clear_error(
    conn: Connection, project: Project, place: str
) -> None:
    await fill(conn, [project.id], [0])
    with pytest.raises(ArchiveError, match=r"_manifest\.jsonl cannot be"):
        await run(conn, Folder(Path(place)))
    assert len(await stored(conn)) == 60


async def test_chunks_that_share_a_day_share_its_folder(
    conn: Connection, project: Project, store: Folder
) -> None:
    await conn.execute("SELECT set_chunk_time_interval('metric_samples', interval '5 hours')")
    await fill(conn, [project.id], [0, 1])
    before = await stored(conn)
    outcomes = await run(conn, store)
    assert set(fates(outcomes)) == {"dropped"}
    assert len(outcomes) > 8
    assert archived(store.root).equals(before)


async def test_scan_opens_only_what_may_have_the_rows(
    conn: Connection, project: Project, store: Folder
) -> None:
    await fill(conn, [project.id], range(4))
    before = await stored(conn)
    await run(conn, store)
    for path in parts_of(store):
        if "day=2026-01-02" not in path and "day=2026-01-03" not in path:
            (store.root / path).unlink()
    since, until = START + timedelta(days=1, hours=3), START + timedelta(days=2, hours=2)
    for table in TABLES:
        rows = archive.scan(str(store.root), table, since, until).collect()
        assert rows.schema == table.schema
        assert (rows["slot_at"].min(), len(rows)) == (since + timedelta(microseconds=3), 19 * 3 - 0)
    rows = archive.scan(str(store.root), SAMPLES, since, until).collect()
    assert rows.sort(KEY).equals(before.filter(pl.col("slot_at").is_between(since, until, "left")))
    none = archive.scan(str(store.root), until=START)
    assert none.collect_schema() == SAMPLES.schema
    assert none.collect().is_empty()
