"""What analysts read of history: coverage, the state of every service, delivery by week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.database import Connection
from core.types import Deployment, Project
from sql import rollups, targets
from tests.integration.ledger import Ledger, minutes

MONDAY = datetime(2026, 5, 18, tzinfo=UTC)
DEPLOYED = """
INSERT INTO deployments (id, project_id, env, branch, state, result, triggered_at, finished_at,
                         analyzed_at, post_slots, slot_seconds)
VALUES (gen_random_uuid(), $1, 'prod', $2, 'analyzed', $3, $4::timestamptz,
        $4 + interval '3 minutes', $4 + interval '8 minutes', 5, 60)
"""


@pytest.mark.parametrize("rolls", [False, True])
async def test_coverage_is_told_by_day(conn: Connection, project: Project, rolls: bool) -> None:
    ledger = Ledger(conn)
    await ledger.add(project.id, minutes(MONDAY, 30, 60))  # six of them on Tuesday
    await ledger.miss(project.id, minutes(MONDAY + timedelta(minutes=30), 8, 60))
    if rolls:
        await rollups.roll(conn, MONDAY + timedelta(hours=20))
    rows = await conn.fetch(
        "SELECT day, samples, missed, coverage_ratio FROM report.coverage "
        "WHERE project = 'shop' AND env = 'prod' ORDER BY day"
    )
    assert [tuple(row) for row in rows] == [
        (MONDAY, 24, 8, 0.75),
        (MONDAY + timedelta(days=1), 6, 0, 1.0),
    ]


async def test_the_state_of_a_service_is_its_last_sample_and_deployment(
    conn: Connection, deployment: Deployment
) -> None:
    await targets.put(conn, deployment.project_id, "eu", "http://127.0.0.1:9/metrics")
    await Ledger(conn).add(deployment.project_id, [MONDAY, MONDAY + timedelta(minutes=1)])
    rows = await conn.fetch("SELECT * FROM report.service_status ORDER BY env")
    eu, prod = rows
    assert (eu["env"], eu["health"], eu["last_sample_at"], eu["deployment_id"]) == (
        ("eu", "fine", None, None)
    )
    assert prod["last_sample_at"] == MONDAY + timedelta(minutes=1)
    assert (prod["deployment_id"], prod["state"]) == (deployment.id, "finished")


async def test_delivery_is_counted_by_week(conn: Connection, project: Project) -> None:
    for branch, result, hours in (
        ("v1", "success", 0),
        ("v2", "success", 24),
        ("v1", "success", 25),  # rolled back
        ("v3", "failed", 40),
        ("v4", "success", 24 * 7),
    ):
        at = MONDAY + timedelta(hours=hours)
        await conn.execute(DEPLOYED, project.id, branch, result, at)
    rows = await conn.fetch("SELECT * FROM report.dora ORDER BY week")
    assert [row["week"] for row in rows] == [MONDAY, MONDAY + timedelta(days=7)]
    assert (rows[0]["deployments"], rows[0]["failed_pipelines"], rows[0]["harmful"]) == (4, 1, 1)
    assert rows[0]["change_failure_ratio"] == 0.25
    assert rows[0]["median_restore_seconds"] == 57 * 60
    assert rows[0]["median_rollout_seconds"] == 180
    assert (rows[1]["deployments"], rows[1]["median_restore_seconds"]) == (1, None)
