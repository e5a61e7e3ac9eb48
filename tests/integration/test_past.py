"""A made-up past: the same from the same seed, judged as it would have been, and nothing harmed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics import policy
from core.database import Connection, connect, create_pool
from core.errors import ConflictError, InvalidInputError
from scheduler.replay import replay
from sql import history, locks, rollups
from sql.scratch import scratch_database
from tests.past import Past, make_past, plan

FINGERPRINT = """
SELECT (SELECT md5(string_agg(p::text, '|' ORDER BY id)) FROM projects AS p) AS projects,
       (SELECT md5(string_agg(d::text, '|' ORDER BY id)) FROM deployments AS d) AS deployments,
       (SELECT md5(string_agg(m::text, '|' ORDER BY project_id, env, slot_at))
          FROM metric_samples AS m) AS samples,
       (SELECT md5(string_agg(m::text, '|' ORDER BY project_id, env, slot_at))
          FROM missed_slots AS m) AS missed,
       (SELECT md5(string_agg((to_jsonb(v) - 'created_at')::text, '|' ORDER BY deployment_id))
          FROM verdicts AS v) AS verdicts,
       (SELECT md5(string_agg(e::text, '|' ORDER BY deployment_id, metric)) FROM evidence AS e)
           AS evidence
"""


async def fingerprint(server_url: str, seed: int, until: datetime) -> dict[str, str]:
    async with scratch_database(server_url, prefix="past") as url:
        await make_past(url, replace(plan(projects=4, days=3, seed=seed), until=until))
        conn = await connect(url)
        [row] = await conn.fetch(FINGERPRINT)
        await conn.close()
        return dict(row)


async def test_the_same_seed_makes_the_same_past_and_another_one_another(server_url: str) -> None:
    until = datetime(2026, 3, 20, 15, tzinfo=UTC)
    first = await fingerprint(server_url, 7, until)
    assert await fingerprint(server_url, 7, until) == first
    other = await fingerprint(server_url, 8, until)
    assert None not in first.values()
    assert not [name for name in first if other[name] == first[name]]


async def test_every_deployment_is_judged_as_replay_says(past: Past) -> None:
    """Bit for bit what the live judge would have said, so nothing was known too early."""
    async with await create_pool(past.url, 3) as pool:
        lots = [
            each async for each in replay(pool, policy.SEQPULSE_V1, history.Selection(), 1800.0)
        ]
    said = pl.concat(lots)
    assert said.height == len(past.made.deployments) > 100
    assert (said["verdict"] == said["recorded_verdict"]).all()
    assert (said["reason_code"] == said["recorded_reason_code"]).all()
    assert (said["conclusive"] == said["recorded_conclusive"]).all()


async def test_verdicts_are_mostly_right_about_what_was_planted(past: Past) -> None:
    # The past ends now, so every run sees another one: the bounds have room.
    conn = await connect(past.url)
    rows = await conn.fetch(
        "SELECT deployment_id, verdict <> 'ok' AND conclusive AS alarm, as_of - finished_at AS age,"
        " triggered_at, analyzed_at = as_of AS then FROM report.deployment_overview"
    )
    await conn.close()
    alarms = {row["deployment_id"]: row["alarm"] for row in rows}
    loud = [
        each for each in past.made.deployments if each.kind in ("errors", "traffic_loss", "latency")
    ]
    quiet = [each for each in past.made.deployments if each.kind == "none"]
    assert len(loud) >= 3
    assert sum(alarms[each.id] for each in loud) >= 0.6 * len(loud)
    assert sum(alarms[each.id] for each in quiet) <= 0.05 * len(quiet)
    assert all(row["then"] for row in rows)
    assert max(row["age"] for row in rows) < timedelta(minutes=31)


async def test_there_is_something_of_everything(past: Past) -> None:
    kinds = Counter(each.kind for each in past.made.deployments)
    assert len(kinds) >= 5
    conn = await connect(past.url)
    for view, least in {
        "deployment_overview": 100, "verdict_evidence": 500, "hints": 20, "shadow_verdicts": 100,
        "detected_rollbacks": 3, "deployment_labels": 10, "policy_accuracy": 4, "missed_slots": 500,
        "slots": 100_000, "samples_5m": 50_000, "samples_1h": 5_000, "samples_fleet_1h": 500,
        "coverage": 200, "dora": 20, "service_status": 17, "targets": 17, "jobs": 1000,
        "collection_health": 1000,
    }.items():  # fmt: skip
        assert await conn.fetchval(f"SELECT count(*) FROM report.{view}") >= least, view
    rolled = await rollups.read_edges(conn)
    assert rolled.rolled_1h_until > datetime.now(UTC) - timedelta(hours=2)
    assert await conn.fetchval("SELECT count(DISTINCT env) FROM deployments") == 2
    await conn.close()


async def test_rollups_hold_what_was_measured(past: Past) -> None:
    """The day is summed up from the slots, without anything of the rollups' code."""
    conn = await connect(past.url)
    rows = await conn.fetch(
        "SELECT r.samples, r.missed, r.latency_p95_mean, s.* FROM report.samples_1h AS r JOIN ("
        "  SELECT project_id, env, date_trunc('hour', slot_at) AS bucket_at,"
        "         sum(present::int) AS n, sum((NOT present)::int) AS gone,"
        "         avg(latency_p95) AS mean FROM report.slots GROUP BY 1, 2, 3) AS s"
        " USING (project_id, env, bucket_at)"
    )
    assert len(rows) > 5000
    for row in rows:
        assert (row["samples"], row["missed"]) == (row["n"], row["gone"])
        if row["mean"] is not None:
            assert row["latency_p95_mean"] == pytest.approx(row["mean"], rel=1e-6)
    await conn.close()


async def test_what_is_there_is_not_touched(database_url: str, conn: Connection) -> None:
    planned = plan(projects=2, days=1)
    await make_past(database_url, planned)
    before = dict((await conn.fetch(FINGERPRINT))[0])
    with pytest.raises(ConflictError, match="holds 2 projects"):
        await make_past(database_url, planned)
    with pytest.raises(ConflictError, match="exists already"):
        await make_past(database_url, replace(planned, force=True))
    assert dict((await conn.fetch(FINGERPRINT))[0]) == before
    ahead = datetime.now(UTC) + timedelta(hours=2)
    with pytest.raises(InvalidInputError, match="future"):
        await make_past(database_url, replace(planned, until=ahead, force=True))
    await conn.execute("UPDATE history_edges SET samples_since = now() - interval '3 hours'")
    with pytest.raises(InvalidInputError, match="KEEP_SAMPLES_DAYS"):
        await make_past(database_url, replace(planned, force=True))


async def test_hours_that_are_rolled_up_already_are_rolled_up_again(
    database_url: str, conn: Connection
) -> None:
    """A worker has been here before: what comes now is late, and counts all the same."""
    await rollups.roll(conn, datetime.now(UTC))
    made = await make_past(database_url, plan(projects=2, days=1))
    assert await conn.fetchval("SELECT sum(samples) FROM samples_1h") > 0.9 * made.samples
    assert await conn.fetchval("SELECT count(*) FROM late_hours") == 0


async def test_a_worker_that_keeps_house_is_left_to_it(database_url: str, conn: Connection) -> None:
    await conn.fetchval("SELECT pg_advisory_lock($1, $2)", locks.LEADER, locks.HOUSE)
    made = await make_past(database_url, plan(projects=1, days=1))
    assert not made.rolled_up


def test_the_command_tells_what_it_made(database_url: str, tmp_path: Path) -> None:
    arguments = ["demo", "history", "--projects", "2", "--days", "40", "--seed", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", *arguments, "--labels", tmp_path / "labels.csv"],
        env={**os.environ, "SEQPULSE_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 projects, 2 services" in done.stdout
    assert "SEQPULSE_KEEP_SAMPLES_DAYS=" in done.stderr
    labels = pl.read_csv(tmp_path / "labels.csv")
    assert labels.height > 10
    assert set(labels["kind"]) > {"none"}
