"""The command line: what it does, and what it says when something is wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_processes_stop_cleanly_on_a_signal(
    installation: Installation, number: signal.Signals
) -> None:
    await installation.start_api()
    worker = installation.start("worker")
    api = installation.start("api", "--port", "0")
    for process, event in ((worker, "worker_started"), (api, "api_listening")):
        await installation.logged(event)
        process.send_signal(number)
        process.wait(20)
    assert (worker.returncode, api.returncode) == (0, 0)
    assert "worker_stopped" in installation.log
    assert "Traceback" not in installation.log
