"""Weeks in a minute: samples come, late ones too, and the worker is killed again and again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from core import processes
from core.database import Connection
from core.secrets import Vault
from core.types import Project
from sql import projects, rollups, samples
from sql.rollups import ROLLUPS
from sql.texts import query
from tests.integration.ledger import Ledger, assert_same, minutes, read
from tests.time_lapse import DAY, KEEP

START = datetime(2026, 3, 2, 5, 7, tzinfo=UTC)
WEEKS = 5
STEP = timedelta(hours=12)


async def test_weeks_pass_and_the_worker_dies_all_the_time(
    conn: Connection, database_url: str, vault: Vault, project: Project, tmp_path: Path
) -> None:
    other, _ = await projects.create(conn, vault, name="other")
    chance = random.Random(6)
    ledger = Ledger(conn)
    for table in samples.SLOTS:  # policies of the Community edition go by the real clock: none here
        await conn.execute(query("edition.set_chunk_interval"), table, KEEP.chunk)
    await conn.execute(
        "CREATE TABLE lapse AS SELECT $1::timestamptz AS now_at, now_at AS kept_at "
        "FROM (SELECT $1::timestamptz AS now_at) AS x",
        START,
    )
    now, kills = START, 0
    with (tmp_path / "log").open("wb") as log, contextlib.ExitStack() as stack:

        def start() -> subprocess.Popen[bytes]:
            env = {"SEQPULSE_DATABASE_URL": database_url}
            worker = processes.start(["tests.time_lapse"], env, log)
            stack.callback(processes.stop, worker)
            return worker

        worker = start()
        while now < START + WEEKS * 7 * DAY:
            for each in (project, other):
                await ledger.add(each.id, minutes(now, 72, 10))
                late = now - chance.random() * (KEEP.samples - 2 * DAY)
                await ledger.add(each.id, minutes(late, chance.randrange(1, 9), 7.3))
                await ledger.miss(each.id, [now + timedelta(minutes=3), late - DAY / 7])
            now += STEP
            await conn.execute("UPDATE lapse SET now_at = $1", now)
            if chance.random() < 0.4:
                await asyncio.sleep(chance.random() * 0.6)  # anywhere in its round
                worker.kill()
                worker.wait()
                kills += 1
                worker = start()
            else:
                await kept(conn, now)
        now += timedelta(hours=2)
        await conn.execute("UPDATE lapse SET now_at = $1", now)
        await kept(conn, now)
        worker.kill()
        worker.wait()
    assert kills > 15
    await assert_nothing_is_lost(ledger, now)


async def kept(conn: Connection, now: datetime) -> None:
    """Wait until a whole round has seen the clock at `now`."""
    async with asyncio.timeout(60):
        while await conn.fetchval("SELECT kept_at FROM lapse") < now:  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.01)


async def assert_nothing_is_lost(ledger: Ledger, now: datetime) -> None:
    """Samples are there but for chunks that are too old; rollups are of all there ever were."""
    conn = ledger.conn
    chunks = await samples.list_chunks(conn, "metric_samples")
    oldest = chunks[0][0]
    assert now - KEEP.samples - DAY - timedelta(hours=2) <= oldest <= now - KEEP.samples
    stored = await conn.fetch("SELECT project_id::text, env, slot_at FROM metric_samples")
    accepted = ledger.accepted().filter(pl.col("slot_at") >= oldest)
    wanted = set(accepted.select("project_id", "env", "slot_at").iter_rows())
    assert {tuple(row) for row in stored} == wanted
    edges = await rollups.read_edges(conn)
    assert not await rollups.has_late(conn, now)
    for rollup in ROLLUPS:
        since = (await samples.list_chunks(conn, rollup.table))[0][0]
        until = edges.rolled_until(rollup)
        assert until > now - timedelta(hours=2)
        found = await read(conn, rollup.table, since, now)
        assert_same(found, ledger.roll(rollup, since, until))
