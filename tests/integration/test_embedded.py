"""The private TimescaleDB with real servers; the programs come from the machine's usual cache."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core import settings as configuration
from core.database import connect
from core.errors import EmbeddedError
from sql import embedded
from sql.embedded.account import choose_account
from sql.embedded.cluster import Place

PATIENCE_MS = 60_000

OWNER = """
import sys
from pathlib import Path
from sql import embedded
server = embedded.start(Path(sys.argv[1]), Path(sys.argv[2]), stay=sys.argv[3] == "stay")
print(server.pid, server.started, flush=True)
sys.stdin.read()
"""


@contextmanager
def make_folder() -> Iterator[Path]:
    """A folder the server's account may enter, unlike pytest's own, and no server left in it."""
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-embedded-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        embedded.stop(folder, folder)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cache_dir() -> Path:
    return configuration.load().cache_dir


@pytest.fixture(scope="module")
def created(cache_dir: Path) -> Iterator[Path]:
    """A data folder with a database."""
    with make_folder() as folder:
        with embedded.running(folder, cache_dir):
            pass
        yield folder


@pytest.fixture
def data_dir(created: Path) -> Iterator[Path]:
    """A data folder whose server does not run."""
    yield created
    embedded.stop(created, created)


@pytest.fixture
def fresh_dir() -> Iterator[Path]:
    """An empty data folder."""
    with make_folder() as folder:
        yield folder


@contextmanager
def own(data_dir: Path, cache_dir: Path, life: str = "leave") -> Iterator[subprocess.Popen[str]]:
    """Another process that starts the server and then waits."""
    command = [sys.executable, "-c", OWNER, str(data_dir), str(cache_dir), life]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as owner:
        try:
            yield owner
        finally:
            owner.kill()


def hear(owner: subprocess.Popen[str]) -> tuple[int, bool]:
    """The pid of the server, and whether this owner started it."""
    assert owner.stdout is not None
    pid, started = owner.stdout.readline().split()
    return int(pid), started == "True"


@contextmanager
def watch(pid: int) -> Iterator[select.poll]:
    handle = os.pidfd_open(pid)
    end = select.poll()
    end.register(handle, select.POLLIN)
    try:
        yield end
    finally:
        os.close(handle)


def read_status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise AssertionError(name)


async def ask(url: str, sql: str) -> object:
    connection = await connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_it_is_a_timescaledb_that_nobody_else_can_reach(
    data_dir: Path, cache_dir: Path
) -> None:
    with embedded.running(data_dir, cache_dir) as server:
        assert await ask(
            server.url, "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"
        )
        assert await ask(server.url, "CREATE TABLE t (at timestamptz NOT NULL)") is None
        assert await ask(server.url, "SELECT create_hypertable('t', by_range('at'))::text")
        assert await ask(server.url, "SHOW listen_addresses") == "127.0.0.1"
        assert await ask(server.url, "SHOW timescaledb.telemetry_level") == "off"
        assert await ask(server.url, "SHOW fsync") == "on"
        assert await ask(server.url, "SELECT datcollate FROM pg_database LIMIT 1") == "C"
        assert await ask(server.url, "SHOW server_encoding") == "UTF8"
        secret = server.url.split(":")[2].split("@")[0]
        with pytest.raises(Exception, match="password authentication failed"):
            await ask(server.url.replace(secret, "wrong"), "SELECT 1")


def test_the_password_stays_in_its_file(data_dir: Path, cache_dir: Path) -> None:
    password = Place(data_dir).password
    assert password.stat().st_mode & 0o777 == 0o600
    secret = password.read_text()
    assert len(secret) >= 32
    with embedded.running(data_dir, cache_dir) as server:
        assert secret in server.url
        assert secret not in repr(server)
        for process in (server.pid, read_status(server.pid, "PPid")):
            assert secret not in Path(f"/proc/{process}/cmdline").read_text()
            assert secret not in Path(f"/proc/{process}/environ").read_text()


def test_it_does_not_run_as_root(data_dir: Path, cache_dir: Path) -> None:
    with embedded.running(data_dir, cache_dir) as server:
        assert read_status(server.pid, "Uid") != 0
        assert read_status(server.pid, "Gid") != 0 or os.geteuid() != 0
        assert Place(data_dir).home.stat().st_mode & 0o777 == 0o700


async def test_data_survive_a_restart_on_the_same_port(data_dir: Path, cache_dir: Path) -> None:
    with embedded.running(data_dir, cache_dir) as first:
        await ask(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert embedded.status(data_dir, cache_dir) is None
    with embedded.running(data_dir, cache_dir) as second:
        assert second.started
        assert second.port == first.port
        assert await ask(second.url, "SELECT answer FROM kept") == 42


async def test_committed_data_survive_a_crash(data_dir: Path, cache_dir: Path) -> None:
    with embedded.running(data_dir, cache_dir) as first:
        await ask(first.url, "CREATE TABLE crashed AS SELECT 42 AS answer")
        with watch(first.pid) as end:
            os.kill(first.pid, signal.SIGKILL)
            assert end.poll(PATIENCE_MS)
        # Not a moment's wait from here: the children of the dead server may still be there.
        second = embedded.start(data_dir, cache_dir, stay=False)
        assert second.started
        assert await ask(second.url, "SELECT answer FROM crashed") == 42
    # `running` ends the server it started, not the one that took its place.
    assert embedded.status(data_dir, cache_dir) is not None
    assert embedded.stop(data_dir, cache_dir)
    assert not embedded.stop(data_dir, cache_dir)


def test_a_pid_file_that_names_a_living_stranger(data_dir: Path, cache_dir: Path) -> None:
    pid_file = Place(data_dir).cluster / "postmaster.pid"
    account = choose_account(Place(data_dir).home)
    # Of the same account: to PostgreSQL itself this looks like a server that runs.
    uid = account.uid if account else None
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=uid) as stranger:
        lines = (stranger.pid, pid_file.parent, 1, 5432, "", "127.0.0.1", "1 1", "ready")
        pid_file.write_text("".join(f"{line}\n" for line in lines))
        assert embedded.status(data_dir, cache_dir) is None
        assert not embedded.stop(data_dir, cache_dir)
        with embedded.running(data_dir, cache_dir) as server:
            assert server.started
        assert stranger.poll() is None


def test_a_taken_port_is_left_to_its_owner(data_dir: Path, cache_dir: Path) -> None:
    with embedded.running(data_dir, cache_dir) as server:
        port = server.port
    taken = closing(socket.create_server(("127.0.0.1", port)))
    with taken, embedded.running(data_dir, cache_dir) as server:
        other = server.port
        assert other != port
    with embedded.running(data_dir, cache_dir) as server:
        assert server.port == other


def test_joining_does_not_own(data_dir: Path, cache_dir: Path) -> None:
    with embedded.running(data_dir, cache_dir) as first:
        with embedded.running(data_dir, cache_dir) as second:
            assert not second.started
            assert (second.pid, second.url) == (first.pid, first.url)
        found = embedded.status(data_dir, cache_dir)
        assert found is not None
        assert found.pid == first.pid


def test_two_processes_start_at_once_after_a_crash_in_between(
    fresh_dir: Path, cache_dir: Path
) -> None:
    debris = fresh_dir / "postgres.draft" / "postgres" / "cluster"
    debris.mkdir(parents=True)
    (debris / "PG_VERSION").write_text("17")
    with own(fresh_dir, cache_dir) as one, own(fresh_dir, cache_dir) as two:
        (pid, started), (other_pid, other_started) = hear(one), hear(two)
        assert pid == other_pid
        assert {started, other_started} == {True, False}
    assert not debris.exists()


def test_the_server_ends_with_its_owner_whatever_kills_it(data_dir: Path, cache_dir: Path) -> None:
    with own(data_dir, cache_dir) as owner:
        pid, _ = hear(owner)
        with watch(pid) as end:
            owner.kill()
            assert end.poll(PATIENCE_MS)
    assert Place(data_dir).stay.exists() is False
    embedded.stop(data_dir, cache_dir)  # waits for the children
    log = max((Place(data_dir).cluster / "log").iterdir(), key=lambda path: path.stat().st_mtime)
    assert log.read_text().rstrip().endswith("database system is shut down")


def test_the_server_ends_with_its_keeper(data_dir: Path, cache_dir: Path) -> None:
    with own(data_dir, cache_dir) as owner:
        pid, _ = hear(owner)
        with watch(pid) as end:
            os.kill(read_status(pid, "PPid"), signal.SIGKILL)
            assert end.poll(PATIENCE_MS)


def test_the_server_does_not_end_with_the_thread_that_started_it(
    data_dir: Path, cache_dir: Path
) -> None:
    found: list[embedded.Server] = []
    thread = threading.Thread(
        target=lambda: found.append(embedded.start(data_dir, cache_dir, stay=False))
    )
    thread.start()
    thread.join()
    with watch(found[0].pid) as end:
        assert not end.poll(300)


def test_a_server_that_stays_survives_its_owner(data_dir: Path, cache_dir: Path) -> None:
    with own(data_dir, cache_dir, "stay") as owner:
        pid, _ = hear(owner)
        keeper = read_status(pid, "PPid")
        with watch(pid) as end:
            owner.kill()
            owner.wait()
            assert not end.poll(300)
    assert keeper != owner.pid
    server = embedded.start(data_dir, cache_dir, stay=False)
    assert (server.pid, server.started, server.stays) == (pid, False, True)
    with watch(pid) as end:
        assert embedded.stop(data_dir, cache_dir)
        assert end.poll(0)


def test_why_it_does_not_start_is_said(data_dir: Path, cache_dir: Path) -> None:
    tuning = Place(data_dir).cluster / "postgresql.auto.conf"
    before = tuning.read_text()
    tuning.write_text("shared_buffers = '100TB'\n")
    try:
        with pytest.raises(EmbeddedError, match=r"does not start: FATAL"):
            embedded.start(data_dir, cache_dir, stay=True)
    finally:
        tuning.write_text(before)
    assert embedded.status(data_dir, cache_dir) is None


def test_data_of_another_major_version(fresh_dir: Path, cache_dir: Path) -> None:
    cluster = Place(fresh_dir).cluster
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 16 and this is 17"):
        embedded.start(fresh_dir, cache_dir, stay=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="others may enter their own folders")
def test_a_folder_the_account_cannot_enter(fresh_dir: Path, cache_dir: Path) -> None:
    fresh_dir.chmod(0o700)
    with pytest.raises(EmbeddedError, match=rf"may not enter {fresh_dir}: .*SEQPULSE_DATA_DIR"):
        embedded.start(fresh_dir / "data", cache_dir, stay=False)


def test_a_data_folder_that_cannot_be(fresh_dir: Path, cache_dir: Path) -> None:
    (fresh_dir / "file").touch()
    with pytest.raises(EmbeddedError, match=str(fresh_dir / "file")):
        embedded.start(fresh_dir / "file" / "data", cache_dir, stay=False)


def test_status_creates_nothing(fresh_dir: Path, cache_dir: Path) -> None:
    assert embedded.status(fresh_dir / "none", cache_dir) is None
    assert not embedded.stop(fresh_dir / "none", cache_dir)
    assert list(fresh_dir.iterdir()) == []
