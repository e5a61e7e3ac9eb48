"""What deployments are judged by, as it comes from the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from analytics import policy
from core.database import Connection
from core.types import Deployment, Project
from scheduler import judging
from sql import windows
from sql.texts import query

BASELINE_SECONDS = 1800.0

MANY = """
INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, post_slots,
                         slot_seconds)
SELECT gen_random_uuid(), $1, 'prod', 'b', 'analyzed', at, at + interval '1 min', 5, 60
  FROM generate_series(timestamptz '2026-01-01', '2026-01-11', '1 min') AS at
"""

OTHER = """
INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, post_slots,
                         slot_seconds)
SELECT gen_random_uuid(), project_id, 'two', 'b', 'finished', triggered_at, finished_at, 5, 60
  FROM deployments WHERE id = $1 RETURNING id
"""

SAMPLES = """
INSERT INTO metric_samples (slot_at, project_id, env, deployment_id, phase, sequence_index,
                            requests_per_sec)
SELECT d.finished_at + i * interval '1 s', d.project_id, d.env, d.id, 'post', i, $2
  FROM deployments AS d, generate_series(0, 4) AS i WHERE d.id = ANY($1)
"""


def find_scans(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every table in a plan, and how it is read."""
    if "Relation Name" in plan:
        yield plan["Relation Name"], plan["Node Type"]
    for part in plan.get("Plans", ()):
        yield from find_scans(part)


async def test_a_lot_is_found_without_reading_all_deployments(
    conn: Connection, project: Project
) -> None:
    """Else the cost of a lot would grow with the number of deployments there are."""
    await conn.execute(MANY, project.id)
    every = await conn.fetchval("SELECT array_agg(id ORDER BY triggered_at) FROM deployments")
    await conn.execute(SAMPLES, every, 1.0)
    await conn.execute("ANALYZE deployments, metric_samples")
    ids = every[1000:3500]
    span = datetime(2026, 1, 1, 16, tzinfo=UTC), datetime(2026, 1, 3, 12, tzinfo=UTC)
    for name, arguments in (
        ("windows.deployments", [ids]),
        ("windows.samples", [ids, BASELINE_SECONDS, *span]),
        ("windows.neighbours", [ids, BASELINE_SECONDS]),
        ("windows.fallbacks", [ids]),
        ("history.recorded", [ids]),
    ):
        said = await conn.fetchval("EXPLAIN (FORMAT JSON) " + query(name), *arguments)
        scans = set(find_scans(json.loads(said)[0]["Plan"]))
        assert "deployments" in {table for table, _ in scans}, name
        whole = {table for table, way in scans if way == "Seq Scan"}
        assert not {table for table in whole if table == "deployments" or "hyper" in table}, name


async def test_those_that_are_not_settled_are_left_out_with_their_samples(
    conn: Connection, deployment: Deployment
) -> None:
    """The jobs of `deployment` are still to be done; of the other one nothing is."""
    other = await conn.fetchval(OTHER, deployment.id)
    await conn.execute(SAMPLES, [deployment.id], 1.0)
    await conn.execute(SAMPLES, [other], 2.0)
    material = await windows.load(conn, [deployment.id, other], BASELINE_SECONDS)
    assert sorted(set(material.samples["row"])) == [0, 1]
    settled = material.settled()
    assert settled.deployments["deployment_id"].to_list() == [str(other)]
    assert settled.samples["requests_per_sec"].to_list() == [2.0] * 5
    [said] = judging.prepare(settled).judge(policy.SEQPULSE_V1)
    assert (said.deployment_id, said.coverage_ratio) == (other, 1.0)
    await conn.execute("DELETE FROM scheduled_jobs")
    both = await windows.load(conn, [deployment.id, other], BASELINE_SECONDS)
    assert both.settled() is both


PAST = """
INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, post_slots,
                         slot_seconds)
SELECT gen_random_uuid(), project_id, env, 'b', 'analyzed', triggered_at - $2::interval,
       triggered_at - $2::interval + interval '1 min', 5, 60
  FROM deployments WHERE id = $1 RETURNING id
"""

CONTINUOUS = """
INSERT INTO metric_samples (slot_at, collected_at, project_id, env, requests_per_sec, latency_p95,
                            error_rate, cpu_usage, memory_usage)
SELECT at, at, project_id, env, 10, 50, 0, 0.3, 0.4
  FROM deployments, generate_series(1, $2::integer) AS i,
       LATERAL (SELECT triggered_at - i * interval '1 min' AS at) AS moment
 WHERE id = $1
"""

SAID = """
INSERT INTO verdicts (deployment_id, policy, policy_digest, verdict, conclusive, reason_code,
                      confidence, coverage_ratio, as_of)
SELECT id, 'p', 'd', $2, true, 'r', 1, 1, finished_at + interval '5 min'
  FROM deployments WHERE id = $1
"""


async def test_a_thin_baseline_gives_way_to_the_last_harmless_deployment(
    conn: Connection, deployment: Deployment
) -> None:
    """Two samples are no baseline; nor is one that a bad deployment has filled."""
    earlier = await conn.fetchval(PAST, deployment.id, timedelta(hours=3))
    await conn.execute(SAMPLES, [earlier], 1.0)
    await conn.execute(SAID, earlier, "ok")
    await conn.execute("DELETE FROM scheduled_jobs")

    async def find_source() -> str:
        material = await windows.load(conn, [deployment.id], BASELINE_SECONDS)
        cut = judging.prepare(material).windows.deployments
        return str(cut["baseline_source"].item())

    await conn.execute(CONTINUOUS, deployment.id, 2)
    assert await find_source() == "previous"
    await conn.execute("DELETE FROM metric_samples WHERE phase IS NULL")
    await conn.execute(CONTINUOUS, deployment.id, 4)
    assert await find_source() == "baseline"
    bad = await conn.fetchval(PAST, deployment.id, timedelta(minutes=6))
    await conn.execute(SAID, bad, "rollback_recommended")
    assert await find_source() == "previous"
