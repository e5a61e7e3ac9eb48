"""A database as a file and back: the same rows, the same verdicts, working hypertables."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from core import settings as configuration
from core.cli import app
from core.database import Connection, Pool, connect, create_pool
from core.errors import ConflictError, DatabaseError, InvalidInputError
from core.secrets import Vault
from scheduler.house import Rules, keep
from sql import backup, bulk, edition, installation, migrate, projects, roles, rollups
from sql.backup import Programs
from sql.retention import Retention
from sql.scratch import scratch_database
from tests.integration.ledger import Ledger, minutes
from tests.integration.test_judging import generate, judge_all
from tests.roles import ANALYST, make, url_as

YEARS = timedelta(days=3000)
LASTING = Retention(YEARS, YEARS, YEARS, YEARS, compress_after=YEARS)
"""Nothing goes by itself meanwhile, whatever the edition."""
TABLES = """
SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
 WHERE schemaname = 'public' AND tablename NOT IN ('turns', 'api_traffic')
"""


OPEN = """
SELECT has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc
 WHERE proname = 'drop_old_chunks'
"""


def cut(file: Path, half: Path) -> None:
    half.write_bytes(file.read_bytes()[:-20_000])


@pytest.fixture
def programs() -> Programs:
    return backup.find_programs(configuration.load().cache_dir)


@pytest.fixture
async def empty_url(server_url: str) -> AsyncIterator[str]:
    async with scratch_database(server_url, prefix="test", migrated=False) as url:
        yield url


async def everything(url: str) -> dict[str, list[str]]:
    conn = await connect(url)
    found = {}
    for row in await conn.fetch(TABLES):
        rows = await conn.fetch(f"SELECT t::text AS row FROM {row['name']} AS t")
        found[row["name"]] = sorted(each["row"] for each in rows)
    await conn.close()
    return found


async def test_everything_comes_back_and_works(
    conn: Connection,
    pool: Pool,
    database_url: str,
    empty_url: str,
    programs: Programs,
    tmp_path: Path,
    vault: Vault,
) -> None:
    ids = await generate(conn, services=4, each=20)
    await judge_all(conn, pool)
    await installation.check_key(conn, vault)
    project, _ = await projects.create(conn, vault, name="signed", hmac_secret="hmac_" + "a" * 64)
    now = await bulk.read_clock(conn)
    await Ledger(conn).add(project.id, minutes(now, 90))
    await rollups.roll(conn, now)
    await edition.reconcile(conn, LASTING)
    file = tmp_path / "seqpulse.dump"
    size = await asyncio.to_thread(backup.dump, database_url, programs, file)
    facts = os.stat(file)  # noqa: PTH116
    assert size == facts.st_size > 10_000
    assert stat.S_IMODE(facts.st_mode) == 0o600
    assert os.listdir(tmp_path) == [file.name]  # noqa: PTH208

    await backup.restore(empty_url, programs, file)
    before = await everything(database_url)
    assert await everything(empty_url) == before
    assert len(before["public.verdicts"]) == len(ids)
    restored = await connect(empty_url)
    await migrate.check(restored)
    await installation.check_key(restored, vault)
    assert await restored.fetchval("SHOW timescaledb.restoring") == "off"
    assert await restored.fetchval(
        "SELECT count(*) FROM timescaledb_information.chunks"
    ) == await conn.fetchval("SELECT count(*) FROM timescaledb_information.chunks")
    # Verdicts are the same when they are judged again, and all that runs by itself does.
    recorded = "SELECT deployment_id, verdict, confidence FROM verdicts ORDER BY 1"
    was = await conn.fetch(recorded)
    await restored.execute("DELETE FROM verdicts")
    async with await create_pool(empty_url, 2) as restored_pool:
        await judge_all(restored, restored_pool)
    assert await restored.fetch(recorded) == was
    await Ledger(restored).add(project.id, minutes(await bulk.read_clock(restored), 5, 0.01))
    assert await keep(empty_url, Rules())
    assert (await projects.find(restored, project.id)).name == "signed"
    await restored.close()


async def test_what_nobody_may_call_nobody_may_call_after_a_restore(
    conn: Connection,
    database_url: str,
    empty_url: str,
    programs: Programs,
    tmp_path: Path,
    vault: Vault,
) -> None:
    project, _ = await projects.create(conn, vault, name="shop")
    await Ledger(conn).add(project.id, minutes(await bulk.read_clock(conn), 5))
    file = tmp_path / "seqpulse.dump"
    await asyncio.to_thread(backup.dump, database_url, programs, file)
    await backup.restore(empty_url, programs, file)
    restored = await connect(empty_url)
    assert not await restored.fetchval(OPEN)  # in the meantime, too
    # As it was left by whoever restored with tools of their own:
    await restored.execute("GRANT EXECUTE ON FUNCTION drop_old_chunks TO PUBLIC")
    await make(empty_url)
    analyst = await connect(url_as(empty_url, ANALYST))
    await analyst.execute("SET default_transaction_read_only = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await analyst.execute(
            "SELECT public.drop_old_chunks('public.metric_samples', '-infinity', 'infinity')"
        )
    await analyst.close()
    assert await restored.fetchval("SELECT count(*) FROM metric_samples") == 5
    assert await roles.find_doors(restored) == []
    await restored.execute("GRANT EXECUTE ON FUNCTION drop_old_chunks TO PUBLIC")
    assert any("drop_old_chunks" in door for door in await roles.find_doors(restored))
    await restored.close()


async def test_nothing_is_replaced(
    conn: Connection, database_url: str, programs: Programs, tmp_path: Path
) -> None:
    file = tmp_path / "seqpulse.dump"
    await asyncio.to_thread(backup.dump, database_url, programs, file)
    with pytest.raises(ConflictError, match="exists already"):
        backup.dump(database_url, programs, file)
    with pytest.raises(ConflictError, match="not empty"):
        await backup.restore(database_url, programs, file)
    with pytest.raises(InvalidInputError, match="no file"):
        await backup.restore(database_url, programs, tmp_path / "other.dump")
    await conn.execute("DROP TABLE IF EXISTS schema_migrations")
    with pytest.raises(ConflictError, match="not empty"):
        await backup.restore(database_url, programs, file)


async def test_half_a_file_leaves_the_database_empty_and_usable(
    conn: Connection, database_url: str, empty_url: str, programs: Programs, tmp_path: Path
) -> None:
    file, half = tmp_path / "seqpulse.dump", tmp_path / "half.dump"
    await asyncio.to_thread(backup.dump, database_url, programs, file)
    await asyncio.to_thread(cut, file, half)
    for broken in (half, Path(__file__)):
        with pytest.raises(DatabaseError, match="pg_restore failed"):
            await backup.restore(empty_url, programs, broken)
    restored = await connect(empty_url)
    assert await restored.fetchval("SHOW timescaledb.restoring") == "off"
    await restored.close()
    await backup.restore(empty_url, programs, file)


def test_a_dump_that_fails_leaves_no_file(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as caught:
        backup.dump("postgresql://u:hunter2@127.0.0.1:9/x", programs, tmp_path / "x")
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "says"),
    [("right", "which is the one here"), ("wrong", "ANOTHER"), (None, "there is none here")],
)
async def test_the_commands_tell_whether_the_master_key_is_there(
    conn: Connection,
    database_url: str,
    empty_url: str,
    tmp_path: Path,
    vault: Vault,
    monkeypatch: pytest.MonkeyPatch,
    key: str | None,
    says: str,
) -> None:
    await installation.check_key(conn, vault)
    file = str(tmp_path / "seqpulse.dump")
    if key:
        value = vault.master_key if key == "right" else "b" * 40
        monkeypatch.setenv("SEQPULSE_SECRET_KEY", value)
    output = ""
    for command, url in (("dump", database_url), ("restore", empty_url)):
        monkeypatch.setenv("SEQPULSE_DATABASE_URL", url)
        done = await asyncio.to_thread(CliRunner().invoke, app, ["db", command, file])
        assert done.exit_code == 0, done.output
        assert says in done.output
        assert vault.master_key not in done.output
        output += done.output
    assert "the schema is current" in output
