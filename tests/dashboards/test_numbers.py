"""Boards say what the API and the views say, when it happened, and read no more than they must."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.app import create_app
from core import settings as configuration
from core.database import Connection, connect
from core.secrets import Vault
from core.types import Scope
from sql import api_keys
from tests.dashboards import checks
from tests.dashboards.conftest import BOARDS
from tests.dashboards.grafana import ALL, Query, Range, queries
from tests.dashboards.seeded import around

EVERY = [query for board in BOARDS.values() for query in queries(board)]
NAMED = {query.name: query for query in EVERY}
METRICS = {
    "Latency p95": "latency_p95",
    "Error rate": "error_rate",
    "Requests per second": "requests_per_sec",
    "CPU": "cpu_usage",
    "Memory": "memory_usage",
}


def everything(deployment: object) -> dict[str, Any]:
    return dict.fromkeys(("project", "env", "severity", "rule"), ALL) | {
        "deployment": str(deployment)
    }


async def rows_of(conn: Connection, name: str, span: Range, deployment: object) -> list[Any]:
    query = NAMED[name]
    answer = await checks.ask(conn, query, span, everything(deployment), BOARDS[query.board])
    assert not answer.wrong
    return answer.rows


@pytest.fixture
async def owner(seeded_url: str) -> Any:  # noqa: ANN401 - pytest says what it is
    conn = await connect(seeded_url)
    yield conn
    await conn.close()


async def test_the_verdict_panel_says_what_the_api_and_the_view_say(
    seeded_url: str, owner: Connection, grafana: Connection, vault: Vault
) -> None:
    settings = configuration.load(
        database_url=seeded_url,
        secret_key=vault.master_key,
        operator_token="operator-token-of-the-tests",
    )
    found = await owner.fetch(
        "SELECT DISTINCT ON (verdict, conclusive) deployment_id, project_id, verdict, conclusive, "
        "confidence, finished_at FROM report.deployment_overview WHERE verdict IS NOT NULL"
    )
    assert len({row["verdict"] for row in found}) == 3
    assert not all(row["conclusive"] for row in found)
    app = create_app(settings, seeded_url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            for row in found:
                key, _ = await api_keys.add(owner, vault, row["project_id"], scope=Scope.READ)
                path = f"/deployments/{row['deployment_id']}/verdict"
                told = (await client.get(path, headers={"X-API-Key": str(key)})).json()
                span = around(row["finished_at"])
                args = (span, row["deployment_id"])
                [[word]] = await rows_of(grafana, "deployment: stat Verdict", *args)
                [[sure]] = await rows_of(grafana, "deployment: stat Confidence", *args)
                assert word == (told["verdict"] if told["conclusive"] else "inconclusive")
                assert (told["verdict"], told["conclusive"]) == (row["verdict"], row["conclusive"])
                assert sure == told["confidence"] == row["confidence"]


async def test_counts_agree_with_the_view(owner: Connection, grafana: Connection) -> None:
    span = Range.ending(datetime.now(UTC) + timedelta(hours=1), days=90)
    over_time = await rows_of(grafana, "overview: timeseries Verdicts over time", span, "")
    by_project = await rows_of(grafana, "overview: barchart Verdicts by project", span, "")
    counted = await owner.fetch(
        "SELECT CASE WHEN conclusive THEN verdict ELSE 'inconclusive' END AS word, count(*) AS n "
        "FROM report.deployment_overview WHERE verdict IS NOT NULL GROUP BY 1"
    )
    for word, n in counted:
        assert sum(row["value"] for row in over_time if row["metric"] == word) == n
        assert sum(row[word] for row in by_project) == n


@pytest.mark.parametrize("name", BOARDS)
async def test_deploys_are_marked_when_they_happened(
    owner: Connection, grafana: Connection, name: str
) -> None:
    span = Range.ending(datetime.now(UTC) + timedelta(hours=1), days=90)
    marked = await rows_of(grafana, f"{name}: annotation Deploys", span, "")
    happened = await owner.fetch("SELECT triggered_at, finished_at FROM deployments")
    assert sorted((row["time"], row["timeend"]) for row in marked) == sorted(map(tuple, happened))


async def test_points_of_a_chart_are_samples(owner: Connection, grafana: Connection) -> None:
    row = await owner.fetchrow(
        "SELECT id, project_id, env, triggered_at, finished_at FROM deployments "
        "WHERE id IN (SELECT deployment_id FROM verdicts WHERE conclusive) "
        "ORDER BY finished_at DESC LIMIT 1"
    )
    assert row is not None
    span = around(row["finished_at"])
    for title, metric in METRICS.items():
        points = await rows_of(grafana, f"deployment: timeseries {title}", span, row["id"])
        samples = await owner.fetch(
            f"SELECT slot_at, nullif({metric}, 'NaN') FROM metric_samples "
            "WHERE project_id = $1 AND env = $2 AND slot_at BETWEEN $3 AND $4 ORDER BY 1",
            *(row["project_id"], row["env"], span.since, span.until),
        )
        assert [(point["time"], point["measured"]) for point in points] == list(map(tuple, samples))
        threshold = await owner.fetchval(
            "SELECT threshold FROM evidence WHERE deployment_id = $1 AND metric = $2",
            *(row["id"], metric),
        )
        assert {point["threshold"] for point in points} == {threshold}
        before = [
            value
            for at, value in samples
            if value is not None
            and row["triggered_at"] - timedelta(minutes=30) <= at < row["triggered_at"]
        ]
        [median] = {point["baseline median"] for point in points}
        assert len(before) > 10
        ordered = sorted(before)
        middle = (ordered[(len(before) - 1) // 2] + ordered[len(before) // 2]) / 2
        assert median == pytest.approx(middle)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan that was run."""
    if plan.get("Actual Loops", 0):
        yield plan
        for child in plan.get("Plans", ()):
            yield from nodes(child)


async def touched(
    conn: Connection, chunks: dict[str, str], query: Query, span: Range, deployment: object
) -> dict[str, set[str]]:
    """Which chunks of which hypertables a query reads."""
    text = checks.render(query, span, everything(deployment), BOARDS[query.board])
    plan = await conn.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {text}")
    found: dict[str, set[str]] = {}
    for node in nodes(json.loads(plan)[0]["Plan"]):
        if (name := node.get("Relation Name")) in chunks:
            found.setdefault(chunks[name], set()).add(name)
    return found


async def read_chunks(conn: Connection) -> dict[str, str]:
    """Chunks by name: their hypertable."""
    rows = await conn.fetch(
        "SELECT chunk_name::text, hypertable_name::text FROM timescaledb_information.chunks"
    )
    return {row["chunk_name"]: row["hypertable_name"] for row in rows}


@pytest.fixture(scope="module")
def chunks(seeded_url: str) -> dict[str, str]:
    async def look() -> dict[str, str]:
        conn = await connect(seeded_url)
        try:
            return await read_chunks(conn)
        finally:
            await conn.close()

    found = asyncio.run(look())
    assert sum(table == "metric_samples" for table in found.values()) >= 6
    return found


@pytest.mark.parametrize("query", EVERY, ids=lambda query: query.name)
async def test_an_hour_is_in_two_chunks_and_months_are_not_in_samples(
    owner: Connection, grafana: Connection, chunks: dict[str, str], query: Query
) -> None:
    """Of months, only the samples that are not rolled up yet are read."""
    row = await owner.fetchrow(
        "SELECT deployment_id, finished_at FROM verdicts JOIN deployments ON id = deployment_id "
        "ORDER BY finished_at DESC OFFSET 40 LIMIT 1"
    )
    assert row is not None
    hour = await touched(grafana, chunks, query, around(row["finished_at"]), row["deployment_id"])
    assert all(len(found) <= 2 for found in hour.values()), hour
    long = Range.ending(datetime.now(UTC) + timedelta(hours=1), days=90)
    read = await touched(grafana, chunks, query, long, row["deployment_id"])
    tail = await owner.fetch(
        "SELECT chunk_name::text FROM timescaledb_information.chunks "
        "WHERE hypertable_name = 'metric_samples' AND range_end > "
        "(SELECT least(rolled_5m_until, rolled_1h_until) FROM history_edges)"
    )
    assert len(tail) <= 2
    assert read.get("metric_samples", set()) <= {each[0] for each in tail}


async def test_the_guard_sees_who_reads_too_much(
    grafana: Connection, chunks: dict[str, str]
) -> None:
    text = "SELECT count(*) AS value FROM report.slots WHERE $__timeFilter(slot_at) AND present"
    greedy = Query("overview", "greedy", "stat", text, "table")
    long = Range.ending(datetime.now(UTC), days=90)
    assert len((await touched(grafana, chunks, greedy, long, ""))["metric_samples"]) >= 6
    assert len(await touched(grafana, chunks, greedy, Range.ending(long.until, hours=1), "")) <= 2
