"""`seqpulse replay` and `seqpulse judge` on a past that was judged live."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics import policy
from core.database import Connection, Pool
from scheduler import judging
from sql.archive import expire
from sql.archive.store import Folder
from tests.history import SETTLE

GENERATE = (Path(__file__).parents[1] / "integration/many_deployments.sql").read_text()


@pytest.fixture
async def url(database_url: str, conn: Connection, pool: Pool) -> str:
    """Eight services with five deployments each, judged by `reference-v2`."""
    await conn.execute("SELECT setseed(0.5)")
    await conn.execute(GENERATE.replace(":services", "8").replace(":each", "5"))
    ids = await conn.fetchval("SELECT array_agg(id) FROM deployments")
    await judging.judge(pool, judging.Policies(policy.REFERENCE_V2), 1800.0, ids)
    return database_url


def seqpulse(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core.cli", *arguments],
        env={**os.environ, "SEQPULSE_DATABASE_URL": url, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_the_policy_on_record_changes_nothing_and_another_one_does(
    url: str, conn: Connection
) -> None:
    record = await conn.fetch("SELECT * FROM verdicts ORDER BY deployment_id")
    same = seqpulse(url, "replay", "--policy", "reference-v2", "--diff")
    assert same.returncode == 0, same.stderr
    assert "reference-v2: 40 deployments" in same.stdout
    assert "0 differ" in same.stdout
    one = seqpulse(url, "replay", "--policy", "reference-v2", "--project", "service 3")
    assert "reference-v2: 5 deployments" in one.stdout
    await conn.execute(
        "UPDATE verdicts SET verdict = 'warning' FROM deployments d JOIN projects p "
        "ON p.id = project_id WHERE d.id = deployment_id AND p.name = 'service 4' "
        "AND verdict = 'ok'"
    )
    record = await conn.fetch("SELECT * FROM verdicts ORDER BY deployment_id")
    other = seqpulse(url, "replay", "--policy", "reference-v2", "--diff")
    [row] = [line for line in other.stdout.splitlines() if "service" in line]
    assert [cell.strip() for cell in row.split("│")[1:4]] == ["service 4", "warning", "ok"]
    assert await conn.fetch("SELECT * FROM verdicts ORDER BY deployment_id") == record


async def test_the_past_is_found_in_the_archive(url: str, conn: Connection, tmp_path: Path) -> None:
    identity = await conn.fetchval(  # of one whose target was gone nothing can be found
        "SELECT deployment_id FROM verdicts WHERE coverage_ratio = 1 LIMIT 1"
    )
    lone = seqpulse(url, "judge", str(identity), "--policy", "reference-v2").stdout
    await conn.execute(SETTLE)
    await expire.run(conn, Folder(tmp_path), datetime(2026, 6, 1, tzinfo=UTC), timedelta())
    gone = seqpulse(url, "replay", "--policy", "reference-v2")
    assert gone.returncode == 0
    assert "0 differ" not in gone.stdout
    same = seqpulse(url, "replay", "--policy", "reference-v2", "--url", str(tmp_path))
    assert same.returncode == 0, same.stderr
    assert "reference-v2: 40 deployments" in same.stdout
    assert "\n0 differ" in same.stdout
    asked = ("judge", str(identity), "--policy", "reference-v2", "--url", str(tmp_path))
    assert seqpulse(url, *asked).stdout == lone
    assert seqpulse(url, *asked[:-2]).stdout != lone


async def test_results_are_written_in_three_formats(
    url: str, conn: Connection, tmp_path: Path
) -> None:
    for ending in ("csv", "parquet", "json"):
        done = seqpulse(url, "replay", "--policy", "slo", "--out", str(tmp_path / f"r.{ending}"))
        assert done.returncode == 0, done.stderr
    table = pl.read_parquet(tmp_path / "r.parquet")
    rows = json.loads((tmp_path / "r.json").read_text())
    assert table.height == len(rows) == pl.read_csv(tmp_path / "r.csv").height == 40
    assert [row["verdict"] for row in rows] == table["verdict"].to_list()
    assert set(table["policy"]) == {"slo"}
    record = {
        str(row[0]): row[1]
        for row in await conn.fetch("SELECT deployment_id, verdict FROM verdicts")
    }
    assert dict(table.select("deployment_id", "recorded_verdict").iter_rows()) == record


async def test_a_policy_from_a_file_and_a_time_can_be_given(url: str, tmp_path: Path) -> None:
    path = tmp_path / "lenient.toml"
    path.write_text('name = "lenient"\nextends = "reference-v2"\n')
    since = ("--since", "2026-03-02T12:00:00", "--until", "2026-03-02T18:00:00", "--env", "prod")
    done = seqpulse(url, "replay", "--policy", str(path), *since)
    assert "lenient: 16 deployments" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["replay", "--policy", "none-such"], "seqpulse-v1"),
        (["replay", "--policy", "slo", "--project", "nobody"], "no project nobody"),
        (["replay", "--policy", "slo", "--out", "x.xlsx"], ".parquet"),
        (["replay", "--policy", "/nowhere/p.toml"], "p.toml"),
        (["replay", "--policy", "slo", "--archive"], "SEQPULSE_ARCHIVE_URL"),
        (["replay", "--policy", "slo", "--url", "/nowhere"], "there is no archive in /nowhere"),
        (["judge", "00000000-0000-0000-0000-000000000001"], "no finished deployment"),
    ],
)
async def test_what_is_wrong_is_one_clear_line(url: str, arguments: list[str], word: str) -> None:
    done = seqpulse(url, *arguments)
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("seqpulse: ")
    assert word in line


async def test_one_deployment_is_explained(url: str, conn: Connection) -> None:
    identity = await conn.fetchval(
        "SELECT deployment_id FROM verdicts JOIN evidence USING (deployment_id) "
        "WHERE verdict = 'rollback_recommended' AND metric = 'error_rate' AND failed "
        "AND baseline_n > 20 LIMIT 1"
    )
    said = seqpulse(url, "judge", str(identity), "--policy", "seqpulse-v1")
    assert said.returncode == 0, said.stderr
    for word in ("rollback_recommended", "error rate", "introduced", "critical", "1. ", "smaller"):
        assert word in said.stdout
    live = seqpulse(url, "judge", str(identity), "--policy", "reference-v2")
    assert "on record" not in live.stdout
    assert live.stdout.startswith("rollback_recommended: error rate or traffic failed")
    await conn.execute(
        "INSERT INTO scheduled_jobs (kind, priority, project_id, env, deployment_id, phase, "
        "slot_at, scheduled_at) SELECT 'collect', 0, project_id, env, id, 'post', now(), now() "
        "FROM deployments WHERE id = $1",
        identity,
    )
    watched = seqpulse(url, "judge", str(identity))
    assert "still being watched" in watched.stderr
