"""Weeks in a minute: samples come, late ones too, what is old goes into the archive, and the worker
is killed again and again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from core import processes
from core.database import Connection
from core.secrets import Vault
from core.types import METRICS, Project
from sql import edition, projects, rollups, samples
from sql.archive import manifest, verify
from sql.archive.layout import KEY, MISSED, SAMPLES, Table
from sql.archive.store import Folder
from sql.edition import Edition
from sql.rollups import ROLLUPS
from sql.texts import query
from tests.history import stored
from tests.integration.ledger import Ledger, assert_same, minutes, read, read_fleet
from tests.time_lapse import DAY, KEEP

START = datetime(2026, 3, 2, 5, 7, tzinfo=UTC)
WEEKS = 5
STEP = timedelta(hours=12)
STEPS = 120
"""About as many as a round has that archives two chunks."""
ARCHIVING = ("file", "-- Against", "-- For this", "INSERT INTO archived", "SELECT drop_chunks")
"""Steps of the archive."""


class Worker:
    """The process that keeps house, and the clock it looks at."""

    def __init__(self, conn: Connection, command: list[str], url: str, log: Path) -> None:
        self.conn = conn
        self.command = command
        self.env = {"SEQPULSE_DATABASE_URL": url}
        self.log = log
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return processes.start(self.command, self.env, log)

    async def keep(self, now: datetime) -> None:
        """Move the clock, and wait until a whole round has seen it."""
        await self.conn.execute("UPDATE lapse SET now_at = $1, steps = NULL", now)
        async with asyncio.timeout(60):
            while await self.conn.fetchval("SELECT kept_at FROM lapse") < now:
                assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.01)  # it is a process: there is no event to wait for

    async def die(self, now: datetime, steps: int) -> None:
        """Move the clock, wait until the process has killed itself, and start another one."""
        await self.conn.execute("UPDATE lapse SET now_at = $1, steps = $2", now, steps)
        assert await asyncio.to_thread(self.process.wait, 60) == -9, self.log.read_text()
        self.process = self.start()
        await self.conn.execute("UPDATE lapse SET steps = NULL")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def deaths(self) -> list[str]:
        lines = self.log.read_text().splitlines()
        return [line.removeprefix("killed: ") for line in lines if line.startswith("killed: ")]


async def prepare(conn: Connection) -> None:
    """Have chunks of a day, and a clock."""
    for table in samples.SLOTS:
        await conn.execute(query("edition.set_chunk_interval"), table, KEEP.chunk)
    if await edition.find(conn) is Edition.COMMUNITY:
        text = query("edition.compress").format(table="metric_samples", column="slot_at")
        await conn.execute(text)
    await conn.execute(
        "CREATE TABLE lapse AS SELECT $1::timestamptz AS now_at, $1::timestamptz AS kept_at, "
        "NULL::integer AS steps",
        START,
    )


async def test_weeks_pass_and_the_worker_dies_all_the_time(
    conn: Connection, database_url: str, vault: Vault, project: Project, tmp_path: Path
) -> None:
    other, _ = await projects.create(conn, vault, name="other")
    chance = random.Random(6)
    ledger = Ledger(conn)
    await prepare(conn)
    store = Folder(tmp_path / "archive")
    worker = Worker(conn, ["tests.time_lapse", str(store.root)], database_url, tmp_path / "log")
    now = START
    with contextlib.ExitStack() as stack:
        stack.callback(worker.stop)
        while now < START + WEEKS * 7 * DAY:
            for each in (project, other):
                await ledger.add(each.id, minutes(now, 72, 10))
                late = now - chance.random() * (KEEP.samples - 2 * DAY)
                await ledger.add(each.id, minutes(late, chance.randrange(1, 9), 7.3))
                await ledger.miss(each.id, [now + timedelta(minutes=3), late - DAY / 7])
            now += STEP
            if chance.random() < 0.5:
                await worker.die(now, chance.randrange(STEPS))
            else:
                await worker.keep(now)
        now += timedelta(hours=2)
        await worker.keep(now)
    await assert_nothing_is_lost(ledger, store, now)
    await assert_rolled_up(ledger, now)
    assert len(worker.deaths()) > 20
    assert any(death.startswith(ARCHIVING) for death in worker.deaths()), worker.deaths()


async def assert_nothing_is_lost(ledger: Ledger, store: Folder, now: datetime) -> None:
    """Table and archive together are all there ever was, each row once, to the last bit."""
    chunks = await samples.list_chunks(ledger.conn)
    assert now - KEEP.samples - DAY - timedelta(hours=2) <= chunks[0][0] <= now - KEEP.samples
    accepted = ledger.accepted().select(*KEY, *METRICS).sort(KEY)
    found = await read_all(ledger.conn, store, SAMPLES)
    assert_frame_equal(found.select(*KEY, *METRICS), accepted, check_exact=True)
    schema = accepted.select(KEY).schema
    missed = pl.DataFrame(ledger.missed, schema=schema, orient="row").unique().sort(KEY)
    found = await read_all(ledger.conn, store, MISSED)
    assert_frame_equal(found.select(KEY), missed, check_exact=True)
    assert verify.find_strays(store, manifest.load(store)) == []


async def read_all(conn: Connection, store: Folder, table: Table) -> pl.DataFrame:
    """Rows of a table and of its archive, part by part, each with its checksum."""
    parts = [part for part in manifest.load(store) if part.table is table]
    cold = [verify.read_part(store, part) for part in parts]
    assert cold
    return pl.concat([await stored(conn, table), *cold]).sort(KEY)


async def assert_rolled_up(ledger: Ledger, now: datetime) -> None:
    """Rollups are of all there ever was, archived or not."""
    conn = ledger.conn
    edges = await rollups.read_edges(conn)
    assert not await rollups.has_late(conn, now)
    for rollup in ROLLUPS:
        since = (await samples.list_chunks(conn, rollup.table))[0][0]
        until = edges.rolled_until(rollup)
        assert until > now - timedelta(hours=2)
        found = await read(conn, rollup.table, since, now)
        assert_same(found, ledger.roll(rollup, since, until))
    since = START - 30 * DAY
    wanted = ledger.roll_fleet(since, edges.rolled_fleet_1h_until)
    assert_frame_equal(await read_fleet(conn), wanted)
