from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from core.database import Connection, connect
from core.errors import MigrationError
from sql import locks, migrate
from sql.migrate import Migration
from sql.scratch import scratch_database
from sql.texts import query


@pytest.fixture
async def empty_url(server_url: str) -> AsyncIterator[str]:
    async with scratch_database(server_url, prefix="test", migrated=False) as url:
        yield url


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Connection]:
    connection = await connect(empty_url)
    yield connection
    await connection.close()


async def names(conn: Connection) -> list[str]:
    rows = await conn.fetch("SELECT name FROM schema_migrations ORDER BY version")
    return [row["name"] for row in rows]


async def test_migrating_twice_applies_once(empty: Connection) -> None:
    shipped = migrate.shipped()
    assert await migrate.migrate(empty) == len(shipped)
    assert await migrate.migrate(empty) == 0
    assert await names(empty) == [migration.name for migration in shipped]
    await migrate.check(empty)


async def test_samples_live_in_a_hypertable_of_real_timescaledb(conn: Connection) -> None:
    rows = await conn.fetch("SELECT hypertable_name FROM timescaledb_information.hypertables")
    assert {row["hypertable_name"] for row in rows} == {
        "metric_samples",
        "missed_slots",
        "job_runs",
        "samples_5m",
        "samples_1h",
        "samples_fleet_1h",
    }


async def test_many_at_once_apply_everything_once(empty_url: str) -> None:
    connections = [await connect(empty_url) for _ in range(4)]
    counts = await asyncio.gather(*(migrate.migrate(each) for each in connections))
    for connection in connections:
        await connection.close()
    assert sorted(counts) == [0, 0, 0, len(migrate.shipped())]


async def test_check_names_what_to_do(empty: Connection) -> None:
    with pytest.raises(MigrationError, match="seqpulse migrate"):
        await migrate.check(empty)


async def test_a_database_ahead_of_the_code_is_refused(empty: Connection) -> None:
    await migrate.migrate(empty)
    await empty.execute(query("migrations.record"), 9999, "future", "x")
    with pytest.raises(MigrationError, match="ahead of this code"):
        await migrate.migrate(empty)


async def test_an_edited_migration_is_refused(empty: Connection) -> None:
    first = Migration(1, "first", "CREATE TABLE one ()")
    await migrate.migrate(empty, [first])
    with pytest.raises(MigrationError, match="0001_first differs"):
        await migrate.migrate(empty, [replace(first, text="CREATE TABLE two ()")])


async def test_a_failing_migration_leaves_nothing_behind(empty: Connection) -> None:
    good = Migration(1, "good", "CREATE TABLE one ()")
    bad = Migration(2, "bad", "CREATE TABLE two (); SELECT 1 / 0")
    with pytest.raises(MigrationError, match="0002_bad failed"):
        await migrate.migrate(empty, [good, bad])
    assert await names(empty) == ["good"]
    assert await empty.fetchval("SELECT to_regclass('two')") is None
    assert await migrate.migrate(empty, [good, replace(bad, text="CREATE TABLE two ()")]) == 1


async def test_a_file_can_ask_for_no_transaction(empty: Connection) -> None:
    table = Migration(1, "table", "CREATE TABLE one (id int)")
    text = f"{migrate.NO_TRANSACTION}\nCREATE INDEX CONCURRENTLY one_id ON one (id)"
    assert await migrate.migrate(empty, [table, Migration(2, "index", text)]) == 2
    with pytest.raises(asyncpg.ActiveSQLTransactionError):
        async with empty.transaction():
            await empty.execute("CREATE INDEX CONCURRENTLY other ON one (id)")


async def test_waiting_for_the_lock_ends(
    empty_url: str, empty: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await connect(empty_url)
    await other.execute(query("locks.try_lock"), locks.LEADER, locks.MIGRATION)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_SECONDS", 0.3)
    with pytest.raises(MigrationError, match="another process"):
        await migrate.migrate(empty)
    await other.close()
    assert await migrate.migrate(empty) > 0


def test_numbers_have_no_gaps(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "0001_a.sql").write_text("")
    (folder / "0003_b.sql").write_text("")
    with pytest.raises(MigrationError, match="not numbered"):
        migrate.shipped(folder)
