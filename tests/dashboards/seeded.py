"""A database with something to show on every panel, judged by the real judge."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from core.database import connect, create_pool
from sql import bulk, rollups
from tests.dashboards.grafana import Range
from tests.integration.test_judging import GENERATE, judge_all
from tests.roles import make

LONG_AGO = "timestamptz '2026-03-02 08:00Z'"
LATELY = "date_trunc('minute', now() - interval '3 days 80 minutes')"

FOLDER = Path(__file__).parent


async def seed(url: str) -> None:
    """Fill a fresh database: three days of deployments, the last ones an hour ago."""
    conn = await connect(url)
    try:
        for table in ("metric_samples", "missed_slots", "job_runs"):
            await conn.execute(f"SELECT set_chunk_time_interval('{table}', interval '12 hours')")
        await conn.execute("SELECT setseed(0.5)")
        past = GENERATE.replace(LONG_AGO, LATELY).replace(":services", "6").replace(":each", "24")
        await conn.execute(past)
        await conn.execute((FOLDER / "odd_names.sql").read_text())
        async with await create_pool(url, 5) as pool:
            await judge_all(conn, pool)
        await conn.execute((FOLDER / "afterwards.sql").read_text())
        await rollups.roll(conn, await bulk.read_clock(conn))
        await conn.execute("ANALYZE")
    finally:
        await conn.close()
    await make(url)


async def pick(url: str) -> tuple[UUID, Range]:
    """Return a deployment with something on every panel, and the hour around it."""
    conn = await connect(url)
    try:
        row = await conn.fetchrow(
            "SELECT o.deployment_id, o.finished_at FROM report.deployment_overview AS o "
            "WHERE o.hint_count > 0 AND cardinality(o.failed_metrics) > 0 AND EXISTS ("
            "SELECT FROM report.missed_slots AS m WHERE m.deployment_id = o.deployment_id) "
            "ORDER BY o.finished_at DESC LIMIT 1"
        )
    finally:
        await conn.close()
    assert row is not None
    finished: datetime = row["finished_at"]
    return row["deployment_id"], around(finished)


def around(finished: datetime) -> Range:
    """The hour around the end of a roll-out."""
    return Range(finished - timedelta(minutes=40), finished + timedelta(minutes=20))
