"""What reads history reads little of it: which chunks a statement touches, of 90 days of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core import secrets
from core.database import Connection, connect
from core.secrets import Vault
from sql import projects, rollups
from sql.scratch import scratch_database
from sql.texts import query
from tests.integration.ledger import Ledger, minutes

NOW = datetime(2026, 5, 20, 12, 34, 56, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SERVICES = 20
BASELINE_SECONDS = 1800.0

DEPLOYMENTS = """
INSERT INTO deployments (id, project_id, env, branch, state, triggered_at, finished_at, post_slots,
                         slot_seconds)
SELECT gen_random_uuid(), p.id, 'prod', 'b', 'analyzed', at, at + interval '1 min', 5, 60
  FROM projects AS p, unnest($1::timestamptz[]) AS at
"""
VERDICTS = """
INSERT INTO verdicts (deployment_id, policy, policy_digest, verdict, conclusive, reason_code,
                      confidence, coverage_ratio, as_of)
SELECT id, 'p', 'd', 'ok', true, 'r', 1, 1, finished_at + interval '5 min' FROM deployments
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Past:
    """Ninety days of several services, rolled up, with a deployment here and there."""

    conn: Connection
    project_id: UUID
    chunks: dict[str, tuple[str, datetime, datetime]]

    async def touch(self, statement: str, *arguments: object) -> dict[str, set[str]]:
        """Run a statement; return the chunks it has read of each hypertable."""
        told = await self.conn.fetchval(
            f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", *arguments
        )
        touched: dict[str, set[str]] = {}
        for node in executed(json.loads(told)[0]["Plan"]):
            if node.get("Relation Name") in self.chunks:
                table = self.chunks[node["Relation Name"]][0]
                touched.setdefault(table, set()).add(node["Relation Name"])
        return touched

    def between(self, table: str, since: datetime, until: datetime) -> set[str]:
        """Return the chunks that may hold something of [since, until]."""
        return {
            name
            for name, (owner, begin, end) in self.chunks.items()
            if owner == table and begin <= until and since < end
        }


def executed(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan that did something."""
    if plan["Actual Loops"]:
        yield plan
        for child in plan.get("Plans", ()):
            yield from executed(child)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def past(server_url: str) -> AsyncIterator[Past]:
    async with scratch_database(server_url, prefix="plans") as url:
        conn = await connect(url)
        vault, ledger = Vault(secrets.new_hmac_secret()), Ledger(conn)
        made = [await projects.create(conn, vault, name=f"n {place}") for place in range(SERVICES)]
        for each, _ in made:
            await ledger.add(each.id, minutes(NOW - 90 * DAY, 90 * 24 * 4 + 1, 15))
        await conn.execute(DEPLOYMENTS, [NOW - days * DAY for days in (80, 60, 41, 40, 9, 1)])
        await conn.execute(VERDICTS)
        await rollups.roll(conn, NOW)
        await conn.execute("ANALYZE")
        rows = await conn.fetch(
            "SELECT chunk_name, hypertable_name, range_start, range_end "
            "FROM timescaledb_information.chunks"
        )
        chunks = {row[0]: (row[1], row[2], row[3]) for row in rows}
        assert sum(owner == "metric_samples" for owner, _, _ in chunks.values()) > 12
        yield Past(conn, made[0][0].id, chunks)
        await conn.close()


@pytest.mark.parametrize("count", [1, SERVICES])
async def test_a_window_touches_only_its_chunks(past: Past, count: int) -> None:
    triggered_at = NOW - 40 * DAY
    ids = await past.conn.fetchval(
        "SELECT array_agg(id) FROM (SELECT id FROM deployments WHERE triggered_at = $1 LIMIT $2) d",
        triggered_at,
        count,
    )
    since, until = triggered_at - timedelta(seconds=BASELINE_SECONDS), triggered_at + HOUR / 10
    touched = await past.touch(query("windows.samples"), ids, BASELINE_SECONDS, since, until)
    assert touched == {"metric_samples": past.between("metric_samples", since, until)}


@pytest.mark.parametrize("count", [1, SERVICES])
async def test_other_baselines_touch_only_their_chunks(past: Past, count: int) -> None:
    """Of the deployment before (a day earlier) and of the week before."""
    triggered_at = NOW - 40 * DAY
    ids = await past.conn.fetchval(
        "SELECT array_agg(id) FROM (SELECT id FROM deployments WHERE triggered_at = $1 LIMIT $2) d",
        triggered_at,
        count,
    )
    touched = await past.touch(query("windows.fallbacks"), ids)
    earlier, week = triggered_at - DAY, triggered_at - 7 * DAY
    assert touched["metric_samples"] <= (
        past.between("metric_samples", earlier, earlier + HOUR)
        | past.between("metric_samples", week - HOUR, week + HOUR)
    )


async def test_a_bucket_touches_only_its_chunk(past: Past) -> None:
    since, until = NOW - 40 * HOUR, NOW - 39 * HOUR
    touched = await past.touch(
        "SELECT * FROM buckets($1, $2, $3) WHERE project_id = $4 AND env = $5",
        timedelta(minutes=5),
        since,
        until,
        past.project_id,
        "prod",
    )
    assert touched == {"metric_samples": past.between("metric_samples", since, until)}


@pytest.mark.parametrize("days", [7, 90])
@pytest.mark.parametrize("name", ["5m", "1h"])
async def test_a_panel_reads_the_rollup_and_of_the_samples_the_end(
    past: Past, name: str, days: int
) -> None:
    table, since = f"samples_{name}", NOW - days * DAY
    touched = await past.touch(
        f"SELECT bucket_at, latency_p95_mean FROM report.{table} "
        "WHERE project_id = $1 AND env = 'prod' AND bucket_at >= $2",
        past.project_id,
        since,
    )
    assert touched[table] == past.between(table, since, NOW)
    assert touched.get("metric_samples", set()) <= past.between(
        "metric_samples", NOW - 2 * HOUR, NOW
    )


async def test_the_fleet_reads_nothing_of_its_services(past: Past) -> None:
    since = NOW - 30 * DAY
    touched = await past.touch(
        "SELECT report.quantile_of(report.merge_sketches(sketch), 'latency_p95', 0.95) "
        "FROM report.samples_fleet_1h WHERE env = 'prod' AND bucket_at >= $1",
        since,
    )
    assert touched == {"samples_fleet_1h": past.between("samples_fleet_1h", since, NOW)}


async def test_coverage_of_a_month_reads_hours(past: Past) -> None:
    since = (NOW - 30 * DAY).replace(hour=0, minute=0, second=0)
    touched = await past.touch("SELECT * FROM report.coverage WHERE day >= $1", since)
    assert touched["samples_1h"] == past.between("samples_1h", since, NOW)
    assert touched.get("metric_samples", set()) <= past.between(
        "metric_samples", NOW - 2 * HOUR, NOW
    )


async def test_the_last_sample_of_every_service_is_one_step_down_an_index(past: Past) -> None:
    told = await past.conn.fetchval(
        "EXPLAIN (ANALYZE, TIMING OFF, BUFFERS, FORMAT JSON) "
        "SELECT project, last_sample_at, latency_p95 FROM report.service_status"
    )
    plan = json.loads(told)[0]["Plan"]
    assert plan["Actual Rows"] == SERVICES
    scans = [node for node in executed(plan) if node.get("Relation Name") in past.chunks]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan"}
    assert {node["Relation Name"] for node in scans} == past.between("metric_samples", NOW, NOW)
    assert [(node["Actual Rows"], node["Actual Loops"]) for node in scans] == [(1, SERVICES)]
    assert sum(node["Shared Hit Blocks"] + node["Shared Read Blocks"] for node in scans) < (
        10 * SERVICES
    )
