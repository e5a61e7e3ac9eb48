"""The command line: what it does, and what it says when something is wrong."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import processes
from core import settings as configuration
from core.database import Connection
from sql import embedded
from sql.scratch import scratch_database
from tests.acceptance.installation import Installation


def seqpulse(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core.cli", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error of a command that failed."""
    assert done.returncode == 1, done.stdout + done.stderr
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("seqpulse: ")
    return line


@pytest.mark.parametrize("command", ["api", "worker", "up", "migrate", "demo"])
def test_a_broken_setting_is_one_clear_line(command: str) -> None:
    line = complaint(seqpulse(command, SEQPULSE_SLOT_SECONDS="never"))
    assert "SEQPULSE_SLOT_SECONDS" in line


@pytest.mark.parametrize("command", ["api", "worker", "migrate", "up"])
def test_an_unreachable_database_is_one_clear_line_without_its_password(command: str) -> None:
    url = "postgresql://user:hunter2@127.0.0.1:9/db"
    key = "k" * 32
    line = complaint(seqpulse(command, SEQPULSE_DATABASE_URL=url, SEQPULSE_SECRET_KEY=key))
    assert "cannot be used" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("command", ["api", "worker", "migrate"])
def test_no_database_at_all_says_what_to_do(command: str, tmp_path: Path) -> None:
    line = complaint(seqpulse(command, SEQPULSE_DATA_DIR=str(tmp_path)))
    assert "seqpulse db start" in line


@pytest.mark.parametrize("command", ["api", "worker"])
def test_a_schema_that_is_not_current_is_refused(command: str, server_url: str) -> None:
    key = "k" * 32
    line = complaint(seqpulse(command, SEQPULSE_DATABASE_URL=server_url, SEQPULSE_SECRET_KEY=key))
    assert "seqpulse migrate" in line


@pytest.mark.parametrize("command", ["api", "worker"])
def test_a_missing_key_is_one_clear_line(command: str, database_url: str) -> None:
    line = complaint(seqpulse(command, SEQPULSE_DATABASE_URL=database_url))
    assert "SEQPULSE_SECRET_KEY" in line


@pytest.mark.parametrize("command", ["api", "worker"])
def test_another_key_than_the_first_is_refused(command: str, database_url: str) -> None:
    settings = {
        "SEQPULSE_DATABASE_URL": database_url,
        "SEQPULSE_API_HOST": "256.0.0.1",
        "SEQPULSE_LOG_LEVEL": "error",
    }
    # The API looks at the key before it listens, and fails at that: the key is on record then.
    assert "cannot listen" in complaint(seqpulse("api", SEQPULSE_SECRET_KEY="k" * 32, **settings))
    refused = seqpulse(command, SEQPULSE_SECRET_KEY="b" * 32, **settings)
    assert "first used with" in complaint(refused)


@pytest.mark.parametrize("arguments", [["x" * 101], ["a\x01b"], ["shop", "--env", "bad env"]])
def test_a_bad_name_is_one_clear_line(database_url: str, arguments: list[str]) -> None:
    done = seqpulse(
        "projects",
        "create",
        *arguments,
        "--metrics-endpoint",
        "http://x/",
        SEQPULSE_DATABASE_URL=database_url,
        SEQPULSE_SECRET_KEY="k" * 32,
    )
    assert "must be" in complaint(done)


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder the private server's account may enter."""
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-up-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_up_ends_when_its_database_does(data_folder: Path) -> None:
    log = data_folder / "log"
    env = {
        "SEQPULSE_DATA_DIR": str(data_folder),
        "SEQPULSE_API_PORT": "0",
        "SEQPULSE_LOG_FORMAT": "json",
    }
    try:
        with log.open("wb") as output:
            up = processes.start(["core.cli", "up"], env, output)
        async with asyncio.timeout(60):
            while '"worker_started"' not in log.read_text():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        server = embedded.status(data_folder, configuration.load().cache_dir)
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        assert up.wait(30) == 1
        assert "the database ended unexpectedly" in log.read_text()
    finally:
        processes.stop(up)


def test_a_taken_port_is_one_clear_line(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = seqpulse(
            "api",
            "--port",
            port,
            SEQPULSE_DATABASE_URL=database_url,
            SEQPULSE_SECRET_KEY="k" * 32,
            SEQPULSE_LOG_LEVEL="error",
        )
        assert port in complaint(done)


def test_migrate_reports_and_checks(database_url: str) -> None:
    for arguments in (["migrate"], ["migrate", "--check"]):
        done = seqpulse(*arguments, SEQPULSE_DATABASE_URL=database_url)
        assert done.returncode == 0, done.stderr
        assert "current" in done.stdout


async def test_a_plan_of_migrations_changes_nothing(server_url: str) -> None:
    async with scratch_database(server_url, prefix="test", migrated=False) as url:
        plan = seqpulse("migrate", "--plan", SEQPULSE_DATABASE_URL=url)
        assert plan.returncode == 0, plan.stderr
        assert "0011_roles, in one transaction: Processes that own nothing" in plan.stdout
        assert "    metric_samples: who writes waits" in plan.stdout
        assert seqpulse("migrate", "--plan", SEQPULSE_DATABASE_URL=url).stdout == plan.stdout
        assert seqpulse("migrate", SEQPULSE_DATABASE_URL=url).returncode == 0
        done = seqpulse("migrate", "--plan", SEQPULSE_DATABASE_URL=url)
        assert done.stdout == "the schema is current\n"


def test_projects_can_be_managed_on_the_server(database_url: str) -> None:
    env = {"SEQPULSE_DATABASE_URL": database_url, "SEQPULSE_SECRET_KEY": "k" * 32}
    created = seqpulse("projects", "create", "shop", "--plan", "pro", "--hmac", **env)
    assert created.returncode == 0, created.stderr
    lines = dict(line.rsplit(" ", 1) for line in created.stdout.splitlines())
    assert lines["api key"].startswith("sp_")
    assert lines["hmac secret"].startswith("hmac_")
    listed = seqpulse("projects", "list", COLUMNS="200", **env)
    assert lines["project"] in listed.stdout
    rotated = seqpulse("projects", "rotate-key", lines["project"], **env)
    assert rotated.stdout.startswith("api key sp_")
    assert lines["api key"] not in rotated.stdout
    shown = seqpulse("projects", "show", lines["project"], **env)
    assert "plan pro, 15 post slots" in shown.stdout
    again = complaint(seqpulse("projects", "create", "shop", **env))
    assert "exists already" in again


def test_keys_of_a_project_can_be_managed_on_the_server(database_url: str) -> None:
    env = {"SEQPULSE_DATABASE_URL": database_url, "SEQPULSE_SECRET_KEY": "k" * 32, "COLUMNS": "200"}
    created = seqpulse("projects", "create", "shop", **env)
    project = created.stdout.split()[1]
    keys = ("projects", "keys")
    made = seqpulse(*keys, "add", project, "--scope", "read", "--label", "board", **env)
    secret = made.stdout.split()[-1]
    assert secret.startswith("sp_")
    key_id = secret.split("_")[1]
    listed = seqpulse(*keys, "list", project, **env).stdout
    assert all(word in listed for word in (key_id, "read", "board", "first"))
    assert secret.rpartition("_")[2] not in listed
    assert "is revoked" in seqpulse(*keys, "revoke", project, key_id, **env).stdout
    assert "no key aaaa" in complaint(seqpulse(*keys, "revoke", project, "aaaa", **env))
    other = "00000000-0000-0000-0000-000000000007"
    assert f"no project {other}" in complaint(seqpulse(*keys, "add", other, **env))
    odd = complaint(seqpulse(*keys, "add", project, "--label", "a\nb", **env))
    assert "label" in odd


async def test_jobs_and_workers_can_be_seen_and_handled(
    installation: Installation, conn: Connection
) -> None:
    await installation.start_api()
    shop = await installation.start_shop()
    identity = installation.pipeline("trigger", shop)["deployment_id"]
    url = {"SEQPULSE_DATABASE_URL": installation.env["SEQPULSE_DATABASE_URL"]}
    job = await conn.fetchval("SELECT id FROM scheduled_jobs WHERE phase = 'pre'")
    listed = seqpulse("jobs", "list", "--deployment", identity, **url)
    assert (str(job) in listed.stdout, "pending" in listed.stdout) == (True, True)
    assert "deployment_id" in seqpulse("jobs", "show", str(job), **url).stdout
    assert "due now" in seqpulse("jobs", "retry", str(job), **url).stdout
    assert "cancelled" in seqpulse("jobs", "cancel", str(job), **url).stdout
    failed = seqpulse("jobs", "list", "--status", "failed", **url).stdout
    assert (str(job) in failed, "cancelled" in failed) == (True, True)
    assert "no such job" in complaint(seqpulse("jobs", "show", "999999", **url))
    installation.start("worker")
    await installation.logged("worker_started")
    assert "True" in seqpulse("workers", **url).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_processes_stop_cleanly_on_a_signal(
    installation: Installation, number: signal.Signals
) -> None:
    await installation.start_api()
    worker = installation.start("worker")
    api = installation.start("api", "--port", "0")
    for process, event, times in ((worker, "worker_started", 1), (api, "api_listening", 2)):
        await installation.logged(event, times)
        process.send_signal(number)
        process.wait(20)
    assert (worker.returncode, api.returncode) == (0, 0)
    assert "worker_stopped" in installation.log
    assert "Traceback" not in installation.log


def test_the_master_key_can_be_changed(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("k" * 40)
    env = {"SEQPULSE_DATABASE_URL": database_url, "SEQPULSE_SECRET_KEY_FILE": str(file)}
    created = seqpulse("projects", "create", "shop", "--hmac", **env)
    assert created.returncode == 0, created.stderr
    assert "nothing needs the key before" in seqpulse("secrets", "status", **env).stdout
    assert "holds a new key" in seqpulse("secrets", "new-key", **env).stdout
    assert "two keys already" in complaint(seqpulse("secrets", "new-key", **env))
    waiting = seqpulse("secrets", "status", **env)
    assert (waiting.returncode, "run `seqpulse secrets rotate`" in waiting.stdout) == (1, True)
    assert "rotate first" in complaint(seqpulse("secrets", "forget", **env))
    rotated = seqpulse("secrets", "rotate", **env)
    assert "1 stored secret(s) encrypted anew" in rotated.stdout
    assert "1 API key(s) still need the key before" in rotated.stdout
    assert "still need the key before" in complaint(seqpulse("secrets", "forget", **env))
    assert seqpulse("secrets", "forget", "--force", **env).returncode == 0
    assert seqpulse("secrets", "status", **env).returncode == 0
    assert "k" * 40 not in file.read_text()
