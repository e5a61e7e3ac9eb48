"""What readers cannot do is tried out; what processes need, they can."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from core.cli import app
from core.codes import ChannelKind
from core.database import Connection, connect
from core.errors import InvalidInputError
from core.secrets import Vault
from core.types import Deployment, Project
from scheduler import house, notifying
from scheduler.house import Rules
from sql import bulk, channels, edition, projects, retention, roles, samples, targets
from sql.channels import Access, Interest
from sql.retention import Retention
from tests.integration.ledger import Ledger, minutes
from tests.roles import ANALYST, GRAFANA, make, url_as

DENIED = asyncpg.InsufficientPrivilegeError

REFUSED = (
    DENIED,
    asyncpg.UndefinedObjectError,  # of an extension that cannot be created
    asyncpg.FeatureNotSupportedError,  # of the Community edition
    asyncpg.ObjectNotInPrerequisiteStateError,  # a view nobody can write through
)

ENDED = (
    asyncpg.AdminShutdownError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # it hears of the end while it begins the next statement
)

ATTACKS = {
    "create a table": "CREATE TABLE report.mine ()",
    "create a table in public": "CREATE TABLE mine ()",
    "create a temporary table": "CREATE TEMPORARY TABLE mine (id int)",
    "select into": "SELECT 1 AS one INTO TEMPORARY mine",
    "create a function": "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
    "create a temporary function": (
        "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql RETURN 1"
    ),
    "create a schema": "CREATE SCHEMA mine",
    "create a role": "CREATE ROLE mine",
    "create an extension": "CREATE EXTENSION dblink",
    "change another role": "ALTER ROLE seqpulse_app SUPERUSER",
    "become superuser": "ALTER ROLE CURRENT_USER SUPERUSER",
    "act as the app": "SET ROLE seqpulse_app",
    "be the owner": "SET SESSION AUTHORIZATION seqpulse_app",
    "grant itself more": "GRANT SELECT ON projects TO CURRENT_USER",
    "write through a view": "UPDATE report.missed_slots SET detail = ''",
    "write through a plain view": "DELETE FROM report.slots",
    "write a table": "INSERT INTO projects VALUES (gen_random_uuid())",
    "delete samples": "DELETE FROM metric_samples",
    "truncate": "TRUNCATE metric_samples",
    "read the projects": "SELECT hmac_secret_encrypted FROM projects",
    "read the keys": "SELECT digest FROM api_keys",
    "read the targets": "SELECT endpoint, header_encrypted FROM targets",
    "read the channels": "SELECT access_encrypted, secret_encrypted FROM channels",
    "read the whole row": "SELECT t FROM targets AS t",
    "read passwords": "SELECT rolpassword FROM pg_authid",
    "read statistics of values": "SELECT * FROM pg_statistic",
    "lock a view's tables": "SELECT 1; LOCK TABLE report.slots IN ACCESS EXCLUSIVE MODE",
    "lock a table": "SELECT 1; LOCK TABLE metric_samples IN ACCESS SHARE MODE",
    "make a large object": "SELECT lo_create(0)",
    "fill a large object": "SELECT lo_from_bytea(0, 'x')",
    "import a large object": "SELECT lo_import('/etc/passwd')",
    "read a file": "SELECT pg_read_file('/etc/passwd')",
    "list a folder": "SELECT pg_ls_dir('/')",
    "write a file": "COPY (SELECT 1) TO '/tmp/mine'",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'cat'",
    "run a program for input": "COPY report.slots FROM PROGRAM 'echo'",
    "play the leader": f"SELECT pg_advisory_lock({0x5EC90002}, 2)",
    "play a worker": f"SELECT pg_try_advisory_lock_shared({0x5EC90001}, 1)",
    "lock for a transaction": "SELECT pg_advisory_xact_lock(1)",
    "write to the log of changes": "SELECT pg_logical_emit_message(false, 'x', repeat('x', 999))",
    "make a job": "SELECT add_job('now', '1 hour')",
    "run a job": "CALL run_job(1)",
    "stop a job": "SELECT alter_job(1, scheduled => false)",
    "drop chunks": "SELECT drop_chunks('metric_samples', older_than => now())",
    "drop chunks by our function": "SELECT drop_old_chunks('metric_samples', '-infinity', now())",
    "compress": "SELECT set_chunk_time_interval('metric_samples', interval '1 s')",
    "take room on disk": "SET temp_file_limit = -1",
    "change the server": "ALTER SYSTEM SET work_mem = '1GB'",
    "log itself out of the logs": "SET log_statement = 'none'",
    "switch the log": "SELECT pg_switch_wal()",
    "forget statistics": "SELECT pg_stat_reset()",
    "connect elsewhere": "CREATE SERVER mine FOREIGN DATA WRAPPER postgres_fdw",
}


@pytest.fixture
async def url(database_url: str) -> str:
    await make(database_url)
    return database_url


@pytest.fixture
async def analyst(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url_as(url, ANALYST))
    yield connection
    await connection.close()


async def test_making_them_again_changes_nothing_and_leaves_no_door(
    conn: Connection, url: str
) -> None:
    granted = """
        SELECT relname || relacl::text FROM pg_class WHERE relacl IS NOT NULL
        UNION ALL SELECT proname || proacl::text FROM pg_proc WHERE proacl IS NOT NULL
        UNION ALL SELECT setrole::regrole || setconfig::text FROM pg_db_role_setting
        UNION ALL SELECT defaclnamespace::text || defaclacl::text FROM pg_default_acl ORDER BY 1
    """
    before = await conn.fetch(granted)
    await make(url)
    assert await conn.fetch(granted) == before
    assert await roles.find_doors(conn) == []


async def test_an_open_door_is_named(conn: Connection, url: str) -> None:
    database = await conn.fetchval("SELECT current_database()")
    for opened, says in (
        (f"GRANT TEMPORARY ON DATABASE {database} TO PUBLIC", "temporary tables"),
        ("GRANT SELECT (digest) ON api_keys TO seqpulse_grafana", "read api_keys"),
        ("GRANT UPDATE (branch) ON deployments TO PUBLIC", "change deployments"),
        ("GRANT EXECUTE ON FUNCTION lo_creat(integer) TO PUBLIC", "lo_creat"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "schema public"),
    ):
        await conn.execute(opened)
        assert any(says in door for door in await roles.find_doors(conn)), opened


@pytest.mark.parametrize("role", [ANALYST, GRAFANA])
async def test_readers_can_do_nothing_but_read(url: str, conn: Connection, role: str) -> None:
    reader = await connect(url_as(url, role))
    assert await reader.fetchval("SHOW default_transaction_read_only") == "on"
    await reader.execute("SET default_transaction_read_only = off")  # it may; so what
    done = []
    for what, attack in ATTACKS.items():
        try:
            await reader.execute(attack)
        except REFUSED:
            continue
        done.append(what)
    assert not done
    database = await conn.fetchval("SELECT current_database()")
    for attack in (f"GRANT TEMPORARY ON DATABASE {database} TO PUBLIC", "ANALYZE metric_samples",
                   "REVOKE SELECT ON report.slots FROM seqpulse_grafana"):  # fmt: skip
        with contextlib.suppress(DENIED):  # the server may only warn that nothing was done
            await reader.execute(attack)
    assert await roles.find_doors(conn) == []
    assert await reader.fetchval("SELECT count(*) FROM report.slots") == 0
    await reader.close()


async def test_no_reader_ends_the_work_of_others(url: str, analyst: Connection) -> None:
    other = await connect(url)
    pid = await other.fetchval("SELECT pg_backend_pid()")
    for stop in ("pg_cancel_backend", "pg_terminate_backend"):
        with pytest.raises(DENIED):
            await analyst.fetchval(f"SELECT {stop}({pid})")
    assert await analyst.fetchval("SELECT query FROM pg_stat_activity WHERE pid = $1", pid) == (
        "<insufficient privilege>"
    )
    await other.close()


async def test_a_reader_reads_every_view_and_no_secret(
    conn: Connection, url: str, analyst: Connection, deployment: Deployment, vault: Vault
) -> None:
    created, key = await projects.create(conn, vault, name="secretive", hmac_secret="hmac_x")
    await targets.put(conn, created.id, "prod", "https://user:token-of-the-url@example.com/m")
    access = Access("https://hooks.example.com/token-of-the-hook", "https://hooks.example.com")
    channel, signing = await channels.create(
        conn, vault, created.id, ChannelKind.WEBHOOK, "ops", access, Interest()
    )
    await notifying.test(conn, created.id, channel.id)
    await Ledger(conn).add(created.id, minutes(await bulk.read_clock(conn), 3))
    await Ledger(conn).miss(created.id, minutes(await bulk.read_clock(conn) - timedelta(days=1), 3))
    encrypted = await conn.fetchval("SELECT hmac_secret_encrypted FROM projects WHERE name = $1",
                                    "secretive")  # fmt: skip
    views = await analyst.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'report'"
    )
    assert len(views) > 15
    seen = {}
    for view in views:
        rows = await analyst.fetch(f"SELECT v::text AS row FROM report.{view[0]} AS v")
        seen[view[0]] = "\n".join(row["row"] for row in rows)
    assert "secretive" in seen["samples_5m"]
    assert "secretive" in seen["coverage"]
    everything = "\n".join(seen.values())
    assert str(channel.id) in seen["deliveries"]
    tokens = await conn.fetchrow("SELECT access_encrypted, secret_encrypted FROM channels")
    assert tokens is not None
    planted = (encrypted, key.secret, "token-of-the-url", "token-of-the-hook", signing, *tokens)
    for secret in planted:
        assert secret is not None
        assert secret not in everything


async def test_chunks_are_as_closed_as_their_tables(
    conn: Connection, analyst: Connection, project: Project
) -> None:
    await Ledger(conn).add(project.id, minutes(await bulk.read_clock(conn), 3))
    for row in await conn.fetch(
        "SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks"
    ):
        with pytest.raises(DENIED):
            await analyst.fetch(f"SELECT * FROM {row[0]}")


async def test_the_time_limit_holds_by_itself(url: str) -> None:
    for role in (ANALYST, GRAFANA):
        reader = await connect(url_as(url, role))
        [limit] = [each.seconds for each in roles.READERS if each.name == role]
        assert await reader.fetchval("SELECT setting::int FROM pg_settings WHERE name = $1",
                                     "statement_timeout") == limit * 1000  # fmt: skip
        await reader.close()


async def sleep_unbounded(reader: Connection) -> None:
    await reader.execute("SET statement_timeout = 0")
    await reader.execute("SET default_transaction_read_only = off")
    await reader.execute("ALTER ROLE CURRENT_USER SET statement_timeout = 0")
    await reader.execute("SELECT pg_sleep(3600)", timeout=60)


async def hold_a_transaction(reader: Connection) -> None:
    await reader.execute("SET idle_in_transaction_session_timeout = 0")
    await reader.execute("BEGIN; SELECT count(*) FROM report.slots")
    while True:
        await asyncio.sleep(0.05)
        await reader.execute("SELECT 1")


@pytest.mark.parametrize("misbehave", [sleep_unbounded, hold_a_transaction])
async def test_a_reader_who_lifts_the_limit_is_ended_by_the_workers(
    url: str, monkeypatch: pytest.MonkeyPatch, misbehave: object
) -> None:
    hasty = tuple(replace(reader, seconds=0.2) for reader in roles.READERS)
    monkeypatch.setattr(roles.end_overdue, "__defaults__", (hasty,))
    reader = await connect(url_as(url, ANALYST))
    work = asyncio.create_task(misbehave(reader))  # type: ignore[operator]
    app_url = url_as(url, roles.APP)
    async with asyncio.timeout(30):
        while not work.done():
            assert await house.keep(app_url, Rules(), tidies=False)
            await asyncio.sleep(0.05)
    with pytest.raises(ENDED):
        await work
    reader.terminate()
    await make(url)  # what the role did to itself is undone


async def test_nobody_else_is_ended(conn: Connection, url: str, analyst: Connection) -> None:
    owner = conn.transaction()
    await owner.start()
    idle = await analyst.fetchval("SELECT 1")
    hasty = [replace(reader, seconds=0) for reader in roles.READERS]
    other = await connect(url_as(url, roles.APP))
    working = other.transaction()
    await working.start()
    third = await connect(url)
    assert await roles.end_overdue(third, hasty) == 0
    await third.close()
    assert await analyst.fetchval("SELECT 1") == idle
    await working.commit()
    await owner.commit()
    await other.close()


@pytest.mark.parametrize("archived", [False, True])
async def test_processes_keep_house_without_owning_anything(
    conn: Connection, url: str, project: Project, tmp_path: Path, archived: bool
) -> None:
    now = await bulk.read_clock(conn)
    await edition.reconcile(conn, Retention(archived=True))
    await Ledger(conn).add(project.id, minutes(now - timedelta(days=40), 41 * 24, 60))
    folder = str(tmp_path) if archived else None
    rules = Rules(retention=Retention(archived=archived), archive=folder)
    assert await house.keep(url_as(url, roles.APP), rules)
    if archived or await edition.find(conn) is edition.Edition.APACHE:
        assert (await samples.list_chunks(conn, "metric_samples"))[0][1] > now - timedelta(days=30)
    worker = await connect(url_as(url, roles.APP))
    for attack in ("DROP TABLE verdicts", "ALTER TABLE verdicts ADD x int", "CREATE TABLE mine ()",
                   "DELETE FROM schema_migrations", "TRUNCATE deployments"):  # fmt: skip
        with pytest.raises(DENIED):
            await worker.execute(attack)
    await worker.close()


async def test_what_later_migrations_make_is_open_to_the_right_ones(
    conn: Connection, url: str
) -> None:
    await conn.execute("CREATE TABLE later (id serial); CREATE VIEW report.later AS TABLE later")
    await edition.reconcile(conn, retention.Retention())
    worker = await connect(url_as(url, roles.APP))
    await worker.execute("INSERT INTO later DEFAULT VALUES")
    await worker.close()
    reader = await connect(url_as(url, GRAFANA))
    assert await reader.fetchval("SELECT count(*) FROM report.later") == 1
    with pytest.raises(DENIED):
        await reader.fetchval("SELECT count(*) FROM later")
    await reader.close()


async def test_reconciling_closes_the_job_api_again(conn: Connection, url: str) -> None:
    await conn.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC")
    assert [door for door in await roles.find_doors(conn) if "job" in door]
    await edition.reconcile(conn, Retention())
    assert not [door for door in await roles.find_doors(conn) if "job" in door]


async def test_the_command_says_what_it_did_and_never_a_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQPULSE_DATABASE_URL", url)
    monkeypatch.setenv("SEQPULSE_ANALYST_PASSWORD", "open sesame")
    printed = await asyncio.to_thread(CliRunner().invoke, app, ["db", "roles", "--print-sql"])
    assert printed.exit_code == 0, printed.output
    assert "SCRAM-SHA-256$" in printed.output
    assert "sesame" not in printed.output
    conn = await connect(url)
    await conn.execute(printed.output)
    assert await roles.find_doors(conn) == []
    await conn.close()
    reader = await connect(url_as(url, ANALYST).replace("p%27assword%20of%20the%20tests",
                                                        "open%20sesame"))  # fmt: skip
    await reader.close()
    await make(url)


async def test_an_owner_who_is_no_administrator_is_told_what_is_left(
    url: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQPULSE_DATABASE_URL", url_as(url, roles.APP))
    refused = await asyncio.to_thread(CliRunner().invoke, app, ["db", "roles"])
    assert refused.exit_code == 1
    assert "--print-sql" in str(refused.exception)


@pytest.mark.parametrize("password", ["", "é", "a\nb"])
def test_odd_passwords_are_refused(password: str) -> None:
    with pytest.raises(InvalidInputError):
        roles.hide_password(password)
