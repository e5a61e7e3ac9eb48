"""Workers and a real PgBouncer: refused where it shares sessions, welcome where it does not."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core.database import Connection, connect
from core.errors import DatabaseError, SettingsError
from core.ids import new_id
from scheduler import queue, worker
from scheduler.jobs import Job, NewJob, Outcome, Status
from tests import debian


@contextmanager
def pooler(database_url: str, mode: str) -> Iterator[str]:
    """Run a PgBouncer before the database and hand over the way through it."""
    pgbouncer = debian.command("pgbouncer", "usr/sbin/pgbouncer")
    parts = urlsplit(database_url)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-pooler-"))
    folder.chmod(0o755)
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port} user={parts.username} "
        f"password={parts.password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\n"
    )
    config.chmod(0o644)
    # It refuses to run as root.
    account = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    process = subprocess.Popen([*pgbouncer, str(config)], user=account, stderr=subprocess.DEVNULL)
    url = f"postgresql://anybody@127.0.0.1:{port}{parts.path}"
    try:
        yield url
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


async def until_up(url: str) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await (await connect(url)).close()
            except DatabaseError:
                await asyncio.sleep(0.05)  # it does not say when it listens
            else:
                return


async def test_a_pooler_in_transaction_mode_is_refused(database_url: str) -> None:
    async def handle(_: Job) -> Outcome:
        raise AssertionError

    with pooler(database_url, "transaction") as url:
        await until_up(url)
        with pytest.raises(SettingsError, match="transaction mode"):
            async with asyncio.timeout(20):
                await worker.run(url, handle, worker.Options(), asyncio.Event())


async def test_a_pooler_in_session_mode_carries_a_worker(
    database_url: str, conn: Connection
) -> None:
    stop = asyncio.Event()

    async def handle(_: Job) -> Outcome:
        stop.set()
        return Outcome(Status.COMPLETED)

    await queue.enqueue(
        conn, [NewJob("probe", new_id(), "prod", await conn.fetchval("SELECT now()"))]
    )
    with pooler(database_url, "session") as url:
        await until_up(url)
        async with asyncio.timeout(20):
            await worker.run(url, handle, worker.Options(), stop)
    assert await conn.fetchval("SELECT status FROM job_runs") == "completed"
