"""`seqpulse db` as a user types it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core import settings as configuration
from core.cli.db import app
from core.errors import DatabaseError, SettingsError
from sql import embedded
from sql.embedded.psql import split_password


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-embedded-"))
    folder.chmod(0o755)
    yield folder
    embedded.stop(folder, folder)
    shutil.rmtree(folder)


def db(data_dir: Path, *arguments: str, url: str | None = None) -> tuple[int, str, str]:
    """Run `seqpulse db` for the folder; return exit code, stdout, stderr."""
    environment = name_folders(data_dir) | {"SEQPULSE_DATABASE_URL": url}
    done = CliRunner().invoke(app, arguments, env=environment)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def psql(data_dir: Path, *arguments: str, url: str | None = None) -> tuple[int, str, str]:
    """Run `seqpulse db psql`, which turns into another program, in a process of its own."""
    environment = {**os.environ, **name_folders(data_dir)}
    if url is not None:
        environment["SEQPULSE_DATABASE_URL"] = url
    command = [sys.executable, "-m", "core.cli", "db", "psql", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def name_folders(data_dir: Path) -> dict[str, str]:
    cache_dir = configuration.load().cache_dir
    return {"SEQPULSE_DATA_DIR": str(data_dir), "SEQPULSE_CACHE_DIR": str(cache_dir)}


def test_a_day_with_the_private_database(data_dir: Path) -> None:
    code, out, err = db(data_dir, "status")
    assert (code, out) == (3, "")
    assert f"not running (data folder {data_dir})" in err
    with pytest.raises(DatabaseError, match="seqpulse db start"):
        db(data_dir, "url")
    assert psql(data_dir)[0] == 1

    code, out, err = db(data_dir, "start")
    assert code == 0
    assert err.endswith("started\n")
    url = db(data_dir, "url")[1].strip()
    safe, password = split_password(url)
    assert password
    assert out == f"{safe}\n"
    assert db(data_dir, "start") == (0, out, "running already\n")

    code, out, _ = db(data_dir, "status")
    assert code == 0
    assert password not in out
    facts = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert facts["database"] == safe
    assert facts["edition"] == "apache"
    assert "not compressed" in facts["old"]  # chunks
    assert facts["postgresql"].startswith("17.")
    assert {"process", "port", "data", "timescaledb", "size"} <= facts.keys()

    assert psql(data_dir, "-At", "-c", "SELECT current_user") == (0, "seqpulse\n", "")
    assert psql(data_dir, "-c", "SELECT 1/0")[0] == 1

    assert db(data_dir, "stop") == (0, "", "stopped\n")
    assert db(data_dir, "stop") == (0, "", "it was not running\n")


def test_a_server_of_somebody_else_is_joined_with_a_warning(data_dir: Path) -> None:
    with embedded.running(data_dir, configuration.load().cache_dir):
        code, _, err = db(data_dir, "start")
        assert code == 0
        assert "will stop with that one" in err
        assert "stops with its starter" in db(data_dir, "status")[1]


def test_a_database_of_your_own(data_dir: Path, server_url: str) -> None:
    for command in ("start", "stop"):
        with pytest.raises(SettingsError, match="SEQPULSE_DATABASE_URL is set"):
            db(data_dir, command, url=server_url)
    code, out, _ = db(data_dir, "status", url=server_url)
    assert code == 0
    assert out.startswith(f"database     {split_password(server_url)[0]}\n")
    assert "data folder" not in out
    assert db(data_dir, "url", url=server_url)[1] == f"{server_url}\n"
    assert psql(data_dir, "-Atc", "SELECT 7", url=server_url) == (0, "7\n", "")
