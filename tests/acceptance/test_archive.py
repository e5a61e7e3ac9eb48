"""`seqpulse archive`: what an operator sees and what the exit codes mean."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import pytest

from core.database import Connection
from core.secrets import Vault
from sql import projects
from sql.archive.manifest import MANIFEST
from tests.history import archived, fill, stored

Seqpulse: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def seqpulse(database_url: str, tmp_path: Path) -> Seqpulse:
    def run(*arguments: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
        def prepare() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run(
            [sys.executable, "-m", "core.cli", "archive", *arguments],
            env={
                **os.environ,
                "SEQPULSE_DATABASE_URL": database_url,
                "SEQPULSE_ARCHIVE_URL": str(tmp_path / "archive"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=prepare,
        )

    return run


@pytest.fixture
async def project_id(conn: Connection, vault: Vault) -> UUID:
    """A project with samples and missed slots of two days of long ago and one of a moment ago."""
    project, _ = await projects.create(conn, vault, name="shop")
    today = (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).days
    await fill(conn, [project.id], [0, 1, today], settled=False)
    return project.id


async def test_the_way_of_an_operator(
    conn: Connection, seqpulse: Seqpulse, project_id: UUID, tmp_path: Path
) -> None:
    before = await stored(conn)
    planned = seqpulse("run", "--dry-run")
    assert planned.stdout.splitlines() == [
        f"{folder} 2026-01-01 00:00+00:00 .. 2026-01-08 00:00+00:00"
        for folder in ("samples", "missed")
    ]
    assert (await stored(conn)).equals(before)

    done = seqpulse("run")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.rpartition("  ")[2] for line in done.stdout.splitlines()] == [
        "120 rows, 120 new to the archive, dropped"
    ] * 2
    assert len(await stored(conn)) == 60

    days = [json.loads(line) for line in seqpulse("list", "--json").stdout.splitlines()]
    assert [(day["day"], day["table"], day["files"], day["rows"]) for day in days] == [
        (day, table, 1, 60)
        for day in ("2026-01-01", "2026-01-02")
        for table in ("missed", "samples")
    ]
    assert "2026-01-02" in seqpulse("list").stdout

    sound = seqpulse("verify")
    assert (sound.returncode, sound.stdout) == (0, "4 files sound, 0 not\n")

    back = seqpulse("restore", "--days", "2026-01-01:2026-01-02")
    assert (back.returncode, back.stdout) == (0, "rows 240, stored 240\n")
    assert (await stored(conn)).equals(before)
    assert seqpulse("restore", "--days", "2026-01-01").stdout == "rows 120, stored 0\n"
    assert seqpulse("run").stdout == ""  # they stay for a week


async def test_a_lost_manifest_is_made_anew(
    conn: Connection, seqpulse: Seqpulse, project_id: UUID, tmp_path: Path
) -> None:
    assert seqpulse("run").returncode == 0
    (tmp_path / "archive" / MANIFEST).unlink()
    assert "seqpulse archive rebuild" in seqpulse("run").stderr
    done = seqpulse("rebuild")
    assert (done.returncode, done.stdout) == (0, "0 files known, 4 added with 240 rows\n")
    assert seqpulse("verify").stdout == "4 files sound, 0 not\n"
    next((tmp_path / "archive").glob("samples/day=2026-01-02/*")).unlink()
    (tmp_path / "archive" / MANIFEST).unlink()
    less = seqpulse("rebuild")
    assert less.returncode == 3
    assert less.stdout.splitlines() == [
        "samples of 2026-01-01 .. 2026-01-08: 120 rows were archived, 60 are there",
        "0 files known, 3 added with 180 rows",
    ]


async def test_a_damaged_file_is_named_by_verify_and_by_run(
    conn: Connection, seqpulse: Seqpulse, project_id: UUID, tmp_path: Path
) -> None:
    assert seqpulse("run").returncode == 0
    [file] = (tmp_path / "archive").glob("samples/day=2026-01-02/part-*.parquet")
    path = file.relative_to(tmp_path / "archive")
    file.write_bytes(file.read_bytes()[:-1])
    (file.parent / "part-x-0001.parquet").touch()
    found = seqpulse("verify")
    assert found.returncode == 3
    assert found.stdout.splitlines() == [
        f"{path} is damaged: it is not the file that was written",
        "samples/day=2026-01-02/part-x-0001.parquet does not belong to the archive: left by an "
        "interrupted run",
        "3 files sound, 1 not",
    ]
    await fill(conn, [project_id], [1], settled=False)
    refused = seqpulse("run")
    assert refused.returncode == 3
    assert f"refused: {path} is damaged" in refused.stdout
    assert len(await stored(conn)) == 120


async def test_a_disk_that_takes_no_more_loses_nothing(
    conn: Connection, seqpulse: Seqpulse, project_id: UUID, tmp_path: Path
) -> None:
    before = await stored(conn)
    full = seqpulse("run", limit=2_000)  # bytes a file may have: less than a part
    assert full.returncode == 3
    first = full.stdout.splitlines()[0]
    assert "refused: samples/day=2026-01-01/part-" in first
    assert first.endswith("cannot be written: File too large")
    assert (await stored(conn)).equals(before)
    assert not [*(tmp_path / "archive").rglob("*.draft")]
    assert seqpulse("run").returncode == 0
    assert len(archived(tmp_path / "archive")) == 120


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["list"], f"there is no archive in {{place}}: it has no {MANIFEST}"),
        (["run", "--url", "s3://key:hunter2@bucket"], "must not carry credentials"),
        (["restore", "--days", "yesterday"], "--days: must be like 2026-01-31"),
        (["run", "--url", "/proc/none"], "cannot be"),
    ],
)
async def test_what_is_wrong_is_one_clear_line(
    seqpulse: Seqpulse, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = seqpulse(*arguments)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert complaint.format(place=tmp_path / "archive") in line
    assert "hunter2" not in line
