"""Both editions: found out for sure, and each made to do what it can do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from core.database import Connection, connect
from core.errors import DatabaseError
from core.types import Project
from sql import bulk, edition, retention, rollups, samples
from sql.edition import Edition
from sql.retention import Retention
from tests.integration.ledger import Ledger, minutes
from tests.integration.test_rollups import assert_rolled

DAY = timedelta(days=1)
LATER = Retention(compress_after=1000 * DAY, archived=True)
"""The database's own workers have nothing to do that the test does itself."""
POLICIES = """
SELECT hypertable_name || ' ' || replace(proc_name, 'policy_', ''),
       coalesce(config->>'drop_after', config->>'compress_after')::interval
  FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL
"""


async def policies(conn: Connection) -> dict[str, timedelta]:
    return {row[0]: row[1] for row in await conn.fetch(POLICIES)}


async def test_the_edition_is_the_one_of_the_server(conn: Connection) -> None:
    assert await edition.find(conn) == await conn.fetchval("SHOW timescaledb.license")


async def test_reconciling_again_changes_nothing(conn: Connection) -> None:
    keep = Retention(chunk=DAY)
    for _ in range(2):
        assert await edition.reconcile(conn, keep) is await edition.find(conn)
        lengths = await conn.fetch(
            "SELECT hypertable_name, time_interval FROM timescaledb_information.dimensions "
            "WHERE hypertable_name = ANY($1)",
            list(samples.SLOTS),
        )
        assert {tuple(row) for row in lengths} == {(table, DAY) for table in samples.SLOTS}
    await edition.reconcile(conn, Retention())


class Odd:
    """A connection to a server that is not what it says."""

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers = answers

    async def fetchval(self, text: str, *_: object) -> object:
        return next(answer for part, answer in self.answers.items() if part in text)

    async def fetch(self, *_: object) -> object:
        raise self.answers["gapfill"]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"license": None}, "not loaded"),
        ({"license": "apache", "is_compressed": True}, "Community edition compressed"),
        ({"license": "timescale", "gapfill": asyncpg.UndefinedFileError("x")}, "does not load"),
        (
            {"license": "timescale", "gapfill": asyncpg.FeatureNotSupportedError("x")},
            "does not load",
        ),
    ],
)
async def test_an_odd_server_is_refused_and_the_text_says_why(
    answers: dict[str, object], says: str
) -> None:
    with pytest.raises(DatabaseError, match=says):
        await edition.find(Odd(answers))  # type: ignore[arg-type]


@pytest.fixture
async def community(conn: Connection, request: pytest.FixtureRequest) -> None:
    if await edition.find(conn) is not Edition.COMMUNITY:
        request.node.add_marker("skip")  # or pytest would tell each of them
        pytest.skip("needs the Community edition of TimescaleDB (SEQPULSE_TEST_DSN)")


@pytest.mark.community
@pytest.mark.usefixtures("community")
class TestCommunity:
    async def test_policies_follow_the_settings(self, conn: Connection) -> None:
        await edition.reconcile(conn, Retention())
        found = await policies(conn)
        assert found == {
            **{f"{table} compression": 7 * DAY for table in edition.COMPRESSED},
            **{f"{table} retention": 31 * DAY for table in samples.SLOTS},
            "samples_5m retention": 180 * DAY,
            "samples_1h retention": 1826 * DAY,
            "samples_fleet_1h retention": 1826 * DAY,
            "job_runs retention": 30 * DAY,
        }
        await edition.reconcile(conn, Retention())
        assert await policies(conn) == found
        await edition.reconcile(conn, Retention(samples=50 * DAY, archived=True))
        changed = await policies(conn)
        assert {name for name in found if name not in changed} == {
            f"{table} retention" for table in samples.SLOTS
        }

    async def test_a_table_in_use_does_not_keep_a_worker_from_starting(
        self,
        conn: Connection,
        database_url: str,
        project: Project,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        hasty = retention.PATIENCE._replace(pause_seconds=0.01)
        monkeypatch.setattr(retention, "PATIENCE", hasty)
        await Ledger(conn).add(project.id, [await bulk.read_clock(conn)])
        other = await connect(database_url)
        async with other.transaction():
            assert await other.fetchval("SELECT count(*) FROM metric_samples") == 1
            assert await edition.reconcile(conn, Retention()) is Edition.COMMUNITY
            assert "metric_samples compression" not in await policies(conn)
        await edition.reconcile(conn, Retention())
        assert "metric_samples compression" in await policies(conn)
        await other.close()

    async def test_policies_run(self, conn: Connection, project: Project) -> None:
        now = await bulk.read_clock(conn)
        ledger = Ledger(conn)
        await ledger.add(project.id, minutes(now - 60 * DAY, 60 * 24, 60))
        await edition.reconcile(conn, Retention())
        compressed = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed"
        async with asyncio.timeout(60):  # the server's own workers do it
            while (  # noqa: ASYNC110
                await conn.fetchval(compressed) < 3
                or (await samples.list_chunks(conn, "metric_samples"))[0][1] <= now - 31 * DAY
            ):
                await asyncio.sleep(0.05)

    async def test_rows_into_compressed_chunks_are_rolled_up_all_the_same(
        self, conn: Connection, project: Project
    ) -> None:
        now = await bulk.read_clock(conn)
        ledger = Ledger(conn)
        await edition.reconcile(conn, LATER)
        moments = minutes(now - 20 * DAY, 10 * 24 * 12, 5)
        await ledger.add(project.id, moments)
        await rollups.roll(conn, now)
        for table in edition.COMPRESSED:
            await conn.execute(f"SELECT compress_chunk(c, true) FROM show_chunks('{table}') AS c")
        late = [moment + timedelta(seconds=3) for moment in moments[::200]]
        assert await ledger.add(project.id, moments[:2000]) == 0
        assert await ledger.add(project.id, moments[:50]) == 0
        assert await ledger.add(project.id, late) == len(late)
        await rollups.roll(conn, now)
        await assert_rolled(ledger, now)

    async def test_a_project_is_removed_from_compressed_chunks(
        self, conn: Connection, project: Project
    ) -> None:
        now = await bulk.read_clock(conn)
        await edition.reconcile(conn, LATER)
        await Ledger(conn).add(project.id, minutes(now - 20 * DAY, 20 * 24 * 12, 5))
        await rollups.roll(conn, now)
        for table in edition.COMPRESSED:
            await conn.execute(f"SELECT compress_chunk(c, true) FROM show_chunks('{table}') AS c")
        for since, until in await samples.list_chunks(conn):
            await samples.remove(conn, project.id, since, until)
        await rollups.remove(conn, project.id)
        for table in edition.COMPRESSED:
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 0

    async def test_compressed_chunks_are_dropped_too(
        self, conn: Connection, project: Project
    ) -> None:
        now = await bulk.read_clock(conn)
        keep = Retention(samples=10 * DAY)
        await edition.reconcile(conn, LATER)
        await Ledger(conn).add(project.id, minutes(now - 60 * DAY, 60 * 24, 60))
        await rollups.roll(conn, now)
        await conn.execute("SELECT compress_chunk(c, true) FROM show_chunks('metric_samples') AS c")
        assert await retention.mark(conn, now, keep)
        gone = await retention.drop_expired(conn, now, keep)
        assert len([chunk for chunk in gone if chunk.table == "metric_samples"]) > 5
