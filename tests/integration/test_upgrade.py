"""Databases of every version there was, with data in them, and in use while they are migrated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from analytics import policy
from core.database import Connection, connect, create_pool
from core.errors import MigrationError
from scheduler import judging
from sql import migrate
from sql.migrate import Migration
from sql.patience import Patience
from sql.scratch import scratch_database

SHIPPED = migrate.shipped()
POLICIES = judging.Policies(policy.REFERENCE_V2)

# Rows that every version can hold: a service read for an hour, and a deployment that hurts.
FILL = """
INSERT INTO projects (id, name, plan, post_slots, hmac_secret_encrypted)
VALUES ('00000000-0000-0000-0000-000000000001', 'shop', 'free', 5, 'token');
INSERT INTO api_keys (id, project_id, digest)
VALUES ('key', '00000000-0000-0000-0000-000000000001', 'digest');
INSERT INTO targets (project_id, env, endpoint)
VALUES ('00000000-0000-0000-0000-000000000001', 'prod', 'https://shop.example/metrics');
INSERT INTO deployments (id, project_id, env, branch, state, result, triggered_at, finished_at,
                         analyzed_at, post_slots, slot_seconds)
VALUES ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'prod',
        'main', 'analyzed', 'success', '2026-05-01 12:00Z', '2026-05-01 12:03Z',
        '2026-05-01 12:08Z', 5, 60);
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, deployment_id, phase,
                            sequence_index, requests_per_sec, latency_p95, error_rate, cpu_usage,
                            memory_usage, extra)
SELECT at, at, uuid '00000000-0000-0000-0000-000000000001', 'prod', NULL::uuid, NULL,
       NULL::smallint, 20, 80, 0.001, 0.4, 0.5, jsonb '{"queue": 3}'
  FROM generate_series(timestamptz '2026-05-01 11:00Z', '2026-05-01 11:59Z', '1 minute') AS at
UNION ALL
SELECT at, at, '00000000-0000-0000-0000-000000000001', 'prod',
       '00000000-0000-0000-0000-000000000002', 'post',
       (row_number() OVER (ORDER BY at) - 1)::smallint, 20, 800, 0.5, 0.4, 0.5, NULL
  FROM generate_series(timestamptz '2026-05-01 12:03Z', '2026-05-01 12:07Z', '1 minute') AS at;
INSERT INTO missed_slots (slot_at, missed_at, project_id, env, code, detail)
VALUES ('2026-05-01 10:59Z', '2026-05-01 10:59Z', '00000000-0000-0000-0000-000000000001', 'prod',
        'timeout', 'no answer');
INSERT INTO scheduled_jobs (kind, priority, project_id, env, slot_at, scheduled_at)
VALUES ('collect', 3, '00000000-0000-0000-0000-000000000001', 'prod', '2026-05-01', '2026-05-01');
INSERT INTO job_runs (finished_at, id, kind, priority, project_id, env, slot_at, scheduled_at,
                      status, attempt)
VALUES ('2026-05-01', 1, 'judge', 1, '00000000-0000-0000-0000-000000000001', 'prod',
        '2026-05-01', '2026-05-01', 'completed', 1);
INSERT INTO verdicts (deployment_id, policy, verdict, conclusive, reason_code, confidence,
                      coverage_ratio, as_of)
VALUES ('00000000-0000-0000-0000-000000000002', 'reference', 'rollback_recommended', true,
        'regression', 0.9, 1, '2026-05-01 12:08Z');
INSERT INTO evidence (deployment_id, metric, baseline_source, baseline_n, post_n, expected,
                      observed, threshold, exceedance_ratio, tolerance_ratio, failed, attribution)
VALUES ('00000000-0000-0000-0000-000000000002', 'latency_p95', 'baseline', 30, 5, 80, 800, 120, 1,
        0.2, true, 'introduced');
INSERT INTO hints (deployment_id, rule, position, severity, title, diagnosis, actions, metrics)
VALUES ('00000000-0000-0000-0000-000000000002', 'slow', 0, 'warning', 't', 'd', '{a}',
        '{latency_p95}');
"""
TABLES = ("projects", "api_keys", "targets", "deployments", "metric_samples", "missed_slots",
          "scheduled_jobs", "job_runs", "verdicts", "evidence", "hints")  # fmt: skip


@pytest.fixture
async def url(server_url: str) -> AsyncIterator[str]:
    async with scratch_database(server_url, prefix="test", migrated=False) as url:
        yield url


async def everything(conn: Connection, columns: dict[str, str]) -> dict[str, list[str]]:
    return {
        table: sorted(
            row["row"] for row in await conn.fetch(f"SELECT ROW({names})::text AS row FROM {table}")
        )
        for table, names in columns.items()
    }


async def columns_of(conn: Connection) -> dict[str, str]:
    rows = await conn.fetch(
        "SELECT table_name, string_agg(column_name, ', ' ORDER BY ordinal_position) AS names "
        "FROM information_schema.columns WHERE table_name = ANY($1) AND table_schema = 'public' "
        "GROUP BY table_name",
        list(TABLES),
    )
    return {row["table_name"]: row["names"] for row in rows}


@pytest.mark.parametrize("version", range(1, len(SHIPPED)))
async def test_data_of_every_version_is_as_it_was_and_is_judged(url: str, version: int) -> None:
    conn = await connect(url)
    assert await migrate.migrate(conn, SHIPPED[:version]) == version
    await conn.execute(FILL)
    columns = await columns_of(conn)
    before = await everything(conn, columns)
    assert set(before) == set(TABLES)
    assert all(before.values())
    assert await migrate.migrate(conn) == len(SHIPPED) - version
    assert await everything(conn, columns) == before
    [seen] = await conn.fetch("SELECT * FROM report.deployment_overview")
    assert (seen["verdict"], seen["failed_metrics"], seen["hint_count"]) == (
        "rollback_recommended",
        ["latency_p95"],
        1,
    )
    assert await conn.fetchval("SELECT sum(samples) FROM report.samples_1h") == 65
    await conn.execute("DELETE FROM verdicts")
    async with await create_pool(url, 2) as pool:
        await judging.judge(pool, POLICIES, 1800.0, [seen["deployment_id"]])
    [again] = await conn.fetch("SELECT * FROM report.deployment_overview")
    assert again["verdict"] == "rollback_recommended"
    assert again["coverage_ratio"] == 1.0
    await conn.close()


WRITE = """
INSERT INTO metric_samples (slot_at, project_id, env, requests_per_sec)
VALUES (clock_timestamp(), '00000000-0000-0000-0000-000000000001', 'busy', 1)
"""
TOUCH = "UPDATE deployments SET branch = 'main' WHERE env = 'prod'"


async def work(
    url: str, statement: str, counts: list[int], place: int, stop: asyncio.Event
) -> None:
    """Write again and again, and count it; to wait for longer than a second is an error."""
    conn = await connect(url)
    await conn.execute("SET lock_timeout = '1s'")
    while not stop.is_set():
        await conn.execute(statement)
        counts[place] += 1
    await conn.close()


async def reach(condition: object, counts: list[int]) -> None:
    while not condition(counts):  # type: ignore[operator]  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def waits_for(conn: Connection) -> None:
    """Wait until somebody waits for a lock on a table."""
    while not await conn.fetchval(  # noqa: ASYNC110
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ):
        await asyncio.sleep(0.005)


async def test_a_database_in_use_is_migrated_and_nobody_waits_for_long(url: str) -> None:
    """Writers go on, also while a reader keeps a migration from the table it wants."""
    conn = await connect(url)
    await migrate.migrate(conn, SHIPPED[:1])
    await conn.execute(FILL)
    stop, counts = asyncio.Event(), [0, 0]
    writers = [
        asyncio.create_task(work(url, statement, counts, place, stop))
        for place, statement in enumerate((WRITE, TOUCH))
    ]
    reader = await connect(url)
    watcher = await connect(url)
    async with asyncio.timeout(60):
        async with reader.transaction():
            await reader.fetch("SELECT * FROM deployments")
            migration = asyncio.create_task(migrate.migrate(conn))
            await waits_for(watcher)
            seen = list(counts)
            await reach(lambda now: all(n > m + 20 for n, m in zip(now, seen, strict=True)), counts)
            assert not migration.done()
        assert await migration == len(SHIPPED) - 1
        seen = list(counts)
        await reach(lambda now: all(n > m for n, m in zip(now, seen, strict=True)), counts)
    stop.set()
    await asyncio.gather(*writers)
    written = await conn.fetchval("SELECT count(*) FROM metric_samples WHERE env = 'busy'")
    assert written == counts[0]
    for each in (conn, reader, watcher):
        await each.close()


HASTY = Patience(wait_seconds=0.05, attempts=3, pause_seconds=0.01)


async def test_a_migration_gives_up_in_the_end_and_has_changed_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "PATIENCE", HASTY)
    conn, reader = await connect(url), await connect(url)
    table = Migration(1, "table", "CREATE TABLE one (id int)")
    change = Migration(2, "change", "CREATE TABLE two (); ALTER TABLE one ADD COLUMN b int")
    await migrate.migrate(conn, [table])
    async with reader.transaction():
        await reader.fetch("SELECT * FROM one")
        with pytest.raises(MigrationError, match="0002_change waited for too long"):
            await migrate.migrate(conn, [table, change])
    assert await conn.fetchval("SELECT to_regclass('two')") is None
    assert await conn.fetchval("SHOW lock_timeout") == "0"
    assert await migrate.migrate(conn, [table, change]) == 1
    await conn.close()
    await reader.close()


async def test_an_index_that_was_half_built_is_built_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that, IF NOT EXISTS takes the half that a failure leaves behind for the whole."""
    monkeypatch.setattr(migrate, "PATIENCE", HASTY)
    conn, writer = await connect(url), await connect(url)
    before = SHIPPED[: next(each.version for each in SHIPPED if not each.in_transaction) - 1]
    await migrate.migrate(conn, before)
    await conn.execute(FILL)
    await conn.execute(WRITE)
    chunks = await conn.fetch("SELECT show_chunks('metric_samples')::text AS name ORDER BY 1")
    assert len(chunks) == 2
    async with writer.transaction():
        await writer.execute(f"LOCK TABLE {chunks[1]['name']} IN ROW EXCLUSIVE MODE")
        with pytest.raises(MigrationError, match="0009_samples_in_time waited for too long"):
            await migrate.migrate(conn)
    unfinished = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    assert await conn.fetchval(unfinished) > 0
    assert await migrate.migrate(conn) == len(SHIPPED) - len(before)
    assert await conn.fetchval(unfinished) == 0
    built = "SELECT count(*) FROM pg_indexes WHERE tablename = $1 AND indexdef LIKE '%brin%'"
    for chunk in chunks:
        assert await conn.fetchval(built, chunk["name"].split(".")[1]) == 1
    await conn.close()
    await writer.close()


async def test_a_migration_is_not_undone_by_a_writer_it_has_to_wait_for(url: str) -> None:
    conn, writer = await connect(url), await connect(url)
    table = Migration(1, "table", "CREATE TABLE one (id int)")
    await migrate.migrate(conn, [table])
    begun = writer.transaction()
    await begun.start()
    await writer.execute("INSERT INTO one VALUES (1)")
    change = Migration(2, "change", "ALTER TABLE one ADD COLUMN b int")
    task = asyncio.create_task(migrate.migrate(conn, [table, change]))
    watcher = await connect(url)
    async with asyncio.timeout(30):
        await waits_for(watcher)
        await begun.commit()
        assert await task == 1
    assert await conn.fetchval("SELECT count(*) FROM one WHERE b IS NULL") == 1
    for each in (conn, writer, watcher):
        await each.close()
