"""Retention: what is old goes in whole chunks, what is needed stays, nobody waits for long."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.database import Connection, connect
from core.errors import NotFoundError
from core.types import Deployment, Project
from scheduler import house
from sql import bulk, holds, retention, rollups, samples, windows
from sql.patience import Patience
from sql.retention import Chunk, Retention
from tests.integration.ledger import Ledger, minutes

NOW = datetime(2026, 5, 20, 12, 34, 56, tzinfo=UTC)
DAY = timedelta(days=1)
KEEP = Retention(samples=10 * DAY, samples_5m=20 * DAY, samples_1h=40 * DAY)
RAW = "metric_samples"


@pytest.fixture
async def ledger(conn: Connection, project: Project) -> Ledger:
    """A sample every hour for sixty days, rolled up."""
    ledger = Ledger(conn)
    await ledger.add(project.id, minutes(NOW - 60 * DAY, 60 * 24, 60))
    await rollups.prepare(conn)
    await rollups.roll(conn, NOW)
    return ledger


async def spans(conn: Connection, table: str = RAW) -> list[tuple[datetime, datetime]]:
    return await samples.list_chunks(conn, table)


async def go(conn: Connection, keep: Retention = KEEP, now: datetime = NOW) -> list[Chunk]:
    assert await retention.mark(conn, now, keep)
    return await retention.drop_expired(conn, now, keep)


async def test_whole_chunks_go_and_nothing_younger(conn: Connection, ledger: Ledger) -> None:
    before = {table: await spans(conn, table) for table in KEEP.tables}
    rolled = await conn.fetchval("SELECT count(*) FROM samples_1h")
    gone = await go(conn)
    for table, age in KEEP.tables.items():
        old = [span for span in before[table] if span[1] <= NOW - age]
        assert [(c.since, c.until) for c in gone if c.table == table] == old
        assert await spans(conn, table) == [span for span in before[table] if span not in old]
    assert len([chunk for chunk in gone if chunk.table == RAW]) > 5
    assert all(chunk.bytes > 0 for chunk in gone)
    assert await conn.fetchval("SELECT count(*) FROM samples_1h") == rolled
    assert await conn.fetchval(f"SELECT max(slot_at) FROM {RAW}") > NOW - DAY
    assert await go(conn) == []


async def test_what_is_not_rolled_up_stays(conn: Connection, project: Project) -> None:
    await Ledger(conn).add(project.id, minutes(NOW - 60 * DAY, 60 * 24, 60))
    before = await spans(conn)
    assert await go(conn) == []
    assert await spans(conn) == before
    await rollups.roll(conn, NOW)
    assert len(await go(conn)) > 5


async def test_a_late_row_is_rolled_up_before_its_chunk_goes(
    conn: Connection, ledger: Ledger, project: Project
) -> None:
    late = NOW - 55 * DAY + timedelta(minutes=1)
    await ledger.add(project.id, [late])
    counts = f"SELECT (SELECT count(*) FROM {RAW} WHERE slot_at = $1), samples FROM samples_1h "
    counts += "WHERE bucket_at = date_trunc('hour', $1::timestamptz, 'UTC')"
    assert RAW not in {chunk.table for chunk in await go(conn) if chunk.until > late}
    assert tuple(await conn.fetchrow(counts, late) or ()) == (1, 1)
    await rollups.roll(conn, NOW)  # it is before `samples_since` now, and counts all the same
    assert RAW in {chunk.table for chunk in await go(conn)}
    assert tuple(await conn.fetchrow(counts, late) or ()) == (0, 2)


async def test_nothing_goes_while_somebody_may_still_write_into_it(
    conn: Connection,
    database_url: str,
    ledger: Ledger,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outlast = rollups.outlast_writers
    monkeypatch.setattr(rollups, "outlast_writers", lambda conn: outlast(conn, 0.05))
    other = await connect(database_url)
    async with other.transaction():
        await Ledger(other).add(project.id, [NOW - 55 * DAY + timedelta(minutes=1)])
        assert not await retention.mark(conn, NOW, KEEP)
        assert not await retention.mark(conn, NOW, KEEP)
    assert await retention.mark(conn, NOW, KEEP)
    await other.close()


async def test_what_is_too_old_is_not_stored_and_makes_no_chunk(
    conn: Connection, ledger: Ledger, project: Project
) -> None:
    await go(conn)
    before = await spans(conn)
    old = NOW - 30 * DAY
    assert await ledger.add(project.id, [old]) == 0
    assert await ledger.add(project.id, minutes(old, bulk.COPY_FROM)) == 0
    await ledger.miss(project.id, [old])
    await rollups.roll(conn, NOW)
    assert await spans(conn) == before


async def test_the_edge_lies_behind_what_is_refused(conn: Connection) -> None:
    assert await retention.mark(conn, NOW, KEEP)
    edges = await rollups.read_edges(conn)
    assert edges.samples_since == datetime(2026, 5, 10, 11, tzinfo=UTC)


async def test_who_keeps_more_can_bring_in_more_but_not_where_something_was_dropped(
    conn: Connection, ledger: Ledger, project: Project
) -> None:
    more = Retention(50 * DAY, 60 * DAY, 100 * DAY)
    old = [NOW - 45 * DAY + timedelta(seconds=1)]
    assert await retention.mark(conn, NOW, KEEP)
    assert await ledger.add(project.id, old) == 0
    assert await retention.mark(conn, NOW, more)
    assert await ledger.add(project.id, old) == 1
    await rollups.roll(conn, NOW)
    gone = [chunk for chunk in await go(conn) if chunk.table == RAW]
    assert await retention.mark(conn, NOW, more)
    edges = await rollups.read_edges(conn)
    assert edges.samples_since == gone[-1].until
    assert await ledger.add(project.id, [gone[-1].until - timedelta(seconds=1)]) == 0
    assert await ledger.add(project.id, [gone[-1].until + timedelta(seconds=1)]) == 1


async def test_what_is_dropped_is_known_even_if_something_older_stays(
    conn: Connection, database_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PATIENCE", Patience(0.2, 1, 0.0))
    assert await retention.mark(conn, NOW, KEEP)
    [first, *_] = await retention.expired_chunks(conn, NOW, KEEP, RAW)
    reader = await connect(database_url)
    async with reader.transaction():
        await reader.fetch(f"SELECT FROM {RAW} WHERE slot_at < $1", first.until)
        gone = [chunk for chunk in await go(conn) if chunk.table == RAW]
    await reader.close()
    assert gone
    assert first not in gone
    assert await retention.mark(conn, NOW, Retention(100 * DAY, 100 * DAY, 100 * DAY))
    assert (await rollups.read_edges(conn)).samples_since >= gone[-1].until


async def test_who_reads_a_chunk_delays_only_its_drop(
    conn: Connection, database_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PATIENCE", Patience(0.2, 2, 0.01))
    assert await retention.mark(conn, NOW, KEEP)
    [first, *_] = await retention.expired_chunks(conn, NOW, KEEP, RAW)
    reader, other = await connect(database_url), await connect(database_url)
    count = f"SELECT count(*) FROM {RAW} WHERE slot_at < $1"
    async with reader.transaction():
        seen = await reader.fetchval(count, first.until)
        dropping = asyncio.create_task(retention.drop(conn, first))
        while not dropping.done():  # somebody else who reads it waits no longer than the drop does
            assert await other.fetchval(count, first.until) == seen
        assert not await dropping
        assert await reader.fetchval(count, first.until) == seen
    assert await retention.drop(conn, first)
    assert await other.fetchval(count, first.until) == 0
    for each in (reader, other):
        await each.close()


async def test_with_an_archive_nothing_here_drops_samples(conn: Connection, ledger: Ledger) -> None:
    keep = Retention(KEEP.samples, KEEP.samples_5m, KEEP.samples_1h, archived=True)
    before = await spans(conn)
    assert {chunk.table for chunk in await go(conn, keep)} <= {"samples_5m", "samples_1h"}
    assert await spans(conn) == before


async def test_a_held_deployment_keeps_its_samples(
    conn: Connection, ledger: Ledger, deployment: Deployment
) -> None:
    triggered_at = NOW - 50 * DAY
    await conn.execute(
        "UPDATE deployments SET triggered_at = $2, finished_at = $2::timestamptz + "
        "interval '2 minutes' WHERE id = $1",
        deployment.id,
        triggered_at,
    )
    await ledger.add(deployment.project_id, minutes(triggered_at - DAY / 48, 30))
    await conn.execute("UPDATE metric_samples SET collected_at = slot_at")  # at the time
    material = await windows.load(conn, [deployment.id], 1800)
    week_ago = minutes(triggered_at - 7 * DAY - timedelta(minutes=15), 30)
    await ledger.add(deployment.project_id, week_ago)
    assert material.samples.height >= 30
    assert await holds.hold(conn, deployment.id, 1800) >= 60
    await ledger.add(deployment.project_id, [triggered_at - timedelta(seconds=5)])
    rules = house.Rules(KEEP)
    await rollups.roll(conn, NOW)
    await house.tidy(conn, NOW, rules)
    kept = {row[0] for row in await conn.fetch("SELECT slot_at FROM kept_samples")}
    wanted = {*material.samples["slot_at"], *week_ago, triggered_at - timedelta(seconds=5)}
    assert wanted <= kept
    await holds.release(conn, deployment.id)
    assert await conn.fetchval("SELECT count(*) FROM kept_samples") == 0


async def test_an_unknown_deployment_cannot_be_held(conn: Connection, project: Project) -> None:
    with pytest.raises(NotFoundError, match="no deployment"):
        await holds.hold(conn, project.id, 1800)


async def test_profiles_no_verdict_was_made_with_go(
    conn: Connection, deployment: Deployment
) -> None:
    for days in (5, 30, 40):
        await conn.execute(
            "INSERT INTO service_profiles (project_id, env, until, packed) "
            "VALUES ($1, 'prod', $2, '')",
            deployment.project_id,
            NOW - days * DAY,
        )
    await conn.execute(
        "INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, confidence,"
        " coverage_ratio, as_of, profile_until) VALUES ($1, 'p', 'ok', true, 'x', 1, 1, $2, $3)",
        deployment.id,
        NOW,
        NOW - 40 * DAY,
    )
    archived = Retention(samples=10 * DAY, archived=True)
    assert await retention.forget_profiles(conn, NOW, archived) == 0
    assert await retention.forget_profiles(conn, NOW, KEEP) == 1
    left = await conn.fetch("SELECT until FROM service_profiles ORDER BY until")
    assert [row["until"] for row in left] == [NOW - 40 * DAY, NOW - 5 * DAY]


async def test_a_dry_run_tells_what_would_go_and_changes_nothing(
    conn: Connection, database_url: str, ledger: Ledger
) -> None:
    env = {"SEQPULSE_DATABASE_URL": database_url, "SEQPULSE_KEEP_SAMPLES_DAYS": "8"}
    before = await spans(conn)
    command = ["db", "retention"]
    done = await asyncio.to_thread(CliRunner().invoke, app, command, env=env)
    assert done.exit_code == 0, done.output
    [line] = [line for line in done.stdout.splitlines() if line.startswith(RAW)]
    assert "kept     8 days" in line
    assert "chunks to go" in line
    assert await spans(conn) == before
